package collector_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/logsource/operator/collector"
)

// This file has, for each recorded Python class, a Go driver that does the same.

var errPython = errors.New("as the Python class")

// pythonClasses make instance n of a class.
var pythonClasses = map[string]func(r *replay, n int) (any, error){
	"pf.Statuses":         statuses,
	"pf.ErrLoop":          func(r *replay, n int) (any, error) { return r.answering(n, "fetch->ERROR", errPython), nil },
	"pf.NoDataLoop":       noDataLoop,
	"pf.TryAgain":         tryAgain,
	"pf.FetchRaises":      fetchRaises,
	"pf.OpenResults":      openResults,
	"pf.InitFalse":        func(r *replay, n int) (any, error) { return r.failing(n, "init->False", false), nil },
	"pf.InitNone":         func(r *replay, n int) (any, error) { return r.failing(n, "init->None", false), nil },
	"pf.InitRaises":       func(r *replay, n int) (any, error) { return r.failing(n, "init raises", true), nil },
	"pf.OnlyFetch":        func(r *replay, n int) (any, error) { return r.onlyFetch(n), nil },
	"pf.CtorRaises":       func(*replay, int) (any, error) { return nil, errPython },
	"pf.Life":             lifeFetcher,
	"Inl":                 func(r *replay, n int) (any, error) { return r.answering(n, "fetch", collector.ErrNoData), nil },
	"pf.BlockSleep":       blockSleep,
	"pf.Busy":             busy,
	"pf.Counter":          counting,
	"pf.OddStatus":        oddStatus,
	"pf.NonCallable":      nonCallable,
	"pf.GilHog":           gilHog,
	"pf.SlowReqExit":      slowRequestExit,
	"pm.AckFetch":         ackFetch,
	"ps.Life":             lifeSource,
	"ps.InitFalse":        initFalseSource,
	"ps.RunReturns":       runReturns,
	"ps.RunOsThreadsLeft": threadsLeft,
	"ps.IgnoresExit":      ignoresExit,
	"ps.Threads2":         threads2,
	"ps.ReqExitRaises":    requestExitRaises,
	"ps.BlockFC":          func(r *replay, n int) (any, error) { return r.blocking(n), nil },
	"ps.OnlyWakeup":       func(r *replay, n int) (any, error) { return onlyWakeup{r.blocking(n)}, nil },
	"ps.OnlySuspend":      func(r *replay, n int) (any, error) { return onlySuspend{r.speaker(n)}, nil },
	"ps.SuspFC":           func(r *replay, n int) (any, error) { return r.suspending(n, ""), nil },
	"ps.SuspRaises":       func(r *replay, n int) (any, error) { return r.suspending(n, "raises"), nil },
	"ps.SuspPosts":        func(r *replay, n int) (any, error) { return r.suspending(n, "posts"), nil },
	"ps.NoInit":           noInit,
}

// puppet is pf.Base: it notes every call and succeeds.
func (r *replay) puppet(n int, silent ...string) *puppet {
	p := &puppet{actor: r.actor(n, silent...)}
	p.note("ctor")
	return p
}

// answering notes and answers the same for ever.
func (r *replay) answering(n int, what string, err error) *puppet {
	p := r.puppet(n)
	p.fetch = func(context.Context, *collector.Batch) error {
		p.note(what)
		return err
	}
	return p
}

// An answer is one step of a class with a SEQ.
type answer struct {
	what string
	text string
	err  error
}

// sequence plays the answers and then the last one for ever.
func (r *replay) sequence(p *puppet, answers ...answer) *puppet {
	i := 0
	p.fetch = func(_ context.Context, b *collector.Batch) error {
		a := answers[min(i, len(answers)-1)]
		i++
		if a.what != "" {
			p.note(a.what)
		}
		if a.text != "" {
			b.Append(time.Now(), []byte(a.text))
		}
		return a.err
	}
	return p
}

func statuses(r *replay, n int) (any, error) {
	return r.sequence(r.puppet(n),
		answer{"fetch->SUCCESS", "m1", nil}, answer{"fetch->TRY_AGAIN", "", collector.ErrTryAgain},
		answer{"fetch->SUCCESS", "m2", nil}, answer{"fetch->NO_DATA", "", collector.ErrNoData},
		answer{"fetch->ERROR", "", errPython}, answer{"fetch->SUCCESS", "m3", nil},
		answer{"fetch->NOT_CONNECTED", "", collector.ErrNotConnected}, answer{"fetch->SUCCESS", "m4", nil},
		answer{"fetch->NO_DATA+msg", "", collector.ErrNoData}, answer{"fetch->ERROR+msg", "", errPython},
		answer{"fetch->NO_DATA(end)", "", collector.ErrNoData}), nil
}

