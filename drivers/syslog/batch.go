package syslog

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/logsource/operator/collector"
)

// A shared is the one batch that the messages of all peers go into. It is posted as soon as
// nobody who is ready to add to it is left, so that few messages do not wait and many make
// large batches.
type shared struct {
	gate   gate
	stream *collector.Stream
	out    collector.Poster
	ctx    context.Context // of Run

	mu       sync.Mutex       // held during Post: protects following
	batch    *collector.Batch // lent; nil: none
	flushing bool             // somebody is about to post
}

// add appends a message, and waits while the source is suspended. After request_exit it
// does not wait: what is posted then the collector takes, or drops and counts.
func (s *shared) add(r *collector.Record) {
	for !s.tryAdd(r) {
		s.gate.wait()
	}
}

// tryAdd returns false when the source is suspended. Suspend is called inside Post, with mu
// held: while the gate is shut there is no batch, and with mu held it stays open.
func (s *shared) tryAdd(r *collector.Record) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gate.shut.Load() {
		return false
	}
	if s.batch != nil {
		if s.batch.AppendFrom(r) {
			return true
		}
		if s.postLocked(); s.gate.shut.Load() {
			return false
		}
	}
	s.batch = s.out.Batch(s.stream)
	return s.batch.AppendFrom(r)
}

// flush posts the batch after everybody who could run has had a turn: under load those
// have added to it by then, and without load nobody is waited for. Of several callers one
// does it.
func (s *shared) flush() {
	s.mu.Lock()
	mine := s.batch != nil && !s.flushing
	s.flushing = s.flushing || mine
	s.mu.Unlock()
	if !mine {
		return
	}
	runtime.Gosched()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flushing = false
	s.postLocked()
}

// postLocked posts what there is. An error means that the collector did not take the batch;
// it has counted its messages, and nobody can be told.
func (s *shared) postLocked() {
	if s.batch != nil {
		_ = s.out.Post(s.ctx, s.batch)
		s.batch = nil
	}
}

// A gate is shut from Suspend to Wakeup. It has a lock of its own because Post waits for
// the last Wakeup to return: a Wakeup that waited for the end of Post would never.
type gate struct {
	shut   atomic.Bool
	mu     sync.Mutex
	opened sync.Cond // L is mu
	ended  bool      // request_exit: open for good
}

func (g *gate) suspend() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut.Store(!g.ended)
}

func (g *gate) wakeup() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut.Store(false)
	g.opened.Broadcast()
}

// end opens the gate for good.
func (g *gate) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = true
	g.shut.Store(false)
	g.opened.Broadcast()
}

func (g *gate) wait() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.shut.Load() {
		g.opened.Wait()
	}
}
