package collector

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/logsource/operator/collector/report"
)

// errLeftBehind is what a source is told that posts although another instance has taken
// its place.
var errLeftBehind = errors.New("this source did not end when it was asked to; another instance has taken its place")

// maxRunBackoff bounds the wait before a source that returned is run again.
const maxRunBackoff = time.Minute

// runSource is the loop of a posting source: run it, and when it returns of its own
// accord run a new instance after a back-off, unless onRunExit says Stop.
func (r *sourceRunner) runSource(s Source) {
	wait := backoff{initial: r.spec.TimeReopen.D(), max: maxRunBackoff}
	for {
		started := time.Now()
		why := r.runInstance(s)
		if r.stopping.Err() != nil {
			return
		}
		r.path.events.add("run_returned", 1)
		if r.spec.OnRunExit == "Stop" {
			r.set(report.Failed, "run returned and onRunExit is Stop: "+why)
			<-r.stopping.Done()
			return
		}
		if time.Since(started) > maxRunBackoff {
			wait.reset()
		}
		r.set(report.Reopening, why)
		if !sleep(r.stopping, wait.next()) {
			return
		}
		if s = r.rebuild(&wait); s == nil {
			return
		}
	}
}

// runInstance runs one instance to its end and says why it ended.
func (r *sourceRunner) runInstance(s Source) string {
	defer deinitDriver(s)
	if err := initDriver(r.stopping, s); err != nil {
		return "init: " + firstLine(err)
	}
	defer r.useCommitter(s)()
	p := newPoster(r, s)
	defer p.close()
	r.set(report.Fetching, "")
	if err := guard(func() error { return s.Run(r.stopping, p) }); err != nil {
		return "run: " + firstLine(err)
	}
	return "run returned"
}

// rebuild makes the next instance, for ever; nil when the stop comes first.
func (r *sourceRunner) rebuild(wait *backoff) Source {
	for {
		made, err := r.build()
		if err == nil {
			s := made.(Source)
			r.mu.Lock()
			r.driver = s
			r.mu.Unlock()
			return s
		}
		r.set(report.Failed, firstLine(err))
		if !sleep(r.stopping, wait.next()) {
			return nil
		}
	}
}

// poster is the log path as a posting source sees it.
type poster struct {
	runner    *sourceRunner
	suspender Suspender // nil: Post blocks
	suspended atomic.Bool
	stop      context.CancelFunc // of the goroutine that wakes the suspender
	stopped   context.Context
	idle      chan struct{} // a token: no waker runs
}

func newPoster(r *sourceRunner, s Source) *poster {
	p := &poster{runner: r, idle: make(chan struct{}, 1)}
	p.idle <- struct{}{}
	p.suspender, _ = s.(Suspender)
	p.stopped, p.stop = context.WithCancel(r.stopping)
	return p
}

// close ends the waker, if one runs.
func (p *poster) close() {
	p.stop()
	<-p.idle
}

// Batch lends an empty batch.
func (p *poster) Batch(s *Stream) *Batch {
	if s == nil {
		s = p.runner.own
	}
	return p.runner.lend(s)
}

// Post queues b. Without a Suspender it returns once the window is open again, which is
// how syslog-ng's post_message blocks: after the message that filled the window.
func (p *poster) Post(ctx context.Context, b *Batch) error {
	if p.runner.leftBehind.Load() {
		return p.drop(b, "left_behind", errLeftBehind)
	}
	if p.suspender != nil {
		return p.postOrDrop(ctx, b)
	}
	if err := p.runner.path.post(ctx, b, false); err != nil {
		return err
	}
	if p.runner.path.windowHolds() {
		_ = p.runner.path.window.awaitOpen(ctx) // b is accepted whatever happens to ctx
	}
	return nil
}

// postOrDrop posts for a source that wants to be told instead of blocked. What fills the
// window is accepted; Suspend is called inside that post.
func (p *poster) postOrDrop(ctx context.Context, b *Batch) error {
	path := p.runner.path
	if p.suspended.Load() {
		p.runner.log.Error("Incorrectly suspended source, dropping message", "messages", b.Len())
		return p.drop(b, "suspended", ErrSuspended)
	}
	if err := path.post(ctx, b, true); err != nil {
		return err
	}
	if path.windowHolds() && !path.window.isOpen() && p.suspended.CompareAndSwap(false, true) {
		p.suspender.Suspend()
		p.wakeLater()
	}
	return nil
}

// drop counts a batch that is not accepted and takes its memory back.
func (p *poster) drop(b *Batch, reason string, why error) error {
	p.runner.path.drops.add(reason, b.Len())
	p.runner.path.pool.put(b)
	return why
}

// wakeLater calls Wakeup from another goroutine once the window is open.
func (p *poster) wakeLater() {
	<-p.idle
	go func() {
		defer func() { p.idle <- struct{}{} }()
		if p.runner.path.window.awaitOpen(p.stopped) != nil {
			return
		}
		p.suspended.Store(false)
		_ = guard(func() error { p.suspender.Wakeup(); return nil })
	}()
}
