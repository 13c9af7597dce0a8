package collector_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/checkpoint"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/collector/report"
)

// This file is what the tests of the lifecycle share: an engine whose drivers are made by
// the test and note every call, with its time and its goroutine.

// A call is one that the engine made, or that a driver says of itself.
type call struct {
	at        time.Duration
	instance  int // the first one made is 0
	what      string
	goroutine string
}

// calls are noted by any goroutine.
type calls struct {
	mu    sync.Mutex
	began time.Time
	list  []call
}

func (c *calls) note(instance int, what string) {
	by := goroutine()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, call{time.Since(c.began), instance, what, by})
}

func (c *calls) all() []call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.list)
}

// of lists the calls of one instance, "open@10s".
func (c *calls) of(instance int) []string {
	var list []string
	for _, x := range c.all() {
		if x.instance == instance {
			list = append(list, fmt.Sprintf("%s@%v", x.what, x.at))
		}
	}
	return list
}

// names lists the calls of every instance, "open#1", without their times.
func (c *calls) names() []string {
	var list []string
	for _, x := range c.all() {
		list = append(list, fmt.Sprintf("%s#%d", x.what, x.instance))
	}
	return list
}

// count is how many calls of that name any instance got.
func (c *calls) count(what string) int {
	n := 0
	for _, x := range c.all() {
		if x.what == what {
			n++
		}
	}
	return n
}

// countOf is how many calls of that name an instance got.
func (c *calls) countOf(instance int, what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, x := range c.list {
		if x.instance == instance && x.what == what {
			n++
		}
	}
	return n
}

// by is the goroutine of the first call of that name.
func (c *calls) by(what string) string {
	for _, x := range c.all() {
		if x.what == what {
			return x.goroutine
		}
	}
	return ""
}

// goroutine names the goroutine that calls it.
func goroutine() string {
	var buf [64]byte
	head := buf[:runtime.Stack(buf[:], false)]
	return string(bytes.Fields(head)[1])
}

// An actor is one instance of a driver of these tests.
type actor struct {
	*calls
	n      int
	silent []string // calls that are not noted
}

func (a *actor) note(what string) {
	if !slices.Contains(a.silent, what) {
		a.calls.note(a.n, what)
	}
}

// A puppet is a fetcher that does what its functions say; one that is nil succeeds.
// fetch notes itself.
type puppet struct {
	actor
	init, open, close func() error
	fetch             func(context.Context, *collector.Batch) error
	exit, deinit      func()
}

func (p *puppet) Init(context.Context) error { p.note("init"); return run(p.init) }
func (p *puppet) Open(context.Context) error { p.note("open"); return run(p.open) }
func (p *puppet) Close() error               { p.note("close"); return run(p.close) }

func (p *puppet) Fetch(ctx context.Context, b *collector.Batch) error { return p.fetch(ctx, b) }

func (p *puppet) RequestExit() {
	p.note("request_exit")
	if p.exit != nil {
		p.exit()
	}
}

func (p *puppet) Deinit() {
	p.note("deinit")
	if p.deinit != nil {
		p.deinit()
	}
}

func run(f func() error) error {
	if f == nil {
		return nil
	}
	return f()
}

// A speaker is a posting source that does what its functions say.
type speaker struct {
	actor
	init         func() error
	run          func(context.Context, collector.Poster) error
	exit, deinit func()
}

func (s *speaker) Init(context.Context) error { s.note("init"); return run(s.init) }

func (s *speaker) Run(ctx context.Context, out collector.Poster) error { return s.run(ctx, out) }

func (s *speaker) RequestExit() {
	s.note("request_exit")
	if s.exit != nil {
		s.exit()
	}
}

func (s *speaker) Deinit() {
	s.note("deinit")
	if s.deinit != nil {
		s.deinit()
	}
}

func (s *speaker) Finalize() { s.note("finalize") }

// say posts one message.
func say(ctx context.Context, out collector.Poster, text string) error {
	b := out.Batch(nil)
	b.Append(time.Now(), []byte(text))
	return out.Post(ctx, b)
}

// A suspending speaker wants to be told.
type suspending struct {
	*speaker
	suspend, wakeup func()
}

func (s suspending) Suspend() { s.suspend() }
func (s suspending) Wakeup()  { s.wakeup() }

// onlySuspend is a speaker that lacks Wakeup, onlyWakeup one that lacks Suspend.
type (
	onlySuspend struct{ *speaker }
	onlyWakeup  struct{ *speaker }
)

