package collector_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/collector/report"
)

// The checklist of the fetcher lifecycle, F1 to F17. Each line has a test of its name; the
// order of calls in longer stories is in testdata/transcripts.

// scene plays in a bubble with an engine whose fetchers dress prepares.
func scene(t *testing.T, dress func(p *puppet), play func(s *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, func(s *stage, n int, _ collector.Env) (any, error) {
			p := &puppet{actor: s.actor(n)}
			p.note("ctor")
			dress(p)
			return p, nil
		})
		s.sink("out")
		play(s)
	})
}

// answers are what Fetch gives, one after the other, then NO_DATA; texts become messages.
func (p *puppet) answers(list ...any) {
	i := 0
	p.fetch = func(_ context.Context, b *collector.Batch) error {
		p.note("fetch")
		if i >= len(list) {
			return collector.ErrNoData
		}
		i++
		switch a := list[i-1].(type) {
		case string:
			b.Append(time.Now(), []byte(a))
		case error:
			return a
		case func():
			a()
		}
		return nil
	}
}

// numbers is one message a fetch, m1 and on.
func (p *puppet) numbers() {
	n := 0
	p.fetch = func(_ context.Context, b *collector.Batch) error {
		n++
		p.note("fetch")
		b.Append(time.Now(), fmt.Appendf(nil, "m%d", n))
		return nil
	}
}

// equal compares and says what of.
func equal[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestF01_ConstructorInitOpenFetch(t *testing.T) {
	scene(t, func(p *puppet) { p.answers() }, func(s *stage) {
		s.apply(s.plan("fetch", at("out")))
		synctest.Wait()
		equal(t, "calls", []string{"ctor@0s", "init@0s", "open@0s", "fetch@0s"}, s.calls.of(0))
		s.stop()
	})
}

func TestF02_InitThatFailsIsTriedAgainOnFreshInstances(t *testing.T) {
	tries := 0
	dress := func(p *puppet) {
		p.answers("a")
		p.init = func() error {
			if tries++; tries < 4 {
				return errors.New("the origin has no such table")
			}
			return nil
		}
	}
	scene(t, dress, func(s *stage) {
		s.apply(s.plan("fetch", at("out")))
		synctest.Wait()
		if st := s.status(); st.State != report.Failed || !strings.Contains(st.Message, "no such table") {
			t.Errorf("%s: %q, want Failed and the reason", st.State, st.Message)
		}
		equal(t, "calls of the first", []string{"ctor@0s", "init@0s"}, s.calls.of(0))
		elapse(time.Minute)
		if n := s.calls.count("ctor"); n != 4 || s.calls.count("open") != 1 {
			t.Errorf("%d instances for 3 failures, %d opens: every try is a fresh instance, and only a good one opens", n, s.calls.count("open"))
		}
		equal(t, "delivered", []string{"a"}, s.sinks["out"].messages())
		s.stop()
	})
}

// bare is a fetcher with nothing but what the interface asks for.
type bare struct{ fetch func(*collector.Batch) error }

func (bare) Open(context.Context) error                          { return nil }
func (f bare) Fetch(_ context.Context, b *collector.Batch) error { return f.fetch(b) }
func (bare) Close() error                                        { return nil }

func TestF03_OnlyFetchWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := false
		s := newStage(t, func(*stage, int, collector.Env) (any, error) {
			return bare{func(b *collector.Batch) error {
				if sent {
					return collector.ErrNoData
				}
				sent = true
				b.Append(time.Now(), []byte("a"))
				return nil
			}}, nil
		})
		s.sink("out")
		s.apply(s.plan("fetch", at("out")))
		elapse(time.Second)
		s.stop()
		equal(t, "delivered", []string{"a"}, s.sinks["out"].messages())
	})
}

