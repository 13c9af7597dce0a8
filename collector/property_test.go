package collector_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/hack/soak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counter is a replayable source: it posts the numbers from its bookmark on, in batches of
// random size, and ends when the last one is posted.
type counter struct {
	random *rand.Rand
	last   int
	marks  collector.Bookmarks
}

func (c *counter) Run(ctx context.Context, out collector.Poster) error {
	next := 0
	if v, ok := c.marks.Load("pos"); ok {
		next, _ = strconv.Atoi(string(v))
	}
	for next < c.last {
		b := out.Batch(nil)
		for range 1 + c.random.IntN(5) {
			if next < c.last && b.Append(time.Now(), []byte(strconv.Itoa(next))) {
				next++
			}
		}
		b.SetBookmark("pos", []byte(strconv.Itoa(next)))
		if err := out.Post(ctx, b); err != nil {
			return err
		}
		if c.random.IntN(4) == 0 {
			elapse(time.Duration(c.random.IntN(500)) * time.Millisecond)
		}
	}
	<-ctx.Done()
	return nil
}

// whims answers a Write at random: it takes all, fails, refuses some for now or for good.
func whims(random *rand.Rand, rejected map[string]bool) func([]*collector.Batch) error {
	return func(bs []*collector.Batch) error {
		switch random.IntN(6) {
		case 0:
			return errors.New("whim")
		case 1:
			return fmt.Errorf("whim: %w", collector.ErrNotConnected)
		case 2, 3:
			return refuseSome(random, bs, rejected)
		}
		return nil
	}
}

func refuseSome(random *rand.Rand, bs []*collector.Batch, rejected map[string]bool) error {
	var p collector.PartialError
	for i, b := range bs {
		for j := range b.Len() {
			switch random.IntN(10) {
			case 0:
				rejected[string(b.Body(j))] = true
				p.Rejected = append(p.Rejected, collector.Rejection{Batch: i, Record: j, Err: collector.Permanent(errors.New("never"))})
			case 1:
				p.Rejected = append(p.Rejected, collector.Rejection{Batch: i, Record: j, Err: errors.New("not now")})
			}
		}
	}
	if len(p.Rejected) == 0 {
		return nil
	}
	return &p
}

// Whatever the order of acks, the fan-out, the failures, the reloads and the kills:
// every required destination gets, or for good rejects, every message; the window comes
// back whole; every ledger balances; the bookmark ends at the end.
func TestNothingIsLostAndTheWindowNeverLeaks(t *testing.T) {
	figures := soak.NewFigures(t)
	for seed := range uint64(40 * soak.Scale(t)) {
		figures.Add("lives", 1)
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { life(t, rand.New(rand.NewPCG(seed, 1)), 200, figures) })
		})
	}
}

// The same over very many short lives: 10,000 of them, and 20,000 for each unit of scale
// beyond one, so that make soak has a million.
func TestRandomSchedulesOfTheWindow(t *testing.T) {
	figures := soak.NewFigures(t)
	lives := uint64(10_000)
	if n := soak.Scale(t); n > 1 {
		lives = 20_000 * uint64(n)
	}
	for seed := range lives {
		figures.Add("schedules", 1)
		synctest.Test(t, func(t *testing.T) { life(t, rand.New(rand.NewPCG(seed, 7)), 25, figures) })
		if t.Failed() {
			t.Fatalf("seed %d fails", seed)
		}
	}
}

func life(t *testing.T, random *rand.Rand, messages int, figures *soak.Figures) {
	b := newBench(t)
	b.sourceFrom = func(env collector.Env) collector.Source {
		return &counter{random: rand.New(rand.NewPCG(random.Uint64(), 2)), last: messages, marks: env.Bookmarks}
	}
	rejected := map[string]map[string]bool{}
	var ds []plan.Destination
	for i := range 1 + random.IntN(3) {
		d := to(fmt.Sprint("d", i))
		rejected[d.Name] = map[string]bool{}
		b.sink(d.Name).answer = whims(rand.New(rand.NewPCG(random.Uint64(), 3)), rejected[d.Name])
		d.Batch.Messages = 1 + random.IntN(20)
		ds = append(ds, d)
	}
	b.sink("trial").answer = whims(rand.New(rand.NewPCG(random.Uint64(), 4)), map[string]bool{})
	trial, tried, reopen := to("trial"), random.IntN(2) == 0, time.Second
	trial.Required, trial.OnFull, trial.Queue.Bytes = false, plan.DropOldest, 10
	generation := int64(0)
	apply := func() {
		generation++
		p := b.plan("post", ds...)
		if tried {
			p.Destinations = append(p.Destinations, trial)
		}
		p.Source.TimeReopen = plan.Duration(reopen)
		p.LogSource.Generation = generation
		p.Source.Window.Messages = 1 + random.IntN(30)
		b.engine.Apply([]*plan.Plan{p})
		b.engine.Wait()
	}
	apply()
	for range random.IntN(8) {
		elapse(time.Duration(random.IntN(20)) * time.Second)
		switch random.IntN(5) {
		case 3: // an optional destination comes or goes
			tried = !tried
			apply()
			figures.Add("edits", 1)
		case 4: // an edit of the source
			reopen += time.Second
			apply()
			figures.Add("edits", 1)
		case 0: // an edit of a destination
			i := random.IntN(len(ds))
			ds[i].Batch.Messages = 1 + random.IntN(20)
			apply()
			figures.Add("edits", 1)
		case 1: // a kill: the positions on disk are all that is left
			hard, kill := context.WithCancel(t.Context())
			kill()
			b.engine.Stop(hard)
			balance(t, b.engine.Report())
			b.restart()
			apply()
			figures.Add("kills", 1)
		case 2: // a restart that drains
			b.engine.Stop(t.Context())
			b.restart()
			apply()
		}
	}
	elapse(time.Hour)
	synctest.Wait()
	if v, _ := b.store.Namespace("u1/post").Load("pos"); string(v) != strconv.Itoa(messages) {
		t.Errorf("bookmark is %q, want %d", v, messages)
	}
	if s := b.status(); s.InUse != 0 || s.InUseBytes != 0 {
		t.Errorf("window leaked %d messages, %d bytes", s.InUse, s.InUseBytes)
	}
	b.stop()
	figures.Add("messages to deliver", messages*len(ds))
	for _, d := range ds {
		got := map[string]bool{}
		for _, m := range b.sinks[d.Name].messages() {
			got[m] = true
		}
		for i := range messages {
			if m := strconv.Itoa(i); !got[m] && !rejected[d.Name][m] {
				t.Errorf("%s: message %s is lost", d.Name, m)
			}
		}
	}
}
