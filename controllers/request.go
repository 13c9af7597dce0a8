package controllers

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/controllers/planner"
)

// request names what to reconcile. One queue holds both kinds.
type request struct {
	Kind, Namespace, Name string
}

func requestFor(obj planner.Object) request {
	return request{kindOf(obj), obj.GetNamespace(), obj.GetName()}
}

// get reads the object of a request.
func (r request) get(ctx context.Context, from client.Reader) (planner.Object, error) {
	key := client.ObjectKey{Namespace: r.Namespace, Name: r.Name}
	if r.Kind == kindClusterLogSource {
		obj := &v1alpha1.ClusterLogSource{}
		return obj, from.Get(ctx, key, obj)
	}
	obj := &v1alpha1.LogSource{}
	return obj, from.Get(ctx, key, obj)
}

// statusOf returns the status of an object, to read.
func statusOf(obj planner.Object) *v1alpha1.LogSourceStatus {
	if c, ok := obj.(*v1alpha1.ClusterLogSource); ok {
		return &c.Status
	}
	return &obj.(*v1alpha1.LogSource).Status
}

// all returns every LogSource and ClusterLogSource the cache knows.
func all(ctx context.Context, from client.Reader) ([]planner.Object, error) {
	var out []planner.Object
	var namespaced v1alpha1.LogSourceList
	if err := from.List(ctx, &namespaced); err != nil {
		return nil, err
	}
	for i := range namespaced.Items {
		out = append(out, &namespaced.Items[i])
	}
	var cluster v1alpha1.ClusterLogSourceList
	if err := from.List(ctx, &cluster); err != nil {
		return nil, err
	}
	for i := range cluster.Items {
		out = append(out, &cluster.Items[i])
	}
	return out, nil
}
