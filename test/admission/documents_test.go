package admission_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/logsource/operator/api/schema"
	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/controllers/planner"
	"github.com/logsource/operator/drivers"
)

// Every document of testdata/wrong is refused by the apiserver, and offline, with every
// text that its lines "# want: ..." ask for.
func TestWrongDocuments(t *testing.T) {
	files := list(t, "testdata/wrong/*.yaml")
	if len(files) < 25 {
		t.Fatalf("testdata/wrong has %d documents, want at least 25", len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			doc, wants := load(t, file)
			if len(wants) == 0 {
				t.Fatal("has no line # want: ...")
			}
			said := map[string]string{"the apiserver": "", "offline": offline(t, doc)}
			if err := dryRun(t.Context(), doc); err != nil {
				said["the apiserver"] = err.Error()
			}
			for who, text := range said {
				for _, want := range wants {
					if !strings.Contains(text, want) {
						t.Errorf("%s says\n%q\nwithout\n%q", who, text, want)
					}
				}
			}
		})
	}
}

// Every document of testdata/good, and the samples, are taken by the apiserver and
// offline.
func TestGoodDocuments(t *testing.T) {
	files := append(list(t, "testdata/good/*.yaml"), list(t, "../../config/samples/*-*.yaml")...)
	for _, file := range append(files, list(t, "../../config/samples/local/*.yaml")...) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			doc, _ := load(t, file)
			if doc.GetKind() == "LogSource" {
				doc.SetNamespace("default")
			}
			if err := dryRun(t.Context(), doc); err != nil {
				t.Errorf("the apiserver says %v", err)
			}
			if text := offline(t, doc); text != "" {
				t.Errorf("offline says %s", text)
			}
		})
	}
}

// A class that no DriverClass describes passes admission: in GitOps the class may come
// after its first use. The planner says ClassNotFound.
func TestUnknownClassPassesAdmission(t *testing.T) {
	doc := logSource("not-yet-there", map[string]any{"any": "thing"})
	if err := dryRun(t.Context(), doc); err != nil {
		t.Errorf("the apiserver says %v", err)
	}
	if errs := schema.Check(doc.Object); len(errs) > 0 {
		t.Errorf("the schema says %v", errs)
	}
	_, problem := planner.Plan(typed(t, doc), drivers.All.Catalog())
	if problem == nil || problem.Reason != v1alpha1.ReasonClassNotFound {
		t.Errorf("the planner says %v, want %s", problem, v1alpha1.ReasonClassNotFound)
	}
}

// An edit of labels alone is taken whatever the options are, so that an object from before
// the policy can still be deleted, labelled and adopted.
func TestLabelsOfWrongObjectCanChange(t *testing.T) {
	obj := logSource("late", map[string]any{"nosuch": "x"})
	obj.SetName("late")
	create(t, obj)
	late := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "DriverClass",
		"metadata": map[string]any{"name": "late.source"},
		"spec":     map[string]any{"class": "late", "role": "Source", "placement": "Single", "description": "Comes late."},
	}}
	create(t, late)
	eventually(t, "the new class is enforced", func() bool {
		return dryRun(t.Context(), logSource("late", map[string]any{"nosuch": "x"})) != nil
	})
	obj.SetLabels(map[string]string{"a": "b"})
	if err := server.Update(t.Context(), obj); err != nil {
		t.Errorf("labels: %v", err)
	}
	if err := unstructured.SetNestedField(obj.Object, true, "spec", "paused"); err != nil {
		t.Fatal(err)
	}
	if err := server.Update(t.Context(), obj); err == nil {
		t.Error("an edit of the spec passed with an unknown option")
	}
}

func list(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no files (%v)", pattern, err)
	}
	return files
}

// load reads a document and the texts its comments want.
func load(t *testing.T, file string) (*unstructured.Unstructured, []string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	objs, err := read(file)
	if err != nil {
		t.Fatal(err)
	}
	var wants []string
	for line := range strings.Lines(string(data)) {
		if want, ok := strings.CutPrefix(line, "# want: "); ok {
			wants = append(wants, strings.TrimSpace(want))
		}
	}
	return objs[0], wants
}

// offline is what the schema and the planner say, as `collector check` puts it together.
func offline(t *testing.T, doc *unstructured.Unstructured) string {
	t.Helper()
	if errs := schema.Check(doc.Object); len(errs) > 0 {
		return errs.ToAggregate().Error()
	}
	if _, problem := planner.Plan(typed(t, doc), drivers.All.Catalog()); problem != nil {
		return problem.Error()
	}
	return ""
}

func typed(t *testing.T, doc *unstructured.Unstructured) planner.Object {
	t.Helper()
	var obj planner.Object = &v1alpha1.LogSource{}
	if doc.GetKind() == "ClusterLogSource" {
		obj = &v1alpha1.ClusterLogSource{}
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(schema.Default(doc.Object), obj); err != nil {
		t.Fatal(err)
	}
	return obj
}
