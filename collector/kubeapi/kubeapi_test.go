package kubeapi

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector"
)

func pod(uid string, labels map[string]any, owner ...string) map[string]any {
	md := map[string]any{"namespace": "shop", "uid": uid, "labels": labels, "creationTimestamp": "2026-11-23T07:30:10Z"}
	if len(owner) == 2 {
		md["ownerReferences"] = []any{
			map[string]any{"kind": "Other", "name": "x"},
			map[string]any{"kind": owner[0], "name": owner[1], "controller": true},
		}
	}
	return map[string]any{"metadata": md, "spec": map[string]any{"nodeName": "node-a"}}
}

// startPods runs a cache of node-a until the test ends.
func startPods(t *testing.T, c *Client) *Pods {
	p := NewPods(c, "node-a")
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { p.Run(ctx) })
	t.Cleanup(func() { cancel(); done.Wait() })
	return p
}

func TestPods(t *testing.T) {
	a := newAPIServer(t)
	a.put("/api/v1/pods", "web-1", pod("u1", map[string]any{"app": "web", "pod-template-hash": "abc"}, "ReplicaSet", "web-abc"))
	p := startPods(t, a.client())
	until(t, "the first list", p.Synced)
	want := &collector.Pod{
		Namespace: "shop", Name: "web-1", UID: "u1", Node: "node-a", OwnerKind: "Deployment", OwnerName: "web",
		Labels: map[string]string{"app": "web", "pod-template-hash": "abc"},
	}
	if diff := cmp.Diff(want, p.Pod("u1")); diff != "" {
		t.Errorf("pod (-want +got):\n%s", diff)
	}
	if p.Pod("u2") != nil {
		t.Error("a pod nobody made is known")
	}

	changed := p.Changed()
	a.put("/api/v1/pods", "web-2", pod("u2", nil))
	<-changed
	old := p.Pod("u2")
	if old == nil {
		t.Fatal("u2 is not known after the change")
	}
	changed = p.Changed()
	touched := pod("u2", nil)
	touched["status"] = map[string]any{"phase": "Running"}
	a.put("/api/v1/pods", "web-2", touched) // nothing that we see
	a.put("/api/v1/pods", "web-3", pod("u3", nil))
	<-changed
	if p.Pod("u2") != old {
		t.Error("a change of status made a new Pod")
	}
	a.remove("/api/v1/pods", "web-2")
	a.put("/api/v1/pods", "web-4", pod("u4", nil))
	until(t, "u4", func() bool { return p.Pod("u4") != nil })
	if p.Pod("u2") == nil {
		t.Error("a deleted pod is forgotten at once")
	}
	n := 0
	for range p.All() {
		n++
	}
	if n != 4 {
		t.Errorf("All has %d pods, want 4", n)
	}
	for _, q := range a.queries {
		if !strings.Contains(q, "fieldSelector=spec.nodeName%3Dnode-a") || !strings.Contains(q, "as=PartialObjectMetadata") {
			t.Errorf("request %q does not ask for the metadata of the node's pods only", q)
		}
	}
}

func TestStaticPodIsKnownByItsDirectory(t *testing.T) {
	a := newAPIServer(t)
	o := pod("mirror", nil)
	o["metadata"].(map[string]any)["annotations"] = map[string]any{"kubernetes.io/config.mirror": "hash"}
	a.put("/api/v1/pods", "etcd-node-a", o)
	p := startPods(t, a.client())
	until(t, "the first list", p.Synced)
	if got := p.Pod("hash"); got == nil || got.Name != "etcd-node-a" {
		t.Errorf("Pod(hash) = %+v, want etcd-node-a", got)
	}
}

func TestManyPodsComeInPages(t *testing.T) {
	a := newAPIServer(t)
	for i := range 1203 {
		a.put("/api/v1/pods", fmt.Sprintf("p%04d", i), pod(fmt.Sprintf("u%d", i), nil))
	}
	p := startPods(t, a.client())
	until(t, "the first list", p.Synced)
	for i := range 1203 {
		if p.Pod(fmt.Sprintf("u%d", i)) == nil {
			t.Fatalf("pod %d is not known", i)
		}
	}
	a.locked(func() {
		if a.lists != 3 {
			t.Errorf("%d list requests, want 3", a.lists)
		}
	})
}

