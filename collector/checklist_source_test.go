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

// The checklist of the lifecycle of posting sources, S1 to S12.

// stand plays in a bubble with an engine whose sources dress makes of a speaker.
func stand(t *testing.T, dress func(s *speaker) any, play func(s *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, func(s *stage, n int, _ collector.Env) (any, error) {
			p := &speaker{actor: s.actor(n)}
			p.note("ctor")
			p.run = func(ctx context.Context, _ collector.Poster) error {
				p.note("run")
				<-ctx.Done()
				return nil
			}
			return dress(p), nil
		})
		s.sink("out")
		play(s)
	})
}

// saying posts the messages one after the other and then waits for the end.
func (s *speaker) saying(texts ...string) {
	s.run = func(ctx context.Context, out collector.Poster) error {
		s.note("run")
		for _, text := range texts {
			if err := say(ctx, out, text); err != nil {
				s.note("post " + text + ": " + err.Error())
				continue
			}
			s.note("posted " + text)
		}
		<-ctx.Done()
		return nil
	}
}

// numbered is m1 to mN.
func numbered(n int) (texts []string) {
	for i := range n {
		texts = append(texts, fmt.Sprintf("m%d", i+1))
	}
	return texts
}

func TestS01_RunIsCalledOnce(t *testing.T) {
	stand(t, func(s *speaker) any { s.saying("a", "b"); return s }, func(s *stage) {
		s.apply(s.plan("post", at("out")))
		elapse(time.Hour)
		s.stop()
		equal(t, "calls", []string{
			"ctor@0s", "init@0s", "run@0s", "posted a@0s", "posted b@0s", "request_exit@1h0m0s", "deinit@1h0m0s", "finalize@1h0m0s",
		}, withExitFirst(s.calls.of(0)))
		equal(t, "delivered", []string{"a", "b"}, s.sinks["out"].messages())
	})
}

// withExitFirst puts request_exit, which is concurrent with what comes after it, first of
// the calls at its time.
func withExitFirst(list []string) []string {
	i := slices.IndexFunc(list, func(c string) bool { return strings.HasPrefix(c, "request_exit@") })
	if i < 0 {
		return list
	}
	exit, when := list[i], strings.TrimPrefix(list[i], "request_exit")
	j := slices.IndexFunc(list, func(c string) bool { return strings.HasSuffix(c, when) })
	return slices.Insert(slices.Delete(list, i, i+1), j, exit)
}

func TestS02_WhenRunEndsTheSourceIsDeadUntilTheEdit(t *testing.T) {
	f := func(name string, end func() error) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			dress := func(s *speaker) any {
				s.run = func(context.Context, collector.Poster) error {
					s.note("run")
					return end()
				}
				return s
			}
			stand(t, dress, func(s *stage) {
				s.apply(s.plan("post", at("out")))
				elapse(time.Hour)
				equal(t, "calls in an hour", []string{"ctor@0s", "init@0s", "run@0s"}, s.calls.of(0))
				if st := s.status(); st.State != report.Failed || !strings.Contains(st.Message, "onRunExit is Stop") {
					t.Errorf("%s: %q", st.State, st.Message)
				}
				s.apply(edit(s.plan("post", at("out")), 1))
				synctest.Wait()
				equal(t, "calls", []string{"ctor@0s", "init@0s", "run@0s", "request_exit@1h0m0s", "deinit@1h0m0s", "finalize@1h0m0s"}, withExitFirst(s.calls.of(0)))
				equal(t, "calls of the next", []string{"ctor@1h0m0s", "init@1h0m0s", "run@1h0m0s"}, s.calls.of(1))
				s.stop()
			})
		})
	}
	f("return", func() error { return nil })
	f("error", func() error { return errors.New("boom") })
	f("panic", func() error { panic("boom") })
}

