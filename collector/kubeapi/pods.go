package kubeapi

import (
	"context"
	"iter"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/logsource/operator/collector"
)

const (
	// keepDeleted is how long a deleted pod is still known, for logs that are read late.
	keepDeleted = 10 * time.Minute
	// maxDeleted bounds how many deleted pods are known.
	maxDeleted = 2048
)

// mirrorPod is the annotation of a static pod's image in the API. Its value is the UID
// that kubelet gave the pod, and its log directory.
const mirrorPod = "kubernetes.io/config.mirror"

// Pods knows the pods of one node and, once somebody has asked for one, the labels of all
// namespaces. It is a collector.PodCache.
type Pods struct {
	client *Client
	node   string
	asked  func() // asks for namespaces; may be called again
	ask    chan struct{}

	mu         sync.RWMutex // protects what follows
	pods       map[string]*collector.Pod
	deleted    []deletedPod // oldest first; still in pods
	synced     bool
	namespaces map[string]map[string]string // nil until the first list
	changed    chan struct{}
}

type deletedPod struct {
	uid string
	at  time.Time
}

var _ collector.PodCache = (*Pods)(nil)

// NewPods makes an empty cache of the pods of a node; Run fills it.
func NewPods(c *Client, node string) *Pods {
	ask := make(chan struct{})
	return &Pods{
		client: c, node: node, ask: ask, asked: sync.OnceFunc(func() { close(ask) }),
		pods: map[string]*collector.Pod{}, changed: make(chan struct{}),
	}
}

// Run keeps the cache current until ctx ends.
func (p *Pods) Run(ctx context.Context) {
	var done sync.WaitGroup
	defer done.Wait()
	done.Go(func() { p.runNamespaces(ctx) })
	run(ctx, reflection[partial]{
		client: p.client, path: "/api/v1/pods", accept: metadataOnly,
		query:   url.Values{"fieldSelector": {"spec.nodeName=" + p.node}},
		replace: p.replace,
		put:     func(o partial) { p.change(func() bool { return p.putLocked(&o.Metadata) }) },
		remove:  func(o partial) { p.change(func() bool { p.removeLocked(podUID(&o.Metadata)); return false }) },
	})
}

// runNamespaces waits until a namespace is asked for: most collectors never do, and need
// no right to read them.
func (p *Pods) runNamespaces(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-p.ask:
	}
	run(ctx, reflection[partial]{
		client: p.client, path: "/api/v1/namespaces", accept: metadataOnly,
		replace: func(all []partial) {
			labels := make(map[string]map[string]string, len(all))
			for _, n := range all {
				labels[n.Metadata.Name] = n.Metadata.Labels
			}
			p.change(func() bool { p.namespaces = labels; return true })
		},
		put: func(o partial) {
			p.change(func() bool {
				old, ok := p.namespaces[o.Metadata.Name]
				p.namespaces[o.Metadata.Name] = o.Metadata.Labels
				return !ok || !maps.Equal(old, o.Metadata.Labels)
			})
		},
		remove: func(o partial) {
			p.change(func() bool { delete(p.namespaces, o.Metadata.Name); return true })
		},
	})
}

// change applies f and tells those who wait when it says that something changed.
func (p *Pods) change(f func() bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expireLocked()
	if f() {
		close(p.changed)
		p.changed = make(chan struct{})
	}
}

func (p *Pods) replace(all []partial) {
	p.change(func() bool {
		there := make(map[string]bool, len(all))
		for i := range all {
			there[podUID(&all[i].Metadata)] = true
			p.putLocked(&all[i].Metadata)
		}
		for uid := range p.pods {
			if !there[uid] {
				p.removeLocked(uid)
			}
		}
		p.synced = true
		return true
	})
}

// putLocked says whether the pod is new or differs in what a collector sees of it.
func (p *Pods) putLocked(m *meta) bool {
	now := p.pod(m)
	uid := podUID(m)
	p.deleted = slices.DeleteFunc(p.deleted, func(d deletedPod) bool { return d.uid == uid })
	old := p.pods[uid]
	if old != nil && equal(old, now) {
		return false
	}
	p.pods[uid] = now
	return true
}

