package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/collector/report"
	"github.com/logsource/operator/controllers/planner"
)

// How often a status is written at most.
const (
	// countersEvery: when nothing has changed that somebody waits for.
	countersEvery = 10 * time.Second
	// changesEvery: when something has. A source may be suspended and woken many times a
	// second, on many nodes.
	changesEvery = 2 * time.Second
)

// publish writes the status if it has changed, and tells of transitions in events. When the
// last write is too recent it returns how long this one waits.
func (r *reconciler) publish(ctx context.Context, v *View, status *v1alpha1.LogSourceStatus) (time.Duration, error) {
	if equality.Semantic.DeepEqual(v.Previous, status) {
		return 0, nil
	}
	if wait := r.fleet.sinceWrite(v.Object.GetUID(), v.Now, pause(v.Previous, status)); wait > 0 {
		return wait, nil
	}
	if err := r.applyStatus(ctx, v.Object, status); err != nil {
		return 0, err
	}
	r.fleet.wrote(v.Object.GetUID(), v.Now, status)
	r.tell(v.Object, transitions(v.Previous, status))
	return 0, nil
}

// pause is how long to keep from writing after the last write. An answer to an edit never
// waits.
func pause(before, after *v1alpha1.LogSourceStatus) time.Duration {
	switch {
	case before.ObservedGeneration != after.ObservedGeneration:
		return 0
	case nothingNew(before, after):
		return countersEvery
	}
	return changesEvery
}

// applyStatus is one server-side apply of the whole status. The UID keeps it from an
// object of the same name that was made since.
func (r *reconciler) applyStatus(ctx context.Context, obj planner.Object, status *v1alpha1.LogSourceStatus) error {
	doc, err := statusDocument(obj, status)
	if err != nil {
		return err
	}
	err = r.client.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(doc), client.FieldOwner(FieldOwner), client.ForceOwnership)
	if apierrors.IsNotFound(err) {
		return nil // deleted meanwhile
	}
	return err
}

func statusDocument(obj planner.Object, status *v1alpha1.LogSourceStatus) (*unstructured.Unstructured, error) {
	raw, err := json.Marshal(status)
	if err != nil {
		return nil, fmt.Errorf("encode the status: %w", err)
	}
	fields := map[string]any{}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, fmt.Errorf("encode the status: %w", err)
	}
	doc := &unstructured.Unstructured{Object: map[string]any{"status": fields}}
	doc.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kindOf(obj)))
	doc.SetNamespace(obj.GetNamespace())
	doc.SetName(obj.GetName())
	doc.SetUID(obj.GetUID())
	return doc, nil
}

// nothingNew says that two statuses differ in nothing that somebody waits for: only in
// counters, times, texts, and states between which a healthy source goes to and fro.
func nothingNew(a, b *v1alpha1.LogSourceStatus) bool {
	return equality.Semantic.DeepEqual(essence(a), essence(b))
}

func essence(s *v1alpha1.LogSourceStatus) *v1alpha1.LogSourceStatus {
	s = s.DeepCopy()
	s.State = calm(s.State)
	s.Flow, s.Delivery, s.LastFetch, s.Worst = nil, nil, nil, nil
	for i := range s.Destinations {
		d := &s.Destinations[i]
		*d = v1alpha1.DestinationStatus{Name: d.Name, State: calmDestination(d.State)}
	}
	for i := range s.Conditions {
		c := &s.Conditions[i]
		c.Message, c.LastTransitionTime = "", metav1.Time{}
	}
	return s
}

func calmDestination(state string) string {
	if isGood(state) {
		return report.DestinationIdle
	}
	return state
}
