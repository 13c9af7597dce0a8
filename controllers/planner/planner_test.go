package planner_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/controllers/planner"
)

var update = flag.Bool("update", false, "write the golden files")

func ptr[T any](v T) *T { return &v }

// catalog has one class of every kind the planner tells apart.
var catalog = class.NewCatalog(
	&class.Class{Name: "container-logs", Role: class.Source, Lifecycle: class.PostingSource, Placement: class.Node,
		Footprint: class.Footprint{State: true, NodeLogs: true, ReadsPods: true},
		Options:   []class.Option{{Name: "maxLine", Type: class.Quantity, Default: json.RawMessage(`"1Mi"`)}}},
	&class.Class{Name: "http-poll", Role: class.Source, Lifecycle: class.Fetcher, Placement: class.Single,
		Options: []class.Option{
			{Name: "url", Type: class.URL, Required: true},
			{Name: "timeout", Type: class.Duration, Default: json.RawMessage(`"10s"`), MinimumDuration: "100ms"},
			{Name: "method", Type: class.String, Enum: []string{"GET", "POST"}, Default: json.RawMessage(`"GET"`)},
			{Name: "token", Type: class.String, Secret: true},
		}},
	&class.Class{Name: "generate", Role: class.Source, Lifecycle: class.PostingSource, Placement: class.Scaled,
		Options: []class.Option{{Name: "rate", Type: class.Int, Default: json.RawMessage(`1`), Minimum: ptr(int64(1)), Maximum: ptr(int64(9007199254740993))}}},
	&class.Class{Name: "listen", Role: class.Source, Lifecycle: class.PostingSource, Placement: class.Scaled,
		Flags: []string{"no-parse", "no-header", "expect-hostname", "no-hostname", "store-legacy-msghdr", "dont-store-legacy-msghdr"},
		Footprint: class.Footprint{Ports: []class.Port{
			{Name: "tcp", Protocol: "TCP", Option: "tcpPort", Service: 601},
			{Name: "udp", Protocol: "UDP", Option: "udpPort", Service: 514},
			{Name: "tls", Protocol: "TCP", Option: "tlsPort", Service: 6514},
		}},
		Options: []class.Option{
			{Name: "tcpPort", Type: class.Int, Default: json.RawMessage(`5514`)},
			{Name: "udpPort", Type: class.Int, Default: json.RawMessage(`5514`)},
			{Name: "tlsPort", Type: class.Int, Default: json.RawMessage(`0`)},
		}},
	&class.Class{Name: "stdout", Role: class.Destination, Footprint: class.Footprint{LocalOnly: true}},
	&class.Class{Name: "http", Role: class.Destination, Options: []class.Option{
		{Name: "url", Type: class.URL, Required: true},
		{Name: "compression", Type: class.String, Enum: []string{"none", "gzip", "zstd"}, Default: json.RawMessage(`"none"`)},
		{Name: "token", Type: class.String, Secret: true},
	}},
)

// TestGolden plans every testdata/<case>.in.yaml; <case>.out.yaml is the plan, or why there
// is none. A case whose name begins with "local-" is planned for a laptop.
func TestGolden(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(inputs) < 10 {
		t.Fatalf("%d inputs in testdata (error %v), want the cases that are checked in", len(inputs), err)
	}
	for _, in := range inputs {
		name := strings.TrimSuffix(filepath.Base(in), ".in.yaml")
		t.Run(name, func(t *testing.T) {
			var opts []planner.Option
			if strings.HasPrefix(name, "local-") {
				opts = append(opts, planner.Local)
			}
			p, problem := planner.Plan(readObject(t, in), catalog, opts...)
			golden(t, strings.TrimSuffix(in, ".in.yaml")+".out.yaml", outcome(t, p, problem))
		})
	}
}

func readObject(t *testing.T, file string) planner.Object {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var obj planner.Object = &v1alpha1.LogSource{}
	if strings.Contains(string(data), "kind: ClusterLogSource") {
		obj = &v1alpha1.ClusterLogSource{}
	}
	if err := yaml.UnmarshalStrict(data, obj); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return obj
}

func outcome(t *testing.T, p *plan.Plan, problem *planner.Problem) []byte {
	t.Helper()
	var out any = p
	if problem != nil {
		lines := make([]string, len(problem.Errors))
		for i, e := range problem.Errors {
			lines[i] = e.Error()
		}
		out = map[string]any{"reason": problem.Reason, "errors": lines}
	}
	data, err := yaml.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; run the test with -update and read what it wrote", err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (-want +got):\n%s", file, d)
	}
}

// A plan must survive the way to the collector, which reads it strictly.
func TestPlanIsReadableByTheCollector(t *testing.T) {
	for _, in := range []string{"testdata/single-full.in.yaml", "testdata/node-cluster.in.yaml"} {
		p, problem := planner.Plan(readObject(t, in), catalog)
		if problem != nil {
			t.Fatalf("%s: %v", in, problem)
		}
		data, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := plan.Decode(data)
		if err != nil {
			t.Fatalf("%s: the collector refuses it: %v", in, err)
		}
		if again, _ := back.Encode(); string(again) != string(data) {
			t.Errorf("%s: decoded and encoded again it differs:\n%s", in, cmp.Diff(string(data), string(again)))
		}
	}
}

// Planning must not write into the object, which the manager shares with its cache.
func TestPlanLeavesTheObjectAlone(t *testing.T) {
	obj := readObject(t, "testdata/single-full.in.yaml")
	before := obj.DeepCopyObject()
	planner.Plan(obj, catalog)
	if d := cmp.Diff(before, obj); d != "" {
		t.Errorf("the object changed (-before +after):\n%s", d)
	}
}
