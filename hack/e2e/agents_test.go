//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime/pkg/client"
)

// The writers of one test: 20,000 lines each, which is more than four files of the
// kubelet at the size that run.sh sets, written while the kubelet rotates them.
const (
	writers     = 3
	writerLines = 20000
	writerRate  = 500
)

// window is the default window of a source: what a kill may cost in duplicates.
const window = 8192

// gather reads the containers of one namespace to the end.
func gather(t *testing.T, namespace string, e *end, path string) string {
	t.Helper()
	name := namespace
	apply(t, clusterLogSource(name, namespace, e.url("/ingest/"+path)))
	t.Cleanup(func() { remove(t, "clusterlogsource", "", name) })
	command(t, "", "kubectl", "wait", "--for=condition=Ready", "clusterlogsource/"+name, "--timeout=60s")
	return name
}

func clusterLogSource(name, namespace, url string) string {
	return `
apiVersion: logsource.dev/v1alpha1
kind: ClusterLogSource
metadata: {name: ` + name + `}
spec:
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ` + namespace + `}}
  source: {class: container-logs}
  destinations:
  - name: end
    class: http
    options: {url: "` + url + `", compression: gzip}
    batch: {timeout: 200ms}
    retry: {initial: 100ms, max: 1s}
`
}

func remove(t *testing.T, kind, namespace, name string) {
	t.Helper()
	args := []string{"delete", kind, name, "--ignore-not-found", "--timeout=60s"}
	if namespace != "" {
		args = append(args, "-n", namespace)
	}
	if _, err := try(context.WithoutCancel(t.Context()), "", "kubectl", args...); err != nil {
		t.Error(err)
	}
}

// allArrived waits until every line of the writers has arrived.
func allArrived(t *testing.T, e *end, names []string, lines int) report {
	t.Helper()
	var r report
	eventually(t, 5*time.Minute, "every line has arrived", func() (bool, any) {
		r = e.report()
		for _, name := range names {
			if r.Writers[name].Distinct < lines {
				return false, progress(r, names)
			}
		}
		return true, nil
	})
	return r
}

func progress(r report, names []string) string {
	var b strings.Builder
	for _, name := range names {
		w := r.Writers[name]
		fmt.Fprintf(&b, "%s: %d lines, the last is %d, %d duplicates, %d broken; ", name, w.Distinct, w.Last, w.Duplicates, w.Broken)
	}
	return b.String()
}

// metadata is what comes with every line of a container.
type metadata struct {
	Namespace, Pod, Container, Node string

	UID          string `json:"pod_uid"`
	RestartCount string `json:"restart_count"`
	Labels       map[string]string
}

// checkMetadata: every line of the writer came with the same, right attributes.
func checkMetadata(t *testing.T, namespace, name string, w writer) {
	t.Helper()
	var pod corev1.Pod
	if err := client.Get(t.Context(), ctrl.ObjectKey{Namespace: namespace, Name: name}, &pod); err != nil {
		t.Fatal(err)
	}
	if len(w.Metadata) != 1 {
		t.Errorf("the lines of %s came with %d different sets of attributes, want 1: %v", name, len(w.Metadata), w.Metadata)
	}
	for text := range w.Metadata {
		var m metadata
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Fatal(err)
		}
		want := metadata{Namespace: namespace, Pod: name, Container: "writer", Node: pod.Spec.NodeName, UID: string(pod.UID), RestartCount: "0", Labels: pod.Labels}
		if got := fmt.Sprint(m); got != fmt.Sprint(want) {
			t.Errorf("the lines of %s came with %s\nwant %v", name, got, want)
		}
	}
	if w.Streams["stdout"] == 0 || w.Streams["stderr"] == 0 || len(w.Streams) != 2 {
		t.Errorf("the lines of %s came from %v, want stdout and stderr", name, w.Streams)
	}
}

// checkRotated: the kubelet has rotated the writer's log, else the test shows nothing of it.
func checkRotated(t *testing.T, namespace, name string) {
	t.Helper()
	if !ownCluster {
		return
	}
	var pod corev1.Pod
	if err := client.Get(t.Context(), ctrl.ObjectKey{Namespace: namespace, Name: name}, &pod); err != nil {
		t.Fatal(err)
	}
	files, err := node(t, pod.Spec.NodeName, "ls", fmt.Sprintf("/var/log/pods/%s_%s_%s/writer", namespace, name, pod.UID))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(strings.Fields(files)); n < 2 {
		t.Errorf("the kubelet has not rotated the log of %s: %s", name, files)
	}
}

func TestContainerLogsArriveWholeOnceAndWithTheirPod(t *testing.T) {
	install(t)
	ns := namespace(t, nil)
	e := startEnd(t, ns)
	gather(t, ns, e, "x")
	begun := time.Now()
	names := startWriters(t, ns, writers, writerLines*scale, writerRate, 1000)
	r := allArrived(t, e, names, writerLines*scale)
	t.Logf("%d lines in %s: %s", writers*writerLines*scale, time.Since(begun).Round(time.Second), progress(r, names))
	for _, name := range names {
		w := r.Writers[name]
		if w.Duplicates != 0 || w.Broken != 0 {
			t.Errorf("%s: %d duplicates, %d broken lines, want none", name, w.Duplicates, w.Broken)
		}
		checkMetadata(t, ns, name, w)
		checkRotated(t, ns, name)
	}
	if r.Malformed != 0 {
		t.Errorf("%d lines are no messages", r.Malformed)
	}
}