// onRunExit Restart, the default, makes a new instance instead.
func TestS02_OrIsMadeAnewWithRestart(t *testing.T) {
	dress := func(s *speaker) any {
		s.run = func(ctx context.Context, out collector.Poster) error {
			s.note("run")
			if s.n < 3 {
				return errors.New("boom")
			}
			defer func() { <-ctx.Done() }()
			return say(ctx, out, "at last")
		}
		return s
	}
	stand(t, dress, func(s *stage) {
		p := s.plan("post", at("out"))
		p.Source.OnRunExit = "Restart"
		s.apply(p)
		elapse(time.Minute)
		for n := range 3 {
			names := []string{}
			for _, c := range s.calls.of(n) {
				name, _, _ := strings.Cut(c, "@")
				names = append(names, name)
			}
			equal(t, fmt.Sprint("calls of ", n), []string{"ctor", "init", "run", "deinit", "finalize"}, names)
		}
		s.stop()
		equal(t, "delivered", []string{"at last"}, s.sinks["out"].messages())
	})
}

func TestS05_ThePostThatFillsTheWindowIsAcceptedAndBlocks(t *testing.T) {
	stand(t, func(s *speaker) any { s.saying(numbered(40)...); return s }, func(s *stage) {
		out := s.sinks["out"]
		gate := make(chan struct{})
		out.block = gate
		p := s.plan("post", at("out"))
		p.Source.Window.Messages = 10
		s.apply(p)
		elapse(time.Hour)
		if st := s.status(); st.Accepted != 10 || s.calls.count("posted m9") != 1 || s.calls.count("posted m10") != 0 || st.State != report.Suspended {
			t.Errorf("%d accepted, %s: the tenth post must be accepted and not return", st.Accepted, st.State)
		}
		close(gate)
		elapse(time.Second)
		if s.calls.count("posted m40") != 1 {
			t.Error("the last post has not returned")
		}
		s.stop()
		equal(t, "delivered", numbered(40), out.messages())
	})
}

// With one of two required destinations down it is the same; when it is up, all come out
// once and in order, at both.
func TestS05_TwoDestinationsOfWhichOneIsDown(t *testing.T) {
	stand(t, func(s *speaker) any { s.saying(numbered(40)...); return s }, func(s *stage) {
		down, up := s.sinks["out"], s.sink("up")
		gate := make(chan struct{})
		down.block = gate
		p := s.plan("post", at("out"), at("up"))
		p.Source.Window.Messages = 10
		s.apply(p)
		elapse(time.Hour)
		st := s.status()
		if st.Accepted != 10 || len(up.messages()) != 10 {
			t.Errorf("%d accepted, %d at the one that is up; want 10, 10", st.Accepted, len(up.messages()))
		}
		equal(t, "suspended by", []string{"out"}, st.SuspendedBy)
		close(gate)
		elapse(time.Second)
		s.stop()
		equal(t, "at the one that was down", numbered(40), down.messages())
		equal(t, "at the other", numbered(40), up.messages())
	})
}

func TestS05_AThousandSources(t *testing.T) {
	const sources = 1000
	stand(t, func(s *speaker) any { s.saying(numbered(12)...); return s }, func(s *stage) {
		out := s.sinks["out"]
		gate := make(chan struct{})
		out.block = gate
		var plans []*plan.Plan
		for i := range sources {
			p := s.plan("post", at("out"))
			p.LogSource.UID, p.LogSource.Name = fmt.Sprint("u", i), fmt.Sprint("u", i)
			p.Source.Window.Messages = 10
			plans = append(plans, p)
		}
		s.apply(plans...)
		elapse(time.Minute)
		synctest.Wait()
		for _, l := range s.engine.Report().LogPaths {
			if l.Accepted != 10 {
				t.Errorf("%s: %d accepted, want 10", l.Name, l.Accepted)
			}
		}
		close(gate)
		elapse(time.Second)
		if n := len(out.messages()); n != 12*sources {
			t.Errorf("%d messages came out, want %d", n, 12*sources)
		}
		s.stop()
	})
}

const dropping = "Incorrectly suspended source, dropping message"

