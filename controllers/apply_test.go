package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/collector/class"
)

var testCatalog = class.NewCatalog(
	&class.Class{Name: "generate", Role: class.Source, Placement: class.Scaled},
	&class.Class{Name: "listen", Role: class.Source, Placement: class.Scaled,
		Footprint: class.Footprint{Ports: []class.Port{{Name: "tcp", Protocol: "TCP", Option: "port", Service: 601}}},
		Options:   []class.Option{{Name: "port", Type: class.Int, Default: json.RawMessage(`5514`)}}},
	&class.Class{Name: "stdout", Role: class.Destination},
)

func testSource() *v1alpha1.LogSource {
	return &v1alpha1.LogSource{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "hello", UID: "u1", Generation: 1},
		Spec: v1alpha1.LogSourceSpec{
			Source:       v1alpha1.SourceSpec{Class: "generate"},
			Destinations: []v1alpha1.DestinationSpec{{Name: "out", Class: "stdout"}},
		},
	}
}

// A bench is a reconciler on a fake apiserver that notes what is written, and fails writes
// when it is told to.
type bench struct {
	*reconciler
	writes []string
	fail   error

	left   int  // how many more writes come to pass; less than 0 for any number
	answer bool // whether the one that is cut came to pass, and only its answer was lost
}

// errCut is what the manager's death looks like from the inside.
var errCut = errors.New("cut")

// write lets a write through, or cuts it off.
func (b *bench) write(what string, do func() error) error {
	b.writes = append(b.writes, what)
	b.left--
	switch {
	case b.fail != nil && what == "apply":
		return b.fail
	case b.left == -1 && b.answer:
		return errors.Join(do(), errCut)
	case b.left == -1:
		return errCut
	}
	return do()
}

func newBench(t *testing.T, objs ...client.Object) *bench {
	t.Helper()
	scheme, err := Scheme()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{left: -1000}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objs...).WithStatusSubresource(&v1alpha1.LogSource{}).
		WithInterceptorFuncs(interceptor.Funcs{
			Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
				return b.write("apply", func() error { return c.Apply(ctx, o, opts...) })
			},
			Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
				var set client.DeleteOptions
				set.ApplyOptions(opts)
				if p := set.Preconditions; p == nil || *p.UID != o.GetUID() || *p.ResourceVersion != o.GetResourceVersion() {
					t.Errorf("%s is deleted with preconditions %+v, want its UID and version", o.GetName(), p)
				}
				return b.write("delete "+o.GetName(), func() error { return c.Delete(ctx, o, opts...) })
			},
			SubResourceApply: func(ctx context.Context, c client.Client, sub string, o runtime.ApplyConfiguration, opts ...client.SubResourceApplyOption) error {
				return b.write(sub, func() error { return nil })
			},
		}).Build()
	b.restart(c)
	return b
}

// restart makes a new manager on the same apiserver.
func (b *bench) restart(c client.Client) {
	b.reconciler = &reconciler{client: c, live: c, catalog: testCatalog, fleet: newFleet(), now: time.Now,
		in: Installation{Image: "logsource:test", AgentsNamespace: "logsource-nodes"}, recorder: events.NewFakeRecorder(100)}
	b.fleet.sync(nil)
}

// reconcile runs one and returns what it wrote.
func (b *bench) reconcile(t *testing.T) ([]string, error) {
	t.Helper()
	b.writes = nil
	_, err := b.Reconcile(t.Context(), request{kindLogSource, "shop", "hello"})
	return b.writes, err
}

func (b *bench) wantWrites(t *testing.T, want ...string) {
	t.Helper()
	got, err := b.reconcile(t)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("wrote %q (error %v), want %q", got, err, want)
	}
}

// A second reconcile writes nothing, until somebody changes a child.
func TestReconcileSettles(t *testing.T) {
	b := newBench(t, testSource())
	b.wantWrites(t, "apply", "apply", "status")
	b.wantWrites(t)

	var cm corev1.ConfigMap
	key := client.ObjectKey{Namespace: "shop", Name: "logsource-hello"}
	if err := b.client.Get(t.Context(), key, &cm); err != nil {
		t.Fatal(err)
	}
	plan := cm.Data["plan.json"]
	cm.Data["plan.json"] = "{}"
	if err := b.client.Update(t.Context(), &cm); err != nil {
		t.Fatal(err)
	}
	b.wantWrites(t, "apply")
	if err := b.client.Get(t.Context(), key, &cm); err != nil || cm.Data["plan.json"] != plan {
		t.Errorf("the plan is %q (error %v), want it mended", cm.Data["plan.json"], err)
	}
}

