package containerlogs

import (
	"iter"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/plan"
)

// pods is a PodCache that a test fills.
type pods struct {
	mu         sync.Mutex
	pods       map[string]*collector.Pod
	namespaces map[string]map[string]string
	changed    chan struct{}
}

func newPods() *pods {
	return &pods{pods: map[string]*collector.Pod{}, namespaces: map[string]map[string]string{}, changed: make(chan struct{})}
}

func (p *pods) put(pod collector.Pod) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pods[pod.UID] = &pod
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *pods) label(namespace string, labels map[string]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.namespaces[namespace] = labels
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *pods) Pod(uid string) *collector.Pod {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pods[uid]
}

func (p *pods) Namespace(name string) (map[string]string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l, ok := p.namespaces[name]
	return l, ok
}

func (p *pods) All() iter.Seq[*collector.Pod] {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Values(maps.Clone(p.pods))
}

func (p *pods) Changed() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}

func (p *pods) Synced() bool { return true }

func TestMetadata(t *testing.T) {
	cache := newPods()
	w := newWorld(t)
	w.env.Node.Pods = cache
	k := w.container("shop", "web-1", uid, "app")
	k.out("1")
	w.start()
	cache.put(collector.Pod{
		Namespace: "shop", Name: "web-1", UID: uid, Node: "node-a", OwnerKind: "Deployment", OwnerName: "web",
		Labels: map[string]string{"app": "web", "tier": "front"},
	})
	w.expect("1")
	s := w.delivered[0].stream
	for _, c := range []struct {
		path []string
		want string
	}{
		{[]string{"labels", "app"}, "web"}, {[]string{"labels", "tier"}, "front"},
		{[]string{"owner", "kind"}, "Deployment"}, {[]string{"owner", "name"}, "web"},
	} {
		if got := attr(s, c.path...); got != c.want {
			t.Errorf("attribute %v = %q, want %q", c.path, got, c.want)
		}
	}
	cache.put(collector.Pod{Namespace: "shop", Name: "web-1", UID: uid, Labels: map[string]string{"app": "web2"}})
	k.out("2")
	w.expect("1", "2")
	if got := attr(w.delivered[1].stream, "labels", "app"); got != "web2" {
		t.Errorf("after the label changed: %q, want web2", got)
	}
	if got := attr(s, "labels", "app"); got != "web" {
		t.Errorf("the first stream changed to %q", got)
	}
}

func TestMetadataThatNeverComes(t *testing.T) {
	w := newWorld(t)
	w.env.Node.Pods = newPods()
	k := w.container("shop", "web-1", uid, "app")
	k.out("1")
	began := time.Now()
	w.start()
	w.expect("1")
	if d := time.Since(began); d < metadataPatience || d > metadataPatience+time.Second {
		t.Errorf("the first line took %v, want about %v", d, metadataPatience)
	}
	w.kill()
	if w.counts["metadata_missing"] != 1 || attr(w.delivered[0].stream, "pod") != "web-1" {
		t.Errorf("counts %v, pod %q", w.counts, attr(w.delivered[0].stream, "pod"))
	}
}

func TestSelection(t *testing.T) {
	cache := newPods()
	cache.namespaces["shop"] = map[string]string{"team": "a"}
	cache.namespaces["bank"] = map[string]string{"team": "b"}
	cache.put(collector.Pod{Namespace: "shop", UID: "web", Labels: map[string]string{"app": "web"}})
	cache.put(collector.Pod{Namespace: "shop", UID: "db", Labels: map[string]string{"app": "db"}, Annotations: map[string]string{"logsource.dev/exclude": "true"}})
	cache.put(collector.Pod{Namespace: "bank", UID: "gate"})
	cache.put(collector.Pod{Namespace: "bank", UID: "tenant", Labels: map[string]string{labelPartOf: "logsource", labelCollector: "tenant"}})
	cache.put(collector.Pod{Namespace: "bank", UID: "self", Labels: map[string]string{labelPartOf: "logsource", labelCollector: "agent"}})
	dirs := [][4]string{
		{"shop", "web", "web", "app"}, {"shop", "web", "web", "sidecar"}, {"shop", "db", "db", "app"},
		{"bank", "gate", "gate", "app"}, {"bank", "tenant", "tenant", "collector"}, {"bank", "self", "self", "collector"},
	}
	for _, c := range []struct {
		name string
		plan.Select
		want []string
	}{
		{"all", plan.Select{}, []string{"db/app", "gate/app", "web/app", "web/sidecar"}},
		{"namespace", plan.Select{Namespaces: []string{"bank"}}, []string{"gate/app"}},
		{"namespace selector", plan.Select{NamespaceSelector: selector(map[string]string{"team": "a"})}, []string{"db/app", "web/app", "web/sidecar"}},
		{"pod selector", plan.Select{PodSelector: selector(map[string]string{"app": "web"})}, []string{"web/app", "web/sidecar"}},
		{"containers", plan.Select{Include: []string{"*"}, Exclude: []string{"side*"}}, []string{"db/app", "gate/app", "web/app"}},
		{"annotation", plan.Select{ExcludeAnnotation: "logsource.dev/exclude"}, []string{"gate/app", "web/app", "web/sidecar"}},
		{"collectors", plan.Select{IncludeCollectors: true, Namespaces: []string{"bank"}}, []string{"gate/app", "tenant/collector"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.env.Node.Pods, w.env.Node.SelfUID = cache, "self"
			w.env.Select = &c.Select
			for _, d := range dirs {
				w.container(d[0], d[1], d[2], d[3]).out(d[2] + "/" + d[3])
			}
			w.start()
			w.until("the containers", func() bool { return len(w.delivered) >= len(c.want) })
			last := w.container("bank", "gate", "gate", "zz-app") // nothing more comes before this
			cacheSees := c.Namespaces == nil && c.PodSelector == nil && c.NamespaceSelector == nil
			last.out("gate/zz-app")
			want := c.want
			if cacheSees || slices.Contains(c.Namespaces, "bank") {
				want = append(slices.Clone(want), "gate/zz-app")
				w.until("the last container", func() bool { return len(w.delivered) >= len(want) })
			}
			w.kill()
			got := w.bodies()
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("read %q, want %q", got, want)
			}
		})
	}
}

