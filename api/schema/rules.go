package schema

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// rules asks the rules of n, and of everything below it. Each is CEL in the CRD and a Go
// function in twins.
func (c *checker) rules(n *node, path *field.Path, v any) {
	for _, r := range n.Rules {
		if !twins[r.Rule](v) {
			c.add(field.Invalid(path, field.OmitValueType{}, r.Message))
		}
	}
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if p := n.property(name); p != nil {
				c.rules(p, child(path, name), v[name])
			}
		}
	case []any:
		for i := range v {
			if n.Items != nil {
				c.rules(n.Items, path.Index(i), v[i])
			}
		}
	}
}

// twins are the CEL rules of the CRDs in Go, by their text. They see a document of the
// right shape with its defaults.
var twins = func() map[string]func(self any) bool {
	all := map[string]func(self any) bool{
		"self.metadata.name.size() <= 52": func(self any) bool {
			return len(name(self)) <= 52
		},
		"self.metadata.name == self.spec.class + '.' + self.spec.role.lowerAscii()": func(self any) bool {
			spec := at(self, "spec")
			return name(self) == text(spec, "class")+"."+strings.ToLower(text(spec, "role"))
		},
		"self.destinations.exists(d, d.required)": func(self any) bool {
			list, _ := at(self, "destinations").([]any)
			return slices.ContainsFunc(list, func(d any) bool { return at(d, "required") == true })
		},
		"self.required || self.onFull != 'Suspend'": func(self any) bool {
			return at(self, "required") == true || text(self, "onFull") != "Suspend"
		},
		"!('no-hostname' in self && 'expect-hostname' in self)":                  notBoth("no-hostname", "expect-hostname"),
		"!('store-legacy-msghdr' in self && 'dont-store-legacy-msghdr' in self)": notBoth("store-legacy-msghdr", "dont-store-legacy-msghdr"),
		"self.type != 'ClusterIP' || !has(self.ports) || self.ports.all(p, !has(p.nodePort))": func(self any) bool {
			ports, _ := at(self, "ports").([]any)
			return text(self, "type") != "ClusterIP" || !slices.ContainsFunc(ports, func(p any) bool { return at(p, "nodePort") != nil })
		},
		"self != 'status'": func(self any) bool { return self != "status" },
		"self.all(k, !k.startsWith('logsource.dev/'))":                                        noKeyUnder("logsource.dev/"),
		"self.all(k, !k.startsWith('logsource.dev/') && !k.startsWith('app.kubernetes.io/'))": noKeyUnder("logsource.dev/", "app.kubernetes.io/"),
		"''.matches(self) || !''.matches(self)": func(self any) bool {
			pattern, _ := self.(string)
			_, err := regexp.Compile(pattern)
			return err == nil
		},
	}
	for _, b := range [][2]string{{"100ms", "24h"}, {"0s", "24h"}, {"0s", "8760h"}, {"0s", "5m"}, {"10ms", "1h"}, {"10ms", "24h"}, {"0s", "10m"}} {
		all[fmt.Sprintf(durationRule, b[0], b[1])] = durationBetween(b[0], b[1])
	}
	for _, b := range [][2]string{{"64Ki", "64Gi"}, {"1Ki", "256Mi"}, {"1Mi", "64Ti"}} {
		all[fmt.Sprintf(quantityRule, b[0], b[1])] = quantityBetween(b[0], b[1])
	}
	return all
}()

const (
	durationSyntax = `^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$`
	durationRule   = "self.matches('" + durationSyntax + "') && duration(self) >= duration('%s') && duration(self) <= duration('%s')"
	quantityRule   = "isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('%s')) >= 0 && quantity(string(self)).compareTo(quantity('%s')) <= 0"
)

func durationBetween(least, most string) func(any) bool {
	return func(self any) bool {
		s, _ := self.(string)
		d, err := time.ParseDuration(s)
		return err == nil && expression(durationSyntax).MatchString(s) && d >= mustDuration(least) && d <= mustDuration(most)
	}
}

func mustDuration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return d
}

func quantityBetween(least, most string) func(any) bool {
	return func(self any) bool {
		q, err := resource.ParseQuantity(fmt.Sprint(self))
		return err == nil && q.Cmp(resource.MustParse(least)) >= 0 && q.Cmp(resource.MustParse(most)) <= 0
	}
}

// noKeyUnder says that no key of a map begins with one of the prefixes.
func noKeyUnder(prefixes ...string) func(any) bool {
	return func(self any) bool {
		m, _ := self.(map[string]any)
		for k := range m {
			if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(k, p) }) {
				return false
			}
		}
		return true
	}
}

// notBoth says that a list does not hold both.
func notBoth(a, b string) func(any) bool {
	return func(self any) bool {
		list, _ := self.([]any)
		return !slices.Contains(list, any(a)) || !slices.Contains(list, any(b))
	}
}

// at is a field of an object, nil when it is not there.
func at(v any, name string) any {
	m, _ := v.(map[string]any)
	return m[name]
}

// text is a field that holds a string, "" when it does not.
func text(v any, name string) string {
	s, _ := at(v, name).(string)
	return s
}

func name(v any) string { return text(at(v, "metadata"), "name") }
