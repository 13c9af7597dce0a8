package containerlogs

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/logsource/operator/collector"
)

// sink is a Poster without a window: every batch is free again at once.
type sink struct {
	batch *collector.Batch
	bytes int64
}

func (s *sink) Batch(st *collector.Stream) *collector.Batch {
	s.batch.Reuse(st)
	return s.batch
}

func (s *sink) Post(_ context.Context, b *collector.Batch) error {
	s.bytes += int64(b.Size())
	return nil
}

// corpus is a container's log file of mixed lines, 222 bytes on average. It returns its
// size and that of the messages alone.
func corpus(b testing.TB, k *kubelet) (size, messages int64) {
	lengths := []int{40, 120, 160, 180, 200, 220, 250, 300}
	text := strings.Repeat(`{"level":"info","msg":"request done","path":"/api/v1/things","ms":12} `, 60)
	var out bytes.Buffer
	for i := 0; out.Len() < 16<<20; i++ {
		n := lengths[i%len(lengths)]
		if i%220 == 0 {
			n = 4000
		}
		k.nano += 1_000_003
		messages += int64(n)
		out.WriteString(time.Unix(0, k.nano).UTC().Format("2006-01-02T15:04:05.000000000Z07:00") + " stdout F " + text[:n] + "\n")
	}
	k.raw(out.String())
	return int64(out.Len()), messages
}

// BenchmarkRead measures a file to batches, and beside it the floor: a loop that only
// reads and copies lines into a batch. Their ratio is what the format costs.
func BenchmarkRead(b *testing.B) {
	dir := b.TempDir()
	w := &world{t: b, dir: dir}
	k := w.container("shop", "web", uid, "app")
	size, messages := corpus(b, k)
	batch := collector.NewBatch(&collector.Stream{}, 2048, 1<<20)
	var floor time.Duration

	b.Run("floor", func(b *testing.B) {
		b.SetBytes(size)
		b.ReportAllocs()
		f, err := os.Open(k.path())
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		buf := make([]byte, readBuffer)
		for b.Loop() {
			copyLines(b, f, buf, batch)
		}
		floor = b.Elapsed() / time.Duration(b.N)
	})
	b.Run("cri", func(b *testing.B) {
		b.SetBytes(size)
		b.ReportAllocs()
		c, s := benchContainer(b, dir, batch)
		for b.Loop() {
			c.lines.restart(c.cur, 0, 0)
			s.bytes = 0
			for more := true; more; {
				var err error
				if more, err = c.turn(b.Context(), time.Time{}); err != nil {
					b.Fatal(err)
				}
			}
			if s.bytes != messages {
				b.Fatalf("%d bytes of messages delivered, want %d", s.bytes, messages)
			}
		}
		if floor > 0 {
			b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(floor), "x-floor")
		}
	})
}

// benchContainer is the one container of dir, with its file open.
func benchContainer(b testing.TB, dir string, batch *collector.Batch) (*container, *sink) {
	made, err := newSource(Options{}, collector.Env{
		Log: slog.New(slog.DiscardHandler), Count: func(string, int) {}, Lost: func(string, int64, int64) {},
		Bookmarks: bookmarks{&world{}}, Node: collector.Node{LogDir: dir},
	})
	if err != nil {
		b.Fatal(err)
	}
	s := &sink{batch: batch}
	t, err := newTail(made.(*source), s)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(t.close)
	if err := t.contact(b.Context()); err != nil {
		b.Fatal(err)
	}
	c := t.ready[0]
	c.list()
	return c, s
}

func copyLines(b *testing.B, f *os.File, buf []byte, batch *collector.Batch) {
	have := 0
	for off := int64(0); ; {
		n, err := f.ReadAt(buf[have:], off)
		off += int64(n)
		data := buf[:have+n]
		for {
			i := bytes.IndexByte(data, '\n')
			if i < 0 {
				break
			}
			if !batch.AppendRecord(collector.Record{Body: data[:i], UnixNano: 1}) {
				batch.Reuse(batch.Stream())
				continue
			}
			data = data[i+1:]
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			b.Fatal(err)
		}
		have = copy(buf, data)
	}
}

// TestReadDoesNotAllocate holds the benchmark's promise in every test run.
func TestReadDoesNotAllocate(t *testing.T) {
	dir := t.TempDir()
	w := &world{t: t, dir: dir}
	corpus(t, w.container("shop", "web", uid, "app"))
	c, _ := benchContainer(t, dir, collector.NewBatch(&collector.Stream{}, 2048, 1<<20))
	read := func() {
		c.lines.restart(c.cur, 0, 0)
		for more := true; more; {
			var err error
			if more, err = c.turn(t.Context(), time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	// the runtime's own goroutines are counted too; what the reader allocates is in every try
	allocs := min(testing.AllocsPerRun(3, read), testing.AllocsPerRun(3, read), testing.AllocsPerRun(3, read))
	if allocs > 0 {
		t.Errorf("reading a file of 16 MiB again: %v allocations, want none", allocs)
	}
}
