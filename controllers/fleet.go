package controllers

import (
	"cmp"
	"reflect"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/collector/report"
	"github.com/logsource/operator/controllers/planner"
)

// staleAfter is when a collector that does not answer no longer speaks for its state. Its
// last counts stay.
const staleAfter = time.Minute

// fleet is what the manager knows of the collectors: which pods there are, what each said
// last, and what those said that are gone. It is memory only; what must outlive the
// manager is in the status (retired).
type fleet struct {
	mu      sync.Mutex // protects following
	synced  bool       // the pods were listed at least once
	sources map[types.UID]*tracked
	pods    map[types.UID]*collectorPod
}

// tracked is a LogSource whose collectors are followed.
type tracked struct {
	request   request
	namespace string // of its collectors
	node      bool   // its collectors are the agents
	hot       bool   // look often: not every collector runs the newest plan
	settled   bool   // retired has been compared with the status
	retired   v1alpha1.RetiredStatus
	status    *v1alpha1.LogSourceStatus // the newest that was written, nil before the first
	written   time.Time
}

// collectorPod is a pod that may report.
type collectorPod struct {
	podInfo
	asked    bool // at least once, with whatever result
	failures int  // in a row
	asking   bool // now
	due      time.Time
	report   *report.Collector // the newest; nil before the first
	reported time.Time
	paths    map[types.UID]*report.LogPath // of report, by LogSource
	seen     map[types.UID]bool            // LogSources that were connected in this process life
}

// podInfo is what is needed of a pod.
type podInfo struct {
	uid                 types.UID
	namespace, name, ip string
	node                string
	agent               bool
	owner               types.UID // of a tenant collector: its LogSource
	ready               bool
	trouble             string // why Kubernetes cannot run it, in one word
}

func newFleet() *fleet {
	return &fleet{sources: map[types.UID]*tracked{}, pods: map[types.UID]*collectorPod{}}
}

// track follows the collectors of obj from now on.
func (f *fleet) track(obj planner.Object, namespace string, node bool, previous *v1alpha1.LogSourceStatus) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dropOthersLocked(requestFor(obj), obj.GetUID())
	t := f.sources[obj.GetUID()]
	if t == nil {
		t = &tracked{request: requestFor(obj), hot: true}
		if previous.Delivery != nil && previous.Delivery.Retired != nil {
			t.retired = *previous.Delivery.Retired
		}
		f.sources[obj.GetUID()] = t
	}
	if t.namespace != namespace || t.node != node {
		f.retireAllLocked(obj.GetUID(), t) // those that spoke for it until now
		t.namespace, t.node = namespace, node
	}
}

func (f *fleet) retireAllLocked(uid types.UID, t *tracked) {
	for _, p := range f.pods {
		if path := p.paths[uid]; path != nil && p.speaksFor(t, uid) {
			t.retire(path)
			delete(p.paths, uid)
		}
	}
}

// dropOthersLocked forgets an earlier object of the same name.
func (f *fleet) dropOthersLocked(r request, uid types.UID) (dropped []types.UID) {
	for other, t := range f.sources {
		if t.request == r && other != uid {
			delete(f.sources, other)
			dropped = append(dropped, other)
		}
	}
	return dropped
}

// forget ends track, and returns the UIDs that were followed under the name.
func (f *fleet) forget(r request) []types.UID {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dropOthersLocked(r, "")
}

// setHot says whether the collectors of a LogSource are looked at often.
func (f *fleet) setHot(uid types.UID, hot bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.sources[uid]
	if t == nil {
		return
	}
	if hot && !t.hot {
		f.hurryLocked(t, uid)
	}
	t.hot = hot
}

// hurryLocked asks the collectors of a LogSource at the next tick.
func (f *fleet) hurryLocked(t *tracked, uid types.UID) {
	for _, p := range f.pods {
		if p.speaksFor(t, uid) {
			p.due, p.failures = time.Time{}, 0
		}
	}
}

// speaksFor is the wall between tenants: an agent speaks for the LogSources of the agents,
// any other pod for the one LogSource whose label it carries, in that one's namespace.
func (p *collectorPod) speaksFor(t *tracked, uid types.UID) bool {
	if p.namespace != t.namespace {
		return false
	}
	if p.agent || t.node {
		return p.agent && t.node
	}
	return p.owner == uid
}

