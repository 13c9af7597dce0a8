package collector

import (
	"sync"
	"time"
)

// This file is for drivers that want to hear of acks themselves. Most do not: SetBookmark
// saves positions in order, after the ack, without any of this.

// An AckTracker tells its driver which of the batches that it tracks have been acked by
// every required destination. It is syslog-ng's ack_tracker with these differences: the
// callback runs on a goroutine of its own, one call at a time, so that a slow one delays
// no destination and may post; it is not called for what is undelivered when the
// collector stops; a panic of it ends nothing.
//
// The driver makes it in Init, calls Track for a batch before it is posted or returned by
// Fetch, and Close in Deinit. Acks that come after Close, of messages posted before, are
// told all the same (not by a batched tracker), as syslog-ng does after a reload.
type AckTracker struct {
	acked  func(*tracked)    // an ack has come; mu is held
	posted func(*tracked)    // a batch is tracked; mu is held
	tell   func(marks []any) // the callback; called by one goroutine at a time

	mu      sync.Mutex // protects what follows
	order   []*tracked // consecutive: not yet told, as tracked
	batch   []any      // batched: not yet told
	timer   *time.Timer
	closed  bool
	pending [][]any // to tell
	telling bool
	idle    sync.Cond // telling ended
}

// tracked is one batch on the way. It is the Acked of that batch.
type tracked struct {
	tracker *AckTracker
	mark    any
	done    bool // acked, or never accepted
}

// NewInstantAckTracker calls acked with the bookmark of every batch, in the order of the
// acks. syslog-ng: InstantAckTracker.
func NewInstantAckTracker(acked func(bookmark any)) *AckTracker {
	t := newAckTracker(func(marks []any) {
		for _, m := range marks {
			acked(m)
		}
	})
	t.acked = func(e *tracked) { t.tellLocked([]any{e.mark}) }
	return t
}

// NewConsecutiveAckTracker calls acked with the bookmark up to which everything has been
// acked, in the order of Track. A bookmark may be skipped when a later one is due as well.
// syslog-ng: ConsecutiveAckTracker.
func NewConsecutiveAckTracker(acked func(bookmark any)) *AckTracker {
	t := newAckTracker(func(marks []any) { acked(marks[len(marks)-1]) })
	t.posted = func(e *tracked) { t.order = append(t.order, e) }
	t.acked = func(*tracked) { t.releaseLocked() }
	return t
}

// NewBatchedAckTracker calls acked with size bookmarks at once, or with those there are
// once timeout has passed since the first of them (0: never), oldest ack first. Close
// tells what is left. There is no empty list and no call after Close. size is at least 1.
// syslog-ng: BatchedAckTracker.
func NewBatchedAckTracker(timeout time.Duration, size int, acked func(bookmarks []any)) *AckTracker {
	t := newAckTracker(acked)
	t.acked = func(e *tracked) {
		if t.closed {
			return
		}
		t.batch = append(t.batch, e.mark)
		switch {
		case len(t.batch) >= max(1, size):
			t.flushLocked()
		case len(t.batch) == 1 && timeout > 0:
			t.timer = time.AfterFunc(timeout, t.flush)
		}
	}
	return t
}

func newAckTracker(tell func([]any)) *AckTracker {
	t := &AckTracker{tell: tell, posted: func(*tracked) {}}
	t.idle.L = &t.mu
	return t
}

// Track asks to hear of b under that bookmark, which may be any value. Call it once per
// batch, before the batch is posted.
func (t *AckTracker) Track(b *Batch, bookmark any) {
	e := &tracked{tracker: t, mark: bookmark}
	t.mu.Lock()
	t.posted(e)
	t.mu.Unlock()
	b.SetAcked(e)
}

// Close tells what a batched tracker still holds and waits for the callback to return. It
// must not be called from the callback.
func (t *AckTracker) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.flushLocked()
	t.closed = true
	for t.telling {
		t.idle.Wait()
	}
}

// Acked is called by the collector.
func (e *tracked) Acked() {
	t := e.tracker
	t.mu.Lock()
	defer t.mu.Unlock()
	e.done = true
	t.acked(e)
}

// forget takes a batch out that was not accepted: nobody will ack it, and nobody waits.
func (e *tracked) forget() {
	t := e.tracker
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, o := range t.order {
		if o == e {
			t.order = append(t.order[:i], t.order[i+1:]...)
			break
		}
	}
	t.releaseLocked()
}

// releaseLocked tells the last bookmark of the acked prefix, if there is one.
func (t *AckTracker) releaseLocked() {
	n := 0
	for n < len(t.order) && t.order[n].done {
		n++
	}
	if n == 0 {
		return
	}
	last := t.order[n-1]
	t.order = append(t.order[:0], t.order[n:]...)
	t.tellLocked([]any{last.mark})
}

func (t *AckTracker) flush() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.flushLocked()
}

func (t *AckTracker) flushLocked() {
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	if len(t.batch) > 0 {
		t.tellLocked(t.batch)
		t.batch = nil
	}
}

// tellLocked hands the bookmarks to the goroutine that calls back; it lives as long as
// there is something to tell.
func (t *AckTracker) tellLocked(marks []any) {
	t.pending = append(t.pending, marks)
	if !t.telling {
		t.telling = true
		go t.run()
	}
}

func (t *AckTracker) run() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.pending) > 0 {
		all := t.pending
		t.pending = nil
		t.mu.Unlock()
		for _, marks := range all {
			_ = guard(func() error { t.tell(marks); return nil })
		}
		t.mu.Lock()
	}
	t.telling = false
	t.idle.Broadcast()
}