func TestStrictSelectionWaits(t *testing.T) {
	cache := newPods()
	w := newWorld(t)
	w.env.Node.Pods = cache
	w.env.Select = &plan.Select{PodSelector: selector(map[string]string{"app": "web"})}
	k := w.container("shop", "web-1", uid, "app")
	k.out("1")
	other := w.container("shop", "web-2", "other", "app")
	other.out("x")
	w.start()
	cache.put(collector.Pod{Namespace: "shop", UID: "other", Labels: map[string]string{"app": "other"}})
	cache.put(collector.Pod{Namespace: "shop", UID: uid, Labels: map[string]string{"app": "web"}})
	w.expect("1")
	cache.put(collector.Pod{Namespace: "shop", UID: uid, Labels: map[string]string{"app": "other"}})
	k.out("2 while not selected")
	cache.put(collector.Pod{Namespace: "shop", UID: "other", Labels: map[string]string{"app": "web"}})
	w.expect("1", "x")
	cache.put(collector.Pod{Namespace: "shop", UID: uid, Labels: map[string]string{"app": "web"}})
	w.expect("1", "x", "2 while not selected")
}

func TestNamespaceLabelsChange(t *testing.T) {
	cache := newPods()
	w := newWorld(t)
	w.env.Node.Pods = cache
	w.env.Select = &plan.Select{NamespaceSelector: selector(map[string]string{"team": "a"})}
	k := w.container("shop", "web-1", uid, "app")
	other := w.container("bank", "gate", "other", "app")
	k.out("1")
	other.out("x")
	w.start()
	cache.put(collector.Pod{Namespace: "shop", UID: uid})
	cache.put(collector.Pod{Namespace: "bank", UID: "other"})
	cache.label("bank", map[string]string{"team": "b"})
	cache.label("shop", map[string]string{"team": "a"})
	w.expect("1")
	cache.label("shop", map[string]string{"team": "b"})
	k.out("2 while not selected")
	cache.label("bank", map[string]string{"team": "a"})
	w.expect("1", "x")
	cache.label("shop", map[string]string{"team": "a"})
	w.expect("1", "x", "2 while not selected")
}

func TestSelector(t *testing.T) {
	labels := map[string]string{"app": "web", "tier": "front"}
	expr := func(key, op string, values ...string) *plan.Selector {
		return &plan.Selector{MatchExpressions: []plan.Requirement{{Key: key, Operator: op, Values: values}}}
	}
	for _, c := range []struct {
		s    *plan.Selector
		want bool
	}{
		{&plan.Selector{}, true},
		{selector(map[string]string{"app": "web"}), true},
		{selector(map[string]string{"app": "web", "tier": "back"}), false},
		{selector(map[string]string{"none": ""}), false},
		{expr("app", "In", "db", "web"), true},
		{expr("app", "In", "db"), false},
		{expr("none", "In", ""), false},
		{expr("app", "NotIn", "web"), false},
		{expr("none", "NotIn", "web"), true},
		{expr("app", "Exists"), true},
		{expr("none", "Exists"), false},
		{expr("none", "DoesNotExist"), true},
		{expr("app", "DoesNotExist"), false},
		{expr("app", "Gt", "1"), false},
	} {
		if got := matches(c.s, labels); got != c.want {
			t.Errorf("matches(%+v) = %v, want %v", *c.s, got, c.want)
		}
	}
}
