package controllers

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/report"
	"github.com/logsource/operator/controllers/planner"
)

// verdict is what one condition says, before it is a condition.
type verdict struct {
	status          metav1.ConditionStatus
	reason, message string
}

func yes(reason, message string) verdict { return verdict{metav1.ConditionTrue, reason, message} }
func no(reason, message string) verdict  { return verdict{metav1.ConditionFalse, reason, message} }
func unknown(reason, message string) verdict {
	return verdict{metav1.ConditionUnknown, reason, message}
}

// conditions computes the conditions of a status of which everything else is known. A
// transition time changes only when the status of its condition does.
func conditions(v *View, s *v1alpha1.LogSourceStatus) []metav1.Condition {
	var out []metav1.Condition
	accepted, refs, programmed, connected := v.accepted(), v.resolvedRefs(), v.programmed(s.Collectors), v.connected(s.Collectors)
	for _, c := range []struct {
		name string
		verdict
	}{
		{v1alpha1.ConditionAccepted, accepted},
		{v1alpha1.ConditionResolvedRefs, refs},
		{v1alpha1.ConditionProgrammed, programmed},
		{v1alpha1.ConditionConnected, connected},
		{v1alpha1.ConditionReady, v.ready(s, accepted, refs, programmed, connected)},
	} {
		v.set(&out, c.name, c.verdict)
	}
	if by, ok := v.flowControlled(s.Flow); ok {
		v.set(&out, v1alpha1.ConditionFlowControlled, by)
	}
	v.dataLoss(&out, s.Delivery)
	return out
}

// maxMessage bounds the text of a condition; the schema allows 32768.
const maxMessage = 2048

func (v *View) set(out *[]metav1.Condition, name string, what verdict) {
	c := metav1.Condition{
		Type:               name,
		Status:             what.status,
		Reason:             what.reason,
		Message:            clip(what.message, maxMessage),
		ObservedGeneration: v.Object.GetGeneration(),
		LastTransitionTime: *seconds(v.Now),
	}
	if old := meta.FindStatusCondition(v.Previous.Conditions, name); old != nil && old.Status == c.Status {
		c.LastTransitionTime = old.LastTransitionTime
	}
	*out = append(*out, c)
}

func (v *View) accepted() verdict {
	if v.Problem != nil {
		return no(v.Problem.Reason, v.Problem.Error())
	}
	return yes(v1alpha1.ReasonAccepted, "the spec is valid")
}

// resolvedRefs is what the collectors say: the manager may not look at Secrets.
func (v *View) resolvedRefs() verdict {
	if !refersToSecrets(planner.Spec(v.Object)) {
		return yes(v1alpha1.ReasonResolved, "no Secret is referred to")
	}
	missing, by := map[string]bool{}, 0
	for _, p := range v.fresh() {
		if len(p.Unresolved) > 0 {
			by++
		}
		for _, ref := range p.Unresolved {
			missing[clip(ref, 128)] = true
		}
	}
	switch {
	case by > 0:
		names := slices.Sorted(maps.Keys(missing))
		return no(v1alpha1.ReasonSecretNotFound, fmt.Sprintf("%s cannot read these keys of Secrets (name/key): %s; create them in the namespace of the collectors",
			of(by, len(v.Collectors)), strings.Join(names[:min(len(names), 16)], ", ")))
	case len(v.fresh()) == 0:
		return unknown(v1alpha1.ReasonNoReport, "no collector has told yet")
	}
	return yes(v1alpha1.ReasonResolved, "the collectors can read every Secret that is referred to")
}

func refersToSecrets(spec *v1alpha1.LogSourceSpec) bool {
	return len(spec.Source.SecretOptions) > 0 ||
		slices.ContainsFunc(spec.Destinations, func(d v1alpha1.DestinationSpec) bool { return len(d.SecretOptions) > 0 })
}

// of is "1 of 3 collectors".
func of(k, n int) string { return fmt.Sprintf("%d of %d collectors", k, n) }

