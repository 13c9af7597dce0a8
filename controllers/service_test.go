package controllers_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/controllers"
)

const listening = `
metadata: {name: net}
spec:
  source: {class: listen}
  destinations: [{name: out, class: stdout}]
`

// portsOf are the ports of a Service in one line each, without the numbers that the
// apiserver chooses.
func portsOf(s *corev1.Service) []string {
	var out []string
	for _, p := range s.Spec.Ports {
		out = append(out, fmt.Sprintf("%s %s %d to %s", p.Name, p.Protocol, p.Port, p.TargetPort.String()))
	}
	return out
}

// The Service of a class that listens comes with it, comes back, follows its edits, and goes
// when nothing listens any more.
func TestServiceFollowsTheListeners(t *testing.T) {
	c := newCluster(t)
	ns := c.namespace(t)
	ls, service := &v1alpha1.LogSource{}, &corev1.Service{}
	c.apply(t, ns, listening, ls)
	eventually(t, func() string { return c.exists(t, service, ns, "logsource-net") })
	if diff := cmp.Diff([]string{"tcp TCP 601 to tcp", "udp UDP 514 to udp"}, portsOf(service)); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}
	if owner := metav1.GetControllerOf(service); owner == nil || owner.UID != ls.UID || *owner.BlockOwnerDeletion {
		t.Errorf("the owner is %+v, want %s, not blocking its deletion", owner, ls.UID)
	}
	for _, f := range service.GetManagedFields() {
		if f.Manager != controllers.FieldOwner || f.Operation != metav1.ManagedFieldsOperationApply {
			t.Errorf("written by %s/%s, want server-side apply by %s alone", f.Manager, f.Operation, controllers.FieldOwner)
		}
	}

	first := service.UID
	if err := c.Delete(t.Context(), service); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() string {
		again := &corev1.Service{}
		if missing := c.exists(t, again, ns, "logsource-net"); missing != "" || again.UID == first {
			return "the deleted Service has not come back: " + missing
		}
		return ""
	})

	c.edit(t, ls, func() {
		ls.Spec.Source.Options = &runtime.RawExtension{Raw: []byte(`{"udpPort":0,"tlsPort":6514}`)}
		ls.Spec.Collector = &v1alpha1.CollectorSpec{Service: &v1alpha1.ServiceSpec{Type: "NodePort",
			Ports: []v1alpha1.ServicePort{{Name: "tls", Port: 443}}, Annotations: map[string]string{"example.com/a": "b"}}}
	})
	eventually(t, func() string {
		c.exists(t, service, ns, "logsource-net")
		return cmp.Diff([]string{"tcp TCP 601 to tcp", "tls TCP 443 to tls"}, portsOf(service)) +
			cmp.Diff(corev1.ServiceTypeNodePort, service.Spec.Type) + cmp.Diff("b", service.Annotations["example.com/a"])
	})

	c.edit(t, ls, func() { ls.Spec.Collector = nil })
	eventually(t, func() string {
		c.exists(t, service, ns, "logsource-net")
		return cmp.Diff(corev1.ServiceTypeClusterIP, service.Spec.Type) + cmp.Diff(map[string]string(nil), service.Annotations)
	})

	c.edit(t, ls, func() { ls.Spec.Source.Options = &runtime.RawExtension{Raw: []byte(`{"udpPort":0,"tcpPort":0}`)} })
	eventually(t, func() string {
		if c.exists(t, service, ns, "logsource-net") == "" {
			return "the Service is still there"
		}
		return ""
	})
	var deployment appsv1.Deployment
	c.exists(t, &deployment, ns, "logsource-net")
	if n := len(deployment.Spec.Template.Spec.Containers[0].Ports); n != 1 {
		t.Errorf("the container has %d ports, want that of the reports alone", n)
	}
}

// A foreign Service of a child's name is left alone, and named.
func TestForeignServiceIsNotAdopted(t *testing.T) {
	c := newCluster(t)
	ns := c.namespace(t)
	foreign := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "logsource-net"},
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
	c.create(t, foreign)
	ls := &v1alpha1.LogSource{}
	c.apply(t, ns, listening, ls)
	cond := c.condition(t, ls, v1alpha1.ConditionProgrammed, "False", v1alpha1.ReasonConflict)
	if want := "Service " + ns + "/logsource-net exists"; !strings.HasPrefix(cond.Message, want) {
		t.Errorf("Programmed says %q, want it to begin with %q", cond.Message, want)
	}
	var after corev1.Service
	c.exists(t, &after, ns, "logsource-net")
	if after.ResourceVersion != foreign.ResourceVersion {
		t.Errorf("the foreign Service was written to: %+v", after)
	}
}

// The apiserver takes the Service of a LogSource with the longest name and dots in it.
func TestServiceOfALongNameWithDots(t *testing.T) {
	c := newCluster(t)
	ns := c.namespace(t)
	ls := &v1alpha1.LogSource{}
	c.apply(t, ns, strings.ReplaceAll(listening, "name: net", "name: "+strings.Repeat("a.b-", 12)+"9.99"), ls)
	var list corev1.ServiceList
	eventually(t, func() string {
		if err := c.List(t.Context(), &list); err != nil {
			return err.Error()
		}
		for i := range list.Items {
			if owner := metav1.GetControllerOf(&list.Items[i]); owner != nil && owner.UID == ls.UID {
				return ""
			}
		}
		return "there is no Service"
	})
}

// A port number out of the apiserver's range is told in the status.
func TestServiceThatTheApiserverRefuses(t *testing.T) {
	c := newCluster(t)
	ns := c.namespace(t)
	ls := &v1alpha1.LogSource{}
	c.apply(t, ns, listening+"  collector: {service: {type: NodePort, ports: [{name: tcp, port: 601, nodePort: 80}]}}\n", ls)
	cond := c.condition(t, ls, v1alpha1.ConditionProgrammed, "False", v1alpha1.ReasonApplyFailed)
	if !strings.Contains(cond.Message, "provided port is not in the valid range") {
		t.Errorf("Programmed says %q, want the words of the apiserver", cond.Message)
	}
}

// Another class may want another strategy: the one is then fully gone.
func TestStrategyFollowsTheClass(t *testing.T) {
	c := newCluster(t)
	ns := c.namespace(t)
	ls := &v1alpha1.LogSource{}
	c.apply(t, ns, listening, ls)
	for _, step := range []struct {
		class string
		want  appsv1.DeploymentStrategyType
	}{{"listen", "RollingUpdate"}, {"listen-alone", "Recreate"}, {"generate", "RollingUpdate"}, {"listen-alone", "Recreate"}} {
		c.edit(t, ls, func() { ls.Spec.Source.Class = step.class })
		eventually(t, func() string {
			var d appsv1.Deployment
			if err := c.exists(t, &d, ns, "logsource-net"); err != "" {
				return err
			}
			return cmp.Diff(step.want, d.Spec.Strategy.Type)
		})
	}
	eventually(t, func() string { return c.exists(t, &corev1.Service{}, ns, "logsource-net") })
}
