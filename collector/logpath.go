package collector

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logsource/operator/collector/checkpoint"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/collector/report"
)

// A logPath joins one source to its destinations. It lives as long as its LogSource does:
// a new plan changes its parts, but the window, the tracker, the queues and the ledger
// stay, so that nothing that was accepted is lost by an edit.
type logPath struct {
	env     *environment
	log     *slog.Logger
	own     *Stream // of messages whose driver names no stream
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

	posting sync.Mutex // orders tracker and queues; held while a batch enters them
	hurry   atomic.Bool
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
}

func newLogPath(env *environment, p *plan.Plan) *logPath {
	l := &logPath{
		env:    env,
		log:    env.log.With("logsource", p.LogSource.String()),
		own:    &Stream{Attrs: []Attr{{Name: "logsource", Value: p.LogSource.String()}}},
		events: newCounters(), drops: newCounters(),
	}
	l.window = newWindow(p.Source.Window.Messages, p.Source.Window.Bytes, l.setHurry)
	l.pool.limit = 2 * p.Source.Window.Bytes
	return l
}

// apply makes the path run the newest plan. When an instance of it cannot be built, the
// path goes on as it was and the error says why.
func (l *logPath) apply(newest func() *plan.Plan) error {
	l.applying.Lock()
	defer l.applying.Unlock()
	p := newest() // plans that were overtaken while waiting are skipped
	if old := l.current(); old != nil && equalJSON(old, p) {
		return nil
	}
	next, err := l.build(p)
	if err != nil {
		return err
	}
	if next.source != nil || p.Paused {
		l.stopSource()
	}
	l.window.resize(p.Source.Window.Messages, p.Source.Window.Bytes)
	l.pool.resize(2 * p.Source.Window.Bytes)
	l.replaceOutputs(next)
	l.mu.Lock()
	l.plan = p
	if next.source != nil {
		l.source = next.source
	}
	source := l.source
	l.mu.Unlock()
	if next.source != nil {
		source.start()
	}
	return nil
}

// parts are the instances a new plan needs; nil where the running one is right.
type parts struct {
	source  *sourceRunner
	drivers map[string]Destination // by destination name
	specs   []plan.Destination
}

// build makes what differs from the running plan, without side effects.
func (l *logPath) build(p *plan.Plan) (parts, error) {
	old := l.current()
	next := parts{drivers: map[string]Destination{}, specs: p.Destinations}
	for i, d := range p.Destinations {
		if old != nil && sameDestination(old, d) {
			continue
		}
		driver, err := l.buildDestination(p, d)
		if err != nil {
			return parts{}, fmt.Errorf("spec.destinations[%d] (%s): %w", i, d.Name, err)
		}
		next.drivers[d.Name] = driver
	}
	if p.Paused || (old != nil && !old.Paused && sameSource(old, p) && l.sourceRuns()) {
		return next, nil
	}
	source, err := l.buildSource(p)
	if err != nil {
		return parts{}, fmt.Errorf("spec.source: %w", err)
	}
	next.source = source
	return next, nil
}

func (l *logPath) current() *plan.Plan {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.plan
}

func (l *logPath) sourceRuns() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.source != nil
}

func sameDestination(old *plan.Plan, d plan.Destination) bool {
	for _, o := range old.Destinations {
		if o.Name == d.Name {
			return equalJSON(o, d)
		}
	}
	return false
}

// sameSource ignores the window, which is resized in place.
func sameSource(a, b *plan.Plan) bool {
	x, y := a.Source, b.Source
	x.Window, y.Window = plan.Window{}, plan.Window{}
	return equalJSON(x, y) && equalJSON(a.Select, b.Select)
}

func equalJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func (l *logPath) buildDestination(p *plan.Plan, d plan.Destination) (Destination, error) {
	driver, err := l.env.registry.find(class.Destination, d.Class)
	if err != nil {
		return nil, err
	}
	made, err := driver.New(d.Options, d.SecretOptions, l.missing.watch(l.env.secrets(p.LogSource)), l.driverEnv(p, l.log.With("destination", d.Name)))
	if err != nil {
		return nil, err
	}
	return made.(Destination), nil
}

