package collector_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/checkpoint"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/plan"
)

// corpusSize is how much of the container log one benchmark round reads.
const corpusSize = 16 << 20

// corpus is a container log file in the page cache: CRI lines of 222 bytes on average, as
// in the measurements of other collectors that the targets come from.
func corpus(b *testing.B) *os.File {
	head := []byte("2026-11-22T08:36:01.123456789Z stdout F ")
	var data []byte
	for i := 0; len(data) < corpusSize; i++ {
		data = append(append(append(data, head...), bytes.Repeat([]byte{'a' + byte(i%26)}, 100+i%163)...), '\n')
	}
	f, err := os.Create(filepath.Join(b.TempDir(), "0.log"))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := f.Write(data); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	return f
}

// lines calls each with the whole lines of every read of the file, the rest carried over.
func lines(f *os.File, buf []byte, each func(lines []byte) error) error {
	kept := 0
	for at := int64(0); ; {
		n, err := f.ReadAt(buf[kept:], at)
		at += int64(n)
		end := bytes.LastIndexByte(buf[:kept+n], '\n') + 1
		if eachErr := each(buf[:end]); eachErr != nil {
			return eachErr
		}
		kept = copy(buf, buf[end:kept+n])
		if err != nil {
			return nil
		}
	}
}

// splitter posts the file over and over: the work of a tail, without rotation.
type splitter struct {
	file   *os.File
	rounds int
	warm   int // rounds before warmed is called
	warmed func()
	lines  atomic.Int64
	done   chan struct{}
}

func (s *splitter) Run(ctx context.Context, out collector.Poster) error {
	defer close(s.done)
	stream := &collector.Stream{}
	bookmark := make([]byte, 24)
	buf := make([]byte, 256<<10)
	for round := range s.rounds {
		if round == s.warm {
			s.warmed()
		}
		if err := lines(s.file, buf, func(rest []byte) error { return s.post(ctx, out, stream, bookmark, rest) }); err != nil {
			return err
		}
	}
	return nil
}

func (s *splitter) post(ctx context.Context, out collector.Poster, stream *collector.Stream, bookmark, rest []byte) error {
	for len(rest) > 0 {
		b := out.Batch(stream)
		var n int
		rest, n = fillBatch(b, rest)
		s.lines.Add(int64(n))
		b.SetBookmark("file", bookmark)
		if err := out.Post(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

func fillBatch(b *collector.Batch, rest []byte) ([]byte, int) {
	n := 0
	for {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 || !b.AppendText(rest[40:i], 1, 0) {
			return rest, n
		}
		rest = rest[i+1:]
		n++
	}
}

// null takes everything and counts.
type null struct{ messages atomic.Int64 }

func (n *null) Open(context.Context) error { return nil }
func (n *null) Close() error               { return nil }
func (n *null) Write(_ context.Context, bs []*collector.Batch) error {
	for _, b := range bs {
		n.messages.Add(int64(b.Len()))
	}
	return nil
}

// cpu is the user and system time of the process so far.
func cpu() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// copyLoop is the floor: read the file, split it, copy the messages into a batch.
func copyLoop(b *testing.B, f *os.File, rounds int) time.Duration {
	batch := collector.NewBatch(&collector.Stream{}, plan.DefaultBatchMessages, plan.DefaultBatchBytes)
	buf := make([]byte, 256<<10)
	began := cpu()
	for range rounds {
		err := lines(f, buf, func(rest []byte) error {
			for len(rest) > 0 {
				batch.Reuse(batch.Stream())
				rest, _ = fillBatch(batch, rest)
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return cpu() - began
}

// BenchmarkLogPath is read → batch → window → queue → ack → fsynced bookmark → reuse with
// the whole engine, against a loop that only reads and copies lines into a batch, in the
// same run. It fails when a batch costs an allocation in the steady state, and when the
// engine costs more than 3.5 times the loop.
func BenchmarkLogPath(b *testing.B) {
	const warm = 8 // rounds until every batch, ring and map has its size
	file := corpus(b)
	src, out := &splitter{file: file, rounds: b.N + warm, warm: warm, done: make(chan struct{})}, &null{}
	store, err := checkpoint.Open(b.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	engine := collector.NewEngine(collector.Options{Registry: collector.Registry{
		collector.NewSource(class.Class{Name: "post", Placement: class.Single}, []byte("[]"), func(none, collector.Env) (collector.Source, error) { return src, nil }),
		collector.NewDestination(class.Class{Name: "sink"}, []byte("[]"), func(none, collector.Env) (collector.Destination, error) { return out, nil }),
	}, Store: store, Log: slog.New(slog.DiscardHandler)})
	d := to("sink")
	d.Options = nil
	d.Batch = plan.Batch{Messages: plan.DefaultBatchMessages, Bytes: plan.DefaultBatchBytes, Timeout: plan.DefaultBatchTimeout}
	p := (&bench{}).plan("post", d)
	p.Source.Window = plan.Window{Messages: plan.DefaultWindowMessages, Bytes: plan.DefaultWindowBytes}
	p.Source.OnRunExit = "Stop"

	var before, after runtime.MemStats
	var began time.Duration
	src.warmed = func() {
		runtime.ReadMemStats(&before)
		began = cpu()
		b.ResetTimer()
	}
	b.SetBytes(corpusSize)
	engine.Apply([]*plan.Plan{p})
	<-src.done
	runtime.ReadMemStats(&after)
	spent := cpu() - began
	b.StopTimer()
	engine.Stop(context.Background())
	if got, want := out.messages.Load(), src.lines.Load(); got != want {
		b.Fatalf("delivered %d of %d", got, want)
	}
	floor := copyLoop(b, file, b.N)
	ratio := float64(spent) / float64(floor)
	batches := float64(b.N) * corpusSize / (256 << 10) // at least: one per read
	allocs := float64(after.Mallocs-before.Mallocs) / batches
	b.ReportMetric(allocs, "allocs/batch")
	b.ReportMetric(spent.Seconds()/(float64(b.N)*corpusSize/1e9), "cpu-s/GB")
	b.ReportMetric(ratio, "x-copy-loop")
	if b.N < 20 {
		return // too short to judge
	}
	if allocs >= 0.05 {
		b.Errorf("%.3f allocations per batch, want none", allocs)
	}
	if ratio > 3.5 {
		b.Errorf("costs %.2f times the copy loop, want at most 3.5", ratio)
	}
}
