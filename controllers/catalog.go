package controllers

import (
	"context"
	"encoding/json"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/controllers/planner"
)

// catalogFor returns the catalog to plan obj with: the classes of this binary, and the
// cluster's DriverClasses for those that obj names and the binary does not know. What the
// binary knows wins, because its collectors have that code.
func (r *reconciler) catalogFor(ctx context.Context, obj planner.Object) (class.Catalog, error) {
	if !namesUnknown(obj, r.catalog) {
		return r.catalog, nil
	}
	var list v1alpha1.DriverClassList
	if err := r.client.List(ctx, &list); err != nil {
		return class.Catalog{}, err
	}
	classes := r.catalog.All()
	for i := range list.Items {
		classes = append(classes, classOf(&list.Items[i].Spec))
	}
	return class.NewCatalog(classes...), nil
}

func namesUnknown(obj planner.Object, c class.Catalog) bool {
	for _, n := range classesOf(obj) {
		if c.Get(n.role, n.name) == nil {
			return true
		}
	}
	return false
}

type className struct {
	role class.Role
	name string
}

// classesOf lists the classes an object names.
func classesOf(obj planner.Object) []className {
	spec := planner.Spec(obj)
	names := []className{{class.Source, spec.Source.Class}}
	for i := range spec.Destinations {
		names = append(names, className{class.Destination, spec.Destinations[i].Class})
	}
	return names
}

// classOf reads a DriverClass object, the twin of class.Class.
func classOf(s *v1alpha1.DriverClassSpec) *class.Class {
	k := &class.Class{
		Name:        s.Class,
		Role:        class.Role(s.Role),
		Lifecycle:   class.Lifecycle(s.Lifecycle),
		Placement:   class.Placement(s.Placement),
		Description: s.Description,
	}
	if f := s.Footprint; f != nil {
		k.Footprint = footprintOf(f)
	}
	for _, f := range s.Flags {
		k.Flags = append(k.Flags, string(f))
	}
	for i := range s.Options {
		k.Options = append(k.Options, optionOf(&s.Options[i]))
	}
	return k
}

func footprintOf(f *v1alpha1.DriverFootprint) class.Footprint {
	out := class.Footprint{State: f.State, NodeLogs: f.NodeLogs, ReadsPods: f.ReadsPods, LocalOnly: f.LocalOnly}
	for _, p := range f.Ports {
		out.Ports = append(out.Ports, class.Port{Name: p.Name, Protocol: p.Protocol, Option: p.Option, Service: p.Service})
	}
	return out
}

func optionOf(o *v1alpha1.DriverOption) class.Option {
	out := class.Option{
		Name: o.Name, Type: class.Type(o.Type), Description: o.Description,
		Required: o.Required, Secret: o.Secret,
		Enum: o.Enum, Pattern: o.Pattern, Minimum: o.Minimum, Maximum: o.Maximum, MinimumDuration: o.MinimumDuration,
	}
	if o.Default != nil {
		out.Default = json.RawMessage(o.Default.Raw)
	}
	return out
}

// usersOf returns the requests of the objects that name a class.
func usersOf(ctx context.Context, from client.Reader, role class.Role, name string) []request {
	objs, err := all(ctx, from)
	if err != nil {
		return nil // only when the cache is stopping
	}
	var out []request
	for _, obj := range objs {
		for _, n := range classesOf(obj) {
			if n == (className{role, name}) {
				out = append(out, requestFor(obj))
				break
			}
		}
	}
	return out
}
