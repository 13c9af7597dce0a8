package containerlogs

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/plan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A world is what outlives a collector: what destinations have, the checkpoint, the
// counters. A life of a source runs in it and may be killed.
type world struct {
	t      testing.TB
	dir    string
	env    collector.Env
	opts   Options
	window int // batches on the way before Post waits for the oldest ack

	messages, bytes int // of one lent batch

	mu        sync.Mutex
	delivered []delivery
	marks     map[string][]byte
	counts    map[string]int
	lost      map[string]int
	inflight  []*collector.Batch
	life      *life
}

type delivery struct {
	stream  *collector.Stream
	variant int
	body    string
	nano    int64
}

type life struct {
	w      *world
	source *source
	cancel context.CancelFunc
	done   chan error
	dead   bool
}

func newWorld(t testing.TB) *world {
	w := &world{
		t: t, dir: t.TempDir(), window: 4, messages: 2048, bytes: 1 << 20,
		marks: map[string][]byte{}, counts: map[string]int{}, lost: map[string]int{},
	}
	w.env = collector.Env{
		Log:       slog.New(slog.NewTextHandler(t.Output(), nil)),
		Count:     func(reason string, n int) { w.locked(func() { w.counts[reason] += n }) },
		Lost:      func(reason string, _, _ int64) { w.locked(func() { w.lost[reason]++ }) },
		Bookmarks: bookmarks{w},
		Node:      collector.Node{Name: "node-a", LogDir: w.dir},
	}
	t.Cleanup(w.kill)
	return w
}

func (w *world) locked(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

type bookmarks struct{ w *world }

func (b bookmarks) Load(key string) (v []byte, ok bool) {
	b.w.locked(func() { v, ok = b.w.marks[key] })
	return v, ok
}
func (b bookmarks) Delete(key string) { b.w.locked(func() { delete(b.w.marks, key) }) }
func (b bookmarks) Keys() (keys []string) {
	b.w.locked(func() {
		for k := range b.w.marks {
			keys = append(keys, k)
		}
	})
	return keys
}

// start begins a life of the source.
func (w *world) start() {
	w.t.Helper()
	made, err := newSource(w.opts, w.env)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	l := &life{w: w, source: made.(*source), cancel: cancel, done: make(chan error, 1)}
	w.life = l
	go func() { l.done <- l.source.Run(ctx, l) }()
}

// kill ends the life at once: what was on the way may have been delivered or not, and no
// bookmark of it was saved.
func (w *world) kill() {
	l := w.life
	if l == nil {
		return
	}
	w.life = nil
	w.locked(func() {
		l.dead = true
		for _, b := range w.inflight[:rand.N(len(w.inflight)+1)] {
			w.deliver(b)
		}
		w.inflight = nil
	})
	l.cancel()
	if err := <-l.done; err != nil {
		w.t.Errorf("Run = %v", err)
	}
}

func (l *life) Batch(s *collector.Stream) *collector.Batch {
	return collector.NewBatch(s, l.w.messages, l.w.bytes)
}

func (l *life) Post(ctx context.Context, b *collector.Batch) error {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	if l.dead {
		<-ctx.Done()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	l.w.inflight = append(l.w.inflight, b)
	for len(l.w.inflight) > l.w.window {
		l.w.ackLocked(l)
	}
	return nil
}

// ackLocked acks the oldest batch on the way.
func (w *world) ackLocked(l *life) {
	b := w.inflight[0]
	w.inflight = w.inflight[1:]
	w.deliver(b)
	if key, value := b.Bookmark(); key != "" {
		w.marks[key] = slices.Clone(value)
		if err := l.source.Commit(key, value); err != nil {
			w.t.Errorf("Commit = %v", err)
		}
	}
}

func (w *world) deliver(b *collector.Batch) {
	for i := range b.Len() {
		w.delivered = append(w.delivered, delivery{b.Stream(), b.Variant(i), string(b.Body(i)), b.UnixNano(i)})
	}
}

// ackAll acks everything on the way.
func (w *world) ackAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.inflight) > 0 {
		w.ackLocked(w.life)
	}
}

// until waits for a condition on what has been acked.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		if w.life != nil {
			w.ackAll()
		}
		done := false
		w.locked(func() { done = ok() })
		if done {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			w.mu.Lock()
			defer w.mu.Unlock()
			w.t.Fatalf("waited too long for %s; %d delivered, counts %v, lost %v", what, len(w.delivered), w.counts, w.lost)
		}
	}
}

