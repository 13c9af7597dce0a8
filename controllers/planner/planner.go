package planner

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/plan"
)

// An Object is what can be planned: a *v1alpha1.LogSource or a *v1alpha1.ClusterLogSource.
type Object interface {
	metav1.Object
	runtime.Object
}

// A Problem is why an object has no plan.
type Problem struct {
	// Reason is the reason of the condition Accepted=False, one of v1alpha1.Reason….
	Reason string
	// Errors name the fields and the fixes, in the order of the fields.
	Errors field.ErrorList
}

// Error lists every error. It is stable: the same object gives the same text.
func (p *Problem) Error() string {
	lines := make([]string, len(p.Errors))
	for i, err := range p.Errors {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "; ")
}

// An Option changes how Plan judges.
type Option func(*planning)

// Local plans for a collector outside a cluster: a namespaced LogSource may be of a class
// of placement Node, and such a source may have destinations that agents refuse. A missing
// namespace is "default", a missing UID is made from the name.
func Local(p *planning) { p.local = true }

// Plan resolves obj against the catalog and fills in every default. Either the plan or the
// problem is nil.
func Plan(obj Object, catalog class.Catalog, opts ...Option) (*plan.Plan, *Problem) {
	p := &planning{catalog: catalog, spec: field.NewPath("spec")}
	for _, o := range opts {
		o(p)
	}
	p.subject = subjectOf(obj, p.local)
	out := p.plan()
	if len(p.errs) > 0 {
		return nil, &Problem{Reason: p.reason, Errors: p.errs}
	}
	return out, nil
}

// SourceClass returns the class of obj's source, nil when the catalog does not know it.
func SourceClass(obj Object, catalog class.Catalog) *class.Class {
	return catalog.Get(class.Source, Spec(obj).Source.Class)
}

// Spec returns what a LogSource and a ClusterLogSource have in common.
func Spec(obj Object) *v1alpha1.LogSourceSpec {
	switch o := obj.(type) {
	case *v1alpha1.LogSource:
		return &o.Spec
	case *v1alpha1.ClusterLogSource:
		return &o.Spec.LogSourceSpec
	}
	panic("BUG: planner: neither a LogSource nor a ClusterLogSource")
}

// subject is the object in question.
type subject struct {
	id                plan.LogSource
	want              *v1alpha1.LogSourceSpec
	namespaceSelector *metav1.LabelSelector
}

func subjectOf(obj Object, local bool) subject {
	s := subject{want: Spec(obj), id: plan.LogSource{
		Kind:       "LogSource",
		Namespace:  obj.GetNamespace(),
		Name:       obj.GetName(),
		UID:        string(obj.GetUID()),
		Generation: obj.GetGeneration(),
	}}
	if c, ok := obj.(*v1alpha1.ClusterLogSource); ok {
		s.id.Kind, s.id.Namespace = "ClusterLogSource", ""
		s.namespaceSelector = c.Spec.NamespaceSelector
	}
	if local {
		s.id = localID(s.id)
	}
	return s
}

// localID gives a document that never met an apiserver what an apiserver would have given
// it. "_" is in no Kubernetes name, so two documents never share a UID.
func localID(id plan.LogSource) plan.LogSource {
	if id.Kind == "LogSource" && id.Namespace == "" {
		id.Namespace = metav1.NamespaceDefault
	}
	if id.UID == "" {
		id.UID = "local_" + id.Namespace + "_" + id.Name
	}
	return id
}

// planning is one run of Plan.
type planning struct {
	subject
	catalog class.Catalog
	local   bool
	spec    *field.Path // "spec"

	errs   field.ErrorList
	reason string // of the first error
}

func (p *planning) fail(reason string, err *field.Error) {
	if p.reason == "" {
		p.reason = reason
	}
	p.errs = append(p.errs, err)
}

// failAll takes errors of maps, which come in no order: sorted they make a stable text.
func (p *planning) failAll(errs field.ErrorList) {
	slices.SortFunc(errs, func(a, b *field.Error) int { return strings.Compare(a.Error(), b.Error()) })
	for _, err := range errs {
		p.fail(v1alpha1.ReasonInvalidSpec, err)
	}
}

func (p *planning) invalid(path *field.Path, value any, detail string) {
	p.fail(v1alpha1.ReasonInvalidSpec, field.Invalid(path, value, detail))
}

func (p *planning) forbidden(path *field.Path, detail string) {
	p.fail(v1alpha1.ReasonInvalidSpec, field.Forbidden(path, detail))
}

func (p *planning) plan() *plan.Plan {
	k := p.class(p.spec.Child("source", "class"), class.Source, p.want.Source.Class)
	if k != nil {
		p.checkPlacement(k)
	}
	out := &plan.Plan{
		Version:       plan.Version,
		LogSource:     p.id,
		Paused:        p.want.Paused,
		Source:        p.source(k),
		Select:        p.selection(k),
		Destinations:  p.destinations(k),
		ShutdownGrace: p.shutdownGrace(),
		Level:         p.level(),
	}
	if k != nil {
		p.checkPorts(k, out.Source.Options)
	}
	return out
}