// oddStatus gives the statuses in disguise: False and True there, wrapped errors here.
func oddStatus(r *replay, n int) (any, error) {
	return r.sequence(r.puppet(n),
		answer{"fetch->False(=ERROR)", "", fmt.Errorf("odd: %w", errPython)},
		answer{"fetch->True(=NOT_CONNECTED)", "", fmt.Errorf("odd: %w", collector.ErrNotConnected)},
		answer{"fetch->intsub(2)", "intsub", nil}, answer{"fetch->IntEnum", "intenum", nil},
		answer{"", "", collector.ErrNoData}), nil
}

// pythonCall is about what a call of a Python class takes: without it a class that never
// waits would hold up the time of the test for ever.
const pythonCall = 40 * time.Microsecond

func noDataLoop(r *replay, n int) (any, error) {
	p, fetches := r.puppet(n), 0
	p.fetch = func(context.Context, *collector.Batch) error {
		if fetches++; fetches <= 12 { // as many as are in the recordings
			p.note("fetch->NO_DATA")
		}
		elapse(pythonCall)
		return collector.ErrNoData
	}
	return p, nil
}

func tryAgain(r *replay, n int) (any, error) {
	p := r.puppet(n)
	p.fetch = func(context.Context, *collector.Batch) error {
		elapse(pythonCall)
		return collector.ErrTryAgain
	}
	return p, nil
}

func busy(r *replay, n int) (any, error) {
	p, fetches := r.puppet(n), 0
	p.fetch = func(_ context.Context, b *collector.Batch) error {
		fetches++
		elapse(pythonCall)
		b.Append(time.Now(), fmt.Appendf(nil, "busy %d", fetches))
		return nil
	}
	p.deinit = func() { r.fetched = fetches }
	return p, nil
}

func counting(r *replay, n int) (any, error) {
	p, fetches := r.puppet(n), 0
	p.fetch = func(_ context.Context, b *collector.Batch) error {
		fetches++
		if fetches <= 40 || (r.rec.Window == 100 && fetches <= 150) { // as many as are in the recordings
			p.note(fmt.Sprintf("fetch %d", fetches))
		}
		elapse(time.Millisecond)
		b.Append(time.Now(), fmt.Appendf(nil, "msg-%d", fetches))
		return nil
	}
	p.deinit = func() { r.fetched = fetches }
	return p, nil
}

func fetchRaises(r *replay, n int) (any, error) {
	p, raised, calls := r.puppet(n), 0, 0
	p.fetch = func(_ context.Context, b *collector.Batch) error {
		if raised++; raised <= 4 {
			p.note("fetch raises")
			panic([]any{errPython, "exit(3)", 1, struct{}{}}[raised-1])
		}
		p.note("fetch->SUCCESS")
		if calls++; calls == 2 { // the class answers NO_DATA before and after
			b.Append(time.Now(), []byte("after"))
			return nil
		}
		return collector.ErrNoData
	}
	return p, nil
}

func openResults(r *replay, n int) (any, error) {
	p, opens := r.answering(n, "fetch", collector.ErrNoData), 0
	p.silent = []string{"open"}
	p.open = func() error {
		results := []string{"False", "None", "0", "''", "'raise'"}
		if opens++; opens > len(results) {
			p.note("open->'truthy'")
			return nil
		}
		what := results[opens-1]
		p.note("open->" + what)
		if what == "'raise'" {
			panic("open boom")
		}
		return errPython
	}
	return p, nil
}

func (r *replay) failing(n int, what string, panics bool) *puppet {
	p := r.answering(n, "fetch", collector.ErrNoData)
	p.silent = []string{"init"}
	p.init = func() error {
		p.note(what)
		if panics {
			panic("init boom")
		}
		return errPython
	}
	return p
}

func (r *replay) onlyFetch(n int) *puppet {
	p := r.puppet(n, "ctor", "init", "open", "close", "request_exit", "deinit")
	p.fetch = func(context.Context, *collector.Batch) error {
		p.note("fetch")
		return collector.ErrNoData
	}
	return p
}

func lifeFetcher(r *replay, n int) (any, error) {
	p, i := r.puppet(n), 0
	p.fetch = func(_ context.Context, b *collector.Batch) error {
		if i++; i%2 == 0 {
			p.note("fetch->NO_DATA")
			return collector.ErrNoData
		}
		p.note("fetch->SUCCESS")
		b.Append(time.Now(), fmt.Appendf(nil, "m%d", i))
		return nil
	}
	return p, nil
}

