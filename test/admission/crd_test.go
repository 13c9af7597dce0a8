package admission_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/drivers"
)

// maxCRD keeps a CRD far below what etcd and the apply annotation take.
const maxCRD = 100_000

func crds(t *testing.T) map[string]*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	all := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, file := range list(t, "../../config/crd/logsource.dev_*.yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) >= maxCRD {
			t.Errorf("%s has %d bytes, want less than %d", file, len(data), maxCRD)
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(data, crd); err != nil {
			t.Fatal(err)
		}
		all[crd.Name] = crd
	}
	return all
}

// warnings gathers what the server warns of.
type warnings struct {
	mu   sync.Mutex
	list []string
}

func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, text)
}

// careful is a client whose warnings are gathered.
func careful(t *testing.T) (client.Client, *warnings) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	w := &warnings{}
	cfg := rest.CopyConfig(serverConfig)
	cfg.WarningHandler = w
	c, err := client.New(cfg, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c, w
}

func TestCRDsAreEstablishedWithoutWarnings(t *testing.T) {
	c, warned := careful(t)
	for name, crd := range crds(t) {
		var live apiextensionsv1.CustomResourceDefinition
		if err := c.Get(t.Context(), client.ObjectKey{Name: name}, &live); err != nil {
			t.Fatal(err)
		}
		for _, cond := range live.Status.Conditions {
			bad := cond.Type == apiextensionsv1.NonStructuralSchema || cond.Type == apiextensionsv1.Terminating
			if (cond.Status == apiextensionsv1.ConditionTrue) == bad {
				t.Errorf("%s: %s=%s: %s", name, cond.Type, cond.Status, cond.Message)
			}
		}
		crd.ResourceVersion = live.ResourceVersion
		if err := c.Update(t.Context(), crd); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(warned.list) > 0 {
		t.Errorf("the server warns: %q", warned.list)
	}
}

// `kubectl explain` has a sentence for every field.
func TestEveryFieldHasADescription(t *testing.T) {
	fields := 0
	for name, crd := range crds(t) {
		walk(name, crd.Spec.Versions[0].Schema.OpenAPIV3Schema, func(path string, s *apiextensionsv1.JSONSchemaProps) {
			fields++
			if s.Description == "" {
				t.Errorf("%s has no description", path)
			}
		})
	}
	if fields < 100 {
		t.Errorf("saw %d fields, want at least 100", fields)
	}
}

// walk visits every property below s, but for the top-level metadata, which is the
// server's own.
func walk(path string, s *apiextensionsv1.JSONSchemaProps, visit func(string, *apiextensionsv1.JSONSchemaProps)) {
	for name := range s.Properties {
		p := s.Properties[name]
		at := path + "." + name
		if name == "metadata" && strings.Count(path, ".") == 2 {
			continue
		}
		visit(at, &p)
		walk(at, &p, visit)
	}
	if s.Items != nil {
		walk(path+"[]", s.Items.Schema, visit)
	}
}

// What is applied by kubectl is what the programs were built with: every DriverClass holds
// its class to the letter.
func TestDriverClassMirrorsClass(t *testing.T) {
	catalog := drivers.All.Catalog()
	for _, k := range catalog.All() {
		var live v1alpha1.DriverClass
		raw, err := json.Marshal(get(t, "DriverClass", k.ObjectName()).Object)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &live); err != nil {
			t.Fatal(err)
		}
		back := roundTrip[class.Class](t, live.Spec)
		if diff := cmp.Diff(*k, back); diff != "" {
			t.Errorf("%s: run make generate (-class +object)\n%s", k.ObjectName(), diff)
		}
	}
	if files := list(t, "../../config/driverclasses/*.*.yaml"); len(files) != len(catalog.All()) {
		t.Errorf("config/driverclasses has %d classes, the programs have %d: run make generate", len(files), len(catalog.All()))
	}
}

