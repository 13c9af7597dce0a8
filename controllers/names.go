package controllers

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/controllers/planner"
)

// FieldOwner is the field manager of everything the manager applies.
const FieldOwner = "logsource-manager"

// The labels of children, and of the pods of the agents.
const (
	// LabelUID is the UID of the LogSource a child belongs to.
	LabelUID = "logsource.dev/uid"
	// LabelCollector is the kind of collector: tenant or agent.
	LabelCollector = "logsource.dev/collector"
	// LabelPlan marks the plans that the agents watch; its value is "node".
	LabelPlan = "logsource.dev/plan"

	labelName      = "app.kubernetes.io/name"
	labelInstance  = "app.kubernetes.io/instance"
	labelPartOf    = "app.kubernetes.io/part-of"
	labelManagedBy = "app.kubernetes.io/managed-by"
)

// The values of LabelCollector.
const (
	CollectorTenant = "tenant"
	CollectorAgent  = "agent"
)

const (
	kindLogSource        = "LogSource"
	kindClusterLogSource = "ClusterLogSource"
)

// kindOf is the kind of an object, which a decoded object does not carry.
func kindOf(obj planner.Object) string {
	if obj.GetNamespace() == "" {
		return kindClusterLogSource
	}
	return kindLogSource
}

// maxChildName is what a StatefulSet's name may have at most: its pods carry the name and
// a hash in one label of 63 characters.
const maxChildName = 52

// childName is logsource-<name>. A name too long for it is cut, with a hash that keeps it
// apart from others. Children of a ClusterLogSource have a prefix of their own, because a
// LogSource of the same name may live in the agents' namespace.
func childName(obj planner.Object) string {
	name := "logsource-" + obj.GetName()
	if kindOf(obj) == kindClusterLogSource {
		name = "cluster" + name
	}
	if len(name) <= maxChildName {
		return name
	}
	return name[:maxChildName-9] + "-" + shortHash(name)
}

// serviceName is the name of a child, but for the dots: a Service's name is a DNS label,
// that of a LogSource may have several.
func serviceName(child string) string {
	if !strings.Contains(child, ".") {
		return child
	}
	return strings.ReplaceAll(child, ".", "-") + "-" + shortHash(child)
}

// planName is the name of a plan for the agents.
func planName(obj planner.Object) string {
	return fmt.Sprintf("plan-%s-%s", obj.GetName(), shortHash(string(obj.GetUID())))
}

func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:4])
}

// home is where the children of obj live.
func home(obj planner.Object, agents string) string {
	if kindOf(obj) == kindLogSource {
		return obj.GetNamespace()
	}
	return agents
}

func onNodes(k *class.Class) bool { return k != nil && k.Placement == class.Node }

// podSelector selects the tenant collectors of one LogSource.
func podSelector(uid types.UID) map[string]string {
	return map[string]string{LabelCollector: CollectorTenant, LabelUID: string(uid)}
}