func blockSleep(r *replay, n int) (any, error) {
	p := r.puppet(n, "ctor", "init", "open", "request_exit")
	p.fetch = func(_ context.Context, b *collector.Batch) error {
		p.note("fetch sleeps")
		elapse(3 * time.Second)
		p.note("fetch done")
		b.Append(time.Now(), []byte("late"))
		return nil
	}
	return p, nil
}

// nonCallable has an open that is None; the Go method of a nil interface panics as well.
func nonCallable(r *replay, n int) (any, error) {
	p := r.answering(n, "fetch", collector.ErrNoData)
	p.silent = []string{"open"}
	p.open = func() error {
		var none collector.Initer
		return none.Init(context.Background())
	}
	return p, nil
}

func gilHog(r *replay, n int) (any, error) {
	p := r.puppet(n)
	p.fetch = func(context.Context, *collector.Batch) error {
		p.note("hog begin")
		elapse(2 * time.Second)
		p.note("hog end")
		return collector.ErrNoData
	}
	return p, nil
}

func slowRequestExit(r *replay, n int) (any, error) {
	p := r.answering(n, "fetch", collector.ErrNoData)
	p.silent = []string{"request_exit"}
	p.exit = func() {
		p.note("request_exit begin")
		elapse(2 * time.Second)
		p.note("request_exit end")
	}
	return p, nil
}

// ackFetch posts messages with bookmarks and notes what the tracker tells.
func ackFetch(r *replay, n int) (any, error) {
	p := r.puppet(n, "ctor", "init")
	tracker := r.tracker(p.actor)
	last, i := intOption(r.rec.Options, "n", 7), 0
	p.fetch = func(_ context.Context, b *collector.Batch) error {
		if i >= last {
			return collector.ErrNoData
		}
		i++
		mark := fmt.Sprintf("'bm%d'", i)
		if i%2 == 0 {
			mark = fmt.Sprintf("{'pos': %d}", i)
		}
		tracker.Track(b, mark)
		b.Append(time.Now(), fmt.Appendf(nil, "m%d", i))
		p.note(fmt.Sprintf("fetch %d", i))
		return nil
	}
	p.silent = append(p.silent, "deinit")
	p.deinit = func() {
		tracker.Close()
		p.calls.note(p.n, "deinit")
	}
	return p, nil
}

func (r *replay) tracker(a actor) *collector.AckTracker {
	one := func(kind string) func(any) {
		return func(mark any) { a.note("ack_cb " + kind + " " + mark.(string)) }
	}
	switch r.rec.Options["kind"] {
	case "consecutive":
		return collector.NewConsecutiveAckTracker(one("consecutive"))
	case "batched":
		timeout := time.Duration(intOption(r.rec.Options, "timeout", 500)) * time.Millisecond
		return collector.NewBatchedAckTracker(timeout, 3, func(marks []any) {
			text := "ack_cb batched"
			for i, m := range marks {
				text += map[bool]string{true: " ", false: ", "}[i == 0] + m.(string)
			}
			a.note(text)
		})
	}
	return collector.NewInstantAckTracker(one("instant"))
}

func intOption(options map[string]string, name string, otherwise int) int {
	if v, err := strconv.Atoi(options[name]); err == nil {
		return v
	}
	return otherwise
}

// pythonSource is ps.Base: a source with a stop that its request_exit sets.
type pythonSource struct {
	*speaker
	stop chan struct{}
}

func (r *replay) source(n int, silent ...string) pythonSource {
	s := pythonSource{&speaker{actor: r.actor(n, silent...)}, make(chan struct{})}
	s.note("ctor")
	s.exit = func() { close(s.stop) }
	s.speaker.run = func(context.Context, collector.Poster) error {
		s.note("run")
		<-s.stop
		s.note("run returns")
		return nil
	}
	return s
}

func (r *replay) speaker(n int) *speaker { return r.source(n).speaker }

// waits is stop.wait(d): whether the source was asked to end.
func (s pythonSource) waits(d time.Duration) bool {
	select {
	case <-s.stop:
		return true
	case <-time.After(d):
		return false
	}
}

func lifeSource(r *replay, n int) (any, error) {
	s := r.source(n)
	s.speaker.run = func(ctx context.Context, out collector.Poster) error {
		s.note("run")
		for i := 1; !s.waits(300 * time.Millisecond); i++ {
			_ = say(ctx, out, fmt.Sprintf("m%d", i))
			s.note(fmt.Sprintf("posted %d", i))
		}
		s.note("run returns")
		return nil
	}
	return s.speaker, nil
}

func initFalseSource(r *replay, n int) (any, error) {
	s := r.source(n, "init")
	s.init = func() error {
		s.calls.note(s.n, "init->False")
		return errPython
	}
	return s.speaker, nil
}

