package collector_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/collector/report"
)

// Pointing a stuck destination elsewhere delivers what was queued for it, there, without
// touching the source.
func TestChangedDestinationKeepsItsQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		dead, alive := b.sink("dead"), b.sink("alive")
		dead.answer = func([]*collector.Batch) error { return errors.New("down") }
		steps, want := letters(12)
		f := newScript(steps...)
		b.fetcher = f
		d := to("dead")
		d.Name = "out"
		b.apply(b.plan("fetch", d))
		elapse(time.Minute)
		d = to("alive")
		d.Name = "out"
		b.apply(b.plan("fetch", d))
		elapse(time.Minute)
		synctest.Wait()
		if diff := cmp.Diff(want, alive.messages()); diff != "" {
			t.Errorf("alive (-want +got):\n%s", diff)
		}
		if len(dead.messages()) != 0 {
			t.Errorf("dead got %v", dead.messages())
		}
		if b.builds != 1 {
			t.Errorf("the source was built %d times: an edit of a destination restarted it", b.builds)
		}
		if d := b.status().Destinations[0]; d.Accepted != 12 || d.Delivered != 12 {
			t.Errorf("ledger: %+v", d)
		}
		b.stop()
	})
}

// A changed source is exited, closed and deinitialised before the new one is made to
// run; the new one starts after what is already on its way.
func TestChangedSourceGoesOnFromWhatIsPosted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		out := b.sink("out")
		out.block = make(chan struct{})
		steps, want := letters(3)
		first := newScript(steps...)
		b.fetcher = first
		p := b.plan("fetch", to("out"))
		b.apply(p)
		elapse(time.Second)
		second := &resuming{script: newScript(step{send: []string{"m03"}, bookmark: "m03"})}
		b.fetcher = second
		q := *p
		q.Source.TimeReopen = plan.Duration(11 * time.Second)
		q.LogSource.Generation = 2
		b.apply(&q)
		elapse(time.Second)
		synctest.Wait()
		if diff := cmp.Diff([]string{"init@0s", "open@0s", "fetch@0s", "fetch@0s", "fetch@0s", "fetch@0s", "close@1s", "deinit@1s"}, first.calls()); diff != "" {
			t.Errorf("first (-want +got):\n%s", diff)
		}
		if got := b.status().Generation; got != 2 {
			t.Errorf("generation %d, want 2", got)
		}
		close(out.block)
		b.stop()
		if diff := cmp.Diff(append(want, "m03"), out.messages()); diff != "" {
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
	})
}

type resuming struct{ *script }

// A plan that cannot be built leaves the running one alone and is said in the report;
// the next good plan clears it.
func TestRefusedPlanLeavesTheOldOneRunning(t *testing.T) {
	cases := map[string]func(*plan.Plan){
		"unknown source class":      func(p *plan.Plan) { p.Source.Class = "nope" },
		"unknown destination class": func(p *plan.Plan) { p.Destinations[0].Class = "nope" },
		"unknown option":            func(p *plan.Plan) { p.Source.Options = json.RawMessage(`{"x":1}`) },
		"constructor refuses":       func(p *plan.Plan) { p.Destinations[0].Options = json.RawMessage(`{"to":"nowhere"}`) },
		"duplicate destination":     func(p *plan.Plan) { p.Destinations = append(p.Destinations, p.Destinations[0]) },
		"optional suspends":         func(p *plan.Plan) { p.Destinations[0].Required = false },
		"no window":                 func(p *plan.Plan) { p.Source.Window.Messages = 0 },
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				out := b.sink("out")
				gate := make(chan struct{})
				b.fetcher = newScript(step{send: []string{"a"}}, step{send: []string{"b"}, wait: gate})
				b.apply(b.plan("fetch", to("out")))
				bad := b.plan("fetch", to("out"))
				bad.LogSource.Generation = 2
				spoil(bad)
				b.apply(bad)
				r := b.engine.Report()
				if len(r.Refused) != 1 || r.Refused[0].Generation != 2 || r.Refused[0].Error == "" {
					t.Fatalf("refused: %+v", r.Refused)
				}
				if g := b.status().Generation; g != 1 {
					t.Errorf("generation %d runs, want 1", g)
				}
				close(gate)
				elapse(5 * time.Second)
				if diff := cmp.Diff([]string{"a", "b"}, out.messages()); diff != "" {
					t.Errorf("delivered (-want +got):\n%s", diff)
				}
				b.apply(b.plan("fetch", to("out")))
				if r := b.engine.Report(); len(r.Refused) != 0 {
					t.Errorf("still refused: %+v", r.Refused)
				}
				b.stop()
			})
		})
	}
}

