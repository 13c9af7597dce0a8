package collector_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/plan"
)

// This file plays the scripts in testdata/transcripts: what a source answers and what is
// done from outside, to the calls that it gets, with the time of each. After a change that
// is meant: go test ./collector -run Transcript -rewrite, and read the difference.
//
// A script begins with "fetcher" or "source" and its settings: window, time-reopen,
// no-data, on-run-exit, grace, destinations, down (those that take nothing at first) and,
// for a source, suspender. Then, one a line, what the driver does
//
//	init error            Init fails, the next one of these lines is of the next instance
//	open ok|error|panic   answers of Open; when they are used up Open succeeds
//	fetch STATUS m…       answers of Fetch, with messages; then Fetch waits for request_exit
//	fetch hangs 5s        Fetch ignores request_exit for that long, then succeeds with "late"
//	post m, wait 3s       what Run does, in this order; then it waits for request_exit
//	return, fail, panic   Run ends
//	post-after-exit m     Run posts once more after request_exit
//
// and what happens to it:
//
//	at 3s up NAME         the destination takes messages from now on
//	at 3s down NAME       it takes none
//	at 3s reload          the plan is edited
//	at 3s refuse          an edit that names no class
//	at 3s report          the state, as the report has it
//	at 9s stop            the end; every script has one
func TestTranscript(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var out string
			synctest.Test(t, func(t *testing.T) { out = newTranscript(t, d).play() })
			return out
		})
	})
}

// A transcript is one script on its way.
type transcript struct {
	*stage
	d       *datadriven.TestData
	posts   bool
	plan    *plan.Plan
	outside []deed
	stopped chan struct{}

	mu    sync.Mutex // protects what follows
	inits []string
	opens []string
	steps []string // of Fetch or Run
	down  map[string]chan struct{}
	edits int
}

// A deed is done from outside.
type deed struct {
	at   time.Duration
	what []string
}

func newTranscript(t *testing.T, d *datadriven.TestData) *transcript {
	r := &transcript{d: d, posts: d.Cmd == "source", stopped: make(chan struct{}), down: map[string]chan struct{}{}}
	r.stage = newStage(t, func(_ *stage, n int, _ collector.Env) (any, error) { return r.instance(n), nil })
	names := r.setting("destinations", "out")
	var ds []plan.Destination
	for _, name := range names {
		r.sink(name)
		ds = append(ds, at(name))
	}
	for _, name := range r.setting("down") {
		r.takeDown(name)
	}
	kind := "fetch"
	if r.posts {
		kind = "post"
	}
	r.plan = r.stage.plan(kind, ds...)
	r.settings()
	for line := range strings.Lines(d.Input) {
		r.line(strings.TrimSpace(line))
	}
	return r
}

// setting is the values of a key of the first line.
func (r *transcript) setting(key string, otherwise ...string) []string {
	for _, a := range r.d.CmdArgs {
		if a.Key == key {
			return a.Vals
		}
	}
	return otherwise
}

func (r *transcript) settings() {
	r.t.Helper()
	duration := func(key string, into *plan.Duration) {
		if v := r.setting(key); len(v) > 0 {
			*into = plan.Duration(r.duration(v[0]))
		}
	}
	duration("time-reopen", &r.plan.Source.TimeReopen)
	duration("no-data", &r.plan.Source.FetchNoDataDelay)
	duration("grace", &r.plan.ShutdownGrace)
	if v := r.setting("on-run-exit"); len(v) > 0 {
		r.plan.Source.OnRunExit = v[0]
	}
	if v := r.setting("window"); len(v) > 0 {
		n, err := strconv.Atoi(v[0])
		if err != nil {
			r.t.Fatalf("%s: %v", r.d.Pos, err)
		}
		r.plan.Source.Window.Messages = n
	}
}

func (r *transcript) duration(text string) time.Duration {
	r.t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		r.t.Fatalf("%s: %v", r.d.Pos, err)
	}
	return d
}

