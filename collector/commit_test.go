package collector_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/plan"
)

// committing is a fetcher that wants to know its saved bookmarks.
type committing struct {
	*script
	mu  sync.Mutex
	got []string
	err error
}

func (c *committing) Commit(key string, bookmark []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, key+"="+string(bookmark))
	return c.err
}

func (c *committing) commits() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.got)
}

// A Committer is told its bookmarks in order, none before the ack of the slowest required
// destination, and an error of its own neither stops nor holds anything.
func TestCommitterIsToldInOrderAfterTheAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.sink("quick")
		slow := b.sink("slow")
		slow.block = make(chan struct{})
		steps, want := letters(12)
		for i := range want {
			want[i] = "pos=" + want[i]
		}
		f := &committing{script: newScript(steps...), err: errors.New("the origin does not answer")}
		b.fetcher = f
		b.apply(b.plan("fetch", to("quick"), to("slow")))
		elapse(5 * time.Second)
		synctest.Wait()
		if got := f.commits(); len(got) != 0 {
			t.Errorf("told %v before slow had acked", got)
		}
		close(slow.block)
		elapse(20 * time.Second)
		synctest.Wait()
		if s := b.status(); s.InUse != 0 || s.Accepted != 12 {
			t.Errorf("%d accepted, %d on the way: a failing Commit held the source", s.Accepted, s.InUse)
		}
		b.stop()
		if diff := cmp.Diff(want, f.commits()); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}

// deaf is a source that does not hear request_exit; once released it posts on.
type deaf struct {
	release chan struct{}
	posted  chan error
}

func (d *deaf) Run(ctx context.Context, out collector.Poster) error {
	<-d.release
	b := out.Batch(nil)
	b.Append(time.Now(), []byte("from the one left behind"))
	d.posted <- out.Post(context.WithoutCancel(ctx), b)
	return nil
}

// A source that ignores request_exit delays an edit by no more than shutdownGrace; then it
// is left behind, counted, and the new one runs.
func TestSourceThatIgnoresExitIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		out := b.sink("out")
		d := &deaf{make(chan struct{}), make(chan error, 1)}
		b.source = d
		p := b.plan("post", to("out"))
		b.apply(p)
		next := newPoster()
		b.source = next
		next.words <- "from the new instance"
		q := *p
		q.Source.TimeReopen = plan.Duration(11 * time.Second)
		began := time.Now()
		b.apply(&q)
		if took := time.Since(began); took != 20*time.Second {
			t.Errorf("the edit took %v, want the shutdownGrace of 20s", took)
		}
		close(d.release)
		elapse(5 * time.Second)
		if err := <-d.posted; err == nil {
			t.Error("a post of the source left behind was accepted")
		}
		if drops := b.status().SourceDrops; drops["left_behind"] != 1 {
			t.Errorf("drops %v, want 1 left_behind", drops)
		}
		b.stop()
		if diff := cmp.Diff([]string{"from the new instance"}, out.messages()); diff != "" {
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
	})
}
