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

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/collector/report"
)

// Tests of who goes first when a source ends: stop, edit, RequestExit and Deinit. Two
// recordings are about the same; their differences stand here.

func init() {
	differences = append(differences, difference{
		cases: "f24_multi",
		what:  "a slow RequestExit delays no other source",
		why:   "log paths do not wait for each other",
		change: func(r *recording) {
			stop := slices.IndexFunc(r.Events, func(e recorded) bool { return e.Action == "stop" })
			at := r.Events[stop].T
			r.drop(func(e recorded) bool {
				return e.T > at && e.Instance == 1 && strings.HasPrefix(e.Call, "fetch")
			})
			for i, e := range r.Events {
				if e.T > at && e.Instance == 1 {
					r.Events[i].T = at
				}
			}
			r.Output, r.FirstOnes = nil, nil
		},
	}, difference{
		cases: "f25_hup_during_block",
		what:  "a second edit while one waits for the old source is applied after it, not refused; the replay makes one, because a goroutine that waits for a mutex stops the clock of the test",
		why:   "the newest plan is always the one to run",
		change: func(r *recording) {
			i := r.index("reload")
			r.Events = slices.Delete(r.Events, i, i+1)
		},
	})
}

// In every recording deinit comes after request_exit has returned: syslog-ng calls both on
// its main thread. A class that closes in Deinit what RequestExit uses relies on it.
func TestF13_DeinitComesAfterRequestExitHasReturned(t *testing.T) {
	dress := func(p *puppet) {
		p.answers()
		p.exit = func() {
			elapse(2 * time.Second)
			p.note("request_exit returns")
		}
	}
	scene(t, dress, func(s *stage) {
		s.apply(s.plan("fetch", at("out")))
		synctest.Wait()
		s.engine.Stop(s.t.Context())
		elapse(time.Minute)
		names := s.calls.names()
		if names[len(names)-1] != "deinit#0" {
			t.Errorf("the last call must be deinit: %v", names)
		}
		s.close()
	})
}

// The same of every recording.
func TestConformanceDeinitComesAfterRequestExit(t *testing.T) {
	for range 20 {
		scene(t, func(p *puppet) { p.answers() }, func(s *stage) {
			s.apply(s.plan("fetch", at("out")))
			synctest.Wait()
			s.stop()
			synctest.Wait()
			names := s.calls.names()
			if slices.Index(names, "request_exit#0") > slices.Index(names, "deinit#0") {
				t.Errorf("order: %v", names)
			}
		})
	}
}

// An instance whose Init failed has cleaned up after itself: it is finalized, once, and
// asked for nothing any more.
func TestS12_AFailedInstanceIsAskedForNothingAtTheStop(t *testing.T) {
	dress := func(s *speaker) any {
		s.init = func() error { return errors.New("boom") }
		return s
	}
	stand(t, dress, func(s *stage) {
		s.apply(s.plan("post", at("out")))
		synctest.Wait()
		s.engine.Stop(s.t.Context())
		synctest.Wait()
		last := 0
		for _, c := range s.calls.all() {
			last = max(last, c.instance)
		}
		names := []string{}
		for _, c := range s.calls.of(last) {
			name, _, _ := strings.Cut(c, "@")
			names = append(names, name)
		}
		equal(t, "calls of the last one", []string{"ctor", "init", "finalize"}, names)
		s.close()
	})
}

// A post inside Wakeup that fills the window again suspends again; nothing hangs.
func TestS07_APostInsideWakeupThatFillsTheWindow(t *testing.T) {
	dress := func(s *speaker) any {
		var out collector.Poster
		s.run = func(ctx context.Context, o collector.Poster) error {
			out = o
			_ = say(ctx, out, "m0")
			<-ctx.Done()
			return nil
		}
		woken := 0
		return s.suspender(nil, func() {
			if woken++; woken <= 3 {
				_ = say(context.Background(), out, fmt.Sprintf("m%d", woken))
			}
		})
	}
	stand(t, dress, func(s *stage) {
		p := s.plan("post", at("out"))
		p.Source.Window.Messages = 1
		s.apply(p)
		elapse(time.Second)
		equal(t, "delivered", []string{"m0", "m1", "m2", "m3"}, s.sinks["out"].messages())
		s.stop()
	})
}

// A stop wins over an edit that waits for the old source: no instance is made for nothing.
func TestF16_AStopWinsOverAnEditThatWaits(t *testing.T) {
	dress := func(p *puppet) {
		p.fetch = func(context.Context, *collector.Batch) error {
			p.note("fetch")
			elapse(3 * time.Second)
			return collector.ErrNoData
		}
	}
	scene(t, dress, func(s *stage) {
		s.apply(s.plan("fetch", at("out")))
		synctest.Wait()
		s.engine.Apply([]*plan.Plan{edit(s.plan("fetch", at("out")), 1)})
		elapse(time.Second)
		s.engine.Stop(s.t.Context())
		if n := s.calls.count("ctor"); n != 1 {
			t.Errorf("%d instances were made: %v", n, s.calls.names())
		}
		s.close()
	})
}

// A fetcher that has opened again and waits for the window is Suspended, not Reopening.
func TestF12_SuspendedAfterAReopenIsShown(t *testing.T) {
	dress := func(p *puppet) {
		p.fetch = func(_ context.Context, b *collector.Batch) error {
			b.Append(time.Now(), []byte("with an error"))
			return errors.New("boom")
		}
	}
	scene(t, dress, func(s *stage) {
		s.sinks["out"].block = make(chan struct{})
		p := s.plan("fetch", at("out"))
		p.Source.Window.Messages = 1
		p.ShutdownGrace = plan.Duration(time.Second)
		s.apply(p)
		elapse(time.Minute)
		if st := s.status(); st.State != report.Suspended {
			t.Errorf("%s: %s", st.State, st.Message)
		}
		s.stop()
	})
}
