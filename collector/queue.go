package collector

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/collector/report"
)

// A queue is what waits for one destination, in memory, with the ledger of that
// destination: both change under one lock, so that the ledger balances at every instant.
// Its batches outlive the destination's driver: a changed destination goes on with the
// queue of its name.
type queue struct {
	mu       sync.Mutex
	ring     []*Batch // a power of two
	head     uint64
	next     uint64
	messages int
	bytes    int64
	onFull   string
	limit    int64 // bytes; only queues that drop have one
	hurry    bool  // the source waits for the window: do not wait for more
	urgent   int   // batches whose ack somebody waits for
	closing  bool  // nothing more will come

	ledger  ledger
	wake    chan struct{} // capacity 1: something changed
	dropped []*Batch      // scratch of push
}

// ledger counts messages of one (log path, destination) in this process life:
// accepted = delivered + dropped + rejected + queued + in flight.
type ledger struct {
	accepted, delivered, deliveredBytes int64
	inFlight, retries                   int64
	dropped, rejected                   map[string]int64 // by reason
}

func newQueue(d plan.Destination) *queue {
	const start = 1 << 32 // room below for putBack
	return &queue{
		head: start, next: start,
		onFull: d.OnFull, limit: d.Queue.Bytes, wake: make(chan struct{}, 1),
		ledger: ledger{dropped: map[string]int64{}, rejected: map[string]int64{}},
	}
}

// configure takes over the settings of a changed destination.
func (q *queue) configure(d plan.Destination) {
	q.mu.Lock()
	q.onFull, q.limit = d.OnFull, d.Queue.Bytes
	q.mu.Unlock()
}

// push queues the batch and returns what had to be dropped for it, counted, as onFull
// says; that may be the batch itself. The slice is valid until the next push. Called by
// one goroutine at a time.
func (q *queue) push(b *Batch) []*Batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ledger.accepted += int64(b.Len())
	q.dropped = q.dropped[:0]
	if q.onFull == plan.DropNewest && q.fullLocked(b) {
		q.dropLocked(b)
		return q.dropped
	}
	for q.onFull == plan.DropOldest && q.fullLocked(b) {
		q.dropLocked(q.popLocked())
	}
	q.putLocked(b)
	q.signal()
	return q.dropped
}

// fullLocked says that b does not fit. An empty queue takes anything.
func (q *queue) fullLocked(b *Batch) bool {
	return q.next != q.head && q.bytes+int64(b.Size()) > q.limit
}

func (q *queue) dropLocked(b *Batch) {
	q.ledger.dropped["queue_full"] += int64(b.Len())
	q.dropped = append(q.dropped, b)
}

func (q *queue) putLocked(b *Batch) {
	if int(q.next-q.head) == len(q.ring) {
		q.growLocked()
	}
	q.ring[q.next&uint64(len(q.ring)-1)] = b
	q.next++
	q.countLocked(b, 1)
}

// countLocked adds b to what is queued, or takes it off (-1).
func (q *queue) countLocked(b *Batch, n int) {
	q.messages += n * b.Len()
	q.bytes += int64(n * b.Size())
	if b.urgent {
		q.urgent += n
	}
}

func (q *queue) popLocked() *Batch {
	i := q.head & uint64(len(q.ring)-1)
	b := q.ring[i]
	q.ring[i] = nil
	q.head++
	q.countLocked(b, -1)
	return b
}

func (q *queue) growLocked() {
	ring := make([]*Batch, max(64, 2*len(q.ring)))
	for s := q.head; s < q.next; s++ {
		ring[s&uint64(len(ring)-1)] = q.ring[s&uint64(len(q.ring)-1)]
	}
	q.ring = ring
}

