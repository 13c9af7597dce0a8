package planner

import (
	"path"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/plan"
)

// DefaultExcludeAnnotation opts a pod out where spec.select.excludeAnnotation is unset.
const DefaultExcludeAnnotation = "logsource.dev/exclude"

// selection is nil for classes that select nothing. A namespaced object selects its own
// namespace and can select no other.
func (p *planning) selection(k *class.Class) *plan.Select {
	if k == nil || k.Placement != class.Node {
		return nil
	}
	want, at := p.want.Select, p.spec.Child("select")
	if want == nil {
		want = &v1alpha1.SelectSpec{}
	}
	s := &plan.Select{
		NamespaceSelector: p.selector(p.spec.Child("namespaceSelector"), p.namespaceSelector),
		PodSelector:       p.selector(at.Child("podSelector"), want.PodSelector),
		ExcludeAnnotation: want.ExcludeAnnotation,
		IncludeCollectors: want.IncludeCollectors,
		Since:             p.duration(at.Child("since"), want.Since, 0),
	}
	if s.ExcludeAnnotation == "" {
		s.ExcludeAnnotation = DefaultExcludeAnnotation
	}
	if p.id.Kind == "LogSource" {
		s.Namespaces = []string{p.id.Namespace}
	}
	if c := want.Containers; c != nil {
		s.Include = p.patterns(at.Child("containers", "include"), c.Include)
		s.Exclude = p.patterns(at.Child("containers", "exclude"), c.Exclude)
	}
	return s
}

func (p *planning) patterns(at *field.Path, patterns []string) []string {
	for i, pattern := range patterns {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			p.invalid(at.Index(i), pattern, "must be a container name; * and ? stand for any characters")
		}
	}
	return patterns
}

func (p *planning) selector(at *field.Path, s *metav1.LabelSelector) *plan.Selector {
	if s == nil {
		return nil
	}
	p.failAll(validation.ValidateLabelSelector(s, validation.LabelSelectorValidationOptions{}, at))
	out := &plan.Selector{MatchLabels: s.MatchLabels}
	for _, e := range s.MatchExpressions {
		out.MatchExpressions = append(out.MatchExpressions, plan.Requirement{Key: e.Key, Operator: string(e.Operator), Values: e.Values})
	}
	return out
}