func (s onlySuspend) Suspend() { s.note("suspend") }
func (s onlyWakeup) Wakeup()   { s.note("wakeup") }

// A stage is an engine whose sources are made by the test, anew for every instance.
type stage struct {
	t      *testing.T
	engine *collector.Engine
	store  *checkpoint.Store
	calls  *calls
	logs   *lockedBuffer
	sinks  map[string]*sink

	mu   sync.Mutex
	made int
	make func(n int, env collector.Env) (any, error)
}

// newStage makes an engine; make returns instance n, a Fetcher for the class "fetch" and a
// Source for the class "post".
func newStage(t *testing.T, create func(s *stage, n int, env collector.Env) (any, error)) *stage {
	t.Helper()
	s := &stage{t: t, store: openStore(t, ""), calls: &calls{began: time.Now()}, logs: &lockedBuffer{}, sinks: map[string]*sink{}}
	s.make = func(n int, env collector.Env) (any, error) { return create(s, n, env) }
	s.engine = collector.NewEngine(collector.Options{
		Registry: s.registry(), Store: s.store, Log: slog.New(slog.NewTextHandler(s.logs, nil)),
	})
	return s
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// edited is the options of both source classes: another number is another source.
type edited struct {
	Edit int `json:"edit"`
}

var editOption = []byte(`[{"name":"edit","type":"int","description":"another number is another source"}]`)

func (s *stage) registry() collector.Registry {
	return collector.Registry{
		collector.NewFetcher(class.Class{Name: "fetch", Placement: class.Single}, editOption, func(_ edited, env collector.Env) (collector.Fetcher, error) {
			return made[collector.Fetcher](s, env)
		}),
		collector.NewSource(class.Class{Name: "post", Placement: class.Single}, editOption, func(_ edited, env collector.Env) (collector.Source, error) {
			return made[collector.Source](s, env)
		}),
		collector.NewDestination(class.Class{Name: "sink"}, []byte(`[{"name":"to","type":"string","description":"which sink"}]`), func(o struct {
			To string `json:"to"`
		}, _ collector.Env) (collector.Destination, error) {
			return s.sinks[o.To], nil
		}),
	}
}

func made[D any](s *stage, env collector.Env) (D, error) {
	s.mu.Lock()
	n := s.made
	s.made++
	s.mu.Unlock()
	var none D
	d, err := s.make(n, env)
	if err != nil {
		return none, err
	}
	return d.(D), nil
}

// actor is what the instance n is made of.
func (s *stage) actor(n int, silent ...string) actor { return actor{s.calls, n, silent} }

// sink is a destination of that name that writes every message at once.
func (s *stage) sink(name string) *sink {
	k := &sink{name: name}
	s.sinks[name] = k
	return k
}

// at is a plan.Destination for the sink of that name: one message a request, at once.
func at(name string) plan.Destination {
	d := to(name)
	d.Batch = plan.Batch{Messages: 1, Bytes: 1 << 20, Timeout: plan.Duration(time.Millisecond)}
	return d
}

// plan is one of the class "fetch" or "post" with syslog-ng's reopen time.
func (s *stage) plan(sourceClass string, ds ...plan.Destination) *plan.Plan {
	p := (&bench{}).plan(sourceClass, ds...)
	p.Source.TimeReopen = plan.Duration(time.Second)
	p.Source.FetchNoDataDelay = plan.Duration(time.Minute)
	p.Source.OnRunExit = "Stop"
	return p
}

// edit is p with another source.
func edit(p *plan.Plan, n int) *plan.Plan {
	q := *p
	options, err := json.Marshal(edited{n})
	if err != nil {
		panic(err)
	}
	q.Source.Options = options
	q.LogSource.Generation += int64(n)
	return &q
}

func (s *stage) apply(p ...*plan.Plan) {
	s.t.Helper()
	s.engine.Apply(p)
	s.engine.Wait()
}

func (s *stage) status() report.LogPath {
	s.t.Helper()
	return (&bench{t: s.t, engine: s.engine}).status()
}

// stop ends the engine and checks the ledgers.
func (s *stage) stop() {
	s.t.Helper()
	s.engine.Stop(s.t.Context())
	synctest.Wait() // RequestExit is called by a goroutine of its own
	s.close()
}

// close checks the ledgers of an engine that has been stopped.
func (s *stage) close() {
	s.t.Helper()
	balance(s.t, s.engine.Report())
	if err := s.store.Close(); err != nil {
		s.t.Error(err)
	}
}

// log is what the engine has logged.
func (s *stage) log() string { return s.logs.String() }
