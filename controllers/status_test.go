package controllers_test

import (
	"encoding/json"
	"os"
	"slices"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/controllers"
	"github.com/logsource/operator/controllers/planner"
)

// A view is a controllers.View as a file holds it. The problem is found by the planner.
type view struct {
	Now        time.Time                `json:"now"`
	Object     json.RawMessage          `json:"object"`
	Previous   v1alpha1.LogSourceStatus `json:"previous"`
	Desired    int32                    `json:"desired"`
	Failure    *controllers.Failure     `json:"failure"`
	Retired    v1alpha1.RetiredStatus   `json:"retired"`
	Collectors []controllers.Sighting   `json:"collectors"`
}

func readView(t *testing.T, file string) controllers.View {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var in view
	if err := yaml.UnmarshalStrict(data, &in); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	v := controllers.View{Object: decodeObject(t, in.Object), Previous: &in.Previous, Failure: in.Failure,
		Desired: in.Desired, Collectors: in.Collectors, Retired: in.Retired, Now: in.Now}
	_, v.Problem = planner.Plan(v.Object, catalog)
	if k := planner.SourceClass(v.Object, catalog); k != nil {
		v.Placement = k.Placement
	}
	return v
}

// TestStatus computes the status of every testdata/status/<case>.in.yaml; it is
// <case>.out.yaml.
func TestStatus(t *testing.T) {
	for _, in := range inputs(t, "testdata/status/*.in.yaml", 15) {
		t.Run(caseName(in), func(t *testing.T) {
			golden(t, in, encode(t, controllers.Status(readView(t, in))))
		})
	}
}

// A status computed again from itself a second later is the same, lag aside: otherwise
// every look would be a write.
func TestStatusIsStable(t *testing.T) {
	for _, in := range inputs(t, "testdata/status/*.in.yaml", 15) {
		t.Run(caseName(in), func(t *testing.T) {
			v := readView(t, in)
			first := controllers.Status(v)
			v.Previous, v.Now = &first, v.Now.Add(time.Second)
			second := controllers.Status(v)
			for _, s := range []*v1alpha1.LogSourceStatus{&first, &second} {
				if s.Delivery != nil {
					s.Delivery.Lag = ""
				}
			}
			if a, b := encode(t, first), encode(t, second); a != b {
				t.Errorf("first:\n%s\nthen:\n%s", a, b)
			}
		})
	}
}

// The order in which collectors are listed changes nothing.
func TestStatusDoesNotDependOnOrder(t *testing.T) {
	v := readView(t, "testdata/status/suspended-one-of-three.in.yaml")
	want := encode(t, controllers.Status(v))
	slices.Reverse(v.Collectors)
	if got := encode(t, controllers.Status(v)); got != want {
		t.Errorf("listed the other way round:\n%s\nwant:\n%s", got, want)
	}
	if v.Placement != class.Scaled {
		t.Fatalf("the case has placement %q, want one with several collectors", v.Placement)
	}
}