func TestContainerLogsSurviveKill9(t *testing.T) {
	if !ownCluster {
		t.Skip("processes are killed on nodes of hack/cluster only")
	}
	const kills = 5
	install(t)
	ns := namespace(t, nil)
	e := startEnd(t, ns)
	gather(t, ns, e, "x")
	names := startWriters(t, ns, writers, writerLines*scale, writerRate, 1000)
	total, killed := writers*writerLines*scale, 0
	for k := range kills {
		eventually(t, 5*time.Minute, "the next part of the lines has arrived", func() (bool, any) {
			r := e.report()
			got := 0
			for _, name := range names {
				got += r.Writers[name].Distinct
			}
			return got >= total*(k+1)/(kills+2), progress(r, names)
		})
		killed += killAgents(t)
	}
	r := allArrived(t, e, names, writerLines*scale)
	duplicates := 0
	for _, name := range names {
		w := r.Writers[name]
		duplicates += w.Duplicates
		if w.Broken != 0 {
			t.Errorf("%s: %d broken lines", name, w.Broken)
		}
		checkRotated(t, ns, name)
	}
	t.Logf("%d agents killed in %d rounds: 0 missing, %d duplicates: %s", killed, kills, duplicates, progress(r, names))
	if duplicates > killed*window {
		t.Errorf("%d duplicates after %d kills, want at most a window of %d for each", duplicates, killed, window)
	}
}

// killAgents ends the process of every agent with kill -9, and waits until they are back.
// It returns how many it has ended.
func killAgents(t *testing.T) int {
	t.Helper()
	before := restarts(t)
	for _, pod := range agents(t) {
		if _, err := node(t, pod.Spec.NodeName, "pkill", "-9", "-f", "--", "^/collector run --node-plans"); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, 2*time.Minute, "the agents are back", func() (bool, any) {
		for _, pod := range agents(t) {
			if s := pod.Status.ContainerStatuses; len(s) != 1 || s[0].RestartCount <= before[pod.Name] || !s[0].Ready {
				return false, pod.Status.ContainerStatuses
			}
		}
		return true, nil
	})
	return len(before)
}

func restarts(t *testing.T) map[string]int32 {
	t.Helper()
	n := map[string]int32{}
	for _, pod := range agents(t) {
		n[pod.Name] = pod.Status.ContainerStatuses[0].RestartCount
	}
	return n
}

// An edited destination takes effect within 5 s on the agents, without a restart and
// without loss.
func TestEditsTakeEffectOnAgents(t *testing.T) {
	const edits = 5
	install(t)
	ns := namespace(t, nil)
	e := startEnd(t, ns)
	name := gather(t, ns, e, "0")
	lines := 6000
	names := startWriters(t, ns, 1, lines, 200, 1000)
	eventually(t, time.Minute, "lines arrive", func() (bool, any) { r := e.report(); return r.Paths["0"] > 0, r.Paths })
	before := restarts(t)
	var took []time.Duration
	for i := range edits {
		path := fmt.Sprint(i + 1)
		begun := time.Now()
		apply(t, clusterLogSource(name, ns, e.url("/ingest/"+path)))
		eventually(t, 30*time.Second, "lines arrive at the new path", func() (bool, any) { r := e.report(); return r.Paths[path] > 0, r.Paths })
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	t.Logf("edits took effect on agents in %s at the median, %s at most", took[edits/2].Round(time.Millisecond), took[edits-1].Round(time.Millisecond))
	if took[edits-1] > 5*time.Second {
		t.Errorf("an edit took %s, want at most 5s", took[edits-1])
	}
	r := allArrived(t, e, names, lines)
	if w := r.Writers[names[0]]; w.Duplicates != 0 || w.Broken != 0 {
		t.Errorf("%d duplicates and %d broken lines after %d edits, want none", w.Duplicates, w.Broken, edits)
	}
	if after := restarts(t); !maps.Equal(before, after) {
		t.Errorf("agents were restarted: %v, before %v", after, before)
	}
}

// At debug level, with every container of the cluster as its source and something to
// complain about, an agent does not feed on its own lines.
func TestAgentsDoNotFeedOnThemselves(t *testing.T) {
	half := 30 * time.Second * time.Duration(min(scale, 10))
	install(t, "agents.logLevel=debug", "manager.logLevel=debug")
	ns := namespace(t, nil)
	e := startEnd(t, ns)
	apply(t, `
apiVersion: logsource.dev/v1alpha1
kind: ClusterLogSource
metadata: {name: everything}
spec:
  source: {class: container-logs}
  destinations:
  - {name: end, class: http, options: {url: "`+e.url("/ingest/x")+`"}}
`)
	t.Cleanup(func() { remove(t, "clusterlogsource", "", "everything") })
	command(t, "", "kubectl", "wait", "--for=condition=Ready", "clusterlogsource/everything", "--timeout=60s")
	startWriters(t, ns, 1, 1_000_000, 20, 0)
	e.answer(503)
	eventually(t, 2*time.Minute, "the agents log something", func() (bool, any) {
		said := command(t, "", "kubectl", "-n", agentsNamespace, "logs", "-l", "logsource.dev/collector=agent", "--tail=5")
		return e.report().Refused > 0 && said != "", said
	})
	e.answer(200)
	bytesAfter := func() int {
		select {
		case <-time.After(half):
		case <-t.Context().Done():
		}
		return e.report().Bytes
	}
	start := bytesAfter() // what the cluster had said before is read by now
	first := bytesAfter() - start
	second := bytesAfter() - first - start
	r := e.report()
	t.Logf("bytes in the first %s: %d, in the second: %d; messages by pod: %v", half, first, second, r.Others)
	for pod := range r.Others {
		if strings.HasPrefix(pod, agentsNamespace+"/") {
			t.Errorf("lines of %s were read", pod)
		}
	}
	if first == 0 {
		t.Error("nothing was read: the test shows nothing")
	}
	if second > first+first/10 {
		t.Errorf("the bytes grow: %d, then %d in the same time", first, second)
	}
}
