package planner

import (
	"encoding/json"
	"fmt"
	"strings"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/report"
)

const maxPort = 65535

// A socket is what one process can listen on once.
type socket struct {
	protocol string
	number   int64
}

// checkPorts holds the ports that the options switch on to what one pod can listen on, and
// the Service to those ports.
func (p *planning) checkPorts(k *class.Class, options json.RawMessage) {
	on := k.Listeners(options)
	p.checkNumbers(on)
	if k.Placement == class.Node || p.want.Collector == nil || p.want.Collector.Service == nil {
		return // what runs on the agents has no Service; placement.go says so
	}
	path := p.spec.Child("collector", "service")
	if len(k.Footprint.Ports) == 0 {
		p.forbidden(path, fmt.Sprintf("class %s does not listen: remove it", k.Name))
		return
	}
	p.service(path, p.want.Collector.Service, k, on)
}

func (p *planning) checkNumbers(on []class.Listener) {
	options, seen := p.spec.Child("source", "options"), map[socket]string{}
	for _, l := range on {
		path, at := options.Child(l.Option), socket{l.Protocol, l.Number}
		switch other := seen[at]; {
		case l.Number > maxPort:
			p.badPort(path, fmt.Sprintf("must be a port number: at most %d", maxPort))
		case l.Number == report.Port:
			p.badPort(path, fmt.Sprintf("%d is the port at which every collector reports: choose another", report.Port))
		case other != "":
			p.badPort(path, fmt.Sprintf("is the same %s port as options.%s: choose another, or 0 for none", l.Protocol, other))
		default:
			seen[at] = l.Option
		}
	}
}

func (p *planning) badPort(path *field.Path, detail string) {
	p.fail(v1alpha1.ReasonInvalidOptions, field.Invalid(path, field.OmitValueType{}, detail))
}

func (p *planning) service(path *field.Path, s *v1alpha1.ServiceSpec, k *class.Class, on []class.Listener) {
	kind := p.oneOf(path.Child("type"), s.Type, "ClusterIP", "NodePort", "LoadBalancer")
	p.failAll(apivalidation.ValidateAnnotations(s.Annotations, path.Child("annotations")))
	given := map[string]*v1alpha1.ServicePort{}
	for i := range s.Ports {
		port, at := &s.Ports[i], path.Child("ports").Index(i)
		if given[port.Name] != nil {
			p.fail(v1alpha1.ReasonInvalidSpec, field.Duplicate(at.Child("name"), port.Name))
		}
		given[port.Name] = port
		p.servicePort(at, port, kind, k, on)
	}
	p.checkServiceNumbers(path.Child("ports"), given, on)
}

func (p *planning) servicePort(path *field.Path, port *v1alpha1.ServicePort, kind string, k *class.Class, on []class.Listener) {
	if !listens(on, port.Name) {
		p.invalid(path.Child("name"), port.Name, noSuchPort(k, port.Name, on))
	}
	if port.Port < 1 || port.Port > maxPort {
		p.invalid(path.Child("port"), port.Port, fmt.Sprintf("must be from 1 to %d", maxPort))
	}
	switch n := port.NodePort; {
	case n == nil:
	case kind == "ClusterIP":
		p.forbidden(path.Child("nodePort"), "a Service of type ClusterIP has no nodePort: set type to NodePort or LoadBalancer, or remove nodePort")
	case *n < 1 || *n > maxPort:
		p.invalid(path.Child("nodePort"), *n, fmt.Sprintf("must be from 1 to %d", maxPort))
	}
}

func listens(on []class.Listener, name string) bool {
	for _, l := range on {
		if l.Name == name {
			return true
		}
	}
	return false
}

// noSuchPort names the ports there are, and the option that is missing.
func noSuchPort(k *class.Class, name string, on []class.Listener) string {
	for _, port := range k.Footprint.Ports {
		if port.Name == name {
			return fmt.Sprintf("class %s listens there only when options.%s is set; %s", k.Name, port.Option, portNames(on))
		}
	}
	return fmt.Sprintf("class %s has no such port; %s", k.Name, portNames(on))
}

func portNames(on []class.Listener) string {
	if len(on) == 0 {
		return "now it listens at no port"
	}
	names := make([]string, len(on))
	for i, l := range on {
		names[i] = l.Name
	}
	return "now it listens at: " + strings.Join(names, ", ")
}

// checkServiceNumbers refuses two ports that would be one, which the apiserver would do
// where the user does not see it.
func (p *planning) checkServiceNumbers(path *field.Path, given map[string]*v1alpha1.ServicePort, on []class.Listener) {
	ports, nodePorts := map[socket]string{}, map[socket]string{}
	for _, l := range on {
		number, nodePort := ServiceNumbers(l, given[l.Name])
		p.once(path.Key(l.Name).Child("port"), l, number, ports)
		if nodePort != nil {
			p.once(path.Key(l.Name).Child("nodePort"), l, *nodePort, nodePorts)
		}
	}
}

func (p *planning) once(path *field.Path, l class.Listener, number int32, seen map[socket]string) {
	at := socket{l.Protocol, int64(number)}
	if other := seen[at]; other != "" {
		p.invalid(path, number, fmt.Sprintf("is the same %s port as that of %s: choose another", l.Protocol, other))
	}
	seen[at] = l.Name
}

// ServiceNumbers are the port and the nodePort, if any, of a listener in its Service: what
// the user has given for it, else what the class says.
func ServiceNumbers(l class.Listener, given *v1alpha1.ServicePort) (port int32, nodePort *int32) {
	if given == nil {
		return l.Service, nil
	}
	return given.Port, given.NodePort
}