// The Service, too, is applied once, and again when somebody changes it: it carries no
// generation, so its version tells.
func TestReconcileMendsTheService(t *testing.T) {
	ls := testSource()
	ls.Spec.Source.Class = "listen"
	b := newBench(t, ls)
	b.wantWrites(t, "apply", "apply", "apply", "status")
	b.wantWrites(t)

	var service corev1.Service
	key := client.ObjectKey{Namespace: "shop", Name: "logsource-hello"}
	if err := b.client.Get(t.Context(), key, &service); err != nil {
		t.Fatal(err)
	}
	service.Spec.Ports[0].TargetPort = intstr.FromInt32(1)
	if err := b.client.Update(t.Context(), &service); err != nil {
		t.Fatal(err)
	}
	b.wantWrites(t, "apply")
	if err := b.client.Get(t.Context(), key, &service); err != nil || service.Spec.Ports[0].TargetPort.String() != "tcp" {
		t.Errorf("the ports are %+v (error %v), want them mended", service.Spec.Ports, err)
	}
	b.wantWrites(t)
}

// A manager that dies at any write, before it or after it, leaves nothing that the next one
// does not put right.
func TestEveryCutConverges(t *testing.T) {
	old := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "old", UID: "x",
		Labels:          map[string]string{LabelUID: "u1", labelManagedBy: FieldOwner},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "logsource.dev/v1alpha1", Kind: kindLogSource, Name: "hello", UID: "u1", Controller: new(true)}}}}
	for _, answer := range []bool{false, true} {
		for cut := range 4 {
			t.Run(fmt.Sprintf("write %d, done %v", cut+1, answer), func(t *testing.T) {
				b := newBench(t, testSource(), old.DeepCopy())
				b.left, b.answer = cut, answer
				if writes, err := b.reconcile(t); !errors.Is(err, errCut) || len(writes) != cut+1 {
					t.Fatalf("wrote %q (error %v), want to be cut at write %d", writes, err, cut+1)
				}
				b.restart(b.client)
				if _, err := b.reconcile(t); err != nil {
					t.Fatal(err)
				}
				children, err := b.children(t.Context())
				if err != nil || len(children) != 2 || children[0].String() != "ConfigMap shop/logsource-hello" || children[1].String() != "Deployment shop/logsource-hello" {
					t.Errorf("children are %v (error %v), want the plan and the Deployment", children, err)
				}
			})
		}
	}
}

// What is told to the user, and what is simply tried again.
func TestApplyErrors(t *testing.T) {
	kind := schema.GroupKind{Kind: "ConfigMap"}
	resource := schema.GroupResource{Resource: "configmaps"}
	for _, c := range []struct {
		name string
		err  error
		told bool
	}{
		{"invalid", apierrors.NewInvalid(kind, "logsource-hello", nil), true},
		{"forbidden", apierrors.NewForbidden(resource, "logsource-hello", errors.New("quota")), true},
		{"replaced since it was looked at", apierrors.NewInvalid(kind, "logsource-hello", field.ErrorList{field.Invalid(field.NewPath("metadata", "uid"), "x", "field is immutable")}), false},
		{"conflict", apierrors.NewConflict(resource, "logsource-hello", errors.New("uid mismatch")), false},
		{"busy", apierrors.NewTooManyRequests("slow down", 1), false},
		{"unreachable", errors.New("connection refused"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, testSource())
			b.fail = c.err
			writes, err := b.reconcile(t)
			if told := slices.Contains(writes, "status"); told != c.told || (err == nil) != c.told {
				t.Errorf("status written: %v, error %v; want told: %v, and an error otherwise", told, err, c.told)
			}
		})
	}
}

// Prune takes what is ours and not wanted. A label is not enough: anybody may write one.
func TestPruneTakesOnlyOurs(t *testing.T) {
	ours := map[string]string{LabelUID: "u1", labelManagedBy: FieldOwner}
	owner := []metav1.OwnerReference{{APIVersion: "logsource.dev/v1alpha1", Kind: kindLogSource, Name: "hello", UID: "u1", Controller: new(true)}}
	other := []metav1.OwnerReference{{APIVersion: "logsource.dev/v1alpha1", Kind: kindLogSource, Name: "hello", UID: "u2", Controller: new(true)}}
	cm := func(namespace, name string, owners []metav1.OwnerReference) client.Object {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: "x", Labels: ours, OwnerReferences: owners}}
	}
	b := newBench(t, testSource(),
		cm("shop", "old", owner), cm("shop", "labelled", nil), cm("shop", "of-another", other), cm("elsewhere", "old", owner))
	b.wantWrites(t, "apply", "apply", "delete old", "status")
	var left corev1.ConfigMapList
	if err := b.client.List(t.Context(), &left); err != nil || len(left.Items) != 4 {
		t.Errorf("%d ConfigMaps are left (error %v), want 3 and the plan", len(left.Items), err)
	}
}