func TestWatchSurvives(t *testing.T) {
	a := newAPIServer(t)
	p := startPods(t, a.client())
	until(t, "the first list", p.Synced)
	step := func(name string, trouble func()) {
		t.Helper()
		trouble()
		a.put("/api/v1/pods", name, pod(name, nil))
		until(t, name, func() bool { return p.Pod(name) != nil })
	}
	step("calm", func() {})
	step("dropped", a.drop)
	a.locked(func() {
		if a.lists != 1 {
			t.Errorf("%d lists after a dropped connection, want 1", a.lists)
		}
	})
	step("failing", func() { a.locked(func() { a.fail = 2 }); a.drop() })
	step("expired", func() {
		a.locked(func() { a.fail = 1 })
		a.drop()
		a.put("/api/v1/pods", "missed", pod("missed", nil))
		a.remove("/api/v1/pods", "calm")
		a.compact()
	})
	if p.Pod("missed") == nil || p.Pod("calm") == nil {
		t.Error("after 410: want the pod that was missed, and the deleted one for a while")
	}
	a.locked(func() {
		if a.lists != 2 {
			t.Errorf("%d lists after 410, want 2", a.lists)
		}
	})
}

func TestNamespacesAreWatchedWhenAsked(t *testing.T) {
	a := newAPIServer(t)
	a.put("/api/v1/namespaces", "shop", map[string]any{"metadata": map[string]any{"labels": map[string]any{"team": "a"}}})
	p := startPods(t, a.client())
	until(t, "the first list", p.Synced)
	a.locked(func() {
		for _, q := range a.queries {
			if strings.Contains(q, "namespaces") {
				t.Error("namespaces were read although nobody asked")
			}
		}
	})
	until(t, "the namespace", func() bool { l, ok := p.Namespace("shop"); return ok && l["team"] == "a" })
	changed := p.Changed()
	a.put("/api/v1/namespaces", "shop", map[string]any{"metadata": map[string]any{"labels": map[string]any{"team": "b"}}})
	<-changed
	if l, _ := p.Namespace("shop"); l["team"] != "b" {
		t.Errorf("labels = %v, want team b", l)
	}
	if _, ok := p.Namespace("other"); ok {
		t.Error("a namespace nobody made is known")
	}
}

func TestWorkload(t *testing.T) {
	created := time.Date(2026, 11, 23, 7, 30, 10, 0, time.UTC)
	minutes := created.Unix() / 60
	for _, c := range []struct {
		kind, name, hash   string
		wantKind, wantName string
	}{
		{"ReplicaSet", "web-abc", "abc", "Deployment", "web"},
		{"ReplicaSet", "web-abc", "", "ReplicaSet", "web-abc"},
		{"ReplicaSet", "rollout-xyz", "abc", "ReplicaSet", "rollout-xyz"},
		{"StatefulSet", "db", "", "StatefulSet", "db"},
		{"Job", fmt.Sprintf("backup-%d", minutes), "", "CronJob", "backup"},
		{"Job", fmt.Sprintf("backup-%d", minutes*60), "", "CronJob", "backup"},
		{"Job", "import-20261123", "", "Job", "import-20261123"},
		{"Job", "import", "", "Job", "import"},
	} {
		m := &meta{CreationTimestamp: created, Labels: map[string]string{}, OwnerReferences: []owner{{c.kind, c.name, true}}}
		if c.hash != "" {
			m.Labels["pod-template-hash"] = c.hash
		}
		if kind, name := workload(m); kind != c.wantKind || name != c.wantName {
			t.Errorf("workload of %s %s = %s %s, want %s %s", c.kind, c.name, kind, name, c.wantKind, c.wantName)
		}
	}
}