func (v *View) programmed(c *v1alpha1.CollectorsStatus) verdict {
	switch {
	case v.Problem != nil && slices.ContainsFunc(v.Collectors, func(s Sighting) bool { return s.Path != nil }):
		return no(v.Problem.Reason, "the spec is not accepted; the last version that was accepted keeps running")
	case v.Problem != nil:
		return no(v.Problem.Reason, "the spec is not accepted")
	case v.Failure != nil:
		return no(v.Failure.Reason, v.Failure.Message)
	case v.Desired == 0:
		return no(v1alpha1.ReasonNoCollectors, v.noCollectors())
	}
	if k, why := v.refused(); k > 0 {
		return no(v1alpha1.ReasonPlanRejected, fmt.Sprintf("%s refuse generation %d: %s", of(k, int(v.Desired)), v.Object.GetGeneration(), why))
	}
	how := fmt.Sprintf("%s run generation %d", of(int(c.Programmed), int(v.Desired)), v.Object.GetGeneration())
	if c.Programmed < v.Desired {
		return no(v1alpha1.ReasonRollingOut, how+v.podTrouble())
	}
	return yes(v1alpha1.ReasonProgrammed, how)
}

// podTrouble is the first reason why a pod cannot run.
func (v *View) podTrouble() string {
	for _, s := range v.Collectors {
		if s.Trouble != "" {
			return fmt.Sprintf("; pod %s cannot run: %s", s.Pod, clip(s.Trouble, 64))
		}
	}
	return ""
}

func (v *View) noCollectors() string {
	if v.Placement == class.Node {
		return "no node runs an agent: see the DaemonSet logsource-agent"
	}
	return "spec.collector.replicas is 0"
}

func (v *View) refused() (k int, why string) {
	for _, s := range v.Collectors {
		if s.Refused != "" && s.RefusedGeneration == v.Object.GetGeneration() {
			k++
			why = s.Refused
		}
	}
	return k, clip(why, 256)
}

func (v *View) connected(c *v1alpha1.CollectorsStatus) verdict {
	if planner.Spec(v.Object).Paused {
		return no(v1alpha1.ReasonPaused, "spec.paused is true")
	}
	open, told := 0, len(v.fresh())
	for _, p := range v.fresh() {
		if isOpen(p.State) {
			open++
		}
	}
	how := of(open, int(c.Desired)) + " have the source open"
	switch state := v.state(); {
	case open > 0 && open >= int(c.Desired):
		return yes(v1alpha1.ReasonConnected, how)
	case told == 0:
		return unknown(v1alpha1.ReasonNoReport, "no collector has told yet")
	case open == told:
		return unknown(v1alpha1.ReasonNoReport, how+"; of the others nothing is known")
	case state == report.Failed || state == report.Reopening:
		return no(state, how+v.why(state))
	default:
		return no(v1alpha1.ReasonOpening, how)
	}
}

func isOpen(state string) bool {
	return state == report.Fetching || state == report.Idle || state == report.Suspended
}

// why is the message of the first collector in that state.
func (v *View) why(state string) string {
	for _, p := range v.fresh() {
		if p.State == state && p.Message != "" {
			return ": " + clip(p.Message, 256)
		}
	}
	return ""
}

// ready is True when every collector is ready, runs this generation and was connected at
// least once. Losing the connection, or being suspended, is normal operation.
func (v *View) ready(s *v1alpha1.LogSourceStatus, accepted, refs, programmed, connected verdict) verdict {
	for _, needed := range []verdict{accepted, refs, programmed} {
		if needed.status != metav1.ConditionTrue {
			return no(needed.reason, needed.message)
		}
	}
	switch {
	case connected.reason == v1alpha1.ReasonPaused, s.State == report.Failed:
		return no(connected.reason, connected.message)
	case s.Collectors.Ready < v.Desired:
		return no(v1alpha1.ReasonRollingOut, of(int(s.Collectors.Ready), int(v.Desired))+" are ready"+v.podTrouble())
	case !v.connectedOnce():
		return no(connected.reason, connected.message)
	}
	return yes(v1alpha1.ReasonReady, v.summary(s))
}

