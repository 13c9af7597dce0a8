//go:build e2e

package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime/pkg/client"
)

// both makes a LogSource and a ClusterLogSource that run.
func both(t *testing.T) (ns string, e *end) {
	t.Helper()
	install(t)
	ns = namespace(t, nil)
	e = startEnd(t, ns)
	apply(t, logSource(ns, "one", e, "200ms", "tenant"))
	command(t, "", "kubectl", "-n", ns, "wait", "--for=condition=Ready", "logsource/one", "--timeout=60s")
	gather(t, ns, e, "agents")
	startWriters(t, ns, 1, 1_000_000, 10, 0)
	eventually(t, time.Minute, "both deliver", func() (bool, any) {
		r := e.report()
		return r.Paths["tenant"] > 0 && r.Paths["agents"] > 0, r.Paths
	})
	return ns, e
}

func uninstall(t *testing.T) {
	t.Helper()
	command(t, "", "helm", "uninstall", release, "--namespace", managerNamespace, "--wait", "--timeout", "2m")
	eventually(t, 2*time.Minute, "the namespace of the agents is gone", func() (bool, any) {
		var ns corev1.Namespace
		err := client.Get(t.Context(), ctrl.ObjectKey{Name: agentsNamespace}, &ns)
		return apierrors.IsNotFound(err), ns.Status
	})
}

// left lists every object of the product, of any kind but its CRDs.
func left(ctx context.Context, t *testing.T) []string {
	t.Helper()
	kinds := strings.Fields(command(t, "", "kubectl", "api-resources", "--verbs=list", "-o", "name"))
	kinds = slices.DeleteFunc(kinds, func(kind string) bool { return strings.HasPrefix(kind, "events") })
	out, err := try(ctx, "", "kubectl", "get", strings.Join(kinds, ","), "-A", "-l", "app.kubernetes.io/part-of=logsource", "-o", "name", "--ignore-not-found")
	if err != nil {
		t.Fatal(err)
	}
	found := strings.Fields(out)
	// What the manager itself makes in its namespace carries no label.
	leases, err := try(ctx, "", "kubectl", "get", "leases,configmaps,secrets", "-n", managerNamespace, "-o", "name", "--ignore-not-found")
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(leases) {
		if !strings.HasSuffix(name, "/kube-root-ca.crt") {
			found = append(found, name)
		}
	}
	return found
}

func nothingLeft(t *testing.T) {
	t.Helper()
	eventually(t, 2*time.Minute, "nothing is left", func() (bool, any) {
		found := left(t.Context(), t)
		return len(found) == 0, found
	})
}

func TestDeleteThenUninstallLeavesNothing(t *testing.T) {
	ns, _ := both(t)
	command(t, "", "kubectl", "-n", ns, "delete", "logsource", "one", "--timeout=30s")
	command(t, "", "kubectl", "delete", "clusterlogsource", ns, "--timeout=30s")
	eventually(t, time.Minute, "the tenant collector is gone", func() (bool, any) {
		pods := tenants(t, ns)
		return len(pods) == 0, len(pods)
	})
	uninstall(t)
	nothingLeft(t)
}

func TestUninstallThenDeleteLeavesNothing(t *testing.T) {
	ns, e := both(t)
	before := tenants(t, ns)
	uninstall(t)
	at := e.report().Paths
	eventually(t, time.Minute, "the tenant collector goes on without the manager", func() (bool, any) {
		r := e.report()
		return r.Paths["tenant"] > at["tenant"]+100, r.Paths
	})
	if pods := tenants(t, ns); len(pods) != 1 || pods[0].UID != before[0].UID {
		t.Errorf("the tenant collector was replaced")
	}
	if r := e.report(); r.Paths["agents"] > at["agents"]+100 {
		t.Errorf("agents deliver after the uninstall: %v, %v", at, r.Paths)
	}
	command(t, "", "kubectl", "-n", ns, "delete", "logsource", "one", "--timeout=30s")
	command(t, "", "kubectl", "delete", "clusterlogsource", ns, "--timeout=30s")
	eventually(t, time.Minute, "the tenant collector is gone", func() (bool, any) {
		pods := tenants(t, ns)
		return len(pods) == 0, len(pods)
	})
	nothingLeft(t)
	// The one command of NOTES.txt and README that removes the rest.
	command(t, "", "kubectl", "delete", "crd", "logsources.logsource.dev", "clusterlogsources.logsource.dev", "driverclasses.logsource.dev", "--timeout=60s")
}