// Whatever stands at the address of a child is either ours, or on its way out, or left alone.
func TestMayApply(t *testing.T) {
	const group = "logsource.dev/v1alpha1"
	owner := func(apiVersion, kind, name string, uid types.UID) *metav1.OwnerReference {
		return &metav1.OwnerReference{APIVersion: apiVersion, Kind: kind, Name: name, UID: uid, Controller: new(true)}
	}
	for _, c := range []struct {
		name  string
		label string
		owner *metav1.OwnerReference
		going bool
		want  string
	}{
		{"ours", "u1", owner(group, kindLogSource, "hello", "u1"), false, "apply"},
		{"ours, being deleted", "u1", owner(group, kindLogSource, "hello", "u1"), true, "wait"},
		{"of an earlier object of this name", "u0", owner(group, kindLogSource, "hello", "u0"), false, "wait"},
		{"of an object of another kind", "u0", owner("apps/v1", "Deployment", "hello", "u0"), false, "conflict"},
		{"of another kind of ours, of the same name", "u0", owner(group, kindClusterLogSource, "hello", "u0"), false, "conflict"},
		{"of a kind of another group", "u0", owner("example.org/v1", kindLogSource, "hello", "u0"), false, "conflict"},
		{"of nobody", "", nil, false, "conflict"},
		{"of nobody, with our label", "u1", nil, false, "conflict"},
		{"ours, with the label of another", "u2", owner(group, kindLogSource, "hello", "u1"), false, "conflict"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{LabelUID: c.label}}}
			if c.owner != nil {
				cm.OwnerReferences = []metav1.OwnerReference{*c.owner}
			}
			if c.going {
				cm.DeletionTimestamp = new(metav1.Now())
			}
			err := mayApply(testSource(), Child{Kind: "ConfigMap", Namespace: "shop", Name: "logsource-hello"}, cm)
			if got := verdictOf(err); got != c.want {
				t.Errorf("%s (%v), want %s", got, err, c.want)
			}
		})
	}
}

func verdictOf(err error) string {
	var f *Failure
	switch {
	case err == nil:
		return "apply"
	case errors.Is(err, errSettling):
		return "wait"
	case errors.As(err, &f) && f.Reason == v1alpha1.ReasonConflict:
		return "conflict"
	}
	return err.Error()
}

// A status that differs in counters alone waits; an answer to an edit never does.
func TestPause(t *testing.T) {
	base := v1alpha1.LogSourceStatus{ObservedGeneration: 1, State: "Fetching",
		Delivery:     &v1alpha1.DeliveryStatus{Accepted: 1},
		Destinations: []v1alpha1.DestinationStatus{{Name: "out", State: "Delivering"}},
		Conditions:   []metav1.Condition{{Type: "Ready", Status: "True", Reason: "Ready"}}}
	for _, c := range []struct {
		name   string
		change func(*v1alpha1.LogSourceStatus)
		want   time.Duration
	}{
		{"a counter", func(s *v1alpha1.LogSourceStatus) { s.Delivery.Accepted = 2 }, countersEvery},
		{"idle", func(s *v1alpha1.LogSourceStatus) { s.State, s.Destinations[0].State = "Idle", "Idle" }, countersEvery},
		{"a text", func(s *v1alpha1.LogSourceStatus) { s.Conditions[0].Message = "2 of 2" }, countersEvery},
		{"suspended", func(s *v1alpha1.LogSourceStatus) { s.State = "Suspended" }, changesEvery},
		{"a destination in trouble", func(s *v1alpha1.LogSourceStatus) { s.Destinations[0].State = "Retrying" }, changesEvery},
		{"a condition", func(s *v1alpha1.LogSourceStatus) { s.Conditions[0].Status = "False" }, changesEvery},
		{"an edit", func(s *v1alpha1.LogSourceStatus) { s.ObservedGeneration = 2 }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			after := base.DeepCopy()
			c.change(after)
			if got := pause(&base, after); got != c.want {
				t.Errorf("waits %s, want %s", got, c.want)
			}
		})
	}
}