func TestConfigMaps(t *testing.T) {
	const path = "/api/v1/namespaces/logsource-nodes/configmaps"
	a := newAPIServer(t)
	a.put(path, "one", map[string]any{"data": map[string]any{"plan.json": "1"}})
	ctx, cancel := context.WithCancel(t.Context())
	calls := make(chan map[string]map[string]string, 100)
	var done sync.WaitGroup
	done.Go(func() {
		a.client().WatchConfigMaps(ctx, "logsource-nodes", "a=b", func(all map[string]map[string]string) { calls <- all })
	})
	defer done.Wait()
	defer cancel()
	want := map[string]map[string]string{"one": {"plan.json": "1"}}
	if diff := cmp.Diff(want, <-calls); diff != "" {
		t.Errorf("first call (-want +got):\n%s", diff)
	}
	for i := range 50 {
		a.put(path, "two", map[string]any{"data": map[string]any{"plan.json": fmt.Sprint(i)}})
	}
	a.remove(path, "one")
	want = map[string]map[string]string{"two": {"plan.json": "49"}}
	n := 0
	for got := range calls {
		n++
		if cmp.Equal(want, got) {
			break
		}
	}
	if n > 25 {
		t.Errorf("51 changes made %d calls, want few", n)
	}
	if !strings.Contains(a.queries[0], "labelSelector=a%3Db") {
		t.Errorf("first request is %q, want the label selector in it", a.queries[0])
	}
}

func TestEmptyCollectionIsApplied(t *testing.T) {
	a := newAPIServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	defer done.Wait()
	calls := make(chan int, 10)
	done.Go(func() {
		a.client().WatchConfigMaps(ctx, "x", "", func(all map[string]map[string]string) { calls <- len(all) })
	})
	defer cancel()
	if n := <-calls; n != 0 {
		t.Errorf("first call has %d ConfigMaps, want 0", n)
	}
}

func TestSecret(t *testing.T) {
	const path = "/api/v1/namespaces/shop/secrets"
	a := newAPIServer(t)
	c := a.client()
	if _, err := c.Secret(t.Context(), "shop", "db"); err == nil || !strings.Contains(err.Error(), "secret shop/db") {
		t.Errorf("error = %v, want one that names the secret", err)
	}
	a.put(path, "db", map[string]any{"data": map[string]any{"password": "aHVudGVyMg=="}})
	for range 3 {
		got, err := c.Secret(t.Context(), "shop", "db")
		if err != nil || string(got["password"]) != "hunter2" {
			t.Fatalf("Secret = %q, %v", got, err)
		}
	}
	a.locked(func() {
		if len(a.queries) != 2 {
			t.Errorf("%d requests, want 2: one that failed, one that is cached", len(a.queries))
		}
		a.fail = 1
	})
	c.secrets["shop/db"].read = time.Now().Add(-time.Minute)
	if got, err := c.Secret(t.Context(), "shop", "db"); err != nil || string(got["password"]) != "hunter2" {
		t.Errorf("with the apiserver away: %q, %v, want the old value", got, err)
	}
	a.remove(path, "db")
	if _, err := c.Secret(t.Context(), "shop", "db"); err == nil {
		t.Error("a deleted secret is still served")
	}
}

func TestTokenFileIsReadAgain(t *testing.T) {
	a := newAPIServer(t)
	file := filepath.Join(t.TempDir(), "token")
	write := func(s string) {
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("stale")
	c, err := New(Config{URL: a.url, TokenFile: file})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if _, err := c.Secret(t.Context(), "a", "b"); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("with a stale token: %v, want 401", err)
	}
	write("secret\n")
	if _, err := c.Secret(t.Context(), "a", "b"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("with the new token: %v, want 404", err)
	}
}

func TestBadConfig(t *testing.T) {
	for _, c := range []Config{{}, {URL: "10.96.0.1"}, {URL: "https://x", CA: []byte("no pem")}} {
		if _, err := New(c); err == nil {
			t.Errorf("New(%+v) has no error", c)
		}
	}
}
