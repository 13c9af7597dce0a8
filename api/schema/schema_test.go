package schema

import (
	"strings"
	"testing"
)

// Every CEL rule of the CRDs has a twin in Go, and no twin has lost its rule.
func TestEveryRuleHasATwin(t *testing.T) {
	seen := map[string]bool{}
	var walk func(where string, n *node)
	walk = func(where string, n *node) {
		for _, r := range n.Rules {
			seen[r.Rule] = true
			if twins[r.Rule] == nil {
				t.Errorf("%s: rule %q has no twin in rules.go", where, r.Rule)
			}
			if r.Message == "" {
				t.Errorf("%s: rule %q has no message", where, r.Rule)
			}
		}
		for name, p := range n.Properties {
			walk(where+"."+name, p)
		}
		for _, below := range []*node{n.Items, n.Additional} {
			if below != nil {
				walk(where+"[]", below)
			}
		}
	}
	for name, k := range kinds() { // kinds panics at a keyword that node does not know
		walk(name, k.root)
	}
	for rule := range twins {
		if !seen[rule] {
			t.Errorf("the twin of %q is of no use: no CRD has this rule", rule)
		}
	}
}

func TestCheckAsksForTheKind(t *testing.T) {
	f := func(doc map[string]any, want string) {
		t.Helper()
		errs := Check(doc)
		if len(errs) != 1 || !strings.Contains(errs[0].Error(), want) {
			t.Errorf("%v: got %v, want %q", doc, errs, want)
		}
	}
	f(nil, `kind: Unsupported value: "": supported values: "ClusterLogSource", "DriverClass", "LogSource"`)
	f(map[string]any{"kind": "Pod"}, `kind: Unsupported value: "Pod"`)
	f(map[string]any{"kind": "LogSource", "apiVersion": "v1"}, `apiVersion: Unsupported value: "v1": supported values: "logsource.dev/v1alpha1"`)
}

func TestUnknownFieldSuggestsTheNearest(t *testing.T) {
	f := func(name, want string) {
		t.Helper()
		errs := Check(map[string]any{
			"apiVersion": "logsource.dev/v1alpha1", "kind": "LogSource",
			"metadata": map[string]any{"name": "x"},
			"spec": map[string]any{
				"source":       map[string]any{"class": "c", name: "1s"},
				"destinations": []any{map[string]any{"name": "d", "class": "c"}},
			},
		})
		if len(errs) != 1 || !strings.Contains(errs[0].Error(), want) {
			t.Errorf("%s: got %v, want %q", name, errs, want)
		}
	}
	f("timeRoepen", `did you mean "timeReopen"?`)
	f("timereopen", `did you mean "timeReopen"?`)
	f("flag", `did you mean "flags"?`)
	f("startsAt", `did you mean "startAt"?`)
	f("nothing", `there are: class, fetchNoDataDelay,`)
}

// Check does not change the document, Default returns one with the defaults.
func TestDefault(t *testing.T) {
	destination := map[string]any{"name": "d", "class": "c"}
	doc := map[string]any{
		"apiVersion": "logsource.dev/v1alpha1", "kind": "LogSource",
		"metadata": map[string]any{"name": "x"},
		"spec": map[string]any{
			"source":       map[string]any{"class": "c", "window": map[string]any{}},
			"destinations": []any{destination},
		},
	}
	if errs := Check(doc); len(errs) > 0 {
		t.Fatal(errs)
	}
	if len(destination) != 2 {
		t.Errorf("the document was changed: %v", destination)
	}
	filled := Default(doc)["spec"].(map[string]any)
	if d := filled["destinations"].([]any)[0]; at(d, "required") != true || at(d, "onFull") != "Suspend" {
		t.Errorf("got %v, want required: true, onFull: Suspend", d)
	}
	if w := at(filled["source"], "window"); at(w, "bytes") != "8Mi" {
		t.Errorf("got window %v, want bytes: 8Mi", w)
	}
}
