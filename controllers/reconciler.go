package controllers

import (
	"context"
	"errors"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/controllers/planner"
)

// What the manager may do. It has no verb on Secrets, and none on pods but to look. The
// lease of the leader election is in a Role of the manager's own namespace.
//
// +kubebuilder:rbac:groups=logsource.dev,resources=logsources;clusterlogsources;driverclasses,verbs=get;list;watch
// +kubebuilder:rbac:groups=logsource.dev,resources=logsources/status;clusterlogsources/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=configmaps;services,verbs=create;get;list;watch;patch;delete
// +kubebuilder:rbac:groups=apps,resources=deployments;statefulsets,verbs=create;get;list;watch;patch;delete
// +kubebuilder:rbac:groups="",resources=pods,verbs=list;watch
// +kubebuilder:rbac:groups="";events.k8s.io,resources=events,verbs=create;patch

// reconciler reconciles both kinds.
type reconciler struct {
	client   client.Client // reads come from the cache
	live     client.Reader // reads come from the apiserver
	catalog  class.Catalog // of this binary
	in       Installation
	fleet    *fleet
	applied  applied
	recorder events.EventRecorder
	now      func() time.Time
}

// When to look again without being told.
const (
	settlingDelay = 2 * time.Second  // until the garbage collector has taken an earlier child
	conflictDelay = 30 * time.Second // a foreign object is in no watch of ours
	reportsDelay  = time.Second      // until every collector was asked once
)

// Reconcile brings one object's children and status to what its spec says.
func (r *reconciler) Reconcile(ctx context.Context, req request) (ctrl.Result, error) {
	obj, err := req.get(ctx, r.client)
	switch {
	case apierrors.IsNotFound(err):
		r.forget(req)
		return ctrl.Result{}, nil
	case err != nil:
		return ctrl.Result{}, err
	case obj.GetDeletionTimestamp() != nil:
		return ctrl.Result{}, nil // owner references take the children along
	}
	catalog, err := r.catalogFor(ctx, obj)
	if err != nil {
		return ctrl.Result{}, err
	}
	view, err := r.program(ctx, obj, catalog)
	if err != nil && !errors.Is(err, errSettling) {
		return ctrl.Result{}, err
	}
	return r.report(ctx, view)
}

func (r *reconciler) forget(req request) {
	for _, uid := range r.fleet.forget(req) {
		r.applied.forget(uid)
	}
}

// program makes the children what they should be. An object that is not accepted keeps the
// children of its last good version, and never gets its first.
func (r *reconciler) program(ctx context.Context, obj planner.Object, catalog class.Catalog) (*View, error) {
	previous := r.fleet.previous(obj.GetUID(), statusOf(obj))
	v := &View{Object: obj, Previous: previous, Placement: class.Placement(previous.Placement)}
	source := planner.SourceClass(obj, catalog)
	if source != nil {
		v.Placement = source.Placement
	}
	r.fleet.track(obj, home(obj, r.in.AgentsNamespace), v.Placement == class.Node, previous)

	p, problem := planner.Plan(obj, catalog)
	if problem != nil {
		v.Problem = problem
		return v, nil
	}
	children, err := Objects(obj, p, source, r.in)
	if err != nil {
		return v, err
	}
	err = r.apply(ctx, obj, children)
	switch {
	case errors.As(err, &v.Failure):
		return v, nil // the status tells; the old children stay
	case errors.Is(err, errSettling):
		v.Failure = &Failure{v1alpha1.ReasonPending, err.Error()}
		return v, err
	case err != nil:
		return v, err
	}
	return v, r.prune(ctx, obj, children)
}

// report observes the collectors and publishes the status.
func (r *reconciler) report(ctx context.Context, v *View) (ctrl.Result, error) {
	uid := v.Object.GetUID()
	v.Now = r.now()
	var complete bool
	if v.Collectors, complete = r.fleet.sightings(uid, v.Now); !complete {
		return ctrl.Result{RequeueAfter: reportsDelay}, nil
	}
	if err := r.observe(ctx, v); err != nil {
		return ctrl.Result{}, err
	}
	v.Retired = r.fleet.retiredOf(uid, v.Previous.Delivery, v.Collectors)
	status := Status(*v)
	r.fleet.setHot(uid, v.Problem == nil && !isTrue(&status, v1alpha1.ConditionProgrammed))
	wait, err := r.publish(ctx, v, &status)
	return ctrl.Result{RequeueAfter: soonest(wait, retryDelay(v.Failure))}, err
}

// retryDelay is when a failure of which no watch tells is worth another try.
func retryDelay(f *Failure) time.Duration {
	switch {
	case f == nil:
		return 0
	case f.Reason == v1alpha1.ReasonPending:
		return settlingDelay
	}
	return conflictDelay
}

// soonest is the lesser of two delays, where 0 means never.
func soonest(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// observe counts the collectors there should be, and says why they are not.
func (r *reconciler) observe(ctx context.Context, v *View) error {
	v.Desired = desired(v)
	if v.Placement == class.Node || v.Problem != nil || v.Failure != nil || len(v.Collectors) > 0 {
		return nil
	}
	var err error
	v.Failure, err = r.cannotStart(ctx, v.Object)
	return err
}

// desired is how many collectors there should be. The DaemonSet makes one agent for every
// node, so that counting them, ready or not, needs no right to read the DaemonSet. Of an
// object that is not accepted, what still runs is all there should be.
func desired(v *View) int32 {
	if v.Placement == class.Node || v.Problem != nil {
		return int32(len(v.Collectors))
	}
	if c := planner.Spec(v.Object).Collector; c != nil && c.Replicas != nil {
		return *c.Replicas
	}
	return 1
}

// cannotStart is what Kubernetes says of a workload that has no pod: a quota, a policy.
func (r *reconciler) cannotStart(ctx context.Context, obj planner.Object) (*Failure, error) {
	children, err := r.children(ctx, client.InNamespace(home(obj, r.in.AgentsNamespace)), client.MatchingLabels{LabelUID: string(obj.GetUID())})
	if err != nil {
		return nil, err
	}
	for _, c := range children {
		d, ok := c.object.(*appsv1.Deployment)
		if !ok {
			continue
		}
		for _, cond := range d.Status.Conditions {
			if cond.Type == appsv1.DeploymentReplicaFailure && cond.Status == "True" {
				return &Failure{v1alpha1.ReasonNoCollectors, "no pod can be made: " + cond.Message}, nil
			}
		}
	}
	return nil, nil
}

func isTrue(s *v1alpha1.LogSourceStatus, condition string) bool {
	for _, c := range s.Conditions {
		if c.Type == condition {
			return c.Status == metav1.ConditionTrue
		}
	}
	return false
}