func runReturns(r *replay, n int) (any, error) {
	s := r.source(n)
	s.speaker.run = func(ctx context.Context, out collector.Poster) error {
		_ = say(ctx, out, "one")
		s.note("run returns early")
		return nil
	}
	return s.speaker, nil
}

func threadsLeft(r *replay, n int) (any, error) {
	s := r.source(n)
	s.speaker.run = func(ctx context.Context, out collector.Poster) error {
		go func() {
			for range 4 {
				elapse(300 * time.Millisecond)
				if say(context.WithoutCancel(ctx), out, "bg") != nil {
					s.note("bg post failed")
				}
			}
		}()
		s.note("run returns, bg thread left")
		return nil
	}
	return s.speaker, nil
}

func ignoresExit(r *replay, n int) (any, error) {
	s := r.source(n, "request_exit")
	s.exit = func() { s.note("request_exit (ignored)") }
	s.speaker.run = func(ctx context.Context, out collector.Poster) error {
		s.note("run")
		for i := 1; ; i++ {
			select {
			case <-r.killed:
				return nil
			case <-time.After(500 * time.Millisecond):
			}
			_ = say(context.WithoutCancel(ctx), out, fmt.Sprintf("x%d", i))
			s.note(fmt.Sprintf("posted %d", i))
		}
	}
	return s.speaker, nil
}

func threads2(r *replay, n int) (any, error) {
	s := r.source(n, "init")
	s.speaker.run = func(ctx context.Context, out collector.Poster) error {
		s.note("run")
		<-s.stop
		if say(ctx, out, "after request_exit") == nil {
			s.note("post after request_exit ok")
		}
		return nil
	}
	return s.speaker, nil
}

func requestExitRaises(r *replay, n int) (any, error) {
	s := r.source(n, "request_exit")
	s.exit = func() {
		s.note("request_exit raises")
		close(s.stop)
		panic("re boom")
	}
	return s.speaker, nil
}

func (r *replay) blocking(n int) *speaker {
	s := r.source(n)
	s.speaker.run = func(ctx context.Context, out collector.Poster) error {
		for i := range 40 {
			_ = say(ctx, out, fmt.Sprintf("msg-%d", i+1))
			s.note(fmt.Sprintf("posted %d", i+1))
			if ctx.Err() != nil && i > 30 {
				break
			}
		}
		s.note("run loop done")
		<-s.stop
		s.note("run returns")
		return nil
	}
	return s.speaker
}

// suspending honours Suspend and Wakeup and does in them what how says.
func (r *replay) suspending(n int, how string) suspending {
	s := r.source(n)
	var out collector.Poster
	ok := make(chan struct{}, 1)
	ok <- struct{}{}
	clear := func() { takeIfAny(ok) }
	set := func() {
		takeIfAny(ok)
		ok <- struct{}{}
	}
	full := suspending{speaker: s.speaker}
	switch how {
	case "raises":
		full.suspend = func() { s.note("suspend raises"); clear(); panic("suspend boom") }
		full.wakeup = func() { s.note("wakeup raises"); set(); panic("wakeup boom") }
	case "posts":
		full.suspend = func() {
			s.note("suspend begin")
			clear()
			if errors.Is(say(context.Background(), out, "from suspend"), collector.ErrSuspended) {
				s.note("post in suspend returned")
			}
		}
		full.wakeup = func() {
			s.note("wakeup begin")
			if say(context.Background(), out, "from wakeup") == nil {
				s.note("post in wakeup ok")
			}
			set()
		}
	default:
		full.suspend = func() { s.note("suspend"); clear() }
		full.wakeup = func() { s.note("wakeup"); set() }
	}
	s.speaker.run = func(ctx context.Context, o collector.Poster) error {
		out = o
		for i := range 40 {
			select {
			case <-s.stop:
				s.note("run returns (suspended)")
				return nil
			case <-ok:
				ok <- struct{}{}
			}
			_ = say(ctx, out, fmt.Sprintf("msg-%d", i+1))
			s.note(fmt.Sprintf("posted %d", i+1))
		}
		s.note("run loop done")
		<-s.stop
		s.note("run returns")
		return nil
	}
	return full
}

func takeIfAny(c chan struct{}) {
	select {
	case <-c:
	default:
	}
}

func noInit(r *replay, n int) (any, error) {
	s := r.source(n, "ctor", "init", "deinit", "finalize")
	s.speaker.run = func(context.Context, collector.Poster) error {
		s.note("run")
		<-s.stop
		return nil
	}
	return s.speaker, nil
}
