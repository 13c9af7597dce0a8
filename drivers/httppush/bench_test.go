package httppush_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// BenchmarkPost is the whole way through a collector: a request of a thousand messages is
// sent, delivered, acked and answered. allocs/message is the number to look at.
func BenchmarkPost(b *testing.B) {
	const messages = 1000
	line := strings.Repeat("10.0.0.1 - - GET /index.html 200 ", 8)
	for name, body := range map[string]string{
		"lines": strings.Repeat(line+"\n", messages),
		"json":  strings.Repeat(fmt.Sprintf(`{"time":"2026-11-23T08:00:00.5+02:00","severity":"info","message":"%s\n","user":"alice","status":200}`+"\n", line), messages),
	} {
		b.Run(name, func(b *testing.B) {
			r := start(b, `, "format": "`+name+`"`, nil, nil)
			r.sink.discard = true
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for b.Loop() {
				if got := r.post(body); got.Status != 204 {
					b.Fatalf("%+v", got)
				}
			}
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(b.N)/messages, "allocs/message")
		})
	}
}