// sync takes the list of pods there are now. It returns the LogSources whose collectors
// have changed.
func (f *fleet) sync(pods []podInfo) []request {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.synced = true
	changed := map[request]bool{}
	alive := make(map[types.UID]bool, len(pods))
	for _, info := range pods {
		alive[info.uid] = true
		f.addLocked(info, changed)
	}
	for uid, p := range f.pods {
		if !alive[uid] {
			f.removeLocked(p, changed)
		}
	}
	return sortedRequests(changed)
}

func (f *fleet) addLocked(info podInfo, changed map[request]bool) {
	p := f.pods[info.uid]
	if p == nil {
		p = &collectorPod{seen: map[types.UID]bool{}}
		f.pods[info.uid] = p
	}
	if p.podInfo == info {
		return
	}
	p.podInfo, p.due, p.failures = info, time.Time{}, 0
	f.markLocked(p, changed)
}

// removeLocked folds what a vanished pod said last into the totals.
func (f *fleet) removeLocked(p *collectorPod, changed map[request]bool) {
	for uid, t := range f.sources {
		if path := p.paths[uid]; path != nil && p.speaksFor(t, uid) {
			t.retire(path)
		}
	}
	f.markLocked(p, changed)
	delete(f.pods, p.uid)
}

func (f *fleet) markLocked(p *collectorPod, changed map[request]bool) {
	for uid, t := range f.sources {
		if p.speaksFor(t, uid) {
			changed[t.request] = true
		}
	}
}

func (t *tracked) retire(path *report.LogPath) {
	c := count(path)
	t.retired.Accepted += c.accepted
	t.retired.Delivered += c.delivered
	t.retired.Lost += c.lost.Messages
	t.retired.LostBytes += c.lost.Bytes
}

// take returns the pods to ask now, the longest due first; each must be given back through
// record.
func (f *fleet) take(now time.Time) []podInfo {
	f.mu.Lock()
	defer f.mu.Unlock()
	var due []*collectorPod
	for _, p := range f.pods {
		if p.ip != "" && !p.asking && !now.Before(p.due) {
			due = append(due, p)
		}
	}
	slices.SortFunc(due, func(a, b *collectorPod) int {
		return cmp.Or(a.due.Compare(b.due), cmp.Compare(a.uid, b.uid))
	})
	out := make([]podInfo, len(due))
	for i, p := range due {
		p.asking = true
		out[i] = p.podInfo
	}
	return out
}

// record takes a pod's answer, nil if it gave none, and returns the LogSources of which it
// says something new. wait gives the time to the next question.
func (f *fleet) record(uid types.UID, c *report.Collector, now time.Time, wait func(hot bool, failures int) time.Duration) []request {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.pods[uid]
	if p == nil {
		return nil // it vanished meanwhile; what it says now was never published
	}
	first := !p.asked
	p.asked, p.asking = true, false
	changed := map[request]bool{}
	if first {
		f.markLocked(p, changed) // status has waited for it
	}
	p.failures++
	if c != nil {
		f.hearLocked(p, c, changed)
		p.report, p.reported, p.failures = c, now, 0
	}
	p.due = now.Add(wait(f.hotLocked(p), p.failures))
	return sortedRequests(changed)
}

func (f *fleet) hotLocked(p *collectorPod) bool {
	for uid, t := range f.sources {
		if t.hot && p.speaksFor(t, uid) {
			return true
		}
	}
	return false
}

// hearLocked takes the log paths of a report and folds those whose counters began anew.
func (f *fleet) hearLocked(p *collectorPod, c *report.Collector, changed map[request]bool) {
	paths := make(map[types.UID]*report.LogPath, len(c.LogPaths))
	for i := range c.LogPaths {
		paths[types.UID(c.LogPaths[i].UID)] = &c.LogPaths[i]
	}
	restarted := p.report != nil && !p.report.Started.Equal(c.Started)
	if restarted {
		p.seen = map[types.UID]bool{}
	}
	for uid, t := range f.sources {
		if !p.speaksFor(t, uid) {
			continue
		}
		before, after := p.paths[uid], paths[uid]
		if before != nil && (restarted || after == nil || after.Accepted < before.Accepted) {
			t.retire(before)
		}
		if after != nil && wasConnected(after) {
			p.seen[uid] = true
		}
		if restarted || p.report == nil || !reflect.DeepEqual(before, after) || !slices.Equal(refusals(p.report, uid), refusals(c, uid)) {
			changed[t.request] = true
		}
	}
	p.paths = paths
}

