package controllers

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/report"
	"github.com/logsource/operator/controllers/planner"
)

// A View is everything a status is computed from.
type View struct {
	Object planner.Object
	// Previous is the status published before.
	Previous *v1alpha1.LogSourceStatus
	// Problem is why the object is not accepted; nil when it is.
	Problem *planner.Problem
	// Failure is why the children are not what they should be; nil when they are.
	Failure *Failure
	// Placement of the class, empty when it is unknown.
	Placement class.Placement
	// Desired is how many collectors there should be.
	Desired int32
	// Collectors is what each says, by name.
	Collectors []Sighting
	// Retired are the totals of collectors that are gone.
	Retired v1alpha1.RetiredStatus
	Now     time.Time
}

// A Failure is why children could not be made, or cannot start pods.
type Failure struct {
	// Reason is a reason of the condition Programmed.
	Reason string
	// Message has no times, counters or resource versions: it must not change by itself.
	Message string
}

// Error is the message.
func (f *Failure) Error() string { return f.Message }

// Pending is the state of a LogSource of which no collector has told anything.
const Pending = "Pending"

// Status computes the status of an object. It is pure.
func Status(v View) v1alpha1.LogSourceStatus {
	s := v1alpha1.LogSourceStatus{
		ObservedGeneration: v.Object.GetGeneration(),
		State:              v.state(),
		Placement:          string(v.Placement),
		Replicas:           int32(len(v.Collectors)),
		Collectors:         v.collectors(),
		Flow:               v.flow(),
		Delivery:           v.delivery(),
		LastFetch:          v.lastFetch(),
		Destinations:       v.destinations(),
		Worst:              v.worst(),
	}
	if v.Placement != class.Node {
		s.Selector = labels.Set(podSelector(v.Object.GetUID())).String()
	}
	s.Conditions = conditions(&v, &s)
	return s
}

// fresh are the reports that speak for the state now.
func (v *View) fresh() []*report.LogPath {
	var out []*report.LogPath
	for _, s := range v.Collectors {
		if s.Fresh && s.Path != nil {
			out = append(out, s.Path)
		}
	}
	return out
}

// states from best to worst, as package report orders them.
var states = []string{report.Fetching, report.Idle, report.Paused, report.Stopping, report.Opening, report.Suspended, report.Reopening, report.Failed}

// state is the worst state of the collectors. A word this manager does not know is the
// worst of all, and shown as Failed, which the schema knows.
func (v *View) state() string {
	worst := Pending
	for _, p := range v.fresh() {
		s := p.State
		if !slices.Contains(states, s) {
			s = report.Failed
		}
		if worst == Pending || slices.Index(states, s) > slices.Index(states, worst) {
			worst = s
		}
	}
	return worst
}

func (v *View) collectors() *v1alpha1.CollectorsStatus {
	c := &v1alpha1.CollectorsStatus{Desired: v.Desired}
	for _, s := range v.Collectors {
		if s.Ready {
			c.Ready++
		}
		if s.Path != nil && s.Path.Generation == v.Object.GetGeneration() {
			c.Programmed++
		}
	}
	c.Summary = fmt.Sprintf("%d/%d", c.Ready, c.Desired)
	return c
}

func (v *View) flow() *v1alpha1.FlowStatus {
	paths := v.fresh()
	if len(paths) == 0 {
		return nil
	}
	f := &v1alpha1.FlowStatus{}
	by := map[string]bool{}
	for _, p := range paths {
		f.Window += p.Window
		f.InUse += p.InUse
		if p.State != report.Suspended {
			continue
		}
		f.SuspendedCollectors++
		f.SuspendedSince = earlier(f.SuspendedSince, p.SuspendedSince)
		for _, name := range p.SuspendedBy {
			by[name] = true
		}
	}
	f.SuspendedBy = v.known(by)
	return f
}

// known keeps the names that are destinations of the object, in its order: a collector may
// run a tenant's code.
func (v *View) known(names map[string]bool) []string {
	var out []string
	for i := range planner.Spec(v.Object).Destinations {
		if name := planner.Spec(v.Object).Destinations[i].Name; names[name] {
			out = append(out, name)
		}
	}
	return out
}

func (v *View) delivery() *v1alpha1.DeliveryStatus {
	sum := total(v.Collectors)
	sum.accepted += v.Retired.Accepted
	sum.delivered += v.Retired.Delivered
	sum.lose(map[string]int64{"retired": v.Retired.Lost})
	sum.lost.Bytes += v.Retired.LostBytes
	if sum.accepted == 0 && sum.lost.Messages == 0 && sum.lost.Bytes == 0 && len(v.fresh()) == 0 {
		return nil
	}
	sum.lost.ByReason = bounded(sum.lost.ByReason)
	d := &v1alpha1.DeliveryStatus{Accepted: sum.accepted, Delivered: sum.delivered, Lost: &sum.lost, LostSummary: lostSummary(sum.lost)}
	if v.Retired != (v1alpha1.RetiredStatus{}) {
		d.Retired = &v.Retired
	}
	for _, p := range v.fresh() {
		d.OldestUnackedTime = earlier(d.OldestUnackedTime, p.OldestUnacked)
	}
	d.Lag = v.lag(d.OldestUnackedTime)
	return d
}

