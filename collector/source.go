package collector

import (
	"context"
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

// A sourceRunner runs one plan's source: a fetcher by fetch.go, a posting source by
// run.go. It is started once and stopped once; a changed plan gets a new one.
type sourceRunner struct {
	path   *logPath
	spec   plan.Source
	marks  *bookmarks
	policy *policy // spec.source.message
	own    *Stream // of messages whose driver names no stream
	log    *slog.Logger
	build  func() (any, error) // a further instance, for a posting source that returned

	mu       sync.Mutex // protects what follows
	driver   any        // the instance that runs
	state    string
	message  string
	result   string // of the last fetch
	resultAt time.Time

	stopping   context.Context // ends at request_exit
	leftBehind atomic.Bool     // did not end within its grace: what it posts now is nobody's
	exit       context.CancelFunc
	done       chan struct{}
}

func newSourceRunner(l *logPath, p *plan.Plan, marks *bookmarks, driver any, build func() (any, error)) *sourceRunner {
	r := &sourceRunner{
		path: l, spec: p.Source, marks: marks, driver: driver, build: build, log: l.log,
		policy: newPolicy(p.Source.Message), own: &Stream{Attrs: commonAttrs(p)},
		state: report.Opening, done: make(chan struct{}),
	}
	r.stopping, r.exit = context.WithCancel(context.Background())
	return r
}

// start runs the source until stop.
func (r *sourceRunner) start() {
	go func() {
		defer close(r.done)
		defer r.path.window.watch(r.stopping)()
		switch d := r.driver.(type) {
		case Fetcher:
			r.runFetcher(d)
		case Source:
			r.runSource(d)
		default:
			r.set(report.Failed, fmt.Sprintf("BUG: class %s made a %T, which is no source", r.spec.Class, d))
		}
	}()
}

// stop asks the source to end and waits, at most grace; a source that ignores
// request_exit for longer is left behind, and said so.
func (r *sourceRunner) stop(grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	r.stopBy(ctx)
}

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
	r.exit()
	r.mu.Lock()
	e, ok := r.driver.(Exiter)
	r.mu.Unlock()
	if ok {
		go func() { _ = guard(func() error { e.RequestExit(); return nil }) }()
	}
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

// fill says how the source does.
func (r *sourceRunner) fill(to *report.LogPath) {
	r.mu.Lock()
	defer r.mu.Unlock()
	to.State, to.Message = r.state, r.message
	to.LastFetch, to.LastFetchTime = r.result, r.resultAt
	if _, posts := r.driver.(Source); posts && r.state == report.Fetching {
		if last := r.path.lastPost.Load(); time.Since(time.Unix(0, last)) > idleAfter {
			to.State = report.Idle
		}
	}
}

// useCommitter tells the driver its saved bookmarks if it wants to know.
func (r *sourceRunner) useCommitter(driver any) (stop func()) {
	d, ok := driver.(Committer)
	if !ok {
		return func() {}
	}
	c := startCommitter(d, func(err error) {
		r.path.events.add("commit_failed", 1)
		r.log.Warn("source did not take a saved bookmark", "error", err)
	})
	r.marks.mu.Lock()
	r.marks.commit = c
	r.marks.mu.Unlock()
	return func() {
		r.marks.mu.Lock()
		r.marks.commit = nil
		r.marks.mu.Unlock()
		c.stop()
	}
}