func TestF04_EachStatusHasItsNextCallAndWait(t *testing.T) {
	f := func(name string, answer any, want ...string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			scene(t, func(p *puppet) { p.answers(answer) }, func(s *stage) {
				p := s.plan("fetch", at("out"))
				p.Source.TimeReopen, p.Source.FetchNoDataDelay = plan.Duration(7*time.Second), plan.Duration(5*time.Second)
				s.apply(p)
				elapse(7 * time.Second)
				synctest.Wait()
				equal(t, "calls", append([]string{"ctor@0s", "init@0s", "open@0s", "fetch@0s"}, want...), s.calls.of(0))
				s.stop()
			})
		})
	}
	f("SUCCESS", "a", "fetch@0s", "fetch@5s")
	f("TRY_AGAIN", collector.ErrTryAgain, "fetch@0s", "fetch@5s")
	f("NO_DATA", collector.ErrNoData, "fetch@5s")
	f("NOT_CONNECTED", collector.ErrNotConnected, "open@7s", "fetch@7s")
	f("ERROR", errors.New("boom"), "close@0s", "open@7s", "fetch@7s")
	f("wrapped NOT_CONNECTED", fmt.Errorf("read: %w", collector.ErrNotConnected), "open@7s", "fetch@7s")
}

func TestF05_SuccessWithoutAMessageIsAnError(t *testing.T) {
	scene(t, func(p *puppet) { p.answers(func() {}) }, func(s *stage) {
		s.apply(s.plan("fetch", at("out")))
		synctest.Wait()
		equal(t, "calls", []string{"ctor@0s", "init@0s", "open@0s", "fetch@0s", "close@0s"}, s.calls.of(0))
		if st := s.status(); st.LastFetch != "Error" || !strings.Contains(st.Message, "without a message") {
			t.Errorf("last fetch %s, %q", st.LastFetch, st.Message)
		}
		s.stop()
	})
}

func TestF06_APanicInFetchIsAnError(t *testing.T) {
	f := func(name string, value any) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			scene(t, func(p *puppet) { p.answers(func() { panic(value) }, "a") }, func(s *stage) {
				s.apply(s.plan("fetch", at("out")))
				elapse(time.Second)
				synctest.Wait()
				equal(t, "calls", []string{"ctor@0s", "init@0s", "open@0s", "fetch@0s", "close@0s", "open@1s", "fetch@1s", "fetch@1s"}, s.calls.of(0))
				s.stop()
				equal(t, "delivered", []string{"a"}, s.sinks["out"].messages())
			})
		})
	}
	f("an error", errors.New("boom"))
	f("a text", "boom")
	f("a number", 42)
}

func TestF07_OpenIsRetriedForEver(t *testing.T) {
	const failures = 500
	opens := 0
	dress := func(p *puppet) {
		p.answers("a")
		p.open = func() error {
			switch opens++; {
			case opens > failures:
				return nil
			case opens%2 == 0:
				panic("boom")
			}
			return errors.New("boom")
		}
	}
	scene(t, dress, func(s *stage) {
		s.apply(s.plan("fetch", at("out")))
		elapse(failures*time.Second - time.Millisecond)
		if s.calls.count("open") != failures || s.calls.count("close") != 0 || s.calls.count("fetch") != 0 {
			t.Errorf("opened %d times, closed %d, fetched %d; want %d, 0, 0", s.calls.count("open"), s.calls.count("close"), s.calls.count("fetch"), failures)
		}
		elapse(time.Second)
		s.stop()
		equal(t, "delivered", []string{"a"}, s.sinks["out"].messages())
	})
}

func TestF08_CloseAlwaysComesOnceMoreAtTheEnd(t *testing.T) {
	f := func(name string, open error, answer any, closes int) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			dress := func(p *puppet) {
				p.answers(answer)
				p.open = func() error { return open }
			}
			scene(t, dress, func(s *stage) {
				s.apply(s.plan("fetch", at("out")))
				synctest.Wait()
				s.stop()
				all := s.calls.of(0)
				if s.calls.count("close") != closes || all[len(all)-1] == "open@0s" {
					t.Errorf("closed %d times, want %d: %v", s.calls.count("close"), closes, all)
				}
			})
		})
	}
	f("open", nil, collector.ErrNoData, 1)
	f("never opened", errors.New("down"), collector.ErrNoData, 1)
	f("closed after an error", nil, errors.New("boom"), 2)
	f("not connected", nil, collector.ErrNotConnected, 1)
}

