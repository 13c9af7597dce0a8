package collector

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/logsource/operator/collector/report"
)

// runSource runs a posting source. When it returns of its own accord another instance is
// to follow (true), unless onRunExit says Stop: then it is dead until the plan changes, as
// in syslog-ng, and is deinited only then.
func (r *sourceRunner) runSource(s Source) (again bool) {
	defer r.deinit(s)
	why := r.runToEnd(s)
	if r.stopping.Err() != nil {
		return false
	}
	r.path.events.add("run_returned", 1)
	if r.spec.OnRunExit == "Stop" {
		r.set(report.Failed, "run returned and onRunExit is Stop: "+why)
		<-r.stopping.Done()
		return false
	}
	r.set(report.Reopening, why)
	return true
}

// runToEnd calls Run and says why it ended.
func (r *sourceRunner) runToEnd(s Source) string {
	commit, stopCommitter := r.useCommitter(s)
	defer stopCommitter()
	p := newPoster(r, s, commit)
	defer p.close()
	r.set(report.Fetching, "")
	if err := guard(func() error { return s.Run(r.stopping, p) }); err != nil {
		return "run: " + firstLine(err)
	}
	return "run returned"
}

// poster is the log path as one instance of a posting source sees it.
type poster struct {
	runner    *sourceRunner
	commit    *committer
	suspender Suspender // nil: Post blocks
	suspended atomic.Bool
	ended     atomic.Bool        // Run has returned
	stop      context.CancelFunc // of the goroutine that wakes the suspender
	stopped   context.Context

	mu     sync.Mutex     // protects what follows
	waking bool           // the goroutine runs
	again  bool           // it was suspended again meanwhile
	waker  sync.WaitGroup // the goroutine
}

func newPoster(r *sourceRunner, s Source, c *committer) *poster {
	p := &poster{runner: r, commit: c}
	p.suspender, _ = s.(Suspender)
	p.stopped, p.stop = context.WithCancel(r.stopping)
	return p
}

// close ends the waker, if one runs, and takes no further batch.
func (p *poster) close() {
	p.ended.Store(true)
	p.stop()
	p.waker.Wait()
}

// Batch lends an empty batch.
func (p *poster) Batch(s *Stream) *Batch {
	if s == nil {
		s = p.runner.own
	}
	return p.runner.lend(s, p.commit)
}

// Post queues b. Without a Suspender it returns once the window is open again, which is
// how syslog-ng's post_message blocks: after the message that filled the window.
func (p *poster) Post(ctx context.Context, b *Batch) error {
	if p.ended.Load() || p.runner.leftBehind.Load() {
		return p.runner.drop(b, "left_behind", errLeftBehind)
	}
	path := p.runner.path
	if b.empty() { // a loan that was not used is given back, whatever the state
		path.giveUp(b)
		return nil
	}
	if p.suspender != nil {
		return p.postOrDrop(ctx, b)
	}
	if err := path.post(ctx, b, orGiveUp); err != nil {
		if p.runner.stopping.Err() != nil { // syslog-ng: request_exit unblocks, what is posted after it is dropped
			return p.runner.dropSuspended(b)
		}
		path.giveUp(b)
		return err
	}
	if path.windowHolds() {
		_ = path.window.awaitOpen(ctx) // b is accepted whatever happens to ctx
	}
	return nil
}

// postOrDrop posts for a source that wants to be told instead of blocked. What fills the
// window is accepted; Suspend is called inside that post.
func (p *poster) postOrDrop(ctx context.Context, b *Batch) error {
	if p.suspended.Load() {
		return p.runner.dropSuspended(b)
	}
	path := p.runner.path
	if err := path.post(ctx, b, atOnce); err != nil {
		return err
	}
	if path.windowHolds() && !path.window.isOpen() && p.suspended.CompareAndSwap(false, true) {
		_ = guard(func() error { p.suspender.Suspend(); return nil })
		p.wakeLater()
	}
	return nil
}

// wakeLater calls Wakeup from another goroutine once the window is open. A Post inside
// Wakeup that fills the window again is seen to by the same goroutine.
func (p *poster) wakeLater() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waking {
		p.again = true
		return
	}
	p.waking = true
	p.waker.Go(p.wake)
}

func (p *poster) wake() {
	for more := true; more; more = p.wakeAgain() {
		if p.runner.path.window.awaitOpen(p.stopped) != nil {
			return
		}
		p.suspended.Store(false)
		_ = guard(func() error { p.suspender.Wakeup(); return nil })
	}
}

func (p *poster) wakeAgain() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waking, p.again = p.again, false
	return p.waking
}