func (r *transcript) line(text string) {
	r.t.Helper()
	word, rest, _ := strings.Cut(text, " ")
	switch word {
	case "init":
		r.inits = append(r.inits, rest)
	case "open":
		r.opens = append(r.opens, rest)
	case "fetch":
		r.steps = append(r.steps, rest)
	case "post", "wait", "return", "fail", "panic", "post-after-exit":
		r.steps = append(r.steps, text)
	case "at":
		words := strings.Fields(rest)
		r.outside = append(r.outside, deed{r.duration(words[0]), words[1:]})
	default:
		r.t.Fatalf("%s: a line begins with %q", r.d.Pos, word)
	}
}

// next takes the first of a list, otherwise when there is none left.
func (r *transcript) next(list *[]string, otherwise string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(*list) == 0 {
		return otherwise
	}
	first := (*list)[0]
	*list = (*list)[1:]
	return first
}

func (r *transcript) instance(n int) any {
	if !r.posts {
		p := &puppet{actor: r.actor(n, "open")}
		p.init, p.open, p.fetch = r.initOf, func() error { return r.open(p) }, func(ctx context.Context, b *collector.Batch) error { return r.fetch(ctx, p, b) }
		return p
	}
	s := &speaker{actor: r.actor(n), init: r.initOf}
	s.run = func(ctx context.Context, out collector.Poster) error { return r.script(ctx, s, out) }
	if r.d.HasArg("suspender") {
		return suspending{s, func() { s.note("suspend") }, func() { s.note("wakeup") }}
	}
	return s
}

var errScript = errors.New("as the script says")

func (r *transcript) initOf() error { return scripted(r.next(&r.inits, "ok")) }

// scripted is what the words ok, error and panic mean.
func scripted(word string) error {
	switch word {
	case "ok":
		return nil
	case "panic":
		panic(errScript)
	}
	return errScript
}

func (r *transcript) open(p *puppet) error {
	answer := r.next(&r.opens, "ok")
	if answer == "ok" {
		p.calls.note(p.n, "open")
	} else {
		p.note("open → " + answer)
	}
	return scripted(answer)
}

// statusErrors are the words of the seed.
var statusErrors = map[string]error{
	"SUCCESS": nil, "TRY_AGAIN": collector.ErrTryAgain, "NO_DATA": collector.ErrNoData,
	"NOT_CONNECTED": collector.ErrNotConnected, "ERROR": errScript,
}

func (r *transcript) fetch(ctx context.Context, p *puppet, b *collector.Batch) error {
	words := strings.Fields(r.next(&r.steps, ""))
	if len(words) == 0 {
		p.note("fetch waits for request_exit")
		<-ctx.Done()
		return collector.ErrNoData
	}
	p.note("fetch → " + strings.Join(words, " "))
	switch words[0] {
	case "hangs":
		elapse(r.duration(words[1]))
		b.Append(time.Now(), []byte("late"))
		p.note("fetch returns")
		return nil
	case "panic":
		panic(errScript)
	}
	for _, m := range words[1:] {
		b.Append(time.Now(), []byte(m))
	}
	return statusErrors[words[0]]
}

// script is Run.
func (r *transcript) script(ctx context.Context, s *speaker, out collector.Poster) error {
	s.note("run")
	for ctx.Err() == nil {
		word, rest, _ := strings.Cut(r.next(&r.steps, "exit"), " ")
		switch word {
		case "post":
			r.post(ctx, s, out, rest)
		case "post-after-exit":
			<-ctx.Done()
			r.post(ctx, s, out, rest)
		case "wait":
			elapse(r.duration(rest))
		case "exit":
			<-ctx.Done()
		default:
			s.note("run → " + word)
			return scripted(map[string]string{"return": "ok", "fail": "error", "panic": "panic"}[word])
		}
	}
	for _, text := range r.rest() { // what a source does that looks at its stop late
		if m, ok := strings.CutPrefix(text, "post-after-exit "); ok {
			r.post(ctx, s, out, m)
		}
	}
	s.note("run returns")
	return nil
}

func (r *transcript) rest() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	rest := r.steps
	r.steps = nil
	return rest
}