func (l *logPath) buildSource(p *plan.Plan) (*sourceRunner, error) {
	driver, err := l.env.registry.find(class.Source, p.Source.Class)
	if err != nil {
		return nil, err
	}
	marks := l.bookmarksFor(p)
	env := l.driverEnv(p, l.log)
	env.Bookmarks = marks
	build := func() (any, error) {
		return driver.New(p.Source.Options, p.Source.SecretOptions, l.missing.watch(l.env.secrets(p.LogSource)), env)
	}
	made, err := build()
	if err != nil {
		return nil, err
	}
	return newSourceRunner(l, p, marks, made, build), nil
}

// bookmarksFor returns the positions of the plan's persist name: the ones in use, if that
// is their name, because they know what is posted but not yet acked.
func (l *logPath) bookmarksFor(p *plan.Plan) *bookmarks {
	name := p.LogSource.UID + "/" + p.Source.PersistName
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.marks == nil || l.marks.name != name {
		l.marks = newBookmarks(l.env.store.Namespace(name), name, l.saved)
	}
	return l.marks
}

func (l *logPath) driverEnv(p *plan.Plan, log *slog.Logger) Env {
	return Env{
		LogSource: p.LogSource, Log: log, Count: l.events.add, Lost: l.gaps.add,
		Select: p.Select, StartAt: p.Source.StartAt,
		Node: l.env.node, OutputDir: l.env.output,
	}
}

func (l *logPath) stopSource() {
	l.mu.Lock()
	source := l.source
	l.source = nil
	l.mu.Unlock()
	if source != nil {
		source.stop(l.current().ShutdownGrace.D())
	}
}

// replaceOutputs gives every destination of the new plan its writer, on the queue it
// already has when one of that name is there. What a removed destination had not taken
// is dropped, counted.
func (l *logPath) replaceOutputs(next parts) {
	l.mu.Lock()
	old := l.outputs
	l.mu.Unlock()
	kept := map[string]*output{}
	for _, o := range old {
		kept[o.spec.Name] = o
	}
	var outputs []*output
	for _, spec := range next.specs {
		o := kept[spec.Name]
		delete(kept, spec.Name)
		if driver := next.drivers[spec.Name]; driver != nil {
			o = l.replaceOutput(o, spec, driver)
		}
		outputs = append(outputs, o)
	}
	// no batch enters the tracker between the old set and the new one
	l.posting.Lock()
	l.mu.Lock()
	l.outputs = outputs
	l.mu.Unlock()
	l.posting.Unlock()
	for _, o := range kept {
		l.removeOutput(o)
	}
}

func (l *logPath) removeOutput(o *output) {
	o.writer.stop()
	lost := o.queue.drain()
	n := messagesOf(lost) // before settled: the batches are not ours after that
	for _, b := range lost {
		l.settled(o.queue, b)
	}
	if n > 0 {
		l.drops.add("destination_removed", int(n))
		l.log.Error("destination was removed with messages in its queue; they are counted as dropped", "destination", o.spec.Name, "messages", n)
	}
}

func (l *logPath) replaceOutput(old *output, spec plan.Destination, driver Destination) *output {
	o := &output{spec: spec, holds: spec.Required && spec.OnFull == plan.Suspend}
	if old == nil {
		o.queue = newQueue(spec)
	} else {
		old.writer.stop()
		o.queue = old.queue
		o.queue.configure(spec)
	}
	o.queue.setHurry(l.hurry.Load())
	o.writer = newWriter(spec, driver, o.queue, l.log.With("destination", spec.Name), func(b *Batch) { l.settled(o.queue, b) })
	o.writer.start()
	return o
}

// lend returns an empty batch with room for what the window allows now.
func (l *logPath) lend(s *Stream, marks *bookmarks) *Batch {
	messages, size := l.window.room(plan.DefaultBatchMessages, plan.DefaultBatchBytes)
	b := l.pool.get()
	b.reset(s, messages, int(size))
	b.marks = marks
	return b
}