// podUID is the UID in the name of the pod's log directory.
func podUID(m *meta) string {
	if uid := m.Annotations[mirrorPod]; uid != "" {
		return uid
	}
	return m.UID
}

func (p *Pods) pod(m *meta) *collector.Pod {
	kind, name := workload(m)
	return &collector.Pod{
		Namespace: m.Namespace, Name: m.Name, UID: m.UID, Node: p.node,
		Labels: m.Labels, Annotations: m.Annotations, OwnerKind: kind, OwnerName: name,
	}
}

func equal(a, b *collector.Pod) bool {
	return a.UID == b.UID && a.Name == b.Name && a.Namespace == b.Namespace && a.OwnerKind == b.OwnerKind &&
		a.OwnerName == b.OwnerName && maps.Equal(a.Labels, b.Labels) && maps.Equal(a.Annotations, b.Annotations)
}

// removeLocked keeps the pod for a while: its last lines may not have been read yet.
func (p *Pods) removeLocked(uid string) {
	if p.pods[uid] == nil {
		return
	}
	if !slices.ContainsFunc(p.deleted, func(d deletedPod) bool { return d.uid == uid }) {
		p.deleted = append(p.deleted, deletedPod{uid, time.Now()})
	}
}

// expireLocked forgets pods that were deleted long ago, or too many.
func (p *Pods) expireLocked() {
	n := 0
	for n < len(p.deleted) && (time.Since(p.deleted[n].at) > keepDeleted || len(p.deleted)-n > maxDeleted) {
		delete(p.pods, p.deleted[n].uid)
		n++
	}
	p.deleted = append(p.deleted[:0], p.deleted[n:]...)
}

// Pod returns what is known of the pod, nil when it has not been seen. A deleted pod is
// known for some minutes more.
func (p *Pods) Pod(uid string) *collector.Pod {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.pods[uid]
}

// Namespace returns a namespace's labels, false when it has not been seen. The first call
// begins to watch them.
func (p *Pods) Namespace(name string) (labels map[string]string, ok bool) {
	p.asked()
	p.mu.RLock()
	defer p.mu.RUnlock()
	labels, ok = p.namespaces[name]
	return labels, ok
}

// All ranges over every pod known when it was called.
func (p *Pods) All() iter.Seq[*collector.Pod] {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return maps.Values(maps.Clone(p.pods))
}

// Changed returns a channel that is closed at the next change.
func (p *Pods) Changed() <-chan struct{} {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.changed
}

// Synced says that the first list has arrived.
func (p *Pods) Synced() bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.synced
}

// workload is what the user made that made the pod: a ReplicaSet's Deployment, a Job's
// CronJob; else the pod's controller. Both are read from names, which saves two watches.
func workload(m *meta) (kind, name string) {
	for _, o := range m.OwnerReferences {
		if !o.Controller {
			continue
		}
		switch o.Kind {
		case "ReplicaSet":
			if d, ok := strings.CutSuffix(o.Name, "-"+m.Labels["pod-template-hash"]); ok && d != "" && m.Labels["pod-template-hash"] != "" {
				return "Deployment", d
			}
		case "Job":
			if c, ok := cronJob(o.Name, m.CreationTimestamp); ok {
				return "CronJob", c
			}
		}
		return o.Kind, o.Name
	}
	return "", ""
}

var scheduled = regexp.MustCompile(`^(.+)-(\d{8}|\d{10})$`)

// cronJob takes the schedule's time off a Job's name: minutes, in old clusters seconds,
// since the epoch. It must be about when the pod was made, so that the Job
// "import-20261123" stays what it is.
func cronJob(job string, created time.Time) (name string, ok bool) {
	m := scheduled.FindStringSubmatch(job)
	if m == nil {
		return "", false
	}
	n, err := strconv.ParseInt(m[2], 10, 64)
	if err != nil {
		return "", false
	}
	if len(m[2]) == 8 {
		n *= 60
	}
	const patience = 100 * 24 * time.Hour // a Job may have waited, suspended
	late := created.Sub(time.Unix(n, 0))
	return m[1], late > -24*time.Hour && late < patience
}
