package controllers

import (
	"context"
	"fmt"
	"net/http"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/collector/class"
)

// Options are the settings of the controllers.
type Options struct {
	Installation
	// Transport carries the questions to the collectors. Nil asks them directly.
	Transport http.RoundTripper
}

// Scheme knows every kind the controllers touch.
func Scheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(s); err != nil {
		return nil, err
	}
	return s, v1alpha1.AddToScheme(s)
}

// concurrency is how many objects are reconciled at the same time.
const concurrency = 4

// The back-off of an object whose reconcile fails. The longest is short, so that all is
// well soon after an apiserver comes back from a long absence.
const (
	retryFirst   = 50 * time.Millisecond
	retryLongest = 30 * time.Second
)

// coalesce gathers what the collectors say of one object into one reconcile.
const coalesce = 500 * time.Millisecond

// Setup adds the controllers to mgr, which must have the cache of CacheOptions. catalog is
// the classes of the collector's image.
func Setup(mgr ctrl.Manager, catalog class.Catalog, o Options) error {
	r := &reconciler{
		client:   mgr.GetClient(),
		live:     mgr.GetAPIReader(),
		catalog:  catalog,
		in:       o.Installation,
		fleet:    newFleet(),
		recorder: mgr.GetEventRecorder(FieldOwner),
		now:      time.Now,
	}
	p := &puller{
		pods:   mgr.GetCache(),
		fleet:  r.fleet,
		client: newHTTPClient(o.Transport),
		now:    time.Now,
		log:    mgr.GetLogger().WithName("puller"),
	}
	queue, started := p.queue()
	if err := r.watch(mgr, queue); err != nil {
		return fmt.Errorf("set up the controller: %w", err)
	}
	for _, runnable := range []leaderRunnable{{p.Start, started}, {(&sweeper{r}).Start, started}} {
		if err := mgr.Add(runnable); err != nil {
			return err
		}
	}
	return nil
}

// queue gives the puller the controller's queue, and says when it has it: the puller must not
// start before.
func (p *puller) queue() (source.TypedSource[request], <-chan struct{}) {
	started := make(chan struct{})
	return source.TypedFunc[request](func(_ context.Context, q workqueue.TypedRateLimitingInterface[request]) error {
		p.enqueue = func(req request) { q.AddAfter(req, coalesce) }
		close(started)
		return nil
	}), started
}

// A leaderRunnable runs on the leader, once the controller has started.
type leaderRunnable struct {
	run   func(context.Context) error
	after <-chan struct{}
}

// Start waits, then runs.
func (l leaderRunnable) Start(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-l.after:
		return l.run(ctx)
	}
}

// NeedLeaderElection says that only the leader asks and sweeps.
func (leaderRunnable) NeedLeaderElection() bool { return true }

func (r *reconciler) watch(mgr ctrl.Manager, queue source.TypedSource[request]) error {
	// What a status write changes must not come back as work.
	edited := builder.WithPredicates(predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))
	self := mapped(func(_ context.Context, o client.Object) []request {
		return []request{{kindOf(o), o.GetNamespace(), o.GetName()}}
	})
	owner := mapped(ownerRequests)
	return builder.TypedControllerManagedBy[request](mgr).
		Named("logsource").
		WithOptions(controller.TypedOptions[request]{
			MaxConcurrentReconciles: concurrency,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[request](retryFirst, retryLongest),
		}).
		Watches(&v1alpha1.LogSource{}, self, edited).
		Watches(&v1alpha1.ClusterLogSource{}, self, edited).
		Watches(&corev1.ConfigMap{}, owner).
		Watches(&appsv1.Deployment{}, owner).
		Watches(&appsv1.StatefulSet{}, owner).
		Watches(&corev1.Service{}, owner).
		Watches(&v1alpha1.DriverClass{}, mapped(r.classRequests)).
		WatchesRawSource(queue).
		Complete(r)
}

