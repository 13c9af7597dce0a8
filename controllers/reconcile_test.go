package controllers_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/collector/report"
	"github.com/logsource/operator/controllers"
)

const hello = `
metadata: {name: hello}
spec:
  source: {class: http-poll, options: {url: "http://10.0.0.7/logs"}}
  destinations:
  - {name: out, class: http, options: {url: "http://sink:8080"}}
`

// path is what a collector reports of an object that it runs.
func path(o client.Object, state string, accepted, delivered int64) report.LogPath {
	return report.LogPath{
		UID: string(o.GetUID()), Namespace: o.GetNamespace(), Name: o.GetName(), Generation: o.GetGeneration(),
		State: state, Window: 8192, Accepted: accepted,
		Destinations: []report.Destination{{Name: "out", Class: "http", Required: true, State: report.DestinationDelivering, Accepted: accepted, Delivered: delivered}},
	}
}

// The road of one LogSource: children, a pod, ready, suspended, going on.
func TestLogSourceBecomesReady(t *testing.T) {
	c := newCluster(t)
	ns := c.namespace(t)
	ls := &v1alpha1.LogSource{}
	c.apply(t, ns, hello, ls)

	var cm corev1.ConfigMap
	var deployment appsv1.Deployment
	eventually(t, func() string { return c.exists(t, &cm, ns, "logsource-hello") })
	eventually(t, func() string { return c.exists(t, &deployment, ns, "logsource-hello") })
	if p, err := plan.Decode([]byte(cm.Data[plan.Key])); err != nil || p.LogSource.UID != string(ls.UID) {
		t.Errorf("plan.json is %q (error %v), want the plan of %s", cm.Data[plan.Key], err, ls.UID)
	}
	for _, child := range []client.Object{&cm, &deployment} {
		owner := metav1.GetControllerOf(child)
		if owner == nil || owner.UID != ls.UID || *owner.BlockOwnerDeletion {
			t.Errorf("%T has the owner %+v, want %s, not blocking its deletion", child, owner, ls.UID)
		}
		for _, f := range child.GetManagedFields() {
			if f.Manager != controllers.FieldOwner || f.Operation != metav1.ManagedFieldsOperationApply {
				t.Errorf("%T was written by %s/%s, want server-side apply by %s alone", child, f.Manager, f.Operation, controllers.FieldOwner)
			}
		}
	}
	c.condition(t, ls, v1alpha1.ConditionAccepted, "True", v1alpha1.ReasonAccepted)
	c.condition(t, ls, v1alpha1.ConditionReady, "False", v1alpha1.ReasonRollingOut)
	if ls.Status.State != controllers.Pending {
		t.Errorf("state before any report is %q, want Pending", ls.Status.State)
	}

	ip := c.pod(t, ns, "logsource-hello-0", tenantLabels(ls))
	c.collectors.say(ip, path(ls, report.Fetching, 100, 90))
	ready := c.condition(t, ls, v1alpha1.ConditionReady, "True", v1alpha1.ReasonReady)
	if want := "1 of 1 collectors fetch or wait for data"; ready.Message != want {
		t.Errorf("Ready says %q, want %q", ready.Message, want)
	}
	if s := ls.Status; s.State != report.Fetching || s.Collectors.Summary != "1/1" || s.Delivery.Accepted != 100 || s.Delivery.Delivered != 90 || s.Placement != "Single" {
		t.Errorf("status is %+v, collectors %+v, delivery %+v", s, s.Collectors, s.Delivery)
	}

	since := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	suspended := path(ls, report.Suspended, 200, 90)
	suspended.SuspendedBy, suspended.SuspendedSince, suspended.InUse = []string{"out"}, since, 8192
	c.collectors.say(ip, suspended)
	flow := c.condition(t, ls, v1alpha1.ConditionFlowControlled, "True", v1alpha1.ReasonWindowFull)
	if want := "1 of 1 collectors suspended by out since 2026-11-23T08:00:00Z"; flow.Message != want {
		t.Errorf("FlowControlled says %q, want %q", flow.Message, want)
	}
	c.condition(t, ls, v1alpha1.ConditionReady, "True", v1alpha1.ReasonReady)

	c.collectors.say(ip, path(ls, report.Idle, 200, 200))
	eventually(t, func() string {
		c.exists(t, ls, ns, "hello")
		if meta.FindStatusCondition(ls.Status.Conditions, v1alpha1.ConditionFlowControlled) != nil || ls.Status.State != report.Idle {
			return fmt.Sprintf("still flow controlled, state %s", ls.Status.State)
		}
		return ""
	})
	eventually(t, func() string { return c.events(t, ns, "Ready", "Suspended", "Wakeup") })
}

