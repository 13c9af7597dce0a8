package jsonlines

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector"
)

var pod = &collector.Stream{
	Attrs: []collector.Attr{
		{Name: "node", Value: "n\"1"},
		{Name: "kubernetes", Group: []collector.Attr{
			{Name: "pod", Value: "web-0"},
			{Name: "labels", Group: []collector.Attr{{Name: "app.kubernetes.io/name", Value: "wéb"}}},
			{Name: "annotations", Group: []collector.Attr{}},
		}},
	},
	Variants: [][]collector.Attr{{{Name: "stream", Value: "stdout"}}, {{Name: "stream", Value: "stderr"}}},
}

func line(t testing.TB, s *collector.Stream, r collector.Record) string {
	t.Helper()
	b := collector.NewBatch(s, 10, 1<<20)
	if !b.AppendRecord(r) {
		t.Fatal("the batch took no record")
	}
	return string(Append(nil, b, 0))
}

func TestAppend(t *testing.T) {
	const rest = `"node":"n\"1","kubernetes":{"pod":"web-0","labels":{"app.kubernetes.io/name":"wéb"},"annotations":{}}}` + "\n"
	f := func(name string, s *collector.Stream, r collector.Record, want string) {
		t.Helper()
		if diff := cmp.Diff(want, line(t, s, r)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	at := time.Date(2026, 11, 23, 8, 0, 0, 500, time.UTC).UnixNano()
	f("first variant", pod, collector.Record{Body: []byte("hello"), UnixNano: at},
		`{"time":"2026-11-23T08:00:00.0000005Z","message":"hello","stream":"stdout",`+rest)
	f("second variant", pod, collector.Record{Body: []byte("a\tb"), UnixNano: at, Variant: 1},
		`{"time":"2026-11-23T08:00:00.0000005Z","message":"a\tb","stream":"stderr",`+rest)
	f("a variant the stream does not have", pod, collector.Record{UnixNano: at, Variant: 9},
		`{"time":"2026-11-23T08:00:00.0000005Z","message":"",`+rest)
	f("no attributes", &collector.Stream{}, collector.Record{Body: []byte{0, '"', '\\', 0x7f, 0xff}, UnixNano: 1e9},
		`{"time":"1970-01-01T00:00:01Z","message":"\u0000\"\\`+"\x7f\uFFFD"+`"}`+"\n")
}

func TestTimeIsWhatTheStandardLibraryWrites(t *testing.T) {
	f := func(nanos int64) {
		t.Helper()
		want := time.Unix(0, nanos).UTC().Format(time.RFC3339Nano)
		if got := string(appendTime(nil, nanos)); got != want {
			t.Errorf("appendTime(%d) = %s, want %s", nanos, got, want)
		}
	}
	for _, nanos := range []int64{0, 1, -1, 1e9, -1e9, math.MaxInt64, math.MinInt64} {
		f(nanos)
	}
	for day := int64(-106000); day < 106000; day++ { // every day that an int64 can name
		f(day * 86400e9)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		f(int64(random.Uint64()))
	}
}

func FuzzAppend(f *testing.F) {
	for _, s := range []string{"", "hello", "a\x00b", "\xff\xfe", "é世界🙂 and more ascii", "\u2028\"\\", "12345678\x1f", strings.Repeat("x", 31) + "\"", "\xed\xa0\x80"} {
		f.Add([]byte(s), int64(1_700_000_000_123_456_789))
	}
	f.Fuzz(func(t *testing.T, body []byte, nanos int64) {
		if nanos == 0 {
			nanos = 1
		}
		got := line(t, pod, collector.Record{Body: body, UnixNano: nanos})
		if strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "}\n") {
			t.Fatalf("not one line: %q", got)
		}
		var decoded struct {
			Time    time.Time
			Message string
			Stream  string
		}
		if err := json.Unmarshal([]byte(got), &decoded); err != nil {
			t.Fatalf("%v in %q", err, got)
		}
		if want := oracle(t, body); decoded.Message != want {
			t.Errorf("message %q came back as %q", want, decoded.Message)
		}
		if decoded.Time.UnixNano() != nanos || decoded.Stream != "stdout" {
			t.Errorf("time or stream differ in %s", got)
		}
	})
}

// oracle is the string that encoding/json makes of the bytes.
func oracle(t *testing.T, body []byte) (s string) {
	t.Helper()
	doc, err := json.Marshal(string(body))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(doc, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAppendAllocatesNothing(t *testing.T) {
	b := collector.NewBatch(pod, 1, 1000)
	b.Append(time.Now(), []byte("a line \xff with \"all\" kinds of bytes é\n"))
	dst := Append(nil, b, 0)
	if n := testing.AllocsPerRun(100, func() { dst = Append(dst[:0], b, 0) }); n != 0 {
		t.Errorf("%v allocations per message, want 0", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	bodies := map[string][]byte{
		"ascii":   bytes.Repeat([]byte(`10.0.0.1 - - [10/Oct/2000] GET /index.html HTTP/1.0 200 2326 `), 4),
		"json":    bytes.Repeat([]byte(`{"level":"info","msg":"request done","status":200,"took":"3ms"}`), 4),
		"unicode": bytes.Repeat([]byte("κόσμε 世界 "), 16),
	}
	for name, body := range bodies {
		b.Run(name, func(b *testing.B) {
			batch := collector.NewBatch(pod, 1, 1<<20)
			batch.Append(time.Now(), body)
			dst := Append(nil, batch, 0)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				dst = Append(dst[:0], batch, 0)
			}
		})
	}
}
