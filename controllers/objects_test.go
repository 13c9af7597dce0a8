package controllers_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/controllers"
	"github.com/logsource/operator/controllers/planner"
)

var update = flag.Bool("update", false, "write the golden files")

// TestObjects makes the children of every testdata/objects/<case>.in.yaml; they are
// <case>.out.yaml.
func TestObjects(t *testing.T) {
	inputs := inputs(t, "testdata/objects/*.in.yaml", 5)
	for _, in := range inputs {
		t.Run(caseName(in), func(t *testing.T) {
			obj := readObject(t, in)
			p, problem := planner.Plan(obj, catalog)
			if problem != nil {
				t.Fatal(problem)
			}
			children, err := controllers.Objects(obj, p, planner.SourceClass(obj, catalog), controllers.Installation{Image: "logsource:v1", PullPolicy: "IfNotPresent", AgentsNamespace: agentsNamespace})
			if err != nil {
				t.Fatal(err)
			}
			var docs []string
			for _, c := range children {
				docs = append(docs, "# "+c.String()+"\n"+encode(t, c.Apply))
			}
			golden(t, in, strings.Join(docs, "---\n"))
		})
	}
}

func inputs(t *testing.T, pattern string, atLeast int) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) < atLeast {
		t.Fatalf("%d files are %s (error %v), want the cases that are checked in", len(files), pattern, err)
	}
	return files
}

func caseName(in string) string { return strings.TrimSuffix(filepath.Base(in), ".in.yaml") }

func readObject(t *testing.T, file string) planner.Object {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return decodeObject(t, data)
}

func decodeObject(t *testing.T, data []byte) planner.Object {
	t.Helper()
	var obj planner.Object = &v1alpha1.LogSource{}
	if strings.Contains(string(data), "ClusterLogSource") {
		obj = &v1alpha1.ClusterLogSource{}
	}
	if err := yaml.UnmarshalStrict(data, obj); err != nil {
		t.Fatal(err)
	}
	return obj
}

func encode(t *testing.T, v any) string {
	t.Helper()
	data, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func golden(t *testing.T, in, got string) {
	t.Helper()
	file := strings.TrimSuffix(in, ".in.yaml") + ".out.yaml"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; run the test with -update and read what it wrote", err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", file, d)
	}
}
