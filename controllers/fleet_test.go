package controllers

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/collector/report"
)

// A stage is a fleet with the LogSource shop/hello (u1), on which collectors come and go.
type stage struct {
	*fleet
	t    *testing.T
	pods map[types.UID]podInfo
	now  time.Time
}

func newStage(t *testing.T, before *v1alpha1.LogSourceStatus) *stage {
	s := &stage{fleet: newFleet(), t: t, pods: map[types.UID]podInfo{}, now: time.Unix(5000, 0)}
	obj := &v1alpha1.LogSource{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "hello", UID: "u1"}}
	s.track(obj, "shop", false, before)
	return s
}

func (s *stage) list() {
	var all []podInfo
	for _, p := range s.pods {
		all = append(all, p)
	}
	s.sync(all)
}

func (s *stage) start(p podInfo) { s.pods[p.uid] = p; s.list() }

func (s *stage) stop(uid types.UID) { delete(s.pods, uid); s.list() }

// hear gives the fleet a report of a process that started at a time.
func (s *stage) hear(uid types.UID, started int64, paths ...report.LogPath) []request {
	c := &report.Collector{Started: time.Unix(started, 0), LogPaths: paths}
	return s.record(uid, c, s.now, func(bool, int) time.Duration { return 0 })
}

// total is what the status would show as accepted and lost.
func (s *stage) total() [2]int64 {
	s.t.Helper()
	all, _ := s.sightings("u1", s.now)
	retired := s.retiredOf("u1", nil, all)
	sum := total(all)
	return [2]int64{sum.accepted + retired.Accepted, sum.lost.Messages + retired.Lost}
}

func (s *stage) want(accepted, lost int64) {
	s.t.Helper()
	if got := s.total(); got != [2]int64{accepted, lost} {
		s.t.Errorf("accepted and lost are %v, want %d and %d", got, accepted, lost)
	}
}

func counted(uid string, accepted, lost int64) report.LogPath {
	return report.LogPath{UID: uid, State: report.Idle, Accepted: accepted, SourceDrops: map[string]int64{"suspended": lost}}
}

var tenantPod = podInfo{uid: "p1", namespace: "shop", name: "hello-1", ip: "10.0.0.1", owner: "u1"}

// Totals never go back: not when a pod goes, nor when its process starts anew, nor when a
// log path is taken away and comes again.
func TestTotalsNeverGoBack(t *testing.T) {
	s := newStage(t, &v1alpha1.LogSourceStatus{})
	s.start(tenantPod)
	s.hear("p1", 1, counted("u1", 100, 1))
	s.want(100, 1)
	s.hear("p1", 2, counted("u1", 150, 0)) // another process, that has already counted more
	s.want(250, 1)
	s.hear("p1", 2, counted("u1", 10, 2)) // the same process, the log path began anew
	s.want(260, 3)
	s.hear("p1", 2)
	s.want(260, 3)
	s.hear("p1", 2, counted("u1", 5, 0))
	s.want(265, 3)
	s.stop("p1")
	s.want(265, 3)
	second := tenantPod
	second.uid = "p2"
	s.start(second)
	s.hear("p2", 3, counted("u1", 1, 0))
	s.want(266, 3)
	moved := &v1alpha1.LogSource{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "hello", UID: "u1"}}
	s.track(moved, "shop", true, &v1alpha1.LogSourceStatus{}) // other collectors run it from now on
	s.want(266, 3)
}

