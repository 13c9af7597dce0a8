package drivertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector"
)

// SourceHarness is what CheckSource needs to know.
type SourceHarness struct {
	Driver collector.Driver
	// Start makes the setup of a source that posts the messages Want, and then no more,
	// without returning from Run.
	Start func(t *testing.T) Setup
	// Want are the messages of one life of the source, in order.
	Want []string
	// Refused are options documents that must not make an instance, with a word that the
	// error must name.
	Refused map[string]string
}

// CheckSource holds a source that posts of its own accord to the contract.
func CheckSource(t *testing.T, h SourceHarness) {
	t.Helper()
	scenario(t, "options are decoded strictly", func(t *testing.T) {
		checkOptions(t, h.Driver, h.Start(t), h.Refused)
	})
	scenario(t, "every message once and in order", func(t *testing.T) {
		h.expect(t, NewPoster(10, 4096))
	})
	scenario(t, "through a window of one message", func(t *testing.T) {
		h.expect(t, NewPoster(1, 1))
	})
	scenario(t, "request_exit ends a Post that waits", h.exitsWhileBlocked)
	scenario(t, "Run ends with its context", h.exitsAtOnce)
}

// expect runs the source against p, which acks at once, until all is there.
func (h SourceHarness) expect(t *testing.T, p *Poster) {
	t.Helper()
	s := MustNew[collector.Source](t, h.Driver, h.Start(t), NewRecorder())
	p.Stop = len(h.Want)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := h.run(ctx, t, s, p)
	await(t, fmt.Sprintf("posting of %d messages", len(h.Want)), first(p.Stopped(), done))
	told := requestExit(s, cancel)
	await(t, "Run after request_exit", done)
	await(t, "RequestExit", told)
	if diff := cmp.Diff(h.Want, p.Messages()); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	p.checkReturned(t)
}

// first is closed once a or b is.
func first(a, b <-chan struct{}) <-chan struct{} {
	either := make(chan struct{})
	go func() {
		defer close(either)
		select {
		case <-a:
		case <-b:
		}
	}()
	return either
}

// exitsWhileBlocked stops a source whose window is full for ever.
func (h SourceHarness) exitsWhileBlocked(t *testing.T) {
	s := MustNew[collector.Source](t, h.Driver, h.Start(t), NewRecorder())
	p := NewPoster(1, 1)
	p.Stop, p.Block = 1, true
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := h.run(ctx, t, s, p)
	await(t, "posting of the first message", p.Stopped())
	told := requestExit(s, cancel)
	await(t, "Run after request_exit", done)
	await(t, "RequestExit", told)
	p.checkReturned(t)
}

func (h SourceHarness) exitsAtOnce(t *testing.T) {
	s := MustNew[collector.Source](t, h.Driver, h.Start(t), NewRecorder())
	p := NewPoster(10, 4096)
	await(t, "Run with a context that has ended", h.run(ended(t), t, s, p))
	p.checkReturned(t)
}

func (h SourceHarness) run(ctx context.Context, t *testing.T, s collector.Source, p *Poster) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Run(ctx, p); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("run: %v", err)
		}
		if ctx.Err() == nil {
			t.Error("Run returned before its context ended")
		}
	}()
	return done
}

// A Poster is the collector's side of a posting source: it lends batches with little room
// and keeps what is posted.
type Poster struct {
	// Stop is the number of messages at which Stopped is closed. Set it before Run.
	Stop int
	// Block lets every Post from then on wait until its context ends, as a full window does.
	Block bool

	maxMessages, maxBytes int
	stopped               chan struct{}

	mu   sync.Mutex // protects following
	got  []string
	lent map[*collector.Batch]bool
	err  error
}

// NewPoster makes a poster whose batches take so many messages and bytes.
func NewPoster(maxMessages, maxBytes int) *Poster {
	return &Poster{maxMessages: maxMessages, maxBytes: maxBytes, stopped: make(chan struct{}), lent: map[*collector.Batch]bool{}}
}

// Stopped is closed once Stop messages are posted.
func (p *Poster) Stopped() <-chan struct{} { return p.stopped }

// Messages are the messages posted so far.
func (p *Poster) Messages() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.got...)
}

// Batch implements collector.Poster.
func (p *Poster) Batch(s *collector.Stream) *collector.Batch {
	b := collector.NewBatch(s, p.maxMessages, p.maxBytes)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lent[b] = true
	return b
}

// Post implements collector.Poster.
func (p *Poster) Post(ctx context.Context, b *collector.Batch) error {
	if err := ctx.Err(); err != nil {
		p.take(b)
		return err
	}
	before, after := p.take(b)
	for i := range b.Len() {
		p.keep(string(b.Body(i)))
	}
	if before < p.Stop && after >= p.Stop {
		close(p.stopped)
	}
	if p.Block && before >= p.Stop {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (p *Poster) keep(message string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, message)
}

// take ends the loan of b and says how many messages there were before and are now.
func (p *Poster) take(b *collector.Batch) (before, after int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.lent[b] {
		p.err = errors.New("a batch was posted that was not lent, or twice")
	}
	delete(p.lent, b)
	if b.Len() > 0 && b.Stream() == nil {
		p.err = errors.New("a batch with messages has no stream")
	}
	return len(p.got), len(p.got) + b.Len()
}

// checkReturned holds the source to giving back what it was lent.
func (p *Poster) checkReturned(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		t.Error(p.err)
	}
	if len(p.lent) > 0 {
		t.Errorf("%d batches were lent and never posted", len(p.lent))
	}
}
