//go:build e2e

package e2e

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestInstallIsReadyAndDelivers(t *testing.T) {
	begun := time.Now()
	install(t)
	t.Logf("helm install was ready after %s", time.Since(begun).Round(time.Second))
	if d := daemonSet(t); d.Status.NumberReady == 0 || d.Status.NumberReady != d.Status.DesiredNumberScheduled {
		t.Errorf("%d of %d agents are ready", d.Status.NumberReady, d.Status.DesiredNumberScheduled)
	}
	command(t, "", "helm", "test", release, "--namespace", managerNamespace, "--timeout", "2m")
	if classes := command(t, "", "kubectl", "get", "driverclasses", "-o", "name"); !strings.Contains(classes, "driverclass.logsource.dev/http.destination") {
		t.Errorf("kubectl get driverclasses gives %s", classes)
	}
}

func TestSamplesAreAccepted(t *testing.T) {
	install(t)
	said := command(t, "", "kubectl", "apply", "--dry-run=server", "--recursive", "-f", "../../config/samples")
	if n := strings.Count(said, "created (server dry run)"); n != 7 {
		t.Errorf("%d samples were accepted, want 7:\n%s", n, said)
	}
}

// What runs and has nothing to do takes little memory.
func TestIdleMemory(t *testing.T) {
	if !ownCluster {
		t.Skip("the memory of processes is read on nodes of hack/cluster only")
	}
	install(t)
	ns := namespace(t, map[string]string{"pod-security.kubernetes.io/enforce": "restricted"})
	e := startEnd(t, ns)
	apply(t, logSource(ns, "idle", e, "1m", "x"))
	command(t, "", "kubectl", "-n", ns, "wait", "--for=condition=Ready", "logsource/idle", "--timeout=2m")
	for _, c := range []struct {
		what, pattern string
		most          int // MB
	}{
		{"agent", "^/collector run --node-plans", 25},
		{"tenant collector", "^/collector run --plans-dir", 25},
		{"manager", "^/manager", 60},
	} {
		most := 0
		for _, pod := range nodes(t) {
			out, err := node(t, pod, "bash", "-c", "for p in $(pgrep -f -- '"+c.pattern+"'); do sed -n 's/^VmRSS:[^0-9]*\\([0-9]*\\) kB/\\1/p' /proc/$p/status; done")
			if err != nil {
				t.Fatal(err)
			}
			for kb := range strings.FieldsSeq(out) {
				n, err := strconv.Atoi(kb)
				if err != nil {
					t.Fatal(err)
				}
				most = max(most, n*1024)
			}
		}
		t.Logf("%s: %.1f MB resident", c.what, float64(most)/1e6)
		if most == 0 || most > c.most*1e6 {
			t.Errorf("%s: %.1f MB resident, want more than 0 and at most %d", c.what, float64(most)/1e6, c.most)
		}
	}
}
