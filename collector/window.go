package collector

import (
	"context"
	"sync"
	"time"
)

// A window is how much of a source may be on the way: messages and bytes, whichever is
// used up first. It is open while both have room. syslog-ng: log-iw-size.
type window struct {
	mu          sync.Mutex
	opened      sync.Cond // something was given back, or the limits changed
	maxMessages int
	maxBytes    int64
	messages    int   // on the way
	bytes       int64 // on the way
	waiting     int   // callers in awaitOpen or take
	fullSince   time.Time
	onFull      func(full bool) // called without mu when a caller starts or ends waiting

	telling sync.Mutex      // orders the calls of onFull
	told    bool            // what onFull was told last; protected by telling
	watched context.Context // its end wakes every waiter; of other contexts each wait sees to itself
}

func newWindow(messages int, bytes int64, onFull func(bool)) *window {
	w := &window{maxMessages: messages, maxBytes: bytes, onFull: onFull}
	w.opened.L = &w.mu
	return w
}

// room is what a batch may hold now: at least one message, so that a source is never
// lent a batch it cannot use.
func (w *window) room(messages int, bytes int64) (int, int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return max(1, min(messages, w.maxMessages-w.messages)), max(1, min(bytes, w.maxBytes-w.bytes))
}

// take waits until the window has room for the batch and takes it. A batch larger than
// the whole window waits until nothing else is on the way and passes alone.
func (w *window) take(ctx context.Context, messages int, bytes int64) error {
	return w.await(ctx, func() bool {
		if !w.fitsLocked(messages, bytes) {
			return false
		}
		w.messages += messages
		w.bytes += bytes
		return true
	})
}

func (w *window) fitsLocked(messages int, bytes int64) bool {
	if w.messages == 0 && w.bytes == 0 {
		return true
	}
	return w.messages+messages <= w.maxMessages && w.bytes+bytes <= w.maxBytes
}

// awaitOpen waits while the window is full. Once a caller waits, the window counts as open
// again only when a quarter of it is free: a source that woke for every message given
// back would post batches of one.
func (w *window) awaitOpen(ctx context.Context) error {
	if w.isOpen() {
		return ctx.Err()
	}
	return w.await(ctx, func() bool {
		return w.maxMessages-w.messages >= max(1, w.maxMessages/4) && w.maxBytes-w.bytes >= max(1, w.maxBytes/4)
	})
}

func (w *window) isOpen() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.openLocked()
}

func (w *window) openLocked() bool { return w.messages < w.maxMessages && w.bytes < w.maxBytes }

// await waits until ready, which is called with mu held, says true.
func (w *window) await(ctx context.Context, ready func() bool) error {
	w.mu.Lock()
	if ready() {
		w.mu.Unlock()
		return nil
	}
	w.mu.Unlock()
	return w.awaitSlow(ctx, ready)
}

func (w *window) awaitSlow(ctx context.Context, ready func() bool) error {
	if ctx != w.watchedContext() {
		defer context.AfterFunc(ctx, w.wakeAll)()
	}
	w.beginWaiting()
	defer w.endWaiting()
	w.mu.Lock()
	defer w.mu.Unlock()
	for !ready() {
		if err := ctx.Err(); err != nil {
			return err
		}
		w.opened.Wait()
	}
	return nil
}

// watch makes waits for ctx, the context that a source runs with, cost no allocation.
func (w *window) watch(ctx context.Context) (stop func() bool) {
	w.mu.Lock()
	w.watched = ctx
	w.mu.Unlock()
	return context.AfterFunc(ctx, w.wakeAll)
}

func (w *window) watchedContext() context.Context {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.watched
}

// wakeAll holds mu so that the broadcast cannot fall between a check and its Wait.
func (w *window) wakeAll() {
	w.mu.Lock()
	w.opened.Broadcast()
	w.mu.Unlock()
}

func (w *window) beginWaiting() {
	w.mu.Lock()
	w.waiting++
	if w.waiting == 1 {
		w.fullSince = time.Now()
	}
	w.mu.Unlock()
	w.tell()
}

func (w *window) endWaiting() {
	w.mu.Lock()
	w.waiting--
	if w.waiting == 0 {
		w.fullSince = time.Time{}
	}
	w.mu.Unlock()
	w.tell()
}

// tell calls onFull when somebody began to wait or nobody does any more. Two waiters that
// come and go at once cannot swap their calls: each tells the state as it is now.
func (w *window) tell() {
	w.telling.Lock()
	defer w.telling.Unlock()
	w.mu.Lock()
	full := w.waiting > 0
	w.mu.Unlock()
	if full != w.told {
		w.told = full
		w.onFull(full)
	}
}

// overrun takes without asking: what a fetcher has fetched is never thrown away because
// the source is being stopped.
func (w *window) overrun(messages int, bytes int64) {
	w.mu.Lock()
	w.messages += messages
	w.bytes += bytes
	w.mu.Unlock()
}

// give returns what a batch had taken.
func (w *window) give(messages int, bytes int64) {
	w.mu.Lock()
	w.messages -= messages
	w.bytes -= bytes
	if w.messages < 0 || w.bytes < 0 {
		panic("BUG: more was given back to the window than taken")
	}
	if w.waiting > 0 {
		w.opened.Broadcast()
	}
	w.mu.Unlock()
}

// resize changes the limits; what is on the way stays.
func (w *window) resize(messages int, bytes int64) {
	w.mu.Lock()
	w.maxMessages, w.maxBytes = messages, bytes
	w.opened.Broadcast()
	w.mu.Unlock()
}

// usage is the state of the window at one instant.
type usage struct {
	maxMessages, messages int
	maxBytes, bytes       int64
	fullSince             time.Time // zero while no source waits
}

func (w *window) usage() usage {
	w.mu.Lock()
	defer w.mu.Unlock()
	return usage{w.maxMessages, w.messages, w.maxBytes, w.bytes, w.fullSince}
}
