package collector_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/checkpoint"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/collector/report"
)

// none is the options of a class without options.
type none struct{}

// A bench is an engine with fake drivers: what a test scripts and what it looks at.
type bench struct {
	t      *testing.T
	engine *collector.Engine
	store  *checkpoint.Store

	fetcher collector.Fetcher
	source  collector.Source
	sinks   map[string]*sink
	builds  int

	sourceFrom func(collector.Env) collector.Source // instead of source
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, sinks: map[string]*sink{}}
	b.store = openStore(t, "")
	b.restart()
	return b
}

func openStore(t *testing.T, dir string) *checkpoint.Store {
	t.Helper()
	s, err := checkpoint.Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// restart makes a new engine on the same store, as a new process would.
func (b *bench) restart() {
	b.engine = collector.NewEngine(collector.Options{
		Registry: b.registry(), Store: b.store, Log: slog.New(slog.DiscardHandler),
	})
}

func (b *bench) registry() collector.Registry {
	return collector.Registry{
		collector.NewFetcher(class.Class{Name: "fetch", Placement: class.Single}, []byte(`[]`), func(none, collector.Env) (collector.Fetcher, error) {
			b.builds++
			return b.fetcher, nil
		}),
		collector.NewSource(class.Class{Name: "post", Placement: class.Single}, []byte(`[]`), func(_ none, env collector.Env) (collector.Source, error) {
			b.builds++
			if b.sourceFrom != nil {
				return b.sourceFrom(env), nil
			}
			return b.source, nil
		}),
		collector.NewDestination(class.Class{Name: "sink"}, []byte(`[{"name":"to","type":"string","description":"which sink"}]`), func(o struct {
			To string `json:"to"`
		}, _ collector.Env) (collector.Destination, error) {
			s := b.sinks[o.To]
			if s == nil {
				return nil, fmt.Errorf("no sink %q", o.To)
			}
			return s, nil
		}),
	}
}

// plan is a plan of this class with these destinations.
func (b *bench) plan(sourceClass string, ds ...plan.Destination) *plan.Plan {
	return &plan.Plan{
		Version:   plan.Version,
		LogSource: plan.LogSource{Kind: "LogSource", Namespace: "test", Name: "src", UID: "u1", Generation: 1},
		Source: plan.Source{
			Class: sourceClass, TimeReopen: plan.Duration(10 * time.Second), FetchNoDataDelay: plan.Duration(3 * time.Second),
			OnRunExit: "Restart", Window: plan.Window{Messages: 8, Bytes: 1 << 20}, PersistName: sourceClass,
		},
		Destinations: ds, ShutdownGrace: plan.Duration(20 * time.Second),
	}
}

// to is a required destination that writes to the sink of that name.
func to(name string) plan.Destination {
	options, err := json.Marshal(map[string]string{"to": name})
	if err != nil {
		panic(err)
	}
	return plan.Destination{
		Name: name, Class: "sink", Options: options, Required: true, OnFull: plan.Suspend,
		Queue: plan.Queue{Bytes: 1 << 20},
		Batch: plan.Batch{Messages: 4, Bytes: 1 << 20, Timeout: plan.Duration(time.Second)},
		Retry: plan.Retry{Initial: plan.Duration(time.Second), Max: plan.Duration(8 * time.Second)},
	}
}

func (b *bench) sink(name string) *sink {
	s := &sink{name: name}
	b.sinks[name] = s
	return s
}

func (b *bench) apply(plans ...*plan.Plan) {
	b.t.Helper()
	b.engine.Apply(plans)
	b.engine.Wait()
}

func (b *bench) status() report.LogPath {
	b.t.Helper()
	r := b.engine.Report()
	if len(r.LogPaths) != 1 {
		b.t.Fatalf("report has %d log paths, refused %v", len(r.LogPaths), r.Refused)
	}
	return r.LogPaths[0]
}

// stop drains and checks that every ledger balances and that the window came back.
func (b *bench) stop() report.Collector {
	b.t.Helper()
	b.engine.Stop(b.t.Context())
	r := b.engine.Report()
	balance(b.t, r)
	if err := b.store.Close(); err != nil {
		b.t.Error(err)
	}
	return r
}

// balance checks the ledger of every destination.
func balance(t *testing.T, r report.Collector) {
	t.Helper()
	for _, l := range r.LogPaths {
		if l.InUse < 0 || l.InUseBytes < 0 {
			t.Errorf("window in use: %d messages, %d bytes", l.InUse, l.InUseBytes)
		}
		for _, d := range l.Destinations {
			sum := d.Delivered + d.Queued + d.InFlight
			for _, n := range d.Dropped {
				sum += n
			}
			for _, n := range d.Rejected {
				sum += n
			}
			if sum != d.Accepted {
				t.Errorf("ledger of %s does not balance: %+v", d.Name, d)
			}
		}
	}
}

// A sink is a destination that remembers what it was given.
type sink struct {
	name string

	mu       sync.Mutex
	got      []string
	requests []int // messages per request
	calls    []string
	opens    int
	openErr  error
	answer   func(bs []*collector.Batch) error // nil: takes everything
	block    chan struct{}                     // when not nil, Write waits for it
}

func (s *sink) Open(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opens++
	s.calls = append(s.calls, "open")
	return s.openErr
}

func (s *sink) Write(ctx context.Context, bs []*collector.Batch) error {
	s.mu.Lock()
	block, answer := s.block, s.answer
	s.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	var err error
	if answer != nil {
		err = answer(bs)
	}
	s.take(bs, err)
	return err
}

// take remembers the records that err does not name.
func (s *sink) take(bs []*collector.Batch, err error) {
	var partial *collector.PartialError
	if err != nil && !errors.As(err, &partial) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for i, b := range bs {
		for j := range b.Len() {
			refused := partial != nil && slices.ContainsFunc(partial.Rejected, func(r collector.Rejection) bool { return r.Batch == i && r.Record == j })
			if !refused {
				s.got = append(s.got, string(b.Body(j)))
				n++
			}
		}
	}
	s.requests = append(s.requests, n)
}

func (s *sink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, "close")
	return nil
}