// What a removed destination had not taken is counted as dropped, and the source goes on.
func TestRemovedDestinationIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		good, stuck := b.sink("good"), b.sink("stuck")
		stuck.answer = func([]*collector.Batch) error { return errors.New("down") }
		steps, want := letters(12)
		b.fetcher = newScript(steps...)
		b.apply(b.plan("fetch", to("good"), to("stuck")))
		elapse(time.Minute)
		synctest.Wait()
		if s := b.status(); s.Accepted != 8 || s.State != report.Suspended {
			t.Errorf("before: %s with %d accepted", s.State, s.Accepted)
		}
		b.apply(b.plan("fetch", to("good")))
		elapse(time.Minute)
		synctest.Wait()
		s := b.status()
		if s.SourceDrops["destination_removed"] != 8 {
			t.Errorf("drops: %v, want 8 for the removed destination", s.SourceDrops)
		}
		if b.position() != "m11" || s.InUse != 0 {
			t.Errorf("bookmark %q, window in use %d", b.position(), s.InUse)
		}
		b.stop()
		if diff := cmp.Diff(want, good.messages()); diff != "" {
			t.Errorf("good (-want +got):\n%s", diff)
		}
	})
}

// Paused stops the source and drains; unpaused it goes on.
func TestPaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		out := b.sink("out")
		b.fetcher = newScript(step{send: []string{"a"}})
		p := b.plan("fetch", to("out"))
		b.apply(p)
		synctest.Wait()
		q := *p
		q.Paused = true
		b.apply(&q)
		elapse(5 * time.Second)
		if s := b.status(); s.State != report.Paused || s.InUse != 0 {
			t.Errorf("paused: %s, %d in use", s.State, s.InUse)
		}
		b.fetcher = newScript(step{send: []string{"b"}})
		b.apply(p)
		elapse(5 * time.Second)
		if s := b.status(); s.State != report.Fetching {
			t.Errorf("unpaused: %s", s.State)
		}
		b.stop()
		if diff := cmp.Diff([]string{"a", "b"}, out.messages()); diff != "" {
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
	})
}

// A LogSource that is gone is drained, then forgotten with its bookmarks; others go on.
func TestRemovedPlanIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		out := b.sink("out")
		steps, want := letters(3)
		b.fetcher = newScript(steps...)
		b.apply(b.plan("fetch", to("out")))
		synctest.Wait()
		b.apply()
		if n := len(b.engine.Report().LogPaths); n != 0 {
			t.Errorf("%d log paths left", n)
		}
		if p := b.position(); p != "" {
			t.Errorf("bookmark %q is left", p)
		}
		if diff := cmp.Diff(want, out.messages()); diff != "" {
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
		b.stop()
	})
}

// A poster is a source that posts what it is told through a channel of words.
type poster struct {
	words    chan string
	empty    chan struct{} // posts a batch without messages
	fail     chan error
	suspends chan string
	posts    []string
	errs     []error
}

func newPoster() *poster {
	return &poster{words: make(chan string, 100), empty: make(chan struct{}, 1), fail: make(chan error, 10), suspends: make(chan string, 100)}
}

func (p *poster) Run(ctx context.Context, out collector.Poster) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-p.fail:
			return err
		case <-p.empty:
			p.errs = append(p.errs, out.Post(ctx, out.Batch(nil)))
		case w := <-p.words:
			batch := out.Batch(nil)
			batch.Append(time.Now(), []byte(w))
			err := out.Post(ctx, batch)
			p.posts, p.errs = append(p.posts, w), append(p.errs, err)
		}
	}
}

// suspendable is a poster that wants to be told.
type suspendable struct{ *poster }

