package collector_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/collector/report"
)

// A diary notes the calls of every instance, and knows whose Init fails.
type diary struct {
	mu    sync.Mutex
	calls []string
	fails map[string]error // by name of the instance
}

func (d *diary) note(call string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, call)
}

func (d *diary) all() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.calls)
}

func (d *diary) count(what string) int {
	return len(slices.DeleteFunc(d.all(), func(call string) bool { return call != what }))
}

func (d *diary) failing(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fails[name]
}

func (d *diary) mend(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.fails, name)
}

// fussy is a source whose Init may fail; it notes what is called.
type fussy struct {
	name  string
	diary *diary
}

func (f *fussy) note(what string) { f.diary.note(f.name + " " + what) }

func (f *fussy) Init(context.Context) error { f.note("init"); return f.diary.failing(f.name) }
func (f *fussy) Deinit()                    { f.note("deinit") }
func (f *fussy) Finalize()                  { f.note("finalize") }

func (f *fussy) Run(ctx context.Context, _ collector.Poster) error {
	f.note("run")
	<-ctx.Done()
	return nil
}

// fussing is a bench of fussy sources, named after the timeReopen of their plan, and a
// maker of such plans.
func fussing(t *testing.T, fails map[string]error) (b *bench, at func(time.Duration) *plan.Plan, d *diary) {
	b, d = newBench(t), &diary{fails: fails}
	b.sink("out")
	b.sourceFrom = func(env collector.Env) collector.Source {
		return &fussy{name: (time.Duration(env.LogSource.Generation) * time.Second).String(), diary: d}
	}
	at = func(d time.Duration) *plan.Plan {
		p := b.plan("post", to("out"))
		p.Source.TimeReopen, p.LogSource.Generation = plan.Duration(d), int64(d/time.Second)
		return p
	}
	return b, at, d
}

func TestChangedSourceTakesOverInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, at, log := fussing(t, nil)
		b.apply(at(time.Second))
		synctest.Wait()
		b.apply(at(2 * time.Second))
		synctest.Wait()
		b.stop()
		want := []string{
			"1s init", "1s run", "1s deinit", "2s init", "1s finalize", "2s run", "2s deinit", "2s finalize",
		}
		// what the new one does and the last call to the old one are not ordered
		got := moveBefore(log.all(), "1s finalize", "2s run")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
	})
}

// moveBefore swaps a and b if they stand next to each other as b, a.
func moveBefore(calls []string, a, b string) []string {
	for i := range len(calls) - 1 {
		if calls[i] == b && calls[i+1] == a {
			calls[i], calls[i+1] = a, b
		}
	}
	return calls
}

// A plan whose source does not start leaves the old plan running, is shown, and is tried
// again: after a minute, then two.
func TestPlanWhoseSourceDoesNotStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, at, log := fussing(t, map[string]error{"2s": errors.New("port 514 is in use")})
		b.apply(at(time.Second))
		synctest.Wait()
		b.apply(at(2 * time.Second))
		synctest.Wait()
		r := b.engine.Report()
		if len(r.Refused) != 1 || !strings.Contains(r.Refused[0].Error, "port 514 is in use") || r.Refused[0].Generation != 2 {
			t.Errorf("refused %v", r.Refused)
		}
		if s := b.status(); s.Generation != 1 || s.State == report.Failed {
			t.Errorf("generation %d is %s, want 1 running", s.Generation, s.State)
		}
		want := []string{"1s init", "1s run", "1s deinit", "2s init", "2s finalize", "1s init", "1s finalize", "1s run"}
		if diff := cmp.Diff(want, moveBefore(moveBefore(log.all(), "1s finalize", "1s run"), "1s init", "1s finalize")); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		elapse(61 * time.Second)
		if n := log.count("2s init"); n != 2 {
			t.Errorf("the new plan was tried %d times within a minute, want twice", n)
		}
		log.mend("2s")
		elapse(2 * time.Minute)
		if s, r := b.status(), b.engine.Report(); s.Generation != 2 || len(r.Refused) != 0 {
			t.Errorf("generation %d, refused %v; want 2 running", s.Generation, r.Refused)
		}
		b.stop()
	})
}

// A source that never started does not stand in the way of a plan that mends it.
func TestPlanThatMendsAFailedSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, at, log := fussing(t, map[string]error{"1s": errors.New("no")})
		b.apply(at(time.Second))
		elapse(10 * time.Second)
		if s := b.status(); s.State != report.Failed || !strings.Contains(s.Message, "no") {
			t.Errorf("%s: %q", s.State, s.Message)
		}
		if n := log.count("1s init"); n < 2 {
			t.Errorf("%d tries, want more than one", n)
		}
		b.apply(at(2 * time.Second))
		elapse(10 * time.Second)
		if s := b.status(); s.Generation != 2 || s.State == report.Failed {
			t.Errorf("generation %d is %s: %q", s.Generation, s.State, s.Message)
		}
		b.stop()
	})
}