func (v *View) lag(oldest *metav1.Time) string {
	if oldest == nil {
		return "0s"
	}
	return duration.HumanDuration(max(0, v.Now.Sub(oldest.Time)))
}

func (v *View) lastFetch() *v1alpha1.LastFetch {
	var newest *report.LogPath
	for _, p := range v.fresh() {
		if p.LastFetch != "" && (newest == nil || p.LastFetchTime.After(newest.LastFetchTime)) {
			newest = p
		}
	}
	if newest == nil {
		return nil
	}
	return &v1alpha1.LastFetch{Result: clip(newest.LastFetch, 32), Time: *seconds(newest.LastFetchTime)}
}

// destinationStates from best to worst.
var destinationStates = []string{report.DestinationIdle, report.DestinationDelivering, report.DestinationOpening, report.DestinationRetrying, report.DestinationFailed}

func (v *View) destinations() []v1alpha1.DestinationStatus {
	var out []v1alpha1.DestinationStatus
	for i := range planner.Spec(v.Object).Destinations {
		if d, ok := v.destination(planner.Spec(v.Object).Destinations[i].Name); ok {
			out = append(out, d)
		}
	}
	return out
}

func (v *View) destination(name string) (sum v1alpha1.DestinationStatus, ok bool) {
	sum.Name = name
	var errorTime time.Time
	for _, p := range v.fresh() {
		i := slices.IndexFunc(p.Destinations, func(d report.Destination) bool { return d.Name == name })
		if i < 0 {
			continue
		}
		d := &p.Destinations[i]
		ok = true
		addDestination(&sum, d)
		if !isGood(d.State) && d.LastError != "" && d.LastErrorTime.After(errorTime) {
			sum.LastError, errorTime = clip(d.LastError, 256), d.LastErrorTime
		}
	}
	return sum, ok
}

func isGood(state string) bool {
	return state == report.DestinationIdle || state == report.DestinationDelivering
}

func addDestination(sum *v1alpha1.DestinationStatus, d *report.Destination) {
	state := d.State
	if !slices.Contains(destinationStates, state) {
		state = report.DestinationFailed
	}
	if slices.Index(destinationStates, state) >= slices.Index(destinationStates, sum.State) {
		sum.State = state
	}
	sum.LastAckTime = later(sum.LastAckTime, d.LastAckTime)
	sum.Delivered += d.Delivered
	sum.Queued += d.Queued + d.InFlight
	for _, lost := range []map[string]int64{d.Dropped, d.Rejected} {
		for n := range maps.Values(lost) {
			sum.Lost += n
		}
	}
}

// maxWorst is how many collectors a status names.
const maxWorst = 10

func (v *View) worst() []v1alpha1.CollectorStatus {
	var out []v1alpha1.CollectorStatus
	for _, s := range v.Collectors {
		if c, bad := judge(s); bad {
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(a, b v1alpha1.CollectorStatus) int {
		return cmp.Or(slices.Index(states, b.State)-slices.Index(states, a.State), strings.Compare(a.Collector, b.Collector))
	})
	return out[:min(len(out), maxWorst)]
}

// judge says whether a collector is worth naming. One that says nothing is Pending.
func judge(s Sighting) (v1alpha1.CollectorStatus, bool) {
	c := v1alpha1.CollectorStatus{Collector: s.Pod, Node: s.Node, State: Pending}
	switch {
	case s.Trouble != "":
		c.Reason = "the pod cannot run: " + clip(s.Trouble, 64)
	case s.Refused != "":
		c.Reason = "refuses the plan: " + clip(s.Refused, 256)
	case !s.Fresh:
		c.Reason = "does not answer the manager"
	case s.Path == nil:
		c.Reason = "has not taken the plan yet"
	default:
		c.State, c.Reason = s.Path.State, clip(s.Path.Message, 256)
	}
	if !s.Ready && c.Reason == "" {
		c.Reason = "the pod is not ready"
	}
	odd := c.State == report.Fetching && c.Reason != "" // it fetches, and not well: TRY_AGAIN without a pause
	return c, odd || !s.Ready || slices.Index(states, c.State) < 0 || slices.Index(states, c.State) >= slices.Index(states, report.Opening)
}

func seconds(t time.Time) *metav1.Time {
	s := metav1.NewTime(t.UTC().Truncate(time.Second))
	return &s
}

func earlier(a *metav1.Time, b time.Time) *metav1.Time {
	if b.IsZero() || (a != nil && !b.Before(a.Time)) {
		return a
	}
	return seconds(b)
}

func later(a *metav1.Time, b time.Time) *metav1.Time {
	if b.IsZero() || (a != nil && !b.After(a.Time)) {
		return a
	}
	return seconds(b)
}

// clip bounds a text that comes from a collector, and keeps it to one line.
func clip(s string, max int) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if len(s) <= max {
		return s
	}
	for max > 0 && !utf8.RuneStart(s[max]) {
		max--
	}
	return s[:max] + "…"
}
