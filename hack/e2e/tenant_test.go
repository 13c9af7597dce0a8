//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	ctrl "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logsource/operator/api/v1alpha1"
)

// logSource polls the end and posts to it, with a small window.
func logSource(namespace, name string, e *end, interval, path string) string {
	return `
apiVersion: logsource.dev/v1alpha1
kind: LogSource
metadata: {name: ` + name + `, namespace: ` + namespace + `}
spec:
  source:
    class: http-poll
    options: {url: "` + e.url("/poll?lines=20") + `", split: lines, interval: ` + interval + `}
    window: {messages: 200}
  destinations:
  - name: end
    class: http
    options: {url: "` + e.url("/ingest/"+path) + `", compression: zstd}
    batch: {timeout: 200ms}
    retry: {initial: 100ms, max: 1s}
`
}

func get(t *testing.T, namespace, name string) *v1alpha1.LogSource {
	t.Helper()
	var ls v1alpha1.LogSource
	if err := client.Get(t.Context(), ctrl.ObjectKey{Namespace: namespace, Name: name}, &ls); err != nil {
		t.Fatal(err)
	}
	return &ls
}

// isTrue: the condition is True and of the newest generation.
func isTrue(ls *v1alpha1.LogSource, condition string) bool {
	c := meta.FindStatusCondition(ls.Status.Conditions, condition)
	return c != nil && c.Status == "True" && c.ObservedGeneration == ls.Generation
}

func nodes(t *testing.T) []string {
	t.Helper()
	var list corev1.NodeList
	if err := client.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range list.Items {
		names = append(names, n.Name)
	}
	return names
}

func tenants(t *testing.T, namespace string) []corev1.Pod {
	t.Helper()
	var pods corev1.PodList
	if err := client.List(t.Context(), &pods, ctrl.InNamespace(namespace), ctrl.MatchingLabels{"logsource.dev/collector": "tenant"}); err != nil {
		t.Fatal(err)
	}
	return pods.Items
}

// drained: the source is paused, and what it had fetched has arrived, each line once.
func drained(t *testing.T, namespace, name string, e *end) {
	t.Helper()
	command(t, "", "kubectl", "-n", namespace, "patch", "logsource", name, "--type=merge", "-p", `{"spec":{"paused":true}}`)
	eventually(t, 3*time.Minute, "the source is paused", func() (bool, any) {
		ls := get(t, namespace, name)
		return ls.Status.State == "Paused", ls.Status.State
	})
	var r report
	eventually(t, time.Minute, "everything polled has arrived", func() (bool, any) {
		r = e.report()
		return r.Writers["poll"].Distinct == r.Polled, fmt.Sprintf("%d polled, %+v", r.Polled, r.Writers["poll"])
	})
	if w := r.Writers["poll"]; w.Duplicates != 0 || w.Broken != 0 {
		t.Errorf("%d duplicates and %d broken lines, want none", w.Duplicates, w.Broken)
	}
	ls := get(t, namespace, name)
	if lost := ls.Status.Delivery.Lost; lost != nil && (lost.Messages != 0 || lost.Bytes != 0) {
		t.Errorf("the status says that something was lost: %+v", lost)
	}
	t.Logf("%d lines polled, all arrived once", r.Polled)
}

func TestHTTPPollInARestrictedNamespace(t *testing.T) {
	install(t)
	ns := namespace(t, map[string]string{"pod-security.kubernetes.io/enforce": "restricted"})
	e := startEnd(t, ns)
	begun := time.Now()
	apply(t, logSource(ns, "poll", e, "200ms", "x"))
	command(t, "", "kubectl", "-n", ns, "wait", "--for=condition=Ready", "logsource/poll", "--timeout=30s")
	eventually(t, 30*time.Second-time.Since(begun), "state and counters show", func() (bool, any) {
		s := get(t, ns, "poll").Status
		return (s.State == "Fetching" || s.State == "Idle") && s.Delivery != nil && s.Delivery.Delivered > 0 && s.LastFetch != nil, s
	})
	t.Logf("state and counters after %s:\n%s", time.Since(begun).Round(time.Second), command(t, "", "kubectl", "-n", ns, "get", "logsource", "-o", "wide"))

	e.answer(503)
	eventually(t, time.Minute, "it is suspended by the destination", func() (bool, any) {
		s := get(t, ns, "poll").Status
		return s.State == "Suspended" && s.Flow != nil && slices.Equal(s.Flow.SuspendedBy, []string{"end"}) && s.Flow.SuspendedSince != nil, s
	})
	ls := get(t, ns, "poll")
	if !isTrue(ls, v1alpha1.ConditionFlowControlled) || !isTrue(ls, v1alpha1.ConditionReady) {
		t.Errorf("suspended, it should be Ready and FlowControlled: %v", ls.Status.Conditions)
	}
	t.Logf("destination stopped:\n%s", command(t, "", "kubectl", "-n", ns, "get", "logsource", "-o", "wide"))

	e.answer(200)
	eventually(t, time.Minute, "it goes on", func() (bool, any) {
		s := get(t, ns, "poll").Status
		return s.State == "Fetching" || s.State == "Idle", s.State
	})
	drained(t, ns, "poll", e)
}

// An edited LogSource takes effect within 120 s on its own collector (the kubelet's time
// for a ConfigMap), without a restart and without loss.
func TestEditsTakeEffectOnTenantCollectors(t *testing.T) {
	const edits = 3
	install(t)
	ns := namespace(t, map[string]string{"pod-security.kubernetes.io/enforce": "restricted"})
	e := startEnd(t, ns)
	apply(t, logSource(ns, "edited", e, "200ms", "0"))
	command(t, "", "kubectl", "-n", ns, "wait", "--for=condition=Ready", "logsource/edited", "--timeout=60s")
	before := tenants(t, ns)
	var took []time.Duration
	for i := range edits {
		path := fmt.Sprint(i + 1)
		begun := time.Now()
		apply(t, logSource(ns, "edited", e, "200ms", path))
		eventually(t, 150*time.Second, "lines arrive at the new path", func() (bool, any) { r := e.report(); return r.Paths[path] > 0, r.Paths })
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	t.Logf("edits took effect on the tenant collector in %s at the median, %s at most", took[edits/2].Round(time.Millisecond), took[edits-1].Round(time.Millisecond))
	if took[edits-1] > 120*time.Second {
		t.Errorf("an edit took %s, want at most 120s", took[edits-1])
	}
	drained(t, ns, "edited", e)
	after := tenants(t, ns)
	if len(before) != 1 || len(after) != 1 || before[0].UID != after[0].UID || after[0].Status.ContainerStatuses[0].RestartCount != 0 {
		t.Errorf("the collector was replaced or restarted by edits")
	}
}

func TestAnUnknownClassIsToldAndStartsNothing(t *testing.T) {
	install(t)
	ns := namespace(t, nil)
	apply(t, `
apiVersion: logsource.dev/v1alpha1
kind: LogSource
metadata: {name: unknown, namespace: `+ns+`}
spec:
  source: {class: not-yet-installed}
  destinations: [{name: terminal, class: stdout}]
`)
	eventually(t, 30*time.Second, "Accepted=False/ClassNotFound", func() (bool, any) {
		c := meta.FindStatusCondition(get(t, ns, "unknown").Status.Conditions, v1alpha1.ConditionAccepted)
		return c != nil && c.Status == "False" && c.Reason == v1alpha1.ReasonClassNotFound, c
	})
	if pods := tenants(t, ns); len(pods) != 0 {
		t.Errorf("%d pods were started", len(pods))
	}
}