func TestF09_NotConnectedNeverCloses(t *testing.T) {
	dress := func(p *puppet) {
		p.fetch = func(context.Context, *collector.Batch) error { return collector.ErrNotConnected }
	}
	scene(t, dress, func(s *stage) {
		s.apply(s.plan("fetch", at("out")))
		elapse(time.Minute + time.Millisecond)
		if s.calls.count("open") != 61 || s.calls.count("close") != 0 {
			t.Errorf("opened %d times, closed %d; want 61, 0", s.calls.count("open"), s.calls.count("close"))
		}
		s.stop()
	})
}

// K1: syslog-ng ignores time-reopen(3) on a python-fetcher.
func TestF09_TimeReopenIsHonoured(t *testing.T) {
	scene(t, func(p *puppet) { p.answers(errors.New("boom"), collector.ErrNotConnected) }, func(s *stage) {
		p := s.plan("fetch", at("out"))
		p.Source.TimeReopen = plan.Duration(3 * time.Second)
		s.apply(p)
		elapse(6 * time.Second)
		synctest.Wait()
		equal(t, "calls", []string{"ctor@0s", "init@0s", "open@0s", "fetch@0s", "close@0s", "open@3s", "fetch@3s", "open@6s", "fetch@6s"}, s.calls.of(0))
		s.stop()
	})
}

func TestF10_TryAgainIsImmediate(t *testing.T) {
	const row = 10_000
	answers := slices.Repeat([]any{collector.ErrTryAgain}, row)
	scene(t, func(p *puppet) { p.answers(append(answers, "a")...) }, func(s *stage) {
		s.apply(s.plan("fetch", at("out")))
		synctest.Wait()
		if took := time.Since(s.calls.began); took != 0 || s.calls.count("fetch") != row+2 {
			t.Errorf("%d fetches in %v, want %d at once", s.calls.count("fetch"), took, row+2)
		}
		s.stop()
	})
}

// A fetcher that answers TRY_AGAIN and nothing else keeps a core busy; the report says so.
func TestF10_SpinningIsShown(t *testing.T) {
	dress := func(p *puppet) {
		p.fetch = func(context.Context, *collector.Batch) error {
			elapse(time.Millisecond) // or the time of the test would never pass
			return collector.ErrTryAgain
		}
	}
	scene(t, dress, func(s *stage) {
		s.apply(s.plan("fetch", at("out")))
		elapse(500 * time.Millisecond)
		if m := s.status().Message; m != "" {
			t.Errorf("after half a second: %q", m)
		}
		elapse(5 * time.Second)
		if m := s.status().Message; !strings.Contains(m, "TRY_AGAIN") || !strings.Contains(m, "spins") {
			t.Errorf("after five seconds the message is %q", m)
		}
		s.stop()
	})
}

func TestF11_NoDataWaitsForItsDelay(t *testing.T) {
	f := func(delay time.Duration, within time.Duration, fetches int) {
		t.Helper()
		t.Run(delay.String(), func(t *testing.T) {
			answers := slices.Repeat([]any{collector.ErrNoData}, 100)
			dress := func(p *puppet) {
				p.answers(append(answers, func() { panic("the end") })...)
			}
			scene(t, dress, func(s *stage) {
				p := s.plan("fetch", at("out"))
				p.Source.FetchNoDataDelay = plan.Duration(delay)
				s.apply(p)
				elapse(within)
				synctest.Wait()
				if n := s.calls.count("fetch"); n != fetches {
					t.Errorf("%d fetches within %v, want %d", n, within, fetches)
				}
				s.stop()
			})
		})
	}
	f(time.Minute, 59*time.Second, 1)
	f(time.Minute, time.Minute, 2)
	f(300*time.Millisecond, 3*time.Second, 11)
	f(0, 0, 101)
}