func TestS06_ExitUnblocksAndWhatIsPostedThenIsDropped(t *testing.T) {
	dress := func(s *speaker) any {
		s.run = func(ctx context.Context, out collector.Poster) error {
			for _, text := range numbered(32) {
				if err := say(ctx, out, text); err != nil && !errors.Is(err, collector.ErrSuspended) {
					s.note(err.Error())
				} else if err != nil {
					s.note("dropped")
				} else {
					s.note("posted")
				}
			}
			return nil
		}
		return s
	}
	stand(t, dress, func(s *stage) {
		s.sinks["out"].block = make(chan struct{})
		p := s.plan("post", at("out"))
		p.Source.Window.Messages = 10
		p.ShutdownGrace = plan.Duration(time.Second)
		s.apply(p)
		elapse(time.Minute)
		s.engine.Stop(s.t.Context())
		if s.calls.count("posted") != 10 || s.calls.count("dropped") != 22 {
			t.Errorf("%d posted, %d dropped; want 10, 22", s.calls.count("posted"), s.calls.count("dropped"))
		}
		if n := s.status().SourceDrops["suspended"]; n != 22 {
			t.Errorf("counted suspended: %d, want 22", n)
		}
		if n := strings.Count(s.log(), dropping); n == 0 {
			t.Errorf("the log lacks %q:\n%s", dropping, s.log())
		}
		s.close()
	})
}

// suspender is a speaker that notes Suspend and Wakeup and then does what the functions say.
func (s *speaker) suspender(suspend, wakeup func()) suspending {
	tell := func(what string, then func()) func() {
		return func() {
			s.note(what)
			if then != nil {
				then()
			}
		}
	}
	return suspending{s, tell("suspend", suspend), tell("wakeup", wakeup)}
}

func TestS07_SuspendInsideTheFillingPostWakeupFromAnother(t *testing.T) {
	stand(t, func(s *speaker) any { s.saying("a", "b"); return s.suspender(nil, nil) }, func(s *stage) {
		out := s.sinks["out"]
		gate := make(chan struct{})
		out.block = gate
		p := s.plan("post", at("out"))
		p.Source.Window.Messages = 2
		s.apply(p)
		elapse(time.Second)
		close(gate)
		synctest.Wait()
		equal(t, "calls", []string{"ctor@0s", "init@0s", "run@0s", "posted a@0s", "suspend@0s", "posted b@0s", "wakeup@1s"}, s.calls.of(0))
		if s.calls.by("suspend") != s.calls.by("run") || s.calls.by("wakeup") == s.calls.by("run") {
			t.Error("want Suspend on the goroutine that posts and Wakeup on another")
		}
		s.stop()
		equal(t, "delivered", []string{"a", "b"}, out.messages())
	})
}

func TestS08_IgnoringSuspendDrops(t *testing.T) {
	stand(t, func(s *speaker) any { s.saying(numbered(40)...); return s.suspender(nil, nil) }, func(s *stage) {
		out := s.sinks["out"]
		gate := make(chan struct{})
		out.block = gate
		p := s.plan("post", at("out"))
		p.Source.Window.Messages = 10
		s.apply(p)
		elapse(time.Second)
		if st := s.status(); st.Accepted != 10 || st.SourceDrops["suspended"] != 30 || s.calls.count("suspend") != 1 {
			t.Errorf("%d accepted, drops %v, suspended %d times; want 10, 30, 1", st.Accepted, st.SourceDrops, s.calls.count("suspend"))
		}
		if !strings.Contains(s.log(), dropping) {
			t.Errorf("the log lacks %q", dropping)
		}
		if s.calls.count("post m11: "+collector.ErrSuspended.Error()) != 1 {
			t.Errorf("what did the post return? %v", s.calls.of(0))
		}
		close(gate)
		elapse(time.Second)
		s.stop()
		equal(t, "delivered", numbered(10), out.messages())
	})
}

