package collector

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/logsource/operator/collector/checkpoint"
	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/collector/report"
)

// A logPath joins one source to its destinations. It lives as long as its LogSource does:
// a new plan changes its parts, but the window, the tracker, the queues and the ledger
// stay, so that nothing that was accepted is lost by an edit.
type logPath struct {
	env     *environment
	log     *slog.Logger
	window  *window
	tracker tracker
	pool    pool
	events  *counters // events_total by reason
	drops   *counters // dropped before acceptance, by reason
	gaps    gaps
	missing unresolved // keys of Secrets

	accepted      atomic.Int64
	acceptedBytes atomic.Int64
	lastPost      atomic.Int64 // UnixNano

	applying sync.Mutex // one plan at a time

	mu      sync.Mutex // protects what follows
	plan    *plan.Plan
	outputs []*output
	source  *sourceRunner
	marks   *bookmarks
	// draining are destinations that are no longer in the plan.
	draining []*draining

	posting sync.Mutex // orders tracker and queues; held while a batch enters them
	hurry   atomic.Bool
	fast    atomic.Bool // level Fast: what is queued is acked
}

// An output is one destination of a log path: its queue stays when its writer changes.
type output struct {
	spec   plan.Destination
	queue  *queue
	writer *writer
	holds  bool // the window waits for it: required and OnFull is Suspend
}

// environment is what an engine gives to all of its log paths.
type environment struct {
	registry Registry
	secrets  func(plan.LogSource) Secrets
	store    *checkpoint.Store
	node     Node
	output   string
	log      *slog.Logger
	stopping context.Context // ends when the engine begins to stop
	hard     context.Context // ends when it stops at once: nobody waits for a grace any more
}

func newLogPath(env *environment, p *plan.Plan) *logPath {
	l := &logPath{
		env:    env,
		log:    env.log.With("logsource", p.LogSource.String()),
		events: newCounters(), drops: newCounters(),
	}
	l.window = newWindow(p.Source.Window.Messages, p.Source.Window.Bytes, l.setHurry)
	l.pool.limit = 2 * p.Source.Window.Bytes
	return l
}

// setHurry tells the store and every queue that the source waits: do not wait for more.
func (l *logPath) setHurry(on bool) {
	l.hurry.Store(on)
	l.env.store.Hurry(on)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range l.outputs {
		o.queue.setHurry(on)
	}
}

// stop ends the path: the source first, then the destinations once their queues are
// empty or ctx ends. What is left keeps its bookmark unmoved.
func (l *logPath) stop(ctx context.Context) {
	l.applying.Lock()
	defer l.applying.Unlock()
	l.mu.Lock()
	source, outputs := l.source, l.outputs
	l.mu.Unlock()
	if source != nil {
		source.stopBy(ctx)
		source.finalize()
	}
	for _, o := range outputs {
		o.queue.close(true)
	}
	var wait sync.WaitGroup
	for _, o := range outputs {
		wait.Go(func() { o.writer.finish(ctx) })
	}
	wait.Wait()
	l.awaitDrained(ctx)
	l.env.store.Flush()
}

// report is the path's part of the status.
func (l *logPath) report() report.LogPath {
	l.mu.Lock()
	p, source, outputs := l.plan, l.source, l.outputs
	for _, d := range l.draining {
		outputs = append(outputs[:len(outputs):len(outputs)], d.output)
	}
	l.mu.Unlock()
	use := l.window.usage()
	r := report.LogPath{
		UID: p.LogSource.UID, Namespace: p.LogSource.Namespace, Name: p.LogSource.Name, Generation: p.LogSource.Generation,
		Window: int64(use.maxMessages), InUse: int64(use.messages), WindowBytes: use.maxBytes, InUseBytes: use.bytes,
		SuspendedSince: use.fullSince, Accepted: l.accepted.Load(), AcceptedBytes: l.acceptedBytes.Load(),
		OldestUnacked: l.tracker.oldest(), SourceDrops: l.drops.snapshot(), Unresolved: l.missing.in(p),
	}
	r.GapMessages, r.GapBytes = l.gaps.totals()
	var holding []report.Destination
	for _, o := range outputs {
		d := o.writer.report()
		o.queue.fill(&d)
		r.Destinations = append(r.Destinations, d)
		if o.holds && d.Queued+d.InFlight > 0 {
			holding = append(holding, d)
		}
	}
	l.describe(&r, source, holding)
	return r
}

// describe says the state in one word and, when it is not a good one, why.
func (l *logPath) describe(r *report.LogPath, source *sourceRunner, holding []report.Destination) {
	if source == nil {
		r.State = report.Paused
		return
	}
	source.fill(r)
	if r.SuspendedSince.IsZero() {
		return
	}
	r.SuspendedBy = suspendedBy(holding)
	if r.State == report.Fetching || r.State == report.Idle {
		r.State = report.Suspended
		r.Message = fmt.Sprintf("the window is full, held by %s", strings.Join(r.SuspendedBy, ", "))
	}
}

// suspendedBy names the destinations that hold the window: the ones in trouble, or all
// when none is.
func suspendedBy(holding []report.Destination) []string {
	var all, troubled []string
	for _, d := range holding {
		all = append(all, d.Name)
		switch d.State {
		case report.DestinationRetrying, report.DestinationFailed, report.DestinationOpening:
			troubled = append(troubled, d.Name)
		}
	}
	if len(troubled) > 0 {
		return troubled
	}
	return all
}