func TestF12_WindowIsExact(t *testing.T) {
	scene(t, (*puppet).numbers, func(s *stage) { playWindow(s, "fetch", "fetch") })
}

// playWindow holds that, with a window of ten and the destination down, exactly ten are
// taken and then none; with the destination up all come out once and in order.
func playWindow(s *stage, class, call string) {
	t := s.t
	t.Helper()
	out := s.sinks["out"]
	gate := make(chan struct{})
	out.block = gate
	p := s.plan(class, at("out"))
	p.Source.Window.Messages = 10
	s.apply(p)
	for _, after := range []time.Duration{0, time.Second, time.Hour} {
		elapse(after)
		synctest.Wait()
		if n, st := s.calls.count(call), s.status(); n != 10 || st.Accepted != 10 || st.InUse != 10 || st.State != report.Suspended {
			t.Errorf("after %v: %d calls, %d accepted, %d in use, %s; want 10, 10, 10, Suspended", after, n, st.Accepted, st.InUse, st.State)
		}
	}
	const enough = 1000
	out.set(func(o *sink) {
		o.block = nil
		o.answer = func([]*collector.Batch) error { // until there are enough
			elapse(time.Millisecond)
			return nil
		}
	})
	close(gate)
	elapse(enough * time.Millisecond)
	s.stop()
	got := out.messages()
	for i, m := range got {
		if want := fmt.Sprintf("m%d", i+1); m != want {
			t.Fatalf("message %d is %s, want %s", i, m, want)
		}
	}
	if len(got) < enough/2 {
		t.Errorf("only %d messages came out", len(got))
	}
}

// With a required destination down and one up, the window of ten is what both hold.
func TestF12_WindowWithOneOfTwoDestinationsDown(t *testing.T) {
	scene(t, (*puppet).numbers, func(s *stage) {
		down, up := s.sinks["out"], s.sink("up")
		down.block = make(chan struct{})
		p := s.plan("fetch", at("out"), at("up"))
		p.Source.Window.Messages = 10
		p.ShutdownGrace = plan.Duration(time.Second)
		s.apply(p)
		elapse(time.Hour)
		st := s.status()
		if n := s.calls.count("fetch"); n != 10 || st.State != report.Suspended {
			t.Errorf("%d fetches, %s; want 10, Suspended", n, st.State)
		}
		equal(t, "suspended by", []string{"out"}, st.SuspendedBy)
		if len(up.messages()) != 10 || len(down.messages()) != 0 {
			t.Errorf("up has %d, down %d; want 10, 0", len(up.messages()), len(down.messages()))
		}
		s.stop()
	})
}

// A thousand sources, each with its window of ten, share nothing: each takes its ten.
func TestF12_AThousandWindows(t *testing.T) {
	const sources = 1000
	scene(t, (*puppet).numbers, func(s *stage) {
		out := s.sinks["out"]
		gate := make(chan struct{})
		out.block = gate
		var plans []*plan.Plan
		for i := range sources {
			p := s.plan("fetch", at("out"))
			p.LogSource.UID, p.LogSource.Name = fmt.Sprint("u", i), fmt.Sprint("u", i)
			p.Source.Window.Messages = 10
			p.ShutdownGrace = plan.Duration(time.Second)
			plans = append(plans, p)
		}
		s.apply(plans...)
		elapse(time.Minute)
		synctest.Wait()
		for _, l := range s.engine.Report().LogPaths {
			if l.Accepted != 10 || l.State != report.Suspended {
				t.Errorf("%s: %d accepted, %s; want 10, Suspended", l.Name, l.Accepted, l.State)
			}
		}
		if n := s.calls.count("fetch"); n != 10*sources {
			t.Errorf("%d fetches, want %d", n, 10*sources)
		}
		s.stop()
	})
}

