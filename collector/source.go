package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/collector/report"
)

// idleAfter is how long a posting source may be silent before its state is Idle.
const idleAfter = 5 * time.Second

// maxRunBackoff bounds the wait before a source that failed to start, or that returned, is
// made again.
const maxRunBackoff = time.Minute

// A sourceRunner runs one plan's source: a fetcher by fetch.go, a posting source by
// run.go. It is started once and stopped once; a changed plan gets a new one.
type sourceRunner struct {
	path   *logPath
	plan   *plan.Plan
	spec   plan.Source // of plan
	marks  *bookmarks
	policy *policy // spec.source.message
	own    *Stream // of messages whose driver names no stream
	log    *slog.Logger
	build  func() (any, error) // makes an instance
	made   any                 // an instance that build has made for the start

	mu       sync.Mutex // protects what follows
	driver   any        // the instance that runs
	alive    bool       // its Init has succeeded, and its Deinit has not begun
	final    bool       // it has been finalized
	state    string
	message  string
	result   string // of the last fetch
	resultAt time.Time
	saidAt   time.Time // when a dropped batch was logged last
	unsaid   int       // messages dropped since

	stopping    context.Context // ends at request_exit
	leftBehind  atomic.Bool     // did not end within its grace: what it posts now is nobody's
	exit        context.CancelFunc
	first       chan error // what the first Init said
	initialized atomic.Bool
	released    chan struct{} // closed when what the source posts has somewhere to go
	exited      chan struct{} // RequestExit has returned, or there was none to call
	once        sync.Once     // of requestExit
	done        chan struct{}
}

func newSourceRunner(l *logPath, p *plan.Plan, marks *bookmarks, build func() (any, error)) *sourceRunner {
	r := &sourceRunner{
		path: l, plan: p, spec: p.Source, marks: marks, build: build, log: l.log,
		policy: newPolicy(p.Source.Message), own: &Stream{Attrs: commonAttrs(p)},
		state: report.Opening, first: make(chan error, 1), released: make(chan struct{}), exited: make(chan struct{}), done: make(chan struct{}),
	}
	r.stopping, r.exit = context.WithCancel(context.Background())
	return r
}

// release lets a source that has been started open and run. Called once.
func (r *sourceRunner) release() { close(r.released) }

// start runs the source until stop, once it is released. With retry, an instance whose Init fails is made anew
// after a back-off, for ever; without, the runner ends and first says why.
func (r *sourceRunner) start(retry bool) {
	go func() {
		defer close(r.done)
		defer r.path.window.watch(r.stopping)()
		wait := backoff{initial: r.spec.TimeReopen.D(), max: maxRunBackoff}
		for r.prepare(&wait, retry) {
			began := time.Now()
			if !r.live() {
				return
			}
			r.finalize()
			if time.Since(began) > maxRunBackoff { // it was well
				wait.reset()
			}
			if !sleep(r.stopping, wait.next()) {
				return
			}
			retry = true
		}
	}()
}

// prepare makes an instance and calls its Init; false when none is to run.
func (r *sourceRunner) prepare(wait *backoff, retry bool) bool {
	for {
		err := r.initInstance()
		select {
		case r.first <- err:
		default: // only the first one is asked for
		}
		switch {
		case err == nil:
			r.initialized.Store(true)
			return r.awaitRelease()
		case r.stopping.Err() != nil:
			return false
		}
		r.set(report.Failed, firstLine(err))
		if !retry || !sleep(r.stopping, wait.next()) {
			return false
		}
	}
}

// awaitInit waits for the first Init. One that takes longer than grace is told to end, and
// has failed.
func (r *sourceRunner) awaitInit(grace time.Duration) error {
	timer := time.NewTimer(max(grace, time.Second))
	defer timer.Stop()
	select {
	case err := <-r.first:
		return err
	case <-r.path.env.stopping.Done(): // the stop of the path sees to it
		return nil
	case <-timer.C:
		ctx, cancel := context.WithTimeout(r.path.env.hard, max(grace, time.Second))
		defer cancel()
		r.stopBy(ctx)
		return fmt.Errorf("init did not return within %s", max(grace, time.Second))
	}
}

// awaitRelease is true also when the stop comes first: the instance has yet to be closed
// and deinited.
func (r *sourceRunner) awaitRelease() bool {
	select {
	case <-r.released:
	case <-r.stopping.Done():
	}
	return true
}

// initInstance makes an instance and calls its Init. One whose Init failed is finalized,
// not deinited, as in syslog-ng.
func (r *sourceRunner) initInstance() error {
	driver, err := r.made, error(nil)
	if r.made = nil; driver == nil {
		driver, err = r.build()
	}
	if err != nil {
		return err
	}
	if _, suspends := driver.(interface{ Suspend() }); suspends {
		if _, complete := driver.(Suspender); !complete {
			return fmt.Errorf("class %s implements Suspend but Wakeup is missing", r.spec.Class)
		}
	}
	r.mu.Lock()
	r.driver, r.final = driver, false
	r.mu.Unlock()
	if err := initDriver(r.stopping, driver); err != nil {
		r.finalize()
		return fmt.Errorf("init: %w", err)
	}
	r.mu.Lock()
	r.alive = true
	r.mu.Unlock()
	return nil
}

