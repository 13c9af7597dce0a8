package controllers

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/controllers/planner"
)

// An event tells of one transition.
type event struct {
	kind, reason, note string
}

// transitions compares two statuses and says what a person would want to be told of.
func transitions(before, after *v1alpha1.LogSourceStatus) []event {
	var out []event
	for i := range after.Conditions {
		now := &after.Conditions[i]
		old := meta.FindStatusCondition(before.Conditions, now.Type)
		if e, ok := transition(old, now); ok {
			out = append(out, e)
		}
	}
	was := meta.FindStatusCondition(before.Conditions, v1alpha1.ConditionFlowControlled)
	if was != nil && meta.FindStatusCondition(after.Conditions, v1alpha1.ConditionFlowControlled) == nil {
		out = append(out, event{corev1.EventTypeNormal, "Wakeup", "the source goes on"})
	}
	return out
}

func transition(old, now *metav1.Condition) (event, bool) {
	if old != nil && old.Status == now.Status && old.Reason == now.Reason {
		return event{}, false
	}
	switch {
	case now.Type == v1alpha1.ConditionReady && now.Status == metav1.ConditionTrue:
		return event{corev1.EventTypeNormal, now.Reason, now.Message}, true
	case now.Type == v1alpha1.ConditionFlowControlled:
		return event{corev1.EventTypeNormal, "Suspended", now.Message}, true
	case now.Type == v1alpha1.ConditionDataLoss && now.Status == metav1.ConditionTrue:
		return event{corev1.EventTypeWarning, "DataLoss", now.Message}, true
	case isTrouble(now):
		return event{corev1.EventTypeWarning, now.Reason, now.Message}, true
	}
	return event{}, false
}

// isTrouble: Programmed=False that is more than a roll-out on its way, and everything that
// only the user can mend. Programmed repeats what Accepted says; once is enough.
func isTrouble(c *metav1.Condition) bool {
	if c.Status != metav1.ConditionFalse {
		return false
	}
	switch c.Type {
	case v1alpha1.ConditionAccepted, v1alpha1.ConditionResolvedRefs:
		return true
	case v1alpha1.ConditionConnected:
		return c.Reason == v1alpha1.ReasonReopening || c.Reason == v1alpha1.ReasonFailed
	case v1alpha1.ConditionProgrammed:
		switch c.Reason {
		case v1alpha1.ReasonConflict, v1alpha1.ReasonApplyFailed, v1alpha1.ReasonPlanRejected, v1alpha1.ReasonNoCollectors:
			return true
		}
	}
	return false
}

func (r *reconciler) tell(obj planner.Object, all []event) {
	for _, e := range all {
		r.recorder.Eventf(obj, nil, e.kind, e.reason, "Reconcile", "%s", clip(e.note, 1000))
	}
}