// bodies lists what was delivered, in order.
func (w *world) bodies() (all []string) {
	for _, d := range w.delivered {
		all = append(all, d.body)
	}
	return all
}

// expect waits until exactly these messages have been delivered, in this order.
func (w *world) expect(want ...string) {
	w.t.Helper()
	w.until(fmt.Sprintf("%d messages", len(want)), func() bool { return len(w.delivered) >= len(want) })
	w.locked(func() {
		if got := w.bodies(); !slices.Equal(got, want) {
			w.t.Fatalf("delivered %q\nwant      %q", short(got), short(want))
		}
	})
}

func short(all []string) (cut []string) {
	for _, s := range all {
		if len(s) > 60 {
			s = fmt.Sprintf("%s… (%d)", s[:60], len(s))
		}
		cut = append(cut, s)
	}
	return cut
}

// attr finds a value in a stream's kubernetes group, or in a group within it.
func attr(s *collector.Stream, path ...string) string {
	attrs := s.Attrs[0].Group
	for _, name := range path {
		i := slices.IndexFunc(attrs, func(a collector.Attr) bool { return a.Name == name })
		if i < 0 {
			return ""
		}
		if attrs[i].Group == nil {
			return attrs[i].Value
		}
		attrs = attrs[i].Group
	}
	return ""
}

// A kubelet keeps the log directory of one container as kubelet and containerd do.
type kubelet struct {
	t       testing.TB
	dir     string
	restart int
	file    *os.File
	nano    int64
	stamp   int
}

func (w *world) container(namespace, pod, uid, name string) *kubelet {
	w.t.Helper()
	k := &kubelet{t: w.t, dir: filepath.Join(w.dir, namespace+"_"+pod+"_"+uid, name), nano: 1_763_883_649_000_000_000}
	k.must(os.MkdirAll(k.dir, 0o755))
	k.create()
	w.t.Cleanup(func() { k.file.Close() })
	return k
}

func (k *kubelet) must(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

func (k *kubelet) path() string { return filepath.Join(k.dir, fmt.Sprintf("%d.log", k.restart)) }

func (k *kubelet) create() {
	f, err := os.OpenFile(k.path(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	k.must(err)
	k.file = f
}

// raw appends bytes as they are.
func (k *kubelet) raw(s string) {
	k.t.Helper()
	_, err := k.file.WriteString(s)
	k.must(err)
}

// line appends one CRI line.
func (k *kubelet) line(stream, tag, body string) {
	k.t.Helper()
	k.nano += 1_000_003
	k.raw(time.Unix(0, k.nano).UTC().Format(time.RFC3339Nano) + " " + stream + " " + tag + " " + body + "\n")
}

func (k *kubelet) out(bodies ...string) {
	k.t.Helper()
	for _, b := range bodies {
		k.line("stdout", "F", b)
	}
}

// rename is the first half of a rotation.
func (k *kubelet) rename() string {
	k.t.Helper()
	k.stamp++
	to := k.path() + time.Date(2026, 11, 23, 7, 0, k.stamp, 0, time.UTC).Format(".20060102-150405")
	k.must(os.Rename(k.path(), to))
	return to
}

// reopen is the second half.
func (k *kubelet) reopen() {
	k.t.Helper()
	k.must(k.file.Close())
	k.create()
}

// rotate does what the kubelet does: compress what was rotated before, rename, reopen.
func (k *kubelet) rotate() {
	k.t.Helper()
	for _, name := range k.rotated() {
		if !strings.HasSuffix(name, ".gz") {
			k.compress(name)
		}
	}
	k.rename()
	k.reopen()
}

func (k *kubelet) rotated() []string {
	names, err := filepath.Glob(k.path() + ".*")
	k.must(err)
	slices.Sort(names)
	return names
}

func (k *kubelet) compress(name string) {
	k.t.Helper()
	data, err := os.ReadFile(name)
	k.must(err)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err = z.Write(data)
	k.must(err)
	k.must(z.Close())
	k.must(os.WriteFile(name+".tmp", b.Bytes(), 0o640))
	k.must(os.Rename(name+".tmp", name+".gz"))
	k.must(os.Remove(name))
}

// again is a restart of the container.
func (k *kubelet) again() {
	k.t.Helper()
	k.restart++
	k.reopen()
}

// remove deletes the pod's directory.
func (k *kubelet) remove() {
	k.t.Helper()
	k.must(os.RemoveAll(filepath.Dir(k.dir)))
}

func selector(labels map[string]string) *plan.Selector { return &plan.Selector{MatchLabels: labels} }
