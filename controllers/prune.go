package controllers

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logsource/operator/controllers/planner"
)

// prune deletes the children of obj that are not wanted any more.
func (r *reconciler) prune(ctx context.Context, obj planner.Object, wanted []Child) error {
	keep := map[string]bool{}
	for _, c := range wanted {
		keep[c.String()] = true
	}
	children, err := r.children(ctx, client.InNamespace(home(obj, r.in.AgentsNamespace)), client.MatchingLabels{LabelUID: string(obj.GetUID())})
	if err != nil {
		return err
	}
	for _, c := range children {
		owner := metav1.GetControllerOf(c.object)
		// The label alone is not enough: anybody in the namespace may write it.
		if keep[c.String()] || owner == nil || owner.UID != obj.GetUID() {
			continue
		}
		if err := r.remove(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// existing is a child that is there.
type existing struct {
	Child
	object client.Object
}

// children lists what the cache holds of the kinds that children have.
func (r *reconciler) children(ctx context.Context, opts ...client.ListOption) ([]existing, error) {
	var out []existing
	add := func(kind string, o client.Object) {
		out = append(out, existing{Child{Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName()}, o})
	}
	var maps corev1.ConfigMapList
	var deployments appsv1.DeploymentList
	var sets appsv1.StatefulSetList
	var services corev1.ServiceList
	for _, list := range []client.ObjectList{&maps, &deployments, &sets, &services} {
		if err := r.client.List(ctx, list, opts...); err != nil {
			return nil, err
		}
	}
	for i := range maps.Items {
		add("ConfigMap", &maps.Items[i])
	}
	for i := range deployments.Items {
		add("Deployment", &deployments.Items[i])
	}
	for i := range sets.Items {
		add("StatefulSet", &sets.Items[i])
	}
	for i := range services.Items {
		add("Service", &services.Items[i])
	}
	return out, nil
}

// remove deletes the very object that was looked at; one that has changed since stays, and
// the next reconcile looks again.
func (r *reconciler) remove(ctx context.Context, c existing) error {
	uid, version := c.object.GetUID(), c.object.GetResourceVersion()
	err := r.client.Delete(ctx, c.object,
		client.Preconditions{UID: &uid, ResourceVersion: &version},
		client.PropagationPolicy(metav1.DeletePropagationBackground))
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete %s: %w", c, err)
	}
	ctrl.LoggerFrom(ctx).Info("deleted a child that is not wanted any more", "child", c.String())
	return nil
}

// sweepEvery is how often sweep looks for children without an owner.
const sweepEvery = 10 * time.Minute

// Start sweeps now and every ten minutes, until ctx ends. It runs on the leader only.
func (r *sweeper) Start(ctx context.Context) error {
	log := ctrl.Log.WithName("sweep")
	wait.UntilWithContext(ctx, func(ctx context.Context) {
		if err := r.sweep(ctrl.LoggerInto(ctx, log)); err != nil && ctx.Err() == nil {
			log.Error(err, "sweep ended early")
		}
	}, sweepEvery)
	return nil
}

// sweeper removes children whose owner is gone. The garbage collector does that too; this
// is for children that lost their owner reference, such as those of a restored backup.
type sweeper struct{ *reconciler }

func (r *sweeper) sweep(ctx context.Context) error {
	children, err := r.children(ctx, client.InNamespace(r.in.AgentsNamespace), client.HasLabels{LabelUID})
	if err != nil {
		return err
	}
	alive, err := r.alive(ctx)
	if err != nil {
		return err
	}
	for _, c := range children {
		if alive[types.UID(c.object.GetLabels()[LabelUID])] {
			continue
		}
		if err := r.remove(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// alive asks the apiserver, not the cache, which owners there are: nothing is deleted on
// the word of a stale list.
func (r *sweeper) alive(ctx context.Context) (map[types.UID]bool, error) {
	objs, err := all(ctx, r.live)
	if err != nil {
		return nil, err
	}
	uids := make(map[types.UID]bool, len(objs))
	for _, o := range objs {
		uids[o.GetUID()] = true
	}
	return uids, nil
}