// post queues b for every destination once the window has room for it. When ctx ends
// first, b is given up, or, if forced, queued all the same: the window is then overrun by
// that one batch.
func (l *logPath) post(ctx context.Context, b *Batch, forced bool) error {
	n := b.Len()
	if n == 0 && b.bookmarkKey == "" {
		l.pool.put(b)
		return nil
	}
	b.windowed = n > 0 && l.windowHolds()
	if b.windowed {
		if err := l.window.take(ctx, n, int64(b.Size())); err != nil {
			if !forced {
				l.pool.put(b)
				return err
			}
			l.window.overrun(n, int64(b.Size()))
		}
	}
	l.enqueue(b)
	return nil
}

// windowHolds says whether any destination makes the source wait.
func (l *logPath) windowHolds() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range l.outputs {
		if o.holds {
			return true
		}
	}
	return false
}

func (l *logPath) enqueue(b *Batch) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) { // asked first: the values would be boxed
		l.log.Debug("batch posted", "messages", b.Len(), "bytes", b.Size())
	}
	l.posting.Lock()
	defer l.posting.Unlock()
	b.posted = time.Now().UnixNano()
	l.lastPost.Store(b.posted)
	l.accepted.Add(int64(b.Len()))
	l.acceptedBytes.Add(int64(b.Size()))
	b.marks.posted(b)
	l.setHolders(b)
	l.tracker.push(b)
	for i := range b.holders {
		q := b.holders[i].queue
		if b.Len() == 0 {
			l.settled(q, b)
			continue
		}
		for _, dropped := range q.push(b) {
			l.settled(q, dropped)
		}
	}
	l.acked(b)
}

// setHolders notes who waits for the batch. One ack and one reference are enqueue's and
// the tracker's own: a quick destination cannot finish the batch while it is being queued.
func (l *logPath) setHolders(b *Batch) {
	holds, acks := int32(0), int32(1)
	b.holders = b.holders[:0]
	for _, o := range l.outputs { // written only with posting and mu held
		b.holders = append(b.holders, holder{o.queue, o.holds, o.spec.Required})
		if o.holds {
			holds++
		}
		if o.spec.Required {
			acks++
		}
	}
	b.holds.Store(holds)
	b.acks.Store(acks)
	b.refs.Store(int32(len(b.holders)) + 1)
	if b.windowed && holds == 0 { // the plan changed between take and here
		l.window.give(b.Len(), int64(b.Size()))
		b.windowed = false
	}
	b.releaseEarly = b.windowed && holds < acks-1
}

// settled is called once per batch and destination, when the destination is done with it.
func (l *logPath) settled(q *queue, b *Batch) {
	h := b.holderOf(q)
	if h.holds && b.holds.Add(-1) == 0 && b.releaseEarly {
		l.window.give(b.Len(), int64(b.Size()))
	}
	if h.required {
		l.acked(b)
	}
	l.release(b)
}

func (b *Batch) holderOf(q *queue) holder {
	for _, h := range b.holders {
		if h.queue == q {
			return h
		}
	}
	panic("BUG: a queue settled a batch that was not posted to it")
}

// acked counts one ack; the last one frees the batch's place in the tracker.
func (l *logPath) acked(b *Batch) {
	if b.acks.Add(-1) == 0 {
		l.tracker.ack(b, l.commit)
	}
}

// commit saves the batch's bookmark, or finishes it at once when it has none. It is
// called in order.
func (l *logPath) commit(b *Batch) {
	if b.bookmarkKey == "" {
		l.saved(b)
		return
	}
	b.marks.save(b)
}

// saved gives the window back: the position is on disk.
func (l *logPath) saved(b *Batch) {
	if b.windowed && !b.releaseEarly {
		l.window.give(b.Len(), int64(b.Size()))
	}
	l.release(b)
}

func (l *logPath) release(b *Batch) {
	if b.refs.Add(-1) == 0 {
		l.pool.put(b)
	}
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
	}
	for _, o := range outputs {
		o.queue.close(true)
	}
	var wait sync.WaitGroup
	for _, o := range outputs {
		wait.Go(func() { o.writer.finish(ctx) })
	}
	wait.Wait()
	l.env.store.Flush()
}

// report is the path's part of the status.
func (l *logPath) report() report.LogPath {
	l.mu.Lock()
	p, source, outputs := l.plan, l.source, l.outputs
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
