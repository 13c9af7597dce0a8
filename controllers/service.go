package controllers

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/controllers/planner"
)

// service is where senders find the collectors of a class that listens. Its ports lead to
// those of the container by name.
func (b *childBuilder) service() Child {
	want := v1alpha1.ServiceSpec{}
	if b.collector.Service != nil {
		want = *b.collector.Service
	}
	name := serviceName(b.name)
	spec := corev1ac.ServiceSpec().
		WithType(corev1.ServiceTypeClusterIP).
		WithSelector(podSelector(b.obj.GetUID()))
	if want.Type != "" {
		spec.WithType(corev1.ServiceType(want.Type))
	}
	for _, l := range b.listeners {
		spec.WithPorts(servicePort(l, want.Ports))
	}
	service := corev1ac.Service(name, b.namespace).
		WithLabels(b.tenantLabels()).
		WithOwnerReferences(b.owner()).
		WithSpec(spec)
	if len(want.Annotations) > 0 {
		service.WithAnnotations(want.Annotations)
	}
	return Child{"Service", b.namespace, name, service}
}

func servicePort(l class.Listener, given []v1alpha1.ServicePort) *corev1ac.ServicePortApplyConfiguration {
	port, nodePort := planner.ServiceNumbers(l, portNamed(l.Name, given))
	a := corev1ac.ServicePort().
		WithName(l.Name).
		WithProtocol(corev1.Protocol(l.Protocol)).
		WithPort(port).
		WithTargetPort(intstr.FromString(l.Name))
	if nodePort != nil {
		a.WithNodePort(*nodePort)
	}
	return a
}

// portNamed is what the user has given for a port, nil when nothing.
func portNamed(name string, given []v1alpha1.ServicePort) *v1alpha1.ServicePort {
	for i := range given {
		if given[i].Name == name {
			return &given[i]
		}
	}
	return nil
}
