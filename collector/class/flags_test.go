package class_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector/class"
)

func TestCheckFlags(t *testing.T) {
	f := func(taken, given []string, want ...string) {
		t.Helper()
		k := &class.Class{Name: "k", Role: class.Source, Flags: taken}
		var got []string
		for _, p := range k.CheckFlags(given) {
			got = append(got, p.Field+": "+p.Message)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v of %v (-want +got):\n%s", given, taken, diff)
		}
	}
	f(nil, nil)
	f(nil, []string{"no-parse"})
	f(nil, []string{"no-parse", "no-header"}, "flags[1]: class k does not take no-header; it takes: no-parse")
	f([]string{"no-header", "store-raw-message"}, []string{"store-raw-message", "no-header"})
	f([]string{"no-header", "store-raw-message"}, []string{"no-parse"}, "flags[0]: class k does not take no-parse; it takes: no-header, store-raw-message")
	f([]string{"no-header"}, []string{"no-header", "no-header"}, "flags[1]: no-header is given twice: remove one")
	every := []string{"no-hostname", "expect-hostname", "store-legacy-msghdr", "dont-store-legacy-msghdr"}
	f(every, every[:1])
	f(every, every,
		"flags: no-hostname and expect-hostname contradict each other: keep one of them",
		"flags: store-legacy-msghdr and dont-store-legacy-msghdr contradict each other: keep one of them")
}