func TestS09_SuspendWithoutWakeupIsRefused(t *testing.T) {
	stand(t, func(s *speaker) any { return onlySuspend{s} }, func(s *stage) {
		s.apply(s.plan("post", at("out")))
		synctest.Wait()
		if st := s.status(); st.State != report.Failed || !strings.Contains(st.Message, "implements Suspend but Wakeup is missing") {
			t.Errorf("%s: %q", st.State, st.Message)
		}
		if s.calls.count("run") != 0 || s.calls.count("init") != 0 {
			t.Errorf("it was used: %v", s.calls.of(0))
		}
		s.stop()
	})
}

func TestS10_WakeupWithoutSuspendBlocks(t *testing.T) {
	stand(t, func(s *speaker) any { s.saying(numbered(5)...); return onlyWakeup{s} }, func(s *stage) {
		out := s.sinks["out"]
		gate := make(chan struct{})
		out.block = gate
		p := s.plan("post", at("out"))
		p.Source.Window.Messages = 2
		s.apply(p)
		elapse(time.Minute)
		if s.calls.count("posted m1") != 1 || s.calls.count("posted m2") != 0 {
			t.Errorf("the post that fills the window must block: %v", s.calls.of(0))
		}
		close(gate)
		elapse(time.Second)
		s.stop()
		if s.calls.count("wakeup") != 0 {
			t.Error("Wakeup was called")
		}
		equal(t, "delivered", numbered(5), out.messages())
	})
}

func TestS11_PanicsInSuspendAndWakeupAreIgnored(t *testing.T) {
	dress := func(s *speaker) any {
		boom := func() { panic("boom") }
		s.run = func(ctx context.Context, out collector.Poster) error {
			for _, text := range numbered(9) {
				for errors.Is(say(ctx, out, text), collector.ErrSuspended) {
					elapse(time.Second)
				}
			}
			<-ctx.Done()
			return nil
		}
		return s.suspender(boom, boom)
	}
	stand(t, dress, func(s *stage) {
		out := s.sinks["out"]
		gate := make(chan struct{})
		out.block = gate
		p := s.plan("post", at("out"))
		p.Source.Window.Messages = 3
		s.apply(p)
		elapse(time.Minute)
		close(gate)
		elapse(time.Minute)
		if s.calls.count("suspend") < 1 || s.calls.count("wakeup") < 1 {
			t.Errorf("calls: %v", s.calls.of(0))
		}
		if st := s.status(); st.State == report.Failed {
			t.Errorf("%s: %s", st.State, st.Message)
		}
		s.stop()
		equal(t, "delivered", numbered(9), out.messages())
	})
}

func TestS12_FinalizeIsLast(t *testing.T) {
	stand(t, func(s *speaker) any { return s }, func(s *stage) {
		s.apply(s.plan("post", at("out")))
		synctest.Wait()
		s.apply(edit(s.plan("post", at("out")), 1))
		synctest.Wait()
		s.stop()
		names := slices.DeleteFunc(s.calls.names(), func(n string) bool { return strings.HasPrefix(n, "request_exit") })
		equal(t, "calls", []string{
			"ctor#0", "init#0", "run#0", "deinit#0", "ctor#1", "init#1", "finalize#0", "run#1", "deinit#1", "finalize#1",
		}, names)
	})
}

// An instance whose Init failed is finalized, once, and not deinited.
func TestS12_FinalizeAfterAFailedInit(t *testing.T) {
	dress := func(s *speaker) any {
		if s.n == 1 {
			s.init = func() error { return errors.New("boom") }
		}
		return s
	}
	stand(t, dress, func(s *stage) {
		s.apply(s.plan("post", at("out")))
		synctest.Wait()
		s.apply(edit(s.plan("post", at("out")), 1))
		synctest.Wait()
		s.stop()
		equal(t, "calls of the failed one", []string{"ctor@0s", "init@0s", "finalize@0s"}, s.calls.of(1))
		for _, n := range []int{0, 2} {
			if s.calls.countOf(n, "finalize") != 1 {
				t.Errorf("instance %d was finalized %d times", n, s.calls.countOf(n, "finalize"))
			}
		}
	})
}