// events says which of the reasons no event in the namespace has.
func (c *cluster) events(t *testing.T, ns string, reasons ...string) string {
	var list corev1.EventList
	if err := c.List(t.Context(), &list, client.InNamespace(ns)); err != nil {
		return err.Error()
	}
	seen := map[string]bool{}
	for i := range list.Items {
		seen[list.Items[i].Reason] = true
	}
	for _, r := range reasons {
		if !seen[r] {
			return fmt.Sprintf("no event %s, only %v", r, seen)
		}
	}
	return ""
}

// Editing options changes the plan, and not the pods.
func TestEditChangesThePlanAlone(t *testing.T) {
	c := newCluster(t)
	ns := c.namespace(t)
	ls := &v1alpha1.LogSource{}
	c.apply(t, ns, hello, ls)
	var before, after appsv1.Deployment
	eventually(t, func() string { return c.exists(t, &before, ns, "logsource-hello") })

	c.edit(t, ls, func() {
		ls.Spec.Source.Options = &runtime.RawExtension{Raw: []byte(`{"url":"http://10.0.0.8/logs"}`)}
	})
	eventually(t, func() string {
		var cm corev1.ConfigMap
		c.exists(t, &cm, ns, "logsource-hello")
		if !strings.Contains(cm.Data[plan.Key], "10.0.0.8") {
			return "the plan has the old URL"
		}
		return ""
	})
	c.exists(t, &after, ns, "logsource-hello")
	if after.Generation != before.Generation {
		t.Errorf("the Deployment went from generation %d to %d: its pods would restart", before.Generation, after.Generation)
	}
}

// A spec that becomes wrong stops nothing; one that was never right starts nothing.
func TestNotAccepted(t *testing.T) {
	c := newCluster(t)
	ns := c.namespace(t)
	good, bad := &v1alpha1.LogSource{}, &v1alpha1.LogSource{}
	c.apply(t, ns, hello, good)
	eventually(t, func() string { return c.exists(t, &appsv1.Deployment{}, ns, "logsource-hello") })
	c.edit(t, good, func() { good.Spec.Source.Options = &runtime.RawExtension{Raw: []byte(`{"uri":"x"}`)} })
	cond := c.condition(t, good, v1alpha1.ConditionAccepted, "False", v1alpha1.ReasonInvalidOptions)
	if !strings.Contains(cond.Message, "spec.source.options.uri") {
		t.Errorf("Accepted says %q, want the field", cond.Message)
	}
	if missing := c.exists(t, &appsv1.Deployment{}, ns, "logsource-hello"); missing != "" {
		t.Errorf("the Deployment of the last good version is gone: %s", missing)
	}

	c.apply(t, ns, strings.ReplaceAll(strings.ReplaceAll(hello, "hello", "bad"), "http-poll", "container-logs"), bad)
	c.condition(t, bad, v1alpha1.ConditionAccepted, "False", v1alpha1.ReasonNeedsForward)
	c.noChildren(t, ns, "logsource-bad")
}

func (c *cluster) noChildren(t *testing.T, ns, name string) {
	t.Helper()
	for _, o := range []client.Object{&corev1.ConfigMap{}, &appsv1.Deployment{}, &appsv1.StatefulSet{}} {
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: name}, o); !apierrors.IsNotFound(err) {
			t.Errorf("%T %s: %v, want none", o, name, err)
		}
	}
}

