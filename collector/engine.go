package collector

import (
	"context"
	"errors"
	"log/slog"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/logsource/operator/collector/checkpoint"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/collector/report"
)

// Options make an Engine.
type Options struct {
	Registry Registry
	// Secrets returns the reader of the Secrets that a LogSource may use; nil: it has none.
	Secrets func(plan.LogSource) Secrets
	// Store keeps the bookmarks. The engine does not close it.
	Store *checkpoint.Store
	// Node is where the collector runs.
	Node Node
	// OutputDir is what file destinations may write beneath; empty: nothing.
	OutputDir string
	// Version, Pod are named in the report.
	Version, Pod string
	Log          *slog.Logger
}

// An Engine runs one log path per plan. Its methods may be called from any goroutine.
type Engine struct {
	opts    Options
	env     *environment
	catalog class.Catalog
	started time.Time

	mu      sync.Mutex // protects what follows
	paths   map[string]*running
	refused map[string]report.Refused
	stopped bool
	applied bool
	work    sync.WaitGroup     // plans being applied
	halt    context.CancelFunc // ends environment.stopping
	abort   context.CancelFunc // ends environment.hard
}

// running is a log path and the plans on their way to it.
type running struct {
	path *logPath
	plan *plan.Plan // the newest one asked for

	failed bool        // plan could not be built; the path runs an older one
	again  *time.Timer // tries a plan whose source did not start once more; nil when none does
	wait   time.Duration
}

// A plan whose source did not start is tried again after retryPlanMin, then twice that, up
// to retryPlanMax: each try stops the old source for a moment.
const (
	retryPlanMin = time.Minute
	retryPlanMax = 15 * time.Minute
)

// NewEngine makes an engine that runs nothing yet.
func NewEngine(o Options) *Engine {
	if o.Secrets == nil {
		o.Secrets = func(plan.LogSource) Secrets { return noSecrets }
	}
	stopping, halt := context.WithCancel(context.Background())
	hard, abort := context.WithCancel(context.Background())
	return &Engine{
		opts: o, halt: halt, abort: abort, catalog: o.Registry.Catalog(), started: time.Now(), paths: map[string]*running{}, refused: map[string]report.Refused{},
		env: &environment{registry: o.Registry, secrets: o.Secrets, store: o.Store, node: o.Node, output: o.OutputDir, log: o.Log, stopping: stopping, hard: hard},
	}
}

// Apply makes the engine run exactly these plans, by UID of their LogSources: only log
// paths whose plan changed are touched, and none waits for another. A plan that is not
// valid is refused, visibly, and what ran for its LogSource goes on; so it does for those
// in refused, which the caller could not read. A path whose plan is gone is drained up to
// its shutdownGrace and forgotten, its bookmarks with it.
// Apply does not wait for any of that; Wait does.
func (e *Engine) Apply(plans []*plan.Plan, refused ...report.Refused) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped {
		return
	}
	e.applied = true
	wanted := map[string]bool{}
	for _, r := range refused {
		wanted[r.UID] = true
		e.refuseLocked(r)
	}
	for _, p := range plans {
		wanted[p.LogSource.UID] = true
		e.applyLocked(p)
	}
	for uid, r := range e.paths {
		if !wanted[uid] {
			r.cancelRetry()
			delete(e.paths, uid)
			e.work.Go(func() { e.retire(uid, r) })
		}
	}
	for uid := range e.refused {
		if !wanted[uid] {
			delete(e.refused, uid)
		}
	}
}

func (e *Engine) applyLocked(p *plan.Plan) {
	if err := p.Validate(e.catalog); err != nil {
		e.refuseLocked(report.Refused{UID: p.LogSource.UID, Generation: p.LogSource.Generation, Error: err.Error()})
		return
	}
	uid := p.LogSource.UID
	r := e.paths[uid]
	if r != nil && equalJSON(r.plan, p) {
		if !r.failed {
			delete(e.refused, uid)
		}
		return
	}
	if r == nil {
		r = &running{path: newLogPath(e.env, p)}
		e.paths[uid] = r
	}
	r.plan, r.failed, r.wait = p, false, 0
	r.cancelRetry()
	e.work.Go(func() { e.applyOne(r, p) })
}

func (r *running) cancelRetry() {
	if r.again != nil {
		r.again.Stop()
		r.again = nil
	}
}

