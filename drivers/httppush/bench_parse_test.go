package httppush

import (
	"strings"
	"testing"
	"time"

	"github.com/logsource/operator/collector"
)

var bodies = map[string]string{
	"lines": strings.Repeat(strings.Repeat("10.0.0.1 - - GET /index.html 200 ", 8)+"\n", 1000),
	"json":  strings.Repeat(`{"time":"2026-11-23T08:00:00.5+02:00","severity":"info","message":"`+strings.Repeat("10.0.0.1 - - GET /index.html 200 ", 8)+`\n","user":"alice","status":200}`+"\n", 1000),
	"array": "[" + strings.Repeat(`{"message":"a short text","n":{"a":[1,2,3]}},`, 999) + "{}]",
}

// cutAll is all that is done to a body between its arrival and Post.
func cutAll(b *collector.Batch, text []byte, json bool, f *fields) int {
	m := newMessages(text, json, f)
	defer m.free()
	n := m.longest()
	for m.begin(time.Now().UnixNano(), []byte("10.1.2.3:50312")); m.more; m.advance() {
		b.AppendFrom(&m.record)
	}
	return n
}

func TestCuttingAllocatesNothingPerMessage(t *testing.T) {
	for name, text := range bodies {
		b := collector.NewBatch(nil, 1<<20, 1<<30)
		f := &fields{message: "message", time: "time", severity: "severity"}
		run := func() { b.Reuse(nil); cutAll(b, []byte(text), name != "lines", f) }
		run()
		if n := testing.AllocsPerRun(20, run); n > 10 || b.Len() != 1000 {
			t.Errorf("%s: %v allocations for %d messages", name, n, b.Len())
		}
	}
}

func BenchmarkCut(b *testing.B) {
	for name, text := range bodies {
		b.Run(name, func(b *testing.B) {
			batch := collector.NewBatch(nil, 1<<20, 1<<30)
			f := &fields{message: "message", time: "time", severity: "severity"}
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			data := []byte(text)
			for b.Loop() {
				batch.Reuse(nil)
				cutAll(batch, data, name != "lines", f)
			}
		})
	}
}