// After a reopen the window gates the fetch; Open is not gated.
func TestF12_AfterAReopenTheWindowGates(t *testing.T) {
	scene(t, func(p *puppet) { p.answers("a", "b", "c") }, func(s *stage) {
		out := s.sinks["out"]
		gate := make(chan struct{})
		out.block = gate
		for i := range 2 { // the second plan's first fetch overruns, its next one is after a reopen
			p := edit(s.plan("fetch", at("out")), i)
			p.Source.Window.Messages = 2
			s.apply(p)
			elapse(time.Second)
		}
		synctest.Wait()
		if n := s.calls.countOf(1, "fetch"); n != 1 {
			t.Errorf("the second instance fetched %d times with the window full, want its first fetch only", n)
		}
		close(gate)
		elapse(time.Second)
		s.stop()
		equal(t, "delivered", []string{"a", "b", "a", "b", "c"}, out.messages())
	})
}

func TestF13_RequestExitComesFromAnotherGoroutineWhileFetchRuns(t *testing.T) {
	dress := func(p *puppet) {
		asked := make(chan struct{})
		p.exit = func() { close(asked) }
		p.fetch = func(context.Context, *collector.Batch) error {
			p.note("fetch")
			<-asked // the context is ignored: only RequestExit ends it
			p.note("fetch returns")
			return collector.ErrNoData
		}
	}
	scene(t, dress, func(s *stage) {
		s.apply(s.plan("fetch", at("out")))
		synctest.Wait()
		s.stop()
		equal(t, "calls", []string{"ctor#0", "init#0", "open#0", "fetch#0", "request_exit#0", "fetch returns#0", "close#0", "deinit#0"}, s.calls.names())
		if s.calls.by("request_exit") == s.calls.by("fetch") {
			t.Error("RequestExit came from the goroutine that fetches")
		}
		for _, what := range []string{"init", "open", "close", "deinit"} {
			if s.calls.by(what) != s.calls.by("fetch") {
				t.Errorf("%s came from another goroutine than fetch", what)
			}
		}
	})
}

func TestF14_SuccessAfterRequestExitIsDelivered(t *testing.T) {
	dress := func(p *puppet) {
		p.fetch = func(ctx context.Context, b *collector.Batch) error {
			<-ctx.Done()
			elapse(3 * time.Second)
			b.Append(time.Now(), []byte("late"))
			return nil
		}
	}
	scene(t, dress, func(s *stage) {
		s.apply(s.plan("fetch", at("out")))
		synctest.Wait()
		s.stop()
		equal(t, "delivered", []string{"late"}, s.sinks["out"].messages())
	})
}

// A result that comes after shutdownGrace is nobody's: dropped, and counted.
func TestF14_AResultLeftBehindIsDroppedAndCounted(t *testing.T) {
	dress := func(p *puppet) {
		p.fetch = func(ctx context.Context, b *collector.Batch) error {
			<-ctx.Done()
			elapse(30 * time.Second)
			b.Append(time.Now(), []byte("too late"))
			return nil
		}
	}
	scene(t, dress, func(s *stage) {
		s.apply(s.plan("fetch", at("out")))
		synctest.Wait()
		began := time.Now()
		s.stop()
		if took := time.Since(began); took != 20*time.Second {
			t.Errorf("the stop took %v, want shutdownGrace, 20s", took)
		}
		elapse(time.Minute)
		if n := s.status().SourceDrops["left_behind"]; n != 1 {
			t.Errorf("left_behind is %d, want 1", n)
		}
		equal(t, "delivered", nil, s.sinks["out"].messages())
	})
}

func TestF15_PanicsAtTheEndAreIgnored(t *testing.T) {
	dress := func(p *puppet) {
		p.answers("a")
		p.close = func() error { panic("close boom") }
		p.exit = func() { panic("exit boom") }
		p.deinit = func() { panic("deinit boom") }
	}
	scene(t, dress, func(s *stage) {
		s.apply(s.plan("fetch", at("out")))
		synctest.Wait()
		s.stop()
		for _, what := range []string{"close", "request_exit", "deinit"} {
			if s.calls.count(what) != 1 {
				t.Errorf("%s was called %d times", what, s.calls.count(what))
			}
		}
		equal(t, "delivered", []string{"a"}, s.sinks["out"].messages())
	})
}