func (s suspendable) Suspend() { s.suspends <- "suspend" }
func (s suspendable) Wakeup()  { s.suspends <- "wakeup" }

func TestPostBlocksWhileTheWindowIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		out := b.sink("out")
		out.block = make(chan struct{})
		p := newPoster()
		b.source = p
		b.apply(b.plan("post", to("out")))
		want := post(p, 12)
		elapse(time.Second)
		synctest.Wait()
		if s := b.status(); s.State != report.Suspended || s.Accepted != 8 || len(p.posts) != 7 {
			t.Errorf("%s, %d accepted, %d posts returned; want Suspended, 8, 7", s.State, s.Accepted, len(p.posts))
		}
		close(out.block)
		elapse(10 * time.Second)
		b.stop()
		if diff := cmp.Diff(want, out.messages()); diff != "" {
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
	})
}

func post(p *poster, n int) []string {
	_, words := letters(n)
	for _, w := range words {
		p.words <- w
	}
	return words
}

// A Suspender is told inside the post that fills the window; what it posts before it is
// woken is dropped and counted.
func TestSuspenderIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		out := b.sink("out")
		out.block = make(chan struct{})
		p := newPoster()
		b.source = suspendable{p}
		b.apply(b.plan("post", to("out")))
		words := post(p, 10)
		elapse(time.Second)
		synctest.Wait()
		if s := b.status(); s.Accepted != 8 || s.SourceDrops["suspended"] != 2 || s.State != report.Suspended {
			t.Errorf("%s, accepted %d, drops %v; want Suspended, 8, 2", s.State, s.Accepted, s.SourceDrops)
		}
		if got := <-p.suspends; got != "suspend" || len(p.suspends) != 0 {
			t.Errorf("told %q, %d more", got, len(p.suspends))
		}
		if !errors.Is(p.errs[9], collector.ErrSuspended) {
			t.Errorf("post while suspended returned %v", p.errs[9])
		}
		close(out.block)
		elapse(10 * time.Second)
		synctest.Wait()
		if got := <-p.suspends; got != "wakeup" || len(p.suspends) != 0 {
			t.Errorf("told %q, %d more", got, len(p.suspends))
		}
		p.words <- "again"
		elapse(10 * time.Second)
		b.stop()
		if diff := cmp.Diff(append(words[:8:8], "again"), out.messages()); diff != "" {
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
	})
}

func TestRunReturnsRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		out := b.sink("out")
		p := newPoster()
		b.source = p
		b.apply(b.plan("post", to("out")))
		p.words <- "a"
		synctest.Wait()
		p.fail <- errors.New("lost my mind")
		synctest.Wait()
		if s := b.status(); s.State != report.Reopening || !strings.Contains(s.Message, "lost my mind") {
			t.Errorf("%s: %q", s.State, s.Message)
		}
		p.words <- "b"
		elapse(time.Minute)
		if s := b.status(); b.builds != 2 || s.Message != "" {
			t.Errorf("built %d times, message %q; want a second instance", b.builds, s.Message)
		}
		b.stop()
		if diff := cmp.Diff([]string{"a", "b"}, out.messages()); diff != "" {
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
	})
}

func TestRunReturnsStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.sink("out")
		p := newPoster()
		b.source = p
		pl := b.plan("post", to("out"))
		pl.Source.OnRunExit = "Stop"
		b.apply(pl)
		p.fail <- nil
		elapse(time.Hour)
		if s := b.status(); s.State != report.Failed || b.builds != 1 {
			t.Errorf("%s after %d builds, want Failed after 1", s.State, b.builds)
		}
		b.stop()
	})
}

// An idle posting source is Idle, not Fetching.
func TestSilentSourceIsIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.sink("out")
		p := newPoster()
		b.source = p
		b.apply(b.plan("post", to("out")))
		p.words <- "a"
		synctest.Wait()
		if s := b.status().State; s != report.Fetching {
			t.Errorf("after a post: %s", s)
		}
		elapse(time.Minute)
		if s := b.status().State; s != report.Idle {
			t.Errorf("after a silent minute: %s", s)
		}
		b.stop()
	})
}