// A class nobody knows starts no pod; the DriverClass that comes later does.
func TestClassNotFoundUntilTheDriverClassComes(t *testing.T) {
	c := newCluster(t)
	ns := c.namespace(t)
	ls := &v1alpha1.LogSource{}
	c.apply(t, ns, strings.ReplaceAll(hello, "http-poll", "my-own"), ls)
	c.condition(t, ls, v1alpha1.ConditionAccepted, "False", v1alpha1.ReasonClassNotFound)
	c.noChildren(t, ns, "logsource-hello")

	c.create(t, &v1alpha1.DriverClass{ObjectMeta: metav1.ObjectMeta{Name: "my-own.source"}, Spec: v1alpha1.DriverClassSpec{
		Class: "my-own", Role: "Source", Lifecycle: "Fetcher", Placement: "Single", Description: "A driver of the user's own.",
		Options: []v1alpha1.DriverOption{{Name: "url", Type: "url", Description: "Where.", Required: true}},
	}})
	c.condition(t, ls, v1alpha1.ConditionAccepted, "True", v1alpha1.ReasonAccepted)
	eventually(t, func() string { return c.exists(t, &appsv1.Deployment{}, ns, "logsource-hello") })
}

// A foreign object of a child's name is left alone, and named.
func TestForeignObjectIsNotAdopted(t *testing.T) {
	c := newCluster(t)
	ns := c.namespace(t)
	foreign := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "logsource-hello", Labels: map[string]string{"app": "somebody"}},
		Data:       map[string]string{"mine": "yes"},
	}
	c.create(t, foreign)
	ls := &v1alpha1.LogSource{}
	c.apply(t, ns, hello, ls)
	cond := c.condition(t, ls, v1alpha1.ConditionProgrammed, "False", v1alpha1.ReasonConflict)
	if want := "ConfigMap " + ns + "/logsource-hello exists"; !strings.HasPrefix(cond.Message, want) {
		t.Errorf("Programmed says %q, want it to begin with %q", cond.Message, want)
	}
	var after corev1.ConfigMap
	c.exists(t, &after, ns, "logsource-hello")
	if after.ResourceVersion != foreign.ResourceVersion {
		t.Errorf("the foreign ConfigMap was written to: %+v", after)
	}
	if missing := c.exists(t, &appsv1.Deployment{}, ns, "logsource-hello"); missing == "" {
		t.Error("a Deployment was made although its plan could not be")
	}
}

