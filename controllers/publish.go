package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/controllers/planner"
)

// countersEvery is how often a status is written of which nothing but counters has changed.
const countersEvery = 10 * time.Second

// publish writes the status if it has changed, and tells of transitions in events. When
// only counters have changed since a recent write it returns how long they wait.
func (r *reconciler) publish(ctx context.Context, v *View, status *v1alpha1.LogSourceStatus) (time.Duration, error) {
	if equality.Semantic.DeepEqual(v.Previous, status) {
		return 0, nil
	}
	if wait := r.fleet.sinceWrite(v.Object.GetUID(), v.Now, countersEvery); wait > 0 && onlyCounters(v.Previous, status) {
		return wait, nil
	}
	if err := r.applyStatus(ctx, v.Object, status); err != nil {
		return 0, err
	}
	r.fleet.wrote(v.Object.GetUID(), v.Now, status)
	r.tell(v.Object, transitions(v.Previous, status))
	return 0, nil
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

// onlyCounters says that two statuses differ in nothing that somebody waits for.
func onlyCounters(a, b *v1alpha1.LogSourceStatus) bool {
	return equality.Semantic.DeepEqual(withoutCounters(a), withoutCounters(b))
}

func withoutCounters(s *v1alpha1.LogSourceStatus) *v1alpha1.LogSourceStatus {
	s = s.DeepCopy()
	s.Delivery, s.LastFetch = nil, nil
	if s.Flow != nil {
		s.Flow.InUse = 0
	}
	for i := range s.Destinations {
		d := &s.Destinations[i]
		d.Delivered, d.Queued, d.Lost, d.LastAckTime = 0, 0, 0, nil
	}
	return s
}