// deinit is the end of an instance, after RequestExit has returned if that was called.
func (r *sourceRunner) deinit(driver any) {
	r.mu.Lock()
	if r.stopping.Err() == nil {
		r.alive = false
	}
	wait := r.alive
	r.mu.Unlock()
	if wait {
		<-r.exited
	}
	deinitDriver(driver)
}

// live runs the prepared instance to its end and says whether another one is to follow.
func (r *sourceRunner) live() (again bool) {
	switch d := r.driver.(type) {
	case Fetcher:
		r.runFetcher(d)
		return false
	case Source:
		return r.runSource(d)
	}
	r.set(report.Failed, fmt.Sprintf("BUG: class %s made a %T, which is no source", r.spec.Class, r.driver))
	<-r.stopping.Done()
	return false
}

// stopBy asks the source to end and waits until it has or ctx ends; a source that ignores
// request_exit for longer is left behind, and said so.
func (r *sourceRunner) stopBy(ctx context.Context) {
	r.requestExit()
	select {
	case <-r.done:
	case <-ctx.Done():
		r.leftBehind.Store(true)
		r.path.events.add("source_ignored_exit", 1)
		r.log.Error("source did not return after request_exit; going on without it", "class", r.spec.Class)
	}
}

// requestExit ends the context and calls RequestExit, which may block, from a goroutine
// of its own, as syslog-ng calls request_exit from another thread.
func (r *sourceRunner) requestExit() {
	r.once.Do(func() {
		r.mu.Lock()
		r.exit()
		e, ok := r.driver.(Exiter)
		ok = ok && r.alive
		r.mu.Unlock()
		go func() {
			defer close(r.exited)
			if ok {
				_ = guard(func() error { e.RequestExit(); return nil })
			}
		}()
	})
}

// finalize is the last call to the present instance. One that was left behind is still in
// a call of its own and gets none.
func (r *sourceRunner) finalize() {
	if r.leftBehind.Load() {
		return
	}
	r.mu.Lock()
	f, ok := r.driver.(Finalizer)
	again := r.final
	r.final = true
	r.mu.Unlock()
	if ok && !again {
		_ = guard(func() error { f.Finalize(); return nil })
	}
}

// finalizeIfAny is finalize of a runner that may be nil.
func (r *sourceRunner) finalizeIfAny() {
	if r != nil {
		r.finalize()
	}
}

// lend returns an empty batch with room for what the window allows now.
func (r *sourceRunner) lend(s *Stream, c *committer) *Batch {
	messages, size := r.path.window.room(plan.DefaultBatchMessages, plan.DefaultBatchBytes)
	b := r.path.pool.get()
	b.reset(s, messages, int(size))
	b.marks, b.policy, b.commit = r.marks, r.policy, c
	return b
}

// errLeftBehind is what a source is told that posts although it has ended.
var errLeftBehind = errors.New("this source has ended, or did not when it was asked to: it can post no more")

// drop counts a batch that is not accepted and takes its memory back.
func (r *sourceRunner) drop(b *Batch, reason string, why error) error {
	r.path.drops.add(reason, b.Len())
	r.path.giveUp(b)
	return why
}

// dropSuspended drops what was posted while suspended. The log line is syslog-ng's, once a
// second at most.
func (r *sourceRunner) dropSuspended(b *Batch) error {
	r.mu.Lock()
	r.unsaid += b.Len()
	n, due := r.unsaid, time.Since(r.saidAt) >= time.Second
	if due {
		r.saidAt, r.unsaid = time.Now(), 0
	}
	r.mu.Unlock()
	if due {
		r.log.Error("Incorrectly suspended source, dropping message", "messages", n)
	}
	return r.drop(b, "suspended", ErrSuspended)
}

// set notes the state and, when it is not a good one, why; a new reason is logged.
func (r *sourceRunner) set(state, message string) {
	r.mu.Lock()
	fresh := message != "" && message != r.message
	r.state, r.message = state, message
	r.mu.Unlock()
	if fresh {
		r.log.Warn("source is not well", "state", state, "reason", message)
	}
}

// setState notes a state and leaves the reason as it is.
func (r *sourceRunner) setState(state string) {
	r.mu.Lock()
	r.state = state
	r.mu.Unlock()
}

// fill says how the source does.
func (r *sourceRunner) fill(to *report.LogPath) {
	r.mu.Lock()
	defer r.mu.Unlock()
	to.State, to.Message = r.state, r.message
	if r.stopping.Err() != nil && r.state != report.Failed {
		to.State = report.Stopping
	}
	to.LastFetch, to.LastFetchTime = r.result, r.resultAt
	if _, posts := r.driver.(Source); posts && r.state == report.Fetching {
		if last := r.path.lastPost.Load(); time.Since(time.Unix(0, last)) > idleAfter {
			to.State = report.Idle
		}
	}
}

// useCommitter tells the driver its saved bookmarks if it wants to know, until stop.
func (r *sourceRunner) useCommitter(driver any) (c *committer, stop func()) {
	d, ok := driver.(Committer)
	if !ok {
		return nil, func() {}
	}
	c = startCommitter(d, func(err error) {
		r.path.events.add("commit_failed", 1)
		r.log.Warn("source did not take a saved bookmark", "error", err)
	})
	return c, c.stop
}
