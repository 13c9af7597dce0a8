package httppush

import (
	"context"
	"sync"
)

// A gate lets one request at a time post, and none between Suspend and Wakeup. A batch is
// lent, filled and posted inside it: nobody holds a batch that it may not post any more,
// and each is lent with exactly the room that the window has left.
type gate struct {
	posting sync.Mutex // held while a batch is lent, filled and posted; so during Suspend

	mu     sync.Mutex    // protects wakeup
	wakeup chan struct{} // closed by Wakeup; nil while not suspended
}

// suspend is called by the collector inside a Post.
func (g *gate) suspend() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wakeup == nil {
		g.wakeup = make(chan struct{})
	}
}

// wake is called by the collector from a goroutine of its own.
func (g *gate) wake() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wakeup != nil {
		close(g.wakeup)
		g.wakeup = nil
	}
}

// suspended returns a channel that is closed at Wakeup, nil while the source may post.
func (g *gate) suspended() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.wakeup
}

// enter waits until the caller may post, and must be followed by leave. It returns an
// error, and needs no leave, when waiting or stopping ends first.
func (g *gate) enter(waiting, stopping context.Context) error {
	for {
		g.posting.Lock()
		if err := firstError(stopping, waiting); err != nil {
			g.posting.Unlock()
			return err
		}
		wakeup := g.suspended()
		if wakeup == nil {
			return nil
		}
		g.posting.Unlock()
		select {
		case <-wakeup:
		case <-waiting.Done():
		case <-stopping.Done():
		}
	}
}

func (g *gate) leave() { g.posting.Unlock() }

func firstError(contexts ...context.Context) error {
	for _, ctx := range contexts {
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}
