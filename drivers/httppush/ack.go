package httppush

import (
	"context"
	"sync/atomic"
)

// An ack is what one request waits for: the acks of all of its batches.
type ack struct {
	outstanding atomic.Int64 // batches that are not acked, and one until all are posted
	all         chan struct{}
}

func newAck() *ack {
	a := &ack{all: make(chan struct{})}
	a.outstanding.Store(1)
	return a
}

// expect counts a batch before it is posted. One that is then not accepted is never acked:
// the request has failed and nobody waits any more.
func (a *ack) expect() { a.outstanding.Add(1) }

// Acked is called on the goroutine that acks.
func (a *ack) Acked() {
	if a.outstanding.Add(-1) == 0 {
		close(a.all)
	}
}

// wait is called once all batches are posted. It returns an error when ctx ends first.
func (a *ack) wait(ctx context.Context) error {
	a.Acked()
	select {
	case <-a.all:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