func (s *sink) set(change func(*sink)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *sink) messages() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

// script is a fetcher that plays steps: each Fetch takes the next one.
type script struct {
	mu    sync.Mutex
	steps []step
	log   []string
	began time.Time
	opens []error // answers of Open, then nil for ever
	exits int
}

// step is what one Fetch does.
type step struct {
	send     []string
	err      error
	panics   bool
	bookmark string
	wait     chan struct{} // Fetch blocks until it is closed, whatever ctx says
}

func newScript(steps ...step) *script { return &script{steps: steps, began: time.Now()} }

func (f *script) note(what string) {
	f.log = append(f.log, fmt.Sprintf("%s@%v", what, time.Since(f.began)))
}

func (f *script) Init(context.Context) error { f.locked("init"); return nil }
func (f *script) Deinit()                    { f.locked("deinit") }
func (f *script) Close() error               { f.locked("close"); return nil }

func (f *script) locked(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note(what)
}

func (f *script) RequestExit() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.exits++
	for _, s := range f.steps {
		if s.wait != nil {
			select {
			case <-s.wait:
			default:
				close(s.wait)
			}
		}
	}
}

func (f *script) Open(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note("open")
	if len(f.opens) == 0 {
		return nil
	}
	err := f.opens[0]
	f.opens = f.opens[1:]
	return err
}

func (f *script) Fetch(ctx context.Context, b *collector.Batch) error {
	f.mu.Lock()
	f.note("fetch")
	if len(f.steps) == 0 {
		f.mu.Unlock()
		<-ctx.Done()
		return ctx.Err()
	}
	s := f.steps[0]
	f.mu.Unlock()
	if s.wait != nil {
		<-s.wait
	}
	f.mu.Lock()
	f.steps = f.steps[1:]
	f.mu.Unlock()
	for _, m := range s.send {
		b.Append(time.Now(), []byte(m))
	}
	if s.bookmark != "" {
		b.SetBookmark("pos", []byte(s.bookmark))
	}
	if s.panics {
		panic("driver bug")
	}
	return s.err
}

func (f *script) calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.log)
}

// elapse lets the time of the test's bubble pass.
func elapse(d time.Duration) { <-time.After(d) }