func refusals(c *report.Collector, uid types.UID) []report.Refused {
	var out []report.Refused
	if c == nil {
		return nil
	}
	for _, r := range c.Refused {
		if r.UID == string(uid) {
			out = append(out, r)
		}
	}
	return out
}

// wasConnected says that the source has been open in this process life.
func wasConnected(p *report.LogPath) bool {
	switch p.State {
	case report.Fetching, report.Idle, report.Suspended:
		return true
	}
	return p.Accepted > 0 || p.LastFetch == "Success" || p.LastFetch == "NoData" || p.LastFetch == "TryAgain"
}

// A Sighting is what one collector says of one LogSource.
type Sighting struct {
	Pod, Node string
	// Ready is the pod's readiness, as kubelet sees it.
	Ready bool
	// Trouble is why Kubernetes cannot run the pod, in one word: Unschedulable.
	Trouble string
	// Path is the newest report, nil before the first.
	Path *report.LogPath
	// Fresh says that the report is recent enough to speak for the state.
	Fresh bool
	// Connected says that the source was open at least once since the collector started.
	Connected bool
	// Refused is why the collector does not run the plan of that generation.
	Refused           string
	RefusedGeneration int64
}

// sightings returns what every collector of a LogSource says, by pod name. ok is false
// while some were never asked: then a sum would be too small.
func (f *fleet) sightings(uid types.UID, now time.Time) (all []Sighting, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.sources[uid]
	if t == nil || !f.synced {
		return nil, false
	}
	ok = true
	for _, p := range f.pods {
		if p.speaksFor(t, uid) {
			ok = ok && (p.asked || p.ip == "")
			all = append(all, p.sighting(uid, now))
		}
	}
	slices.SortFunc(all, func(a, b Sighting) int { return cmp.Compare(a.Pod, b.Pod) })
	return all, ok
}

func (p *collectorPod) sighting(uid types.UID, now time.Time) Sighting {
	s := Sighting{Pod: p.name, Node: p.node, Ready: p.ready, Trouble: p.trouble, Path: p.paths[uid], Connected: p.seen[uid],
		Fresh: p.report != nil && now.Sub(p.reported) < staleAfter}
	for _, r := range refusals(p.report, uid) {
		s.Refused, s.RefusedGeneration = r.Error, r.Generation
	}
	return s
}

// retiredOf returns the totals of the collectors of a LogSource that are gone. The first
// time it is asked with a complete list, it adds what the last manager knew and this one
// cannot see any more, so that totals never go back.
func (f *fleet) retiredOf(uid types.UID, previous *v1alpha1.DeliveryStatus, all []Sighting) v1alpha1.RetiredStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.sources[uid]
	if !t.settled && previous != nil {
		now := total(all)
		t.retired.Accepted += max(0, previous.Accepted-now.accepted-t.retired.Accepted)
		t.retired.Delivered += max(0, previous.Delivered-now.delivered-t.retired.Delivered)
		if previous.Lost != nil {
			t.retired.Lost += max(0, previous.Lost.Messages-now.lost.Messages-t.retired.Lost)
			t.retired.LostBytes += max(0, previous.Lost.Bytes-now.lost.Bytes-t.retired.LostBytes)
		}
	}
	t.settled = true
	return t.retired
}

// wrote remembers a status that was written, because the cache may be behind.
func (f *fleet) wrote(uid types.UID, now time.Time, s *v1alpha1.LogSourceStatus) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if t := f.sources[uid]; t != nil {
		t.status, t.written = s.DeepCopy(), now
	}
}

// previous is the status that was written last; that of the cache where this manager has
// written none.
func (f *fleet) previous(uid types.UID, cached *v1alpha1.LogSourceStatus) *v1alpha1.LogSourceStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	if t := f.sources[uid]; t != nil && t.status != nil {
		return t.status
	}
	return cached
}

// sinceWrite is how much of a pause after the last write is left.
func (f *fleet) sinceWrite(uid types.UID, now time.Time, pause time.Duration) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.sources[uid]
	if t == nil || t.status == nil {
		return 0
	}
	return max(0, pause-now.Sub(t.written))
}

func sortedRequests(set map[request]bool) []request {
	out := make([]request, 0, len(set))
	for r := range set {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b request) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return out
}