// An object made again under its old name waits until the children of the first are gone.
func TestRecreatedObjectDoesNotAdopt(t *testing.T) {
	c := newCluster(t)
	ns := c.namespace(t)
	first, second := &v1alpha1.LogSource{}, &v1alpha1.LogSource{}
	c.apply(t, ns, hello, first)
	var cm corev1.ConfigMap
	var deployment appsv1.Deployment
	eventually(t, func() string { return c.exists(t, &deployment, ns, "logsource-hello") })
	c.exists(t, &cm, ns, "logsource-hello")
	if err := c.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	c.apply(t, ns, hello, second)
	c.condition(t, second, v1alpha1.ConditionProgrammed, "False", v1alpha1.ReasonPending)
	var still corev1.ConfigMap
	c.exists(t, &still, ns, "logsource-hello")
	if still.UID != cm.UID || metav1.GetControllerOf(&still).UID != first.UID {
		t.Errorf("the first object's ConfigMap was adopted: %+v", still.OwnerReferences)
	}

	for _, o := range []client.Object{&cm, &deployment} { // what the garbage collector does
		if err := c.Delete(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() string {
		if missing := c.exists(t, &deployment, ns, "logsource-hello"); missing != "" {
			return missing
		}
		if owner := metav1.GetControllerOf(&deployment); owner.UID != second.UID {
			return fmt.Sprintf("owner is %+v", owner)
		}
		return ""
	})
}

// Storage turns the Deployment into a StatefulSet; the one not wanted goes.
func TestStorageMakesAStatefulSet(t *testing.T) {
	c := newCluster(t)
	ns := c.namespace(t)
	ls := &v1alpha1.LogSource{}
	c.apply(t, ns, hello, ls)
	eventually(t, func() string { return c.exists(t, &appsv1.Deployment{}, ns, "logsource-hello") })
	c.edit(t, ls, func() {
		ls.Spec.Collector = &v1alpha1.CollectorSpec{Storage: &v1alpha1.StorageSpec{Size: resource.MustParse("1Gi")}}
	})
	var set appsv1.StatefulSet
	eventually(t, func() string { return c.exists(t, &set, ns, "logsource-hello") })
	eventually(t, func() string {
		if c.exists(t, &appsv1.Deployment{}, ns, "logsource-hello") == "" {
			return "the Deployment is still there"
		}
		return ""
	})
	if n := len(set.Spec.VolumeClaimTemplates); n != 1 || set.Spec.PersistentVolumeClaimRetentionPolicy.WhenDeleted != appsv1.DeletePersistentVolumeClaimRetentionPolicyType {
		t.Errorf("%d claim templates, retention %+v: want 1 that goes with the LogSource", n, set.Spec.PersistentVolumeClaimRetentionPolicy)
	}
}

// A ClusterLogSource of a Node class is a plan among the agents' and nothing else.
func TestClusterLogSourceOnNodes(t *testing.T) {
	c := newCluster(t)
	cls := &v1alpha1.ClusterLogSource{}
	c.apply(t, "", `
metadata: {name: everything}
spec:
  source: {class: container-logs}
  destinations: [{name: out, class: http, options: {url: "http://sink:8080"}}]
`, cls)
	defer func() { _ = c.Delete(t.Context(), cls) }()
	c.condition(t, cls, v1alpha1.ConditionProgrammed, "False", v1alpha1.ReasonNoCollectors)

	agent := map[string]string{controllers.LabelCollector: controllers.CollectorAgent}
	ip := c.pod(t, agentsNamespace, "logsource-agent-1", agent)
	c.collectors.say(ip, path(cls, report.Fetching, 10, 10))
	c.condition(t, cls, v1alpha1.ConditionReady, "True", v1alpha1.ReasonReady)

	var plans corev1.ConfigMapList
	if err := c.List(t.Context(), &plans, client.InNamespace(agentsNamespace), client.MatchingLabels{controllers.LabelPlan: "node", controllers.LabelUID: string(cls.UID)}); err != nil || len(plans.Items) != 1 {
		t.Fatalf("%d plans (error %v), want 1", len(plans.Items), err)
	}
	if cm := plans.Items[0]; !strings.HasPrefix(cm.Name, "plan-everything-") || metav1.GetControllerOf(&cm).UID != cls.UID {
		t.Errorf("plan %s is owned by %+v", cm.Name, cm.OwnerReferences)
	}
	c.noChildren(t, agentsNamespace, "clusterlogsource-everything")

	// What a collector counted is not forgotten with its pod.
	c.deletePod(t, agentsNamespace, "logsource-agent-1")
	eventually(t, func() string {
		c.exists(t, cls, "", "everything")
		if d := cls.Status.Delivery; d == nil || d.Retired == nil || d.Accepted != 10 || d.Retired.Accepted != 10 {
			return fmt.Sprintf("delivery is %+v, want the 10 messages of the pod that is gone", d)
		}
		return ""
	})
}

// A pod in another namespace that carries the label of a LogSource does not speak for it.
func TestForeignPodDoesNotSpeak(t *testing.T) {
	c := newCluster(t)
	ns, other := c.namespace(t), c.namespace(t)
	ls := &v1alpha1.LogSource{}
	c.apply(t, ns, hello, ls)
	liar := c.pod(t, other, "liar", tenantLabels(ls))
	c.collectors.say(liar, path(ls, report.Failed, 1_000_000, 0))
	ip := c.pod(t, ns, "honest", tenantLabels(ls))
	c.collectors.say(ip, path(ls, report.Idle, 5, 5))
	c.condition(t, ls, v1alpha1.ConditionReady, "True", v1alpha1.ReasonReady)
	eventually(t, func() string {
		if c.collectors.timesAsked(liar) == 0 {
			return "the liar was not asked yet"
		}
		return ""
	})
	c.exists(t, ls, ns, "hello")
	if s := ls.Status; s.State != report.Idle || s.Collectors.Summary != "1/1" || s.Delivery.Accepted != 5 {
		t.Errorf("state %s, collectors %+v, delivery %+v: want those of the honest pod alone", s.State, s.Collectors, s.Delivery)
	}
}

// When nothing changes, nothing is written, however often the collectors are asked.
func TestQuietWhenNothingChanges(t *testing.T) {
	c := newCluster(t)
	ns := c.namespace(t)
	ls := &v1alpha1.LogSource{}
	c.apply(t, ns, hello, ls)
	ip := c.pod(t, ns, "logsource-hello-0", tenantLabels(ls))
	c.collectors.say(ip, path(ls, report.Idle, 5, 5))
	c.condition(t, ls, v1alpha1.ConditionReady, "True", v1alpha1.ReasonReady)

	writes, quietSince := c.writes.Load(), c.collectors.timesAsked(ip)
	eventually(t, func() string {
		if n := c.writes.Load(); n != writes {
			writes, quietSince = n, c.collectors.timesAsked(ip)
		}
		if n := c.collectors.timesAsked(ip) - quietSince; n < 2 {
			return fmt.Sprintf("asked %d times since the last write", n)
		}
		return ""
	})
}

// The pods pass Pod Security "restricted", which the apiserver of the tests enforces.
func TestPodsAreRestricted(t *testing.T) {
	c := newCluster(t)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "restricted-", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}}}
	c.create(t, ns)
	root := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: "root"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
	if err := c.Create(t.Context(), root); !apierrors.IsForbidden(err) {
		t.Fatalf("a pod without a security context is not refused (%v): nothing is enforced here", err)
	}
	plain, stored := &v1alpha1.LogSource{}, &v1alpha1.LogSource{}
	c.apply(t, ns.Name, hello, plain)
	c.apply(t, ns.Name, strings.ReplaceAll(hello, "hello", "stored")+"  collector: {storage: {size: 1Gi}}\n", stored)
	var deployment appsv1.Deployment
	var set appsv1.StatefulSet
	eventually(t, func() string { return c.exists(t, &deployment, ns.Name, "logsource-hello") })
	eventually(t, func() string { return c.exists(t, &set, ns.Name, "logsource-stored") })
	set.Spec.Template.Spec.Volumes = append(set.Spec.Template.Spec.Volumes, corev1.Volume{Name: "state"}) // as its controller does
	for name, template := range map[string]corev1.PodTemplateSpec{"deployment": deployment.Spec.Template, "set": set.Spec.Template} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: name, Labels: template.Labels}, Spec: template.Spec}
		if err := c.Create(t.Context(), pod); err != nil {
			t.Errorf("the pod of the %s is refused: %v", name, err)
		}
	}
}

// What pin relies on: an apply that names a UID is refused when the object has another.
func TestApplyWithAnotherUIDIsRefused(t *testing.T) {
	c := newCluster(t)
	ns := c.namespace(t)
	c.create(t, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "x"}})
	err := c.Apply(t.Context(), corev1ac.ConfigMap("x", ns).WithUID("another").WithData(map[string]string{"a": "b"}), client.FieldOwner("test"), client.ForceOwnership)
	if !apierrors.HasStatusCause(err, metav1.CauseTypeFieldValueInvalid) || !strings.Contains(err.Error(), "metadata.uid") {
		t.Errorf("error is %v, want metadata.uid to be the cause", err)
	}
}

// The start of a manager sweeps what has lost its owner, and nothing else.
func TestSweepAtStart(t *testing.T) {
	c := newCluster(t)
	eventually(t, func() string {
		if c.exists(t, &corev1.ConfigMap{}, agentsNamespace, "plan-orphan") == "" {
			return "the plan without an owner is still there"
		}
		return ""
	})
	if missing := c.exists(t, &corev1.ConfigMap{}, agentsNamespace, "plan-foreign"); missing != "" {
		t.Errorf("a ConfigMap that is not ours was swept: %s", missing)
	}
}
