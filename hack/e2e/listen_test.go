//go:build e2e

package e2e

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime/pkg/client"
)

// A class that listens gets a Service; what is sent to it arrives, and a Service that
// somebody deletes comes back.
func TestSyslogThroughItsService(t *testing.T) {
	const lines = 5000
	install(t)
	ns := namespace(t, map[string]string{"pod-security.kubernetes.io/enforce": "restricted"})
	e := startEnd(t, ns)
	apply(t, `
apiVersion: logsource.dev/v1alpha1
kind: LogSource
metadata: {name: edge, namespace: `+ns+`}
spec:
  source:
    class: syslog
    options: {tcpPort: 5601, udpPort: 5514}
  collector:
    service: {ports: [{name: tcp, port: 6000}]}
  destinations:
  - {name: end, class: http, options: {url: "`+e.url("/ingest/x")+`"}}
`)
	command(t, "", "kubectl", "-n", ns, "wait", "--for=condition=Ready", "logsource/edge", "--timeout=60s")
	apply(t, `
apiVersion: v1
kind: Pod
metadata: {name: sender, namespace: `+ns+`}
spec:`+strings.ReplaceAll(restricted, "\n    ", "\n  ")+`
  containers:
  - name: sender
    image: `+probeImage+`
    args: [write, -name=sender, -lines=`+strconv.Itoa(lines)+`, -rate=2000, -long-every=0, "-to=logsource-edge.`+ns+`.svc:6000"]
    securityContext: `+restrictedContainer)
	eventually(t, 2*time.Minute, "everything sent has arrived", func() (bool, any) {
		w := e.report().Writers["sender"]
		return w.Distinct == lines, w
	})
	if w := e.report().Writers["sender"]; w.Duplicates != 0 || w.Broken != 0 {
		t.Errorf("%d duplicates and %d broken lines, want none", w.Duplicates, w.Broken)
	}
	if got := ports(t, ns, "logsource-edge"); !slices.Equal(got, []int32{514, 6000}) {
		t.Errorf("the Service has ports %v, want 514 (of the class) and 6000 (of the LogSource)", got)
	}
	command(t, "", "kubectl", "-n", ns, "delete", "service", "logsource-edge")
	eventually(t, time.Minute, "the Service is there again", func() (bool, any) {
		got := ports(t, ns, "logsource-edge")
		return len(got) == 2, got
	})
}

// ports are those of the Service, sorted; none when it is not there.
func ports(t *testing.T, namespace, name string) []int32 {
	t.Helper()
	var all corev1.ServiceList
	if err := client.List(t.Context(), &all, ctrl.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	var out []int32
	for _, s := range all.Items {
		if s.Name != name {
			continue
		}
		for _, p := range s.Spec.Ports {
			out = append(out, p.Port)
		}
	}
	slices.Sort(out)
	return out
}