// putBack returns a group that was not written to the front of the queue.
func (q *queue) putBack(group []*Batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := len(group) - 1; i >= 0; i-- {
		b := group[i]
		if int(q.next-q.head) == len(q.ring) {
			q.growLocked()
		}
		q.head--
		q.ring[q.head&uint64(len(q.ring)-1)] = b
		q.countLocked(b, 1)
		q.ledger.inFlight -= int64(b.Len())
	}
	q.signal()
}

// take waits for one request's worth of batches and moves them from queued to in flight.
// It returns an empty group when ctx ends, or when the queue is closing and empty.
func (q *queue) take(ctx context.Context, limits plan.Batch, timer *time.Timer, group []*Batch) []*Batch {
	for {
		q.mu.Lock()
		if q.readyLocked(limits) {
			group = q.groupLocked(limits, group)
			q.mu.Unlock()
			return group
		}
		if q.closing && q.next == q.head {
			q.mu.Unlock()
			return group
		}
		wait := q.waitLocked(limits)
		q.mu.Unlock()
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return group
		case <-q.wake:
		case <-timer.C:
		}
	}
}

// readyLocked says whether a request should be cut now.
func (q *queue) readyLocked(limits plan.Batch) bool {
	if q.next == q.head {
		return false
	}
	return q.hurry || q.closing || q.urgent > 0 || q.messages >= limits.Messages || q.bytes >= limits.Bytes || q.waitLocked(limits) <= 0
}

// waitLocked is how long the oldest batch may still wait for company.
func (q *queue) waitLocked(limits plan.Batch) time.Duration {
	if q.next == q.head {
		return time.Hour
	}
	posted := q.ring[q.head&uint64(len(q.ring)-1)].posted
	return time.Until(time.Unix(0, posted).Add(limits.Timeout.D()))
}

// groupLocked pops whole batches up to the limits, at least one.
func (q *queue) groupLocked(limits plan.Batch, group []*Batch) []*Batch {
	var messages int
	var bytes int64
	for q.next != q.head {
		b := q.ring[q.head&uint64(len(q.ring)-1)]
		if len(group) > 0 && (messages+b.Len() > limits.Messages || bytes+int64(b.Size()) > limits.Bytes) {
			break
		}
		messages += b.Len()
		bytes += int64(b.Size())
		group = append(group, q.popLocked())
	}
	q.ledger.inFlight += int64(messages)
	return group
}

// setHurry says whether the source waits for this queue.
func (q *queue) setHurry(on bool) {
	q.mu.Lock()
	q.hurry = on
	q.mu.Unlock()
	q.signal()
}

// close says that nothing more will come, or (false) that it will again.
func (q *queue) close(closing bool) {
	q.mu.Lock()
	q.closing = closing
	q.mu.Unlock()
	q.signal()
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// drain empties the queue of a destination that is no more; its ledger goes with it, the
// caller counts what is lost.
func (q *queue) drain() []*Batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	var all []*Batch
	for q.next != q.head {
		all = append(all, q.popLocked())
	}
	return all
}

// settle books a group that is no longer in flight.
func (q *queue) settle(o outcome) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ledger.delivered += o.delivered
	q.ledger.deliveredBytes += o.deliveredBytes
	q.ledger.inFlight -= o.delivered
	for reason, n := range o.rejected {
		q.ledger.rejected[reason] += n
		q.ledger.inFlight -= n
	}
}

func (q *queue) countRetry() {
	q.mu.Lock()
	q.ledger.retries++
	q.mu.Unlock()
}

// fill copies the ledger into d at one instant.
func (q *queue) fill(d *report.Destination) {
	q.mu.Lock()
	defer q.mu.Unlock()
	d.Accepted, d.Delivered, d.DeliveredBytes = q.ledger.accepted, q.ledger.delivered, q.ledger.deliveredBytes
	d.Queued, d.InFlight, d.Retries = int64(q.messages), q.ledger.inFlight, q.ledger.retries
	d.Dropped, d.Rejected = maps.Clone(q.ledger.dropped), maps.Clone(q.ledger.rejected)
}
