// Package kinds_test holds the pages of the kinds to the API: every field and every reason
// has its place in them.
package kinds_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/logsource/operator/config/crd"
)

// property is as much of a schema as names need.
type property struct {
	Properties map[string]property `json:"properties"`
	Items      *property           `json:"items"`
}

func TestPagesNameEveryField(t *testing.T) {
	seen := 0
	for kind, also := range map[string]string{"logsource": "", "clusterlogsource": "logsource", "driverclass": ""} {
		text := page(t, kind)
		if also != "" {
			text += page(t, also)
		}
		for name := range spec(t, kind) {
			seen++
			if !strings.Contains(text, "`"+name+"`") && !strings.Contains(text, "`"+name+":") && !strings.Contains(text, "."+name+"`") && !strings.Contains(text, "### "+name) {
				t.Errorf("%s.md does not name the field %s", kind, name)
			}
		}
	}
	if seen < 50 {
		t.Errorf("saw %d fields, want at least 50", seen)
	}
}

func page(t *testing.T, kind string) string {
	t.Helper()
	text, err := os.ReadFile(kind + ".md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// foreign are fields whose insides are those of Kubernetes.
var foreign = map[string]bool{"resources": true, "tolerations": true, "podSelector": true, "namespaceSelector": true}

// spec lists the names of all fields below the spec of a kind.
func spec(t *testing.T, kind string) map[string]bool {
	t.Helper()
	files, err := fs.Glob(crd.Files, "logsource.dev_"+kind+"*.yaml")
	if err != nil || len(files) != 1 {
		t.Fatalf("%s: %v %v", kind, files, err)
	}
	data, err := crd.Files.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Spec struct {
			Versions []struct {
				Schema struct{ OpenAPIV3Schema property }
			}
		}
	}
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	doc.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].collect(names)
	return names
}

func (p property) collect(names map[string]bool) {
	for name, below := range p.Properties {
		names[name] = true
		if !foreign[name] {
			below.collect(names)
		}
	}
	if p.Items != nil {
		p.Items.collect(names)
	}
}

func TestPagesNameEveryConditionAndReason(t *testing.T) {
	text := page(t, "logsource")
	file, err := parser.ParseFile(token.NewFileSet(), "../../api/v1alpha1/conditions.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		if seen++; !strings.Contains(text, "`"+value+"`") && !strings.Contains(text, value+"=") {
			t.Errorf("logsource.md does not name %s", value)
		}
		return true
	})
	if seen < 20 {
		t.Errorf("saw %d constants, want at least 20", seen)
	}
}