func mapped(f func(context.Context, client.Object) []request) handler.TypedEventHandler[client.Object, request] {
	return handler.TypedEnqueueRequestsFromMapFunc(f)
}

// ownerRequests leads from a child to its LogSource.
func ownerRequests(_ context.Context, child client.Object) []request {
	owner := metav1.GetControllerOf(child)
	if owner == nil || owner.APIVersion != v1alpha1.GroupVersion.String() {
		return nil
	}
	if owner.Kind == kindClusterLogSource {
		return []request{{kindClusterLogSource, "", owner.Name}}
	}
	return []request{{kindLogSource, child.GetNamespace(), owner.Name}}
}

// classRequests leads from a DriverClass to the objects that wait for it, or use it.
func (r *reconciler) classRequests(ctx context.Context, o client.Object) []request {
	spec := &o.(*v1alpha1.DriverClass).Spec
	role := class.Role(spec.Role)
	if r.catalog.Get(role, spec.Class) != nil {
		return nil // the binary knows better
	}
	return usersOf(ctx, r.client, role, spec.Class)
}

// CacheOptions keep the manager small: it holds no ConfigMap, workload, Service or pod that is not
// part of an installation, and of those only what it reads.
func CacheOptions() cache.Options {
	ours := labels.SelectorFromSet(labels.Set{labelManagedBy: FieldOwner})
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.ConfigMap{}:   {Label: ours, Transform: stripped},
			&appsv1.Deployment{}:  {Label: ours, Transform: stripped},
			&appsv1.StatefulSet{}: {Label: ours, Transform: stripped},
			&corev1.Service{}:     {Label: ours, Transform: stripped},
			&corev1.Pod{}:         {Label: hasLabel(LabelCollector), Transform: stripped},
		},
	}
}

func hasLabel(name string) labels.Selector {
	r, err := labels.NewRequirement(name, selection.Exists, nil)
	if err != nil {
		panic("BUG: controllers: " + err.Error())
	}
	return labels.NewSelector().Add(*r)
}

// stripped drops what no reconcile reads.
func stripped(in any) (any, error) {
	if o, ok := in.(client.Object); ok {
		o.SetManagedFields(nil)
		o.SetAnnotations(nil)
	}
	switch o := in.(type) {
	case *corev1.ConfigMap:
		o.Data, o.BinaryData = nil, nil
	case *appsv1.Deployment:
		o.Spec = appsv1.DeploymentSpec{}
	case *appsv1.StatefulSet:
		o.Spec = appsv1.StatefulSetSpec{}
	case *corev1.Service:
		o.Spec, o.Status = corev1.ServiceSpec{}, corev1.ServiceStatus{}
	case *corev1.Pod:
		stripPod(o)
	}
	return in, nil
}

func stripPod(p *corev1.Pod) {
	labels := map[string]string{LabelCollector: p.Labels[LabelCollector], LabelUID: p.Labels[LabelUID]}
	p.Labels, p.OwnerReferences, p.Finalizers = labels, nil, nil
	p.Spec = corev1.PodSpec{NodeName: p.Spec.NodeName}
	status := corev1.PodStatus{Phase: p.Status.Phase, PodIP: p.Status.PodIP, Reason: podTrouble(&p.Status)}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			status.Conditions = []corev1.PodCondition{{Type: c.Type, Status: c.Status}}
		}
	}
	p.Status = status
}

// podTrouble is why a pod cannot run, in one word; "" when it runs or may be about to.
func podTrouble(s *corev1.PodStatus) string {
	for _, c := range s.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return c.Reason
		}
	}
	for i := range s.ContainerStatuses {
		w := s.ContainerStatuses[i].State.Waiting
		if w == nil || w.Reason == "ContainerCreating" || w.Reason == "PodInitializing" {
			continue
		}
		if w.Reason == "ErrImagePull" {
			return "ImagePullBackOff" // between which two it goes to and fro
		}
		return w.Reason
	}
	return ""
}
