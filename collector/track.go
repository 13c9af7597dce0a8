package collector

import (
	"sync"
	"time"
)

// A tracker holds the batches of one log path that are on the way, in the order they were
// posted, and releases them in that order however the acks arrive.
type tracker struct {
	mu   sync.Mutex
	ring []*Batch // a power of two
	head uint64   // sequence of the oldest batch on the way
	next uint64   // sequence of the next batch
}

// push gives the batch its place. Called by one goroutine at a time.
func (t *tracker) push(b *Batch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if int(t.next-t.head) == len(t.ring) {
		t.growLocked()
	}
	b.seq, b.acked = t.next, false
	t.ring[t.next&uint64(len(t.ring)-1)] = b
	t.next++
}

func (t *tracker) growLocked() {
	ring := make([]*Batch, max(64, 2*len(t.ring)))
	for s := t.head; s < t.next; s++ {
		ring[s&uint64(len(ring)-1)] = t.ring[s&uint64(len(t.ring)-1)]
	}
	t.ring = ring
}

// ack marks the batch and calls release, in order, for every batch that no older one
// holds back any more. release runs with the tracker locked: that is what keeps the
// order between two destinations that ack at once.
func (t *tracker) ack(b *Batch, release func(*Batch)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b.acked = true
	for t.head < t.next {
		i := t.head & uint64(len(t.ring)-1)
		oldest := t.ring[i]
		if !oldest.acked {
			return
		}
		t.ring[i] = nil
		t.head++
		release(oldest)
	}
}

// oldest is when the oldest batch on the way was posted, zero when there is none.
func (t *tracker) oldest() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.head == t.next {
		return time.Time{}
	}
	return time.Unix(0, t.ring[t.head&uint64(len(t.ring)-1)].posted)
}