// Every field of class.Class is one of DriverClassSpec, and the other way round.
func TestDriverClassHasTheFieldsOfClass(t *testing.T) {
	every := *testClass(t, "every.source")
	every.Footprint = class.Footprint{State: true, NodeLogs: true, ReadsPods: true, LocalOnly: true,
		Ports: testClass(t, "listening.source").Footprint.Ports}
	every.Flags = testClass(t, "listening.source").Flags
	spec := roundTrip[v1alpha1.DriverClassSpec](t, every)
	if diff := cmp.Diff(every, roundTrip[class.Class](t, spec)); diff != "" {
		t.Errorf("(-class +back)\n%s", diff)
	}
}

// roundTrip turns v into a T through JSON, refusing fields that T does not have.
func roundTrip[T any](t *testing.T, v any) T {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out T
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func get(t *testing.T, kind, name string) *unstructured.Unstructured {
	t.Helper()
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	if err := server.Get(t.Context(), client.ObjectKey{Name: name}, obj); err != nil {
		t.Fatal(err)
	}
	return obj
}

// The chart installs what kustomize installs: its CRDs are copies.
func TestChartHasTheSameCRDs(t *testing.T) {
	source, copies := list(t, "../../config/crd/logsource.dev_*.yaml"), list(t, "../../charts/logsource/crds/*.yaml")
	base := func(files []string) []string {
		names := make([]string, len(files))
		for i, f := range files {
			names[i] = filepath.Base(f)
		}
		slices.Sort(names)
		return names
	}
	if diff := cmp.Diff(base(source), base(copies)); diff != "" {
		t.Fatalf("(-config +chart)\n%s", diff)
	}
	for i := range source {
		a, errA := os.ReadFile(source[i])
		b, errB := os.ReadFile(copies[i])
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs from %s: run make generate (%v, %v)", copies[i], source[i], errA, errB)
		}
	}
}

// A DriverClass that the rules cannot be read from is refused.
func TestWrongDriverClasses(t *testing.T) {
	f := func(name, spec, want string) {
		t.Helper()
		obj := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": v1alpha1.GroupVersion.String(), "kind": "DriverClass", "metadata": map[string]any{"name": name},
		}}
		obj.Object["spec"] = plain(t, spec)
		if err := dryRun(t.Context(), obj); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", spec, err, want)
		}
	}
	const class = `"class":"a","role":"Source","description":"d"`
	f("a.sink", `{`+class+`}`, "metadata.name must be the class and the role")
	f("a.source", `{"class":"A","role":"Source","description":"d"}`, "spec.class in body should match")
	f("a.source", `{`+class+`,"options":[{"name":"x","type":"float","description":"d"}]}`, "Unsupported value")
	f("a.source", `{`+class+`,"options":[{"name":"x","type":"string","description":"d","pattern":"["}]}`, "must be an RE2 expression")
	f("a.source", `{`+class+`,"options":[{"name":"x","type":"duration","description":"d","minimumDuration":"1 s"}]}`, "must be a duration")
	f("a.source", `{`+class+`,"options":[{"name":"x","type":"int","description":"d"},{"name":"x","type":"int","description":"d"}]}`, "Duplicate value")
	f("a.source", `{`+class+`,"flags":["kernel"]}`, `spec.flags[0]: Unsupported value: "kernel"`)
	port := func(name, rest string) string {
		return `{` + class + `,"footprint":{"ports":[{"name":"` + name + `",` + rest + `}]}}`
	}
	f("a.source", port("status", `"protocol":"TCP","option":"p","service":1`), "status is the port at which every collector reports")
	f("a.source", port("a--b", `"protocol":"TCP","option":"p","service":1`), "spec.footprint.ports[0].name in body should match")
	f("a.source", port("syslog-over-tcp4", `"protocol":"TCP","option":"p","service":1`), "spec.footprint.ports[0].name: Too long")
	f("a.source", port("tcp", `"protocol":"SCTP","option":"p","service":1`), `Unsupported value: "SCTP"`)
	f("a.source", port("tcp", `"protocol":"TCP","option":"p","service":65536`), "spec.footprint.ports[0].service")
	f("a.source", port("tcp", `"protocol":"TCP","service":1`), "spec.footprint.ports[0].option: Required value")
}
