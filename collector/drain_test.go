package collector_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/collector/report"
)

// draining is a bench with eight messages in the queue of "old", which does not take them.
func draining(t *testing.T) (b *bench, old *sink, words []string) {
	b = newBench(t)
	old = b.sink("old")
	old.answer = func([]*collector.Batch) error { return errors.New("down") }
	b.sink("new")
	p := newPoster()
	b.source = p
	b.apply(b.plan("post", to("old")))
	words = post(p, 8)
	elapse(time.Second)
	return b, old, words
}

// A removed destination delivers what it had taken, and the window comes back.
func TestRemovedDestinationIsDrained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, old, words := draining(t)
		b.apply(b.plan("post", to("new")))
		if n := len(b.status().Destinations); n != 2 {
			t.Errorf("the report has %d destinations while one drains, want 2", n)
		}
		old.set(func(s *sink) { s.answer = nil })
		elapse(10 * time.Second)
		s := b.status()
		if len(s.Destinations) != 1 || s.InUse != 0 || len(s.SourceDrops) != 0 {
			t.Errorf("%d destinations, %d in the window, drops %v; want 1, 0, none", len(s.Destinations), s.InUse, s.SourceDrops)
		}
		b.stop()
		if diff := cmp.Diff(words, old.messages()); diff != "" {
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
	})
}

// What it does not take within shutdownGrace is counted, and holds the source no longer.
func TestRemovedDestinationIsCountedAfterItsGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _, _ := draining(t)
		b.apply(b.plan("post", to("new")))
		elapse(21 * time.Second)
		if s := b.status(); s.SourceDrops["destination_removed"] != 8 || s.InUse != 0 {
			t.Errorf("drops %v, %d in the window; want 8 destination_removed, 0", s.SourceDrops, s.InUse)
		}
		b.stop()
	})
}

// A destination that comes back while it drains goes on with its queue.
func TestDestinationThatComesBackKeepsItsQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, old, words := draining(t)
		b.apply(b.plan("post", to("new")))
		elapse(5 * time.Second)
		b.apply(b.plan("post", to("new"), to("old")))
		elapse(time.Minute)
		old.set(func(s *sink) { s.answer = nil })
		elapse(time.Minute)
		if drops := b.status().SourceDrops; len(drops) != 0 {
			t.Errorf("drops %v", drops)
		}
		b.stop()
		if diff := cmp.Diff(words, old.messages()); diff != "" {
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
	})
}

// The stop of the collector ends a drain, too: no later life would take it up.
func TestStopWhileDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _, _ := draining(t)
		b.apply(b.plan("post", to("new")))
		began := time.Now()
		b.stop()
		if took := time.Since(began); took > 21*time.Second {
			t.Errorf("stop took %v, want at most shutdownGrace", took)
		}
		if drops := b.status().SourceDrops; drops["destination_removed"] != 8 {
			t.Errorf("drops %v, want 8 destination_removed", drops)
		}
	})
}

// A Suspender that gives back an empty loan while suspended has dropped nothing.
func TestEmptyBatchWhileSuspendedIsNoDrop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.sink("out").answer = func([]*collector.Batch) error { return errors.New("down") }
		p := newPoster()
		b.source = suspendable{p}
		b.apply(b.plan("post", to("out")))
		post(p, 8)
		elapse(time.Second)
		p.empty <- struct{}{}
		elapse(time.Second)
		synctest.Wait()
		if s := b.status(); s.State != report.Suspended || len(s.SourceDrops) != 0 || p.errs[len(p.errs)-1] != nil {
			t.Errorf("%s, drops %v, the empty post gave %v", s.State, s.SourceDrops, p.errs[len(p.errs)-1])
		}
		b.stop()
	})
}

// At level Fast the source is acked when the message is queued.
func TestLevelFastAcksWhatIsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.sink("out").answer = func([]*collector.Batch) error { return errors.New("down") }
		var h heard
		_, words := letters(5)
		b.source = &tracking{collector.NewInstantAckTracker(h.one), words}
		p := b.plan("post", to("out"))
		p.Level = plan.Fast
		b.apply(p)
		elapse(time.Minute)
		if told := h.all(); len(told) != 5 {
			t.Errorf("told %v, want all five", told)
		}
		if s := b.status(); s.InUse != 5 {
			t.Errorf("%d in the window, want 5: the destination still holds it", s.InUse)
		}
		b.stop()
	})
}
