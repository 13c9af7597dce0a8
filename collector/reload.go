package collector

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/plan"
)

// This file is how a log path takes over a new plan while it runs: build what differs,
// stop what it replaces, start it on the queues that are there. A source is stopped before
// its successor is made, as in syslog-ng, so that two never share a port or a connection.

// apply makes the path run the newest plan. When an instance of it cannot be built, or the
// new source does not start, the path goes on with the old plan and the error says why.
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
	if err := l.replaceSource(next.source, p.Paused); err != nil {
		return err
	}
	l.window.resize(p.Source.Window.Messages, p.Source.Window.Bytes)
	l.pool.resize(2 * p.Source.Window.Bytes)
	l.replaceOutputs(next)
	l.fast.Store(p.Level == plan.Fast)
	l.mu.Lock()
	l.plan = p
	l.mu.Unlock()
	if next.source != nil {
		next.source.release() // only now: what it posts goes to the new destinations
	}
	return nil
}

// replaceSource stops the source that runs, if the plan changes it, and makes next ready in
// its place. When its Init fails, a fresh instance of the old plan runs again (syslog-ng:
// the old configuration is initialized again). A first source, and one that replaces one
// that could not start either, is tried again for ever instead.
func (l *logPath) replaceSource(next *sourceRunner, paused bool) error {
	if next == nil && !paused {
		return nil
	}
	old := l.stopSource()
	defer old.finalizeIfAny() // after the Init of the new one
	if l.env.stopping.Err() != nil {
		return errStopping // a stop wins over an edit, as in syslog-ng
	}
	l.setSource(next)
	if next == nil {
		return nil
	}
	if old == nil || !old.initialized.Load() {
		next.start(true)
		return nil
	}
	next.start(false)
	if err := next.awaitInit(old.plan.ShutdownGrace.D()); err != nil {
		return l.restoreSource(old.plan, err)
	}
	return nil
}

// errStopping is the end of an edit that the stop of the engine overtook.
var errStopping = errors.New("the collector stops")

// errNotStarted is in the error of a plan whose source did not start.
var errNotStarted = errors.New("the source did not start, the old one runs again")

// restoreSource runs the old plan's source again because that of the new plan failed.
func (l *logPath) restoreSource(old *plan.Plan, why error) error {
	why = fmt.Errorf("spec.source: %w: %w", errNotStarted, why)
	again, err := l.buildSource(old)
	if err != nil {
		l.setSource(nil)
		return errors.Join(why, err)
	}
	l.setSource(again)
	again.start(true)
	again.release()
	return why
}

func (l *logPath) setSource(r *sourceRunner) {
	l.mu.Lock()
	l.source = r
	l.mu.Unlock()
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
	if !l.sourceRuns() { // nothing to stop first: what the constructor refuses is refused at once
		if source.made, err = source.build(); err != nil {
			return parts{}, fmt.Errorf("spec.source: %w", err)
		}
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
	return equalJSON(x, y) && equalJSON(a.Select, b.Select) && a.Level == b.Level
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
	made, err := newInstance(driver, d.Options, d.SecretOptions, l.missing.watch(l.env.secrets(p.LogSource)), l.driverEnv(p, l.log.With("destination", d.Name)))
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
		return newInstance(driver, p.Source.Options, p.Source.SecretOptions, l.missing.watch(l.env.secrets(p.LogSource)), env)
	}
	return newSourceRunner(l, p, marks, build), nil
}

// newInstance is driver.New; a constructor that panics is one that fails.
func newInstance(driver Driver, options json.RawMessage, secretOptions []plan.SecretOption, secrets Secrets, env Env) (made any, err error) {
	err = guard(func() error {
		made, err = driver.New(options, secretOptions, secrets, env)
		return err
	})
	return made, err
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
		Common: commonAttrs(p), Flags: p.Source.Flags, Message: p.Source.Message, Level: p.Level,
		Persist: persist{l.env.store.Namespace(persistNamespace(p.LogSource.UID, p.Source.PersistName))},
		Select:  p.Select, StartAt: p.Source.StartAt,
		Node: l.env.node, OutputDir: l.env.output,
	}
}

// stopSource stops the source that runs and returns it, nil when none does.
func (l *logPath) stopSource() *sourceRunner {
	l.mu.Lock()
	source := l.source
	l.source = nil
	l.mu.Unlock()
	if source != nil {
		ctx, cancel := context.WithTimeout(l.env.hard, l.current().ShutdownGrace.D())
		defer cancel()
		source.stopBy(ctx)
	}
	return source
}

// replaceOutputs gives every destination of the new plan its writer, on the queue it
// already has when one of that name is there. A removed destination goes on until it has
// delivered what it had taken (drain.go).
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
		if o == nil {
			o = l.undrain(spec.Name)
		}
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
		l.drain(o)
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
