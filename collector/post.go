package collector

import (
	"context"
	"log/slog"
	"time"
)

// This file is the way of a batch through a log path: lent, posted, acked by the
// destinations in any order, saved in one order, given back.

// patience is how a post takes a window that has no room for its batch.
type patience int

const (
	orGiveUp  patience = iota // wait; when ctx ends first the batch is not accepted
	orOverrun                 // wait; when ctx ends first the window is overrun by this batch
	atOnce                    // overrun it now
)

// post queues b for every destination once the window has room for it. A batch that is
// not accepted is still the caller's.
func (l *logPath) post(ctx context.Context, b *Batch, how patience) error {
	n := b.Len()
	if b.empty() {
		l.giveUp(b)
		return nil
	}
	b.windowed = n > 0 && l.windowHolds()
	if b.windowed {
		if err := l.takeWindow(ctx, n, int64(b.Size()), how); err != nil {
			return err
		}
	}
	l.enqueue(b)
	return nil
}

func (l *logPath) takeWindow(ctx context.Context, messages int, bytes int64, how patience) error {
	if how != atOnce {
		err := l.window.take(ctx, messages, bytes)
		if err == nil || how == orGiveUp {
			return err
		}
	}
	l.window.overrun(messages, bytes)
	return nil
}

// giveUp takes back the memory of a batch that was not accepted.
func (l *logPath) giveUp(b *Batch) {
	if t, ok := b.onAck.(*tracked); ok {
		t.forget()
	}
	l.pool.put(b)
}

// windowHolds says whether any destination makes the source wait.
func (l *logPath) windowHolds() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range l.outputs {
		if o.holds {
			return true
		}
	}
	return false
}

func (l *logPath) enqueue(b *Batch) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) { // asked first: the values would be boxed
		l.log.Debug("batch posted", "messages", b.Len(), "bytes", b.Size())
	}
	l.posting.Lock()
	defer l.posting.Unlock()
	b.posted = time.Now().UnixNano()
	l.lastPost.Store(b.posted)
	l.accepted.Add(int64(b.Len()))
	l.acceptedBytes.Add(int64(b.Size()))
	b.marks.posted(b)
	l.setHolders(b)
	l.tracker.push(b)
	for i := range b.holders {
		q := b.holders[i].queue
		if b.Len() == 0 {
			l.settled(q, b)
			continue
		}
		for _, dropped := range q.push(b) {
			l.settled(q, dropped)
		}
	}
	l.acked(b)
}

// setHolders notes who waits for the batch. One ack and one reference are enqueue's and
// the tracker's own: a quick destination cannot finish the batch while it is being queued.
func (l *logPath) setHolders(b *Batch) {
	holds, acks := int32(0), int32(1)
	fast := l.fast.Load() // once: apply may change it meanwhile
	b.holders = b.holders[:0]
	for _, o := range l.outputs { // written only with posting and mu held
		b.holders = append(b.holders, holder{o.queue, o.holds, o.spec.Required && !fast})
		if o.holds {
			holds++
		}
		if o.spec.Required && !fast {
			acks++
		}
	}
	b.holds.Store(holds)
	b.acks.Store(acks)
	b.refs.Store(int32(len(b.holders)) + 1)
	if b.windowed && holds == 0 { // the plan changed between take and here
		l.window.give(b.Len(), int64(b.Size()))
		b.windowed = false
	}
	b.releaseEarly = b.windowed && holds != acks-1
}

// settled is called once per batch and destination, when the destination is done with it.
func (l *logPath) settled(q *queue, b *Batch) {
	h := b.holderOf(q)
	if h.holds && b.holds.Add(-1) == 0 && b.releaseEarly {
		l.window.give(b.Len(), int64(b.Size()))
	}
	if h.required {
		l.acked(b)
	}
	l.release(b)
}

func (b *Batch) holderOf(q *queue) holder {
	for _, h := range b.holders {
		if h.queue == q {
			return h
		}
	}
	panic("BUG: a queue settled a batch that was not posted to it")
}

// acked counts one ack; the last one frees the batch's place in the tracker.
func (l *logPath) acked(b *Batch) {
	if b.acks.Add(-1) == 0 {
		if b.onAck != nil {
			l.tellAck(b.onAck)
		}
		l.tracker.ack(b, l.commit)
	}
}

// tellAck calls the driver; a panic of it is its own.
func (l *logPath) tellAck(a Acked) {
	defer func() {
		if p := recover(); p != nil {
			l.log.Error("source panicked in Acked", "panic", p)
		}
	}()
	a.Acked()
}

// commit saves the batch's bookmark, or finishes it at once when it has none. It is
// called in order.
func (l *logPath) commit(b *Batch) {
	if b.bookmarkKey == "" {
		l.saved(b)
		return
	}
	b.marks.save(b)
}

// saved gives the window back: the position is on disk.
func (l *logPath) saved(b *Batch) {
	if b.windowed && !b.releaseEarly {
		l.window.give(b.Len(), int64(b.Size()))
	}
	l.release(b)
}

func (l *logPath) release(b *Batch) {
	if b.refs.Add(-1) == 0 {
		l.pool.put(b)
	}
}