func (r *transcript) post(ctx context.Context, s *speaker, out collector.Poster, text string) {
	s.note("post " + text)
	began := time.Now()
	err := say(ctx, out, text)
	took := ""
	if d := time.Since(began); d > 0 {
		took = fmt.Sprintf(" after %v", d)
	}
	if err != nil {
		s.note(fmt.Sprintf("post %s returns%s: %v", text, took, err))
	} else if took != "" {
		s.note(fmt.Sprintf("post %s returns%s", text, took))
	}
}

func (r *transcript) takeDown(name string) {
	gate := make(chan struct{})
	r.down[name] = gate
	r.sinks[name].set(func(s *sink) { s.block = gate })
}

func (r *transcript) play() string {
	r.engine.Apply([]*plan.Plan{r.plan})
	for _, d := range r.outside {
		synctest.Wait()
		elapse(time.Until(r.calls.began.Add(d.at)))
		synctest.Wait()
		r.do(d.what)
	}
	<-r.stopped
	elapse(time.Minute) // for what was left behind
	out := r.render()
	if err := r.store.Close(); err != nil {
		r.t.Error(err)
	}
	return out
}

func (r *transcript) do(what []string) {
	r.t.Helper()
	switch what[0] {
	case "report":
		s := r.status()
		text := "report: " + s.State
		if s.Message != "" {
			text += ": " + s.Message
		}
		r.calls.note(-1, text)
		return
	}
	r.calls.note(-1, strings.Join(what, " "))
	switch what[0] {
	case "up":
		close(r.down[what[1]])
		r.sinks[what[1]].set(func(s *sink) { s.block = nil })
	case "down":
		r.takeDown(what[1])
	case "reload", "refuse":
		r.edits++
		next := edit(r.plan, r.edits)
		if what[0] == "refuse" {
			next.Source.Class = "nonsense"
		}
		r.engine.Apply([]*plan.Plan{next})
	case "stop":
		go func() {
			defer close(r.stopped)
			r.engine.Stop(r.t.Context())
		}()
	default:
		r.t.Fatalf("%s: nothing is called %q", r.d.Pos, what[0])
	}
}

// render is the calls, one a line, and what came of the messages.
func (r *transcript) render() string {
	var out strings.Builder
	list := exitsFirst(r.calls.all())
	for _, c := range list {
		who := "other"
		if r.isWorker(c) {
			who = "worker"
		}
		if c.instance < 0 {
			who = "——"
		}
		instance := ""
		if c.instance > 0 {
			instance = fmt.Sprintf(" #%d", c.instance+1)
		}
		fmt.Fprintf(&out, "%v %s %s%s\n", c.at.Round(time.Millisecond), who, c.what, instance)
	}
	r.renderEnd(&out)
	return out.String()
}

func (r *transcript) renderEnd(out *strings.Builder) {
	report := r.engine.Report()
	balance(r.t, report)
	for _, name := range r.setting("destinations", "out") {
		fmt.Fprintln(out, strings.Join(append([]string{name, "got:"}, r.sinks[name].messages()...), " "))
	}
	for _, refused := range report.Refused {
		fmt.Fprintf(out, "refused: %s\n", refused.Error)
	}
	for _, l := range report.LogPaths {
		for _, reason := range []string{"suspended", "left_behind"} {
			if n := l.SourceDrops[reason]; n > 0 {
				fmt.Fprintf(out, "dropped, %s: %d\n", reason, n)
			}
		}
	}
}

// isWorker says whether the goroutine is the one that opens, fetches and runs.
func (r *transcript) isWorker(c call) bool {
	for _, x := range r.calls.all() {
		if x.instance == c.instance && (strings.HasPrefix(x.what, "open") || x.what == "run") {
			return x.goroutine == c.goroutine
		}
	}
	return c.what == "init"
}

// exitsFirst gives request_exit, which is concurrent with what the worker does at that
// time, one place: after the deed that brought it.
func exitsFirst(list []call) []call {
	for i, c := range list {
		if c.what != "request_exit" {
			continue
		}
		j := i
		for j > 0 && list[j-1].at == c.at && list[j-1].instance >= 0 {
			j--
		}
		list = slices.Insert(slices.Delete(list, i, i+1), j, c)
	}
	return list
}
