package containerlogs

import (
	"path"
	"slices"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/plan"
)

// A verdict says whether a container is read.
type verdict uint8

const (
	unknown verdict = iota // the pod or its namespace has not been seen yet
	refused
	selected
)

const (
	labelPartOf    = "app.kubernetes.io/part-of"
	labelCollector = "logsource.dev/collector"
)

// selection decides which containers are read: spec.select and the collector itself.
type selection struct {
	plan.Select
	self string
	pods collector.PodCache // nil on a laptop
}

func newSelection(env *collector.Env) selection {
	s := selection{self: env.Node.SelfUID, pods: env.Node.Pods}
	if env.Select != nil {
		s.Select = *env.Select
	}
	return s
}

// path judges by what the directory names say; it never says unknown.
func (s *selection) path(namespace, uid string) bool {
	if uid == s.self && uid != "" {
		return false
	}
	return s.Namespaces == nil || slices.Contains(s.Namespaces, namespace)
}

// container judges by the container's name.
func (s *selection) container(name string) bool {
	if len(s.Include) > 0 && !matchAny(s.Include, name) {
		return false
	}
	return !matchAny(s.Exclude, name)
}

// pod judges by metadata; p is nil when the pod is not known.
func (s *selection) pod(namespace string, p *collector.Pod) verdict {
	if s.pods == nil {
		return selected
	}
	if s.NamespaceSelector != nil {
		labels, ok := s.pods.Namespace(namespace)
		if !ok {
			return unknown
		}
		if !matches(s.NamespaceSelector, labels) {
			return refused
		}
	}
	if p == nil {
		return unknown
	}
	return s.metadata(p)
}

func (s *selection) metadata(p *collector.Pod) verdict {
	switch {
	case s.PodSelector != nil && !matches(s.PodSelector, p.Labels),
		s.ExcludeAnnotation != "" && p.Annotations[s.ExcludeAnnotation] == "true",
		!s.IncludeCollectors && isCollector(p.Labels):
		return refused
	}
	return selected
}

// strict says that a container must not be read before its pod is known.
func (s *selection) strict() bool { return s.PodSelector != nil || s.NamespaceSelector != nil }

func isCollector(labels map[string]string) bool {
	kind := labels[labelCollector]
	return labels[labelPartOf] == "logsource" && (kind == "agent" || kind == "tenant")
}

func matchAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, name)
		return ok && err == nil
	})
}

// matches evaluates a label selector as the API does: all of it must hold; an empty
// selector matches everything.
func matches(s *plan.Selector, labels map[string]string) bool {
	for k, v := range s.MatchLabels {
		if got, ok := labels[k]; !ok || got != v {
			return false
		}
	}
	return !slices.ContainsFunc(s.MatchExpressions, func(r plan.Requirement) bool { return !holds(r, labels) })
}

func holds(r plan.Requirement, labels map[string]string) bool {
	value, ok := labels[r.Key]
	switch r.Operator {
	case "In":
		return ok && slices.Contains(r.Values, value)
	case "NotIn":
		return !ok || !slices.Contains(r.Values, value)
	case "Exists":
		return ok
	case "DoesNotExist":
		return !ok
	}
	return false // an operator of a newer API selects nothing rather than everything
}
