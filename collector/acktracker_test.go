package collector_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/plan"
)

// heard is what an ack tracker told.
type heard struct {
	mu    sync.Mutex
	lists [][]any
}

func (h *heard) one(mark any) { h.many([]any{mark}) }

func (h *heard) many(marks []any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lists = append(h.lists, slices.Clone(marks))
}

func (h *heard) all() [][]any {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.lists)
}

// ack tracks n batches under 0…n-1 and acks them in that order.
func ack(t *collector.AckTracker, n int, order []int) {
	s := &collector.Stream{}
	batches := make([]collector.Acked, n)
	for i := range batches {
		b := collector.NewBatch(s, 1, 1)
		t.Track(b, i)
		batches[i] = b.OnAck()
	}
	for _, i := range order {
		batches[i].Acked()
	}
}

// Whatever the order of acks: instant tells each in that order; consecutive tells growing
// marks, each only when all before it are acked, and ends with the last of the prefix.
func TestTrackersOverRandomOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 1))
		for range 500 {
			n := 1 + random.IntN(20)
			order := random.Perm(n)[:1+random.IntN(n)]
			var instant, consecutive heard
			ack(collector.NewInstantAckTracker(instant.one), n, order)
			ack(collector.NewConsecutiveAckTracker(consecutive.one), n, order)
			synctest.Wait()
			checkInstant(t, order, instant.all())
			checkConsecutive(t, order, consecutive.all())
		}
	})
}

func checkInstant(t *testing.T, order []int, told [][]any) {
	t.Helper()
	var want [][]any
	for _, i := range order {
		want = append(want, []any{i})
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Fatalf("instant, acks in order %v (-want +got):\n%s", order, diff)
	}
}

func checkConsecutive(t *testing.T, order []int, told [][]any) {
	t.Helper()
	prefix := 0
	for slices.Contains(order, prefix) {
		prefix++
	}
	last := -1
	for _, l := range told {
		if m := l[0].(int); m <= last || m >= prefix {
			t.Fatalf("acks in order %v: told %v", order, told)
		}
		last = l[0].(int)
	}
	if last != prefix-1 {
		t.Fatalf("acks in order %v: told %v, want %d last", order, told, prefix-1)
	}
}

func TestBatchedTracker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h heard
		tracker := collector.NewBatchedAckTracker(3*time.Second, 3, h.many)
		ack(tracker, 4, []int{2, 0, 1, 3})
		synctest.Wait()
		if diff := cmp.Diff([][]any{{2, 0, 1}}, h.all()); diff != "" {
			t.Errorf("a full list (-want +got):\n%s", diff)
		}
		elapse(4 * time.Second)
		if diff := cmp.Diff([][]any{{2, 0, 1}, {3}}, h.all()); diff != "" {
			t.Errorf("after the timeout (-want +got):\n%s", diff)
		}
		ack(tracker, 1, []int{0})
		tracker.Close()
		if diff := cmp.Diff([][]any{{2, 0, 1}, {3}, {0}}, h.all()); diff != "" {
			t.Errorf("after Close (-want +got):\n%s", diff)
		}
		ack(tracker, 3, []int{0, 1, 2})
		tracker.Close()
		elapse(time.Minute)
		if n := len(h.all()); n != 3 {
			t.Errorf("%d lists after Close, want 3: nothing comes after it, and no empty list", n)
		}
	})
}

func TestBatchedTrackerWithoutTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h heard
		tracker := collector.NewBatchedAckTracker(0, 2, h.many)
		ack(tracker, 1, []int{0})
		elapse(time.Hour)
		if n := len(h.all()); n != 0 {
			t.Errorf("%d lists, want none without a timeout", n)
		}
		tracker.Close()
	})
}

// A callback that panics ends nothing, one that is slow delays no ack.
func TestTrackerSurvivesItsCallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h heard
		tracker := collector.NewInstantAckTracker(func(mark any) {
			if mark == 0 {
				panic("driver bug")
			}
			elapse(time.Hour)
			h.one(mark)
		})
		began := time.Now()
		ack(tracker, 3, []int{0, 1, 2})
		if took := time.Since(began); took != 0 {
			t.Errorf("acks took %v", took)
		}
		tracker.Close()
		if diff := cmp.Diff([][]any{{1}, {2}}, h.all()); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}