// retryLocked tries p again later unless another plan comes first.
func (e *Engine) retryLocked(r *running, p *plan.Plan) {
	if e.stopped || r.plan != p {
		return
	}
	r.wait = min(max(2*r.wait, retryPlanMin), retryPlanMax)
	r.again = time.AfterFunc(r.wait, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if !e.stopped && r.plan == p && e.paths[p.LogSource.UID] == r {
			e.work.Go(func() { e.applyOne(r, p) })
		}
	})
}

// refuseLocked shows a plan that is not run; a new reason is logged.
func (e *Engine) refuseLocked(r report.Refused) {
	if e.refused[r.UID] != r {
		e.opts.Log.Error("plan refused; what ran before goes on", "uid", r.UID, "generation", r.Generation, "error", r.Error)
	}
	e.refused[r.UID] = r
}

// applyOne applies p unless a newer plan has been asked for meanwhile.
func (e *Engine) applyOne(r *running, p *plan.Plan) {
	err := r.path.apply(func() *plan.Plan {
		e.mu.Lock()
		defer e.mu.Unlock()
		return r.plan
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	if err == nil {
		r.failed = false
		delete(e.refused, p.LogSource.UID)
		return
	}
	if errors.Is(err, errStopping) {
		return
	}
	r.failed = true
	if errors.Is(err, errNotStarted) {
		e.retryLocked(r, p)
	}
	e.refuseLocked(report.Refused{UID: p.LogSource.UID, Generation: p.LogSource.Generation, Error: err.Error()})
}

func (e *Engine) retire(uid string, r *running) {
	ctx, cancel := context.WithTimeout(e.env.hard, r.plan.ShutdownGrace.D())
	defer cancel()
	r.path.stop(ctx)
	e.mu.Lock()
	back := e.paths[uid] != nil
	e.mu.Unlock()
	if !back {
		e.opts.Store.Forget(func(name string) bool { return !strings.HasPrefix(name, uid+"/") })
	}
	e.opts.Log.Info("log path removed", "logsource", r.plan.LogSource.String())
}

// Plans returns the plans asked for last.
func (e *Engine) Plans() []*plan.Plan {
	e.mu.Lock()
	defer e.mu.Unlock()
	plans := make([]*plan.Plan, 0, len(e.paths))
	for _, r := range e.paths {
		plans = append(plans, r.plan)
	}
	return plans
}

// Wait returns when every plan applied so far has taken effect.
func (e *Engine) Wait() { e.work.Wait() }

// Stop ends every log path: sources first, then destinations once they have delivered
// what they hold, or when ctx ends. What is left keeps its bookmark unmoved.
func (e *Engine) Stop(ctx context.Context) {
	defer e.abort()
	defer context.AfterFunc(ctx, e.abort)()
	e.mu.Lock()
	e.stopped = true
	e.halt()
	paths := make([]*running, 0, len(e.paths))
	for _, r := range e.paths {
		r.cancelRetry()
		paths = append(paths, r)
	}
	e.mu.Unlock()
	e.work.Wait()
	var wait sync.WaitGroup
	for _, r := range paths {
		wait.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, r.plan.ShutdownGrace.D())
			defer cancel()
			r.path.stop(ctx)
		})
	}
	wait.Wait()
}

// Ready says whether the engine has been given its plans.
func (e *Engine) Ready() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.applied && !e.stopped
}

// Report says how every log path does, sorted by UID.
func (e *Engine) Report() report.Collector {
	e.mu.Lock()
	paths := make([]*logPath, 0, len(e.paths))
	for _, r := range e.paths {
		paths = append(paths, r.path)
	}
	c := report.Collector{
		Version: e.opts.Version, Started: e.started, Node: e.opts.Node.Name, Pod: e.opts.Pod,
		LogPaths: []report.LogPath{},
	}
	for _, r := range e.refused {
		c.Refused = append(c.Refused, r)
	}
	e.mu.Unlock()
	for _, l := range paths {
		if l.current() != nil {
			c.LogPaths = append(c.LogPaths, l.report())
		}
	}
	sort.Slice(c.LogPaths, func(i, j int) bool { return c.LogPaths[i].UID < c.LogPaths[j].UID })
	sort.Slice(c.Refused, func(i, j int) bool { return c.Refused[i].UID < c.Refused[j].UID })
	return c
}

// events returns the event counters of every log path.
func (e *Engine) events() map[plan.LogSource]map[string]int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make(map[plan.LogSource]map[string]int64, len(e.paths))
	for _, r := range e.paths {
		all[r.plan.LogSource] = r.path.events.snapshot()
	}
	return all
}