func (v *View) connectedOnce() bool {
	for _, s := range v.Collectors {
		if !s.Connected {
			return false
		}
	}
	return true
}

// summary says how many collectors are in the state that is shown, or that all is well.
func (v *View) summary(s *v1alpha1.LogSourceStatus) string {
	k := 0
	for _, p := range v.fresh() {
		if calm(p.State) == calm(s.State) {
			k++
		}
	}
	switch s.State {
	case report.Fetching, report.Idle:
		return of(k, int(v.Desired)) + " fetch or wait for data" + v.why(report.Fetching)
	case report.Suspended:
		return of(k, int(v.Desired)) + " suspended" + bySince(s.Flow)
	}
	return of(k, int(v.Desired)) + " " + strings.ToLower(s.State) + v.why(s.State)
}

// calm is the same for states between which a healthy source goes to and fro.
func calm(state string) string {
	switch state {
	case report.Fetching, report.Idle:
		return report.Fetching
	}
	return state
}

func bySince(f *v1alpha1.FlowStatus) string {
	var text string
	if len(f.SuspendedBy) > 0 {
		text += " by " + strings.Join(f.SuspendedBy, ", ")
	}
	if f.SuspendedSince != nil {
		text += " since " + f.SuspendedSince.UTC().Format(time.RFC3339)
	}
	return text
}

func (v *View) flowControlled(f *v1alpha1.FlowStatus) (verdict, bool) {
	if f == nil || f.SuspendedCollectors == 0 {
		return verdict{}, false
	}
	return yes(v1alpha1.ReasonWindowFull, of(int(f.SuspendedCollectors), int(v.Desired))+" suspended"+bySince(f)), true
}

// dataLoss is True from a loss until the annotation acknowledges it. Its transition time is
// that of the newest loss, so that an acknowledgement covers what came before it and
// nothing after.
func (v *View) dataLoss(out *[]metav1.Condition, d *v1alpha1.DeliveryStatus) {
	if d == nil || d.Lost == nil || d.Lost.Messages == 0 && d.Lost.Bytes == 0 {
		return
	}
	old := meta.FindStatusCondition(v.Previous.Conditions, v1alpha1.ConditionDataLoss)
	what := fmt.Sprintf("%d messages lost", d.Lost.Messages) + inBytes(d.Lost.Bytes) + reasons(d.Lost.ByReason)
	if grown := old == nil || v.moreLost(d.Lost); grown {
		v.set(out, v1alpha1.ConditionDataLoss, yes(v1alpha1.ReasonLost, what))
		(*out)[len(*out)-1].LastTransitionTime = *seconds(v.Now)
		return
	}
	if old.Status == metav1.ConditionFalse || v.acknowledged(old.LastTransitionTime.Time) {
		v.set(out, v1alpha1.ConditionDataLoss, no(v1alpha1.ReasonAcknowledged, what+"; acknowledged"))
		return
	}
	v.set(out, v1alpha1.ConditionDataLoss, yes(v1alpha1.ReasonLost, what))
}

func (v *View) moreLost(now *v1alpha1.LostStatus) bool {
	if v.Previous.Delivery == nil || v.Previous.Delivery.Lost == nil {
		return true
	}
	before := v.Previous.Delivery.Lost
	return now.Messages > before.Messages || now.Bytes > before.Bytes
}

// acknowledged: a time to come acknowledges nothing, or it would silence every later loss.
func (v *View) acknowledged(lostAt time.Time) bool {
	t, err := time.Parse(time.RFC3339, v.Object.GetAnnotations()[v1alpha1.AnnotationAcknowledgeLoss])
	return err == nil && !t.Before(lostAt) && !t.After(v.Now)
}

func inBytes(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" and %d bytes", n)
}

func reasons(byReason map[string]int64) string {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(byReason)) {
		parts = append(parts, fmt.Sprintf("%s %d", clip(reason, 64), byReason[reason]))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}