func TestF16_AnEditEndsTheOldBeforeTheNewIsMade(t *testing.T) {
	scene(t, func(p *puppet) { p.answers() }, func(s *stage) {
		s.apply(s.plan("fetch", at("out")))
		synctest.Wait()
		s.apply(edit(s.plan("fetch", at("out")), 1))
		synctest.Wait()
		names := slices.DeleteFunc(s.calls.names(), func(n string) bool { return n == "request_exit#0" })
		equal(t, "calls", []string{"ctor#0", "init#0", "open#0", "fetch#0", "close#0", "deinit#0", "ctor#1", "init#1", "open#1", "fetch#1"}, names)
		if s.calls.count("request_exit") != 1 {
			t.Errorf("RequestExit was called %d times", s.calls.count("request_exit"))
		}
		s.stop()
	})
}

// A plan that changes nothing of the source, or nothing at all, leaves it alone.
func TestF16_AnEditOfSomethingElseLeavesTheInstance(t *testing.T) {
	scene(t, func(p *puppet) { p.answers() }, func(s *stage) {
		p := s.plan("fetch", at("out"))
		s.apply(p)
		q := *p
		q.Source.Window.Messages = 99
		q.ShutdownGrace = plan.Duration(time.Second)
		s.apply(&q)
		s.apply(&q)
		synctest.Wait()
		if n := s.calls.count("ctor"); n != 1 {
			t.Errorf("%d instances", n)
		}
		s.stop()
	})
}

func TestF17_WhenTheNewOneFailsAFreshInstanceOfTheOldPlanRuns(t *testing.T) {
	dress := func(p *puppet) {
		p.answers(fmt.Sprintf("from %d", p.n))
		if p.n == 1 {
			p.init = func() error { return errors.New("no such table") }
		}
	}
	scene(t, dress, func(s *stage) {
		s.apply(s.plan("fetch", at("out")))
		synctest.Wait()
		s.apply(edit(s.plan("fetch", at("out")), 1))
		elapse(time.Second)
		equal(t, "calls of the failing one", []string{"ctor@0s", "init@0s"}, s.calls.of(1))
		equal(t, "calls of the third", []string{"ctor@0s", "init@0s", "open@0s", "fetch@0s", "fetch@0s"}, s.calls.of(2))
		r := s.engine.Report()
		if len(r.Refused) != 1 || r.Refused[0].Generation != 2 || !strings.Contains(r.Refused[0].Error, "no such table") {
			t.Errorf("refused: %+v", r.Refused)
		}
		if g := s.status().Generation; g != 1 {
			t.Errorf("generation %d runs, want 1", g)
		}
		s.stop()
		equal(t, "delivered", []string{"from 0", "from 2"}, s.sinks["out"].messages())
	})
}

// The constructor of the new one fails: as when its Init does.
func TestF17_WhenTheNewOneCannotBeMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, func(s *stage, n int, _ collector.Env) (any, error) {
			if n == 1 {
				return nil, errors.New("no such file")
			}
			p := &puppet{actor: s.actor(n)}
			p.note("ctor")
			p.answers(fmt.Sprintf("from %d", n))
			return p, nil
		})
		s.sink("out")
		s.apply(s.plan("fetch", at("out")))
		synctest.Wait()
		s.apply(edit(s.plan("fetch", at("out")), 1))
		elapse(time.Second)
		r := s.engine.Report()
		if len(r.Refused) != 1 || r.Refused[0].Generation != 2 || !strings.Contains(r.Refused[0].Error, "no such file") {
			t.Errorf("refused: %+v", r.Refused)
		}
		s.stop()
		equal(t, "delivered", []string{"from 0", "from 2"}, s.sinks["out"].messages())
	})
}
