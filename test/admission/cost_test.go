package admission_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/hack/policy"
)

// What the policy adds to admission, as the difference of the medians of dry-run creates
// with and without it: for a usual LogSource and the classes of this module, and for a
// large one (a source and 8 destinations of 20 options each) among 45 classes more.
func BenchmarkAdmission(b *testing.B) {
	usual, err := read("testdata/good/everything-set.yaml")
	if err != nil {
		b.Fatal(err)
	}
	b.Run("usual", func(b *testing.B) { compare(b, usual[0]) })
	for _, k := range wide(45, 20) {
		create(b, k)
	}
	b.Run("large", func(b *testing.B) { compare(b, largeLogSource(8, 20)) })
}

// compare reports the median with the policy, without it, and the difference.
func compare(b *testing.B, good *unstructured.Unstructured) {
	wrong := good.DeepCopy()
	if err := unstructured.SetNestedField(wrong.Object, "x", "spec", "source", "options", "nosuch"); err != nil {
		b.Fatal(err)
	}
	refused := func() bool { return dryRun(b.Context(), wrong) != nil }
	eventually(b, "the policy acts", refused)
	with := median(b, good)
	removePolicy(b)
	eventually(b, "the policy is gone", func() bool { return !refused() })
	without := median(b, good)
	if err := createPolicy(b.Context()); err != nil {
		b.Fatal(err)
	}
	eventually(b, "the policy is back", refused)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ms(with), "ms-with")
	b.ReportMetric(ms(without), "ms-without")
	b.ReportMetric(ms(with-without), "ms-added")
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// median is the median time of 200 dry-run creates.
func median(b *testing.B, obj *unstructured.Unstructured) time.Duration {
	b.Helper()
	times := make([]time.Duration, 200)
	for i := range times {
		begin := time.Now()
		if err := dryRun(b.Context(), obj.DeepCopy()); err != nil {
			b.Fatal(err)
		}
		times[i] = time.Since(begin)
	}
	slices.Sort(times)
	return times[len(times)/2]
}

func removePolicy(b *testing.B) {
	b.Helper()
	for _, kind := range []string{"ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy"} {
		obj := &unstructured.Unstructured{}
		obj.SetAPIVersion("admissionregistration.k8s.io/v1")
		obj.SetKind(kind)
		obj.SetName(policy.Name)
		if err := server.Delete(b.Context(), obj); err != nil {
			b.Fatal(err)
		}
	}
}

// wide makes classes with options of every type in turn: one source, the others
// destinations.
func wide(classes, options int) []*unstructured.Unstructured {
	var all []*unstructured.Unstructured
	for i := range classes {
		role, suffix := "Destination", "destination"
		if i == 0 {
			role, suffix = "Source", "source"
		}
		var defs []any
		for j := range options {
			defs = append(defs, wideOption(j))
		}
		class := fmt.Sprintf("wide%d", i)
		all = append(all, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": v1alpha1.GroupVersion.String(), "kind": "DriverClass",
			"metadata": map[string]any{"name": class + "." + suffix},
			"spec": map[string]any{
				"class": class, "role": role, "placement": "Single", "description": "Is wide.", "options": defs,
			},
		}})
	}
	return all
}

func wideOption(j int) map[string]any {
	o := map[string]any{"name": fmt.Sprintf("option%d", j), "description": "One of many.", "required": j%2 == 0}
	switch j % 7 {
	case 0:
		o["type"], o["pattern"] = "url", "^https?://"
	case 1:
		o["type"], o["minimum"], o["maximum"] = "int", int64(1), int64(1000)
	case 2:
		o["type"], o["minimumDuration"] = "duration", "100ms"
	case 3:
		o["type"], o["enum"] = "string", []any{"none", "gzip", "zstd"}
	case 4:
		o["type"] = "quantity"
	case 5:
		o["type"], o["pattern"] = "stringList", "^[a-z]+$"
	case 6:
		o["type"] = "bool"
	}
	return o
}

func wideValue(j int) any {
	return []any{"https://a.example.com/x", int64(7), "1m30s", "gzip", "64Ki", []any{"a", "b"}, true}[j%7]
}

func largeLogSource(destinations, options int) *unstructured.Unstructured {
	values := map[string]any{}
	for j := range options {
		values[fmt.Sprintf("option%d", j)] = wideValue(j)
	}
	obj := logSource("wide0", values)
	var list []any
	for i := range destinations {
		list = append(list, map[string]any{"name": fmt.Sprintf("d%d", i), "class": fmt.Sprintf("wide%d", i+1), "options": values})
	}
	obj.Object["spec"].(map[string]any)["destinations"] = list
	return obj.DeepCopy()
}