// tracking posts its words, one batch each, under the word's number, and then waits.
type tracking struct {
	tracker *collector.AckTracker
	words   []string
}

func (s *tracking) Run(ctx context.Context, out collector.Poster) error {
	for i, w := range s.words {
		b := out.Batch(nil)
		b.Append(time.Now(), []byte(w))
		s.tracker.Track(b, i)
		if err := out.Post(ctx, b); err != nil {
			break
		}
	}
	<-ctx.Done()
	return nil
}

func (s *tracking) Deinit() { s.tracker.Close() }

// Two destinations answer at their own pace: a bookmark is told once both have acked.
func TestTrackerWaitsForEveryRequiredDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.sink("quick")
		slow := b.sink("slow")
		slow.block = make(chan struct{})
		var h heard
		_, words := letters(5)
		b.source = &tracking{collector.NewConsecutiveAckTracker(h.one), words}
		b.apply(b.plan("post", to("quick"), to("slow")))
		elapse(time.Minute)
		if n := len(h.all()); n != 0 {
			t.Errorf("%d bookmarks told while one destination had nothing", n)
		}
		close(slow.block)
		elapse(time.Minute)
		if told := h.all(); len(told) == 0 || told[len(told)-1][0] != 4 {
			t.Errorf("told %v, want 4 at the end", told)
		}
		b.stop()
	})
}

// What is undelivered when the collector stops is told to nobody.
func TestTrackerIsNotToldOfWhatIsUndelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.sink("out").answer = func([]*collector.Batch) error { return errors.New("down") }
		var h heard
		_, words := letters(5)
		b.source = &tracking{collector.NewInstantAckTracker(h.one), words}
		b.apply(b.plan("post", to("out")))
		elapse(time.Minute)
		b.stop()
		if told := h.all(); len(told) != 0 {
			t.Errorf("told %v", told)
		}
	})
}

// A batch that is not accepted holds no other back.
func TestTrackerForgetsWhatIsNotAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		out := b.sink("out")
		out.block = make(chan struct{})
		var h heard
		_, words := letters(12) // the window holds 8: four are dropped while suspended
		s := &tracking{collector.NewConsecutiveAckTracker(h.one), words}
		b.source = stubborn{s}
		b.apply(b.plan("post", to("out")))
		elapse(time.Second)
		close(out.block)
		elapse(time.Minute)
		if told := h.all(); len(told) == 0 || told[len(told)-1][0] != 7 {
			t.Errorf("told %v, want 7 at the end", told)
		}
		b.stop()
	})
}

// stubborn is a Suspender that posts on.
type stubborn struct{ *tracking }

func (stubborn) Suspend() {}
func (stubborn) Wakeup()  {}

func (s stubborn) Run(ctx context.Context, out collector.Poster) error {
	for i, w := range s.words {
		b := out.Batch(nil)
		b.Append(time.Now(), []byte(w))
		s.tracker.Track(b, i)
		if err := out.Post(ctx, b); err != nil && !errors.Is(err, collector.ErrSuspended) {
			return fmt.Errorf("post: %w", err)
		}
	}
	<-ctx.Done()
	return nil
}

// A batch whose peer waits for the ack is not kept for company.
func TestUrgentBatchIsWrittenAtOnce(t *testing.T) {
	f := func(urgent bool, want time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			b.sink("out")
			var h heard
			d := to("out")
			d.Batch.Timeout = plan.Duration(5 * time.Second)
			var took time.Duration
			b.source = posts(func(ctx context.Context, out collector.Poster) {
				began := time.Now()
				batch := out.Batch(nil)
				batch.Append(began, []byte("hello"))
				if urgent {
					batch.SetUrgent()
				}
				collector.NewInstantAckTracker(func(m any) { took = time.Since(began); h.one(m) }).Track(batch, 1)
				_ = out.Post(ctx, batch)
			})
			b.apply(b.plan("post", d))
			elapse(time.Minute)
			if len(h.all()) != 1 || took != want {
				t.Errorf("urgent %v: acked after %v, want %v", urgent, took, want)
			}
			b.stop()
		})
	}
	f(true, 0)
	f(false, 5*time.Second)
}

// posts is a source made of a function.
type posts func(context.Context, collector.Poster)

func (p posts) Run(ctx context.Context, out collector.Poster) error {
	p(ctx, out)
	<-ctx.Done()
	return nil
}