// A new manager goes on from the status: also for a pod that went while no manager looked.
func TestTotalsOutliveTheManager(t *testing.T) {
	before := &v1alpha1.LogSourceStatus{Delivery: &v1alpha1.DeliveryStatus{
		Accepted: 100, Delivered: 90, Lost: &v1alpha1.LostStatus{Messages: 7, Bytes: 70},
		Retired: &v1alpha1.RetiredStatus{Accepted: 40, Delivered: 40, Lost: 5},
	}}
	t.Run("the pod lives", func(t *testing.T) {
		s := newStage(t, before)
		s.start(tenantPod)
		s.hear("p1", 1, counted("u1", 80, 2))
		all, ok := s.sightings("u1", s.now)
		if got := s.retiredOf("u1", before.Delivery, all); !ok || got.Accepted != 40 || got.Lost != 5 || got.LostBytes != 70 {
			t.Errorf("retired is %+v (complete %v), want what it was, and the 70 bytes nobody can name any more", got, ok)
		}
		s.want(120, 7)
	})
	t.Run("the pod is gone", func(t *testing.T) {
		s := newStage(t, before)
		s.list()
		all, _ := s.sightings("u1", s.now)
		got := s.retiredOf("u1", before.Delivery, all)
		if d := cmp.Diff(v1alpha1.RetiredStatus{Accepted: 100, Delivered: 90, Lost: 7, LostBytes: 70}, got); d != "" {
			t.Errorf("retired (-want +got):\n%s", d)
		}
	})
}

// A sum is not published before every collector was asked, and then what is known is.
func TestSightingsWaitForEveryCollector(t *testing.T) {
	s := newStage(t, &v1alpha1.LogSourceStatus{})
	if _, ok := s.sightings("u1", s.now); ok {
		t.Error("complete before the pods were listed")
	}
	s.start(tenantPod)
	second := podInfo{uid: "p2", namespace: "shop", name: "hello-2", ip: "10.0.0.2", owner: "u1"}
	pending := podInfo{uid: "p3", namespace: "shop", name: "hello-3", owner: "u1"}
	s.start(second)
	s.start(pending)
	s.hear("p1", 1, counted("u1", 1, 0))
	if _, ok := s.sightings("u1", s.now); ok {
		t.Error("complete although hello-2 was not asked")
	}
	s.record("p2", nil, s.now, func(bool, int) time.Duration { return 0 })
	all, ok := s.sightings("u1", s.now)
	if !ok || len(all) != 3 || all[0].Path == nil || all[1].Fresh || all[2].Fresh {
		t.Errorf("complete %v, sightings %+v: want all three, of which only hello-1 speaks", ok, all)
	}
}

// Who may speak for whom.
func TestSpeaksFor(t *testing.T) {
	tenant := &tracked{namespace: "shop"}
	node := &tracked{namespace: "logsource-nodes", node: true}
	inAgents := &tracked{namespace: "logsource-nodes"} // a ClusterLogSource that is not of a Node class
	agent := podInfo{namespace: "logsource-nodes", agent: true}
	for _, c := range []struct {
		name string
		pod  podInfo
		of   *tracked
		want bool
	}{
		{"its own pod", podInfo{namespace: "shop", owner: "u1"}, tenant, true},
		{"a pod of another LogSource", podInfo{namespace: "shop", owner: "u2"}, tenant, false},
		{"a pod of another namespace", podInfo{namespace: "evil", owner: "u1"}, tenant, false},
		{"a pod that calls itself an agent", podInfo{namespace: "shop", owner: "u1", agent: true}, tenant, false},
		{"an agent, for the agents", agent, node, true},
		{"a false agent elsewhere", podInfo{namespace: "evil", agent: true}, node, false},
		{"a tenant collector, for the agents", podInfo{namespace: "logsource-nodes", owner: "u1"}, node, false},
		{"an agent, for a tenant collector", agent, inAgents, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := collectorPod{podInfo: c.pod}
			if got := p.speaksFor(c.of, "u1"); got != c.want {
				t.Errorf("speaks: %v, want %v", got, c.want)
			}
		})
	}
}

// Only what is new wakes the reconciler.
func TestRecordTellsWhatIsNew(t *testing.T) {
	s := newStage(t, &v1alpha1.LogSourceStatus{})
	s.start(tenantPod)
	if got := s.hear("p1", 1, counted("u1", 1, 0)); len(got) != 1 {
		t.Errorf("the first report woke %v, want shop/hello", got)
	}
	if got := s.hear("p1", 1, counted("u1", 1, 0)); len(got) != 0 {
		t.Errorf("the same report woke %v", got)
	}
	if got := s.hear("p1", 1, counted("u1", 2, 0), counted("u2", 9, 0)); len(got) != 1 {
		t.Errorf("a new count woke %v, want shop/hello alone", got)
	}
}
