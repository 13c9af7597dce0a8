package jsonlines_test

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/jsonlines"
)

func line(s *collector.Stream, r collector.Record) string {
	b := collector.NewBatch(s, 1, 1<<20)
	b.AppendRecord(r)
	return string(jsonlines.Append(nil, b, 0))
}

func TestFields(t *testing.T) {
	s := &collector.Stream{Attrs: []collector.Attr{{Name: "logsource", Value: "shop/in"}, {Name: "tags", List: []string{"a", "b"}}}}
	f := func(what string, r collector.Record, want string) {
		t.Helper()
		r.Body, r.UnixNano = []byte("hello"), 1e9
		want = `{"time":"1970-01-01T00:00:01Z","message":"hello"` + want + `,"logsource":"shop/in","tags":["a","b"]}` + "\n"
		if diff := cmp.Diff(want, line(s, r)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	text := func(s string) []byte { return []byte(s) }
	f("nothing", collector.Record{}, "")
	f("a priority", collector.Record{Priority: collector.NewPriority(34)}, `,"severity":"crit","facility":"auth"`)
	f("a header", collector.Record{Host: text("web-1"), Program: text("sshd"), PID: text("17"), MsgID: text("ID47"), Addr: text("10.1.2.3:514"), Received: 2e9},
		`,"host":"web-1","program":"sshd","pid":"17","msgid":"ID47","address":"10.1.2.3:514","received":"1970-01-01T00:00:02Z"`)
	f("raw text with a quote", collector.Record{Raw: text(`<13>"x"`)}, `,"raw":"<13>\"x\""`)
	f("pairs", collector.Record{Pairs: []collector.Pair{{Name: text("user"), Value: text("alice")}, {Name: text("message"), Value: text("own")}}},
		`,"fields":{"user":"alice","message":"own"}`)
	f("structured data", collector.Record{Pairs: []collector.Pair{
		{SDID: text("ex@1"), Name: text("a"), Value: text("1")}, {SDID: text("ex@1"), Name: text("b"), Value: text("2")},
		{Name: text("user"), Value: text("bob")}, {SDID: text("empty")},
	}}, `,"sdata":{"ex@1":{"a":"1","b":"2"},"empty":{}},"fields":{"user":"bob"}`)
	f("only an element without parameters", collector.Record{Pairs: []collector.Pair{{SDID: text("x")}}}, `,"sdata":{"x":{}}`)
}

// Whatever a message carries, its line is one JSON object, and what the stream gives
// stands as the stream gives it.
func TestFieldsAreAlwaysJSON(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	s := &collector.Stream{Attrs: []collector.Attr{{Name: "logsource", Value: "shop/in"}}}
	names := []string{"logsource", "message", "kubernetes", "\x00\xff", `"`, "", "a.b"}
	text := func() []byte { return []byte(names[random.IntN(len(names))]) }
	for range 2000 {
		r := collector.Record{Body: text(), Host: text(), Program: text(), PID: text(), MsgID: text(), Addr: text(), Raw: text()}
		for range random.IntN(5) {
			r.Pairs = append(r.Pairs, collector.Pair{SDID: text(), Name: text(), Value: text()})
		}
		got := line(s, r)
		var object map[string]any
		if err := json.Unmarshal([]byte(got), &object); err != nil {
			t.Fatalf("%v: %s", err, got)
		}
		if object["logsource"] != "shop/in" {
			t.Fatalf("logsource is %v: %s", object["logsource"], got)
		}
	}
}
