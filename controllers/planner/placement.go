package planner

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/plan"
)

// checkPlacement refuses what does not fit where collectors of the class run.
func (p *planning) checkPlacement(k *class.Class) {
	if k.Placement == class.Node {
		p.checkNode(k)
		return
	}
	if p.want.Select != nil {
		p.forbidden(p.spec.Child("select"), notNode(k))
	}
	if p.namespaceSelector != nil {
		p.forbidden(p.spec.Child("namespaceSelector"), notNode(k))
	}
	p.checkReplicas(k)
	p.checkCollector()
}

// checkCollector refuses what the apiserver would refuse in the pod template, where the
// user would not see it.
func (p *planning) checkCollector() {
	c, path := p.want.Collector, p.spec.Child("collector")
	if c == nil {
		return
	}
	p.checkReserved(path.Child("podLabels"), c.PodLabels)
	errs := metav1validation.ValidateLabels(c.PodLabels, path.Child("podLabels"))
	errs = append(errs, metav1validation.ValidateLabels(c.NodeSelector, path.Child("nodeSelector"))...)
	errs = append(errs, apivalidation.ValidateAnnotations(c.PodAnnotations, path.Child("podAnnotations"))...)
	if c.Storage != nil && c.Storage.Size.Sign() <= 0 {
		errs = append(errs, field.Invalid(path.Child("storage", "size"), c.Storage.Size.String(), "must be above zero, such as 1Gi"))
	}
	p.failAll(errs)
}

// checkReserved keeps the labels by which pods are found and charged to a LogSource ours.
func (p *planning) checkReserved(path *field.Path, labels map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if strings.HasPrefix(name, "logsource.dev/") || strings.HasPrefix(name, "app.kubernetes.io/") {
			p.forbidden(path.Key(name), "labels of logsource.dev and app.kubernetes.io are set by the manager: choose another name")
		}
	}
}

func notNode(k *class.Class) string {
	return fmt.Sprintf("only classes of placement Node select containers, and class %s has placement %s: remove it", k.Name, k.Placement)
}

func (p *planning) checkNode(k *class.Class) {
	if p.id.Kind == "LogSource" && !p.local {
		p.fail(v1alpha1.ReasonNeedsForward, field.Invalid(p.spec.Child("source", "class"), k.Name,
			"a class of placement Node in one namespace needs collectors that forward to each other, which this release does not have: use a ClusterLogSource"))
	}
	p.checkReplicas(k)
	p.checkNodeCollector(k)
}

// checkNodeCollector refuses settings that agents would silently not follow.
func (p *planning) checkNodeCollector(k *class.Class) {
	c, path := p.want.Collector, p.spec.Child("collector")
	if c == nil {
		return
	}
	detail := fmt.Sprintf("class %s runs on the agents, which are shaped by the Helm values: remove it", k.Name)
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"resources", c.Resources != nil},
		{"storage", c.Storage != nil},
		{"service", c.Service != nil},
		{"podLabels", len(c.PodLabels) > 0},
		{"podAnnotations", len(c.PodAnnotations) > 0},
		{"nodeSelector", len(c.NodeSelector) > 0},
		{"tolerations", len(c.Tolerations) > 0},
	} {
		if f.set {
			p.forbidden(path.Child(f.name), detail)
		}
	}
}

func (p *planning) checkReplicas(k *class.Class) {
	if p.want.Collector == nil || p.want.Collector.Replicas == nil {
		return
	}
	path, n := p.spec.Child("collector", "replicas"), *p.want.Collector.Replicas
	switch {
	case n < 0 || n > 1000:
		p.invalid(path, n, "must be from 0 to 1000")
	case k.Placement == class.Node && n != 1:
		p.fail(v1alpha1.ReasonReplicasNotAllowed, field.Invalid(path, n,
			fmt.Sprintf("class %s runs once on every node: remove it; to stop the source set spec.paused", k.Name)))
	case k.Placement == class.Single && n > 1:
		p.fail(v1alpha1.ReasonReplicasNotAllowed, field.Invalid(path, n,
			fmt.Sprintf("class %s has placement Single, a second collector would read everything twice: set 1, or 0 for none", k.Name)))
	}
}

func (p *planning) shutdownGrace() plan.Duration {
	if p.want.Collector == nil {
		return plan.DefaultShutdownGrace
	}
	return p.duration(p.spec.Child("collector", "shutdownGrace"), p.want.Collector.ShutdownGrace, plan.DefaultShutdownGrace)
}

// level is empty for EndToEnd, so that a collector of an earlier release still reads the
// plans of those who ask for nothing new.
func (p *planning) level() string {
	if p.want.Delivery == nil {
		return ""
	}
	level := p.oneOf(p.spec.Child("delivery", "level"), p.want.Delivery.Level, plan.EndToEnd, plan.Fast)
	if level == plan.EndToEnd {
		return ""
	}
	return level
}
