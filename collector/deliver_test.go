package collector_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/collector/report"
)

// letters is n steps of one message each, with bookmarks, and the messages.
func letters(n int) (steps []step, messages []string) {
	for i := range n {
		m := fmt.Sprintf("m%02d", i)
		steps = append(steps, step{send: []string{m}, bookmark: m})
		messages = append(messages, m)
	}
	return steps, messages
}

func (b *bench) position() string {
	v, _ := b.store.Namespace("u1/fetch").Load("pos")
	return string(v)
}

// What a destination answers decides what becomes of the records.
func TestAnswers(t *testing.T) {
	once := func(err error) func([]*collector.Batch) error {
		done := false
		return func([]*collector.Batch) error {
			if done {
				return nil
			}
			done = true
			return err
		}
	}
	cases := []struct {
		name      string
		answer    func([]*collector.Batch) error
		got       []string
		rejected  int64
		retries   int64
		within    time.Duration // everything is settled by then
		sinkCalls []string
	}{{
		name:   "an error is retried",
		answer: once(errors.New("busy")), got: []string{"m00", "m01", "m02"}, retries: 1, within: 3 * time.Second,
		sinkCalls: []string{"open", "close"},
	}, {
		name: "a panic is retried",
		answer: func() func([]*collector.Batch) error {
			f := once(nil)
			n := 0
			return func(bs []*collector.Batch) error {
				n++
				if n == 1 {
					panic("bug")
				}
				return f(bs)
			}
		}(),
		got: []string{"m00", "m01", "m02"}, retries: 1, within: 3 * time.Second,
		sinkCalls: []string{"open", "close"},
	}, {
		name:   "not connected closes and opens before the retry",
		answer: once(fmt.Errorf("reset: %w", collector.ErrNotConnected)), got: []string{"m00", "m01", "m02"}, retries: 1, within: 3 * time.Second,
		sinkCalls: []string{"open", "close", "open", "close"},
	}, {
		name:   "permanent is rejected, counted, and moves on",
		answer: once(collector.Permanent(errors.New("bad request"))), rejected: 3, within: 2 * time.Second,
		sinkCalls: []string{"open", "close"},
	}, {
		name: "partial: a permanent record is rejected, another written again",
		answer: once(&collector.PartialError{Rejected: []collector.Rejection{
			{Batch: 0, Record: 0, Err: collector.Permanent(errors.New("poison"))},
			{Batch: 2, Record: 0, Err: errors.New("later")},
		}}),
		got: []string{"m01", "m02"}, rejected: 1, retries: 1, within: 3 * time.Second,
		sinkCalls: []string{"open", "close"},
	}, {
		name:   "retry after waits as long as asked",
		answer: once(collector.RetryAfter(40*time.Second, errors.New("slow down"))), got: []string{"m00", "m01", "m02"}, retries: 1, within: 42 * time.Second,
		sinkCalls: []string{"open", "close"},
	}}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				out := b.sink("out")
				out.answer = c.answer
				steps, _ := letters(3)
				b.fetcher = newScript(steps...)
				b.apply(b.plan("fetch", to("out")))
				elapse(c.within)
				synctest.Wait()
				d := b.status().Destinations[0]
				if d.Queued+d.InFlight != 0 || d.Rejected["permanent"] != c.rejected || d.Retries != c.retries {
					t.Errorf("after %v: %+v", c.within, d)
				}
				if got := b.position(); got != "m02" {
					t.Errorf("bookmark is %q, want m02", got)
				}
				b.stop()
				if diff := cmp.Diff(c.got, out.messages()); diff != "" {
					t.Errorf("delivered (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(c.sinkCalls, out.calls); diff != "" {
					t.Errorf("calls (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// Retry-After is honoured, not undercut.
func TestRetryAfterIsNotUndercut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		out := b.sink("out")
		var at []time.Time
		out.answer = func([]*collector.Batch) error {
			at = append(at, time.Now())
			if len(at) == 1 {
				return collector.RetryAfter(30*time.Second, errors.New("slow down"))
			}
			return nil
		}
		b.fetcher = newScript(step{send: []string{"a"}})
		b.apply(b.plan("fetch", to("out")))
		elapse(time.Minute)
		b.stop()
		if len(at) != 2 || at[1].Sub(at[0]) < 30*time.Second {
			t.Errorf("attempts at %v, want the second 30s after the first", at)
		}
	})
}

// Requests are cut by messages, by the timeout, and at once when the source waits.
func TestRequestsAreCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		out := b.sink("out")
		steps, _ := letters(6)
		b.fetcher = newScript(steps...)
		b.apply(b.plan("fetch", to("out"))) // batch: 4 messages or 1s
		elapse(2 * time.Second)
		synctest.Wait()
		if diff := cmp.Diff([]int{4, 2}, out.requests); diff != "" {
			t.Errorf("messages per request (-want +got):\n%s", diff)
		}
		b.stop()
	})
}

func TestWindowSmallerThanABatchDoesNotWaitForTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		out := b.sink("out")
		steps, want := letters(12)
		b.fetcher = newScript(steps...)
		d := to("out")
		d.Batch = plan.Batch{Messages: 1000, Bytes: 1 << 20, Timeout: plan.Duration(time.Hour)}
		p := b.plan("fetch", d)
		p.Source.Window.Messages = 3
		b.apply(p)
		synctest.Wait() // no time passes
		if n := len(out.messages()); n < 9 {
			t.Errorf("%d messages delivered before any time passed, want at least 9 of 12", n)
		}
		b.stop()
		if diff := cmp.Diff(want, out.messages()); diff != "" {
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
	})
}

// With two required destinations the bookmark moves on the slower one's acks, in order,
// and one destination does not delay the other.
func TestFanOutSavesInOrderOnTheLastAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		quick, slow := b.sink("quick"), b.sink("slow")
		slow.block = make(chan struct{})
		steps, want := letters(8)
		b.fetcher = newScript(steps...)
		b.apply(b.plan("fetch", to("quick"), to("slow")))
		elapse(5 * time.Second)
		synctest.Wait()
		if diff := cmp.Diff(want, quick.messages()); diff != "" {
			t.Errorf("quick (-want +got):\n%s", diff)
		}
		if p := b.position(); p != "" {
			t.Errorf("bookmark moved to %q before slow acked", p)
		}
		if diff := cmp.Diff([]string{"slow"}, b.status().SuspendedBy); diff != "" {
			t.Errorf("suspended by (-want +got):\n%s", diff)
		}
		close(slow.block)
		elapse(5 * time.Second)
		synctest.Wait()
		if p := b.position(); p != "m07" {
			t.Errorf("bookmark is %q, want m07", p)
		}
		b.stop()
		if diff := cmp.Diff(want, slow.messages()); diff != "" {
			t.Errorf("slow (-want +got):\n%s", diff)
		}
	})
}

// A destination that drops never holds the source; what it drops is counted exactly.
func TestDropPolicies(t *testing.T) {
	cases := []struct {
		onFull   string
		required bool
		got      []string
	}{
		{plan.DropOldest, false, []string{"m00", "m07", "m08", "m09"}},
		{plan.DropOldest, true, []string{"m00", "m07", "m08", "m09"}},
		{plan.DropNewest, false, []string{"m00", "m01", "m02", "m03"}},
		{plan.DropNewest, true, []string{"m00", "m01", "m02", "m03"}},
	}
	for _, c := range cases {
		t.Run(fmt.Sprintf("%s required=%v", c.onFull, c.required), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				main, lossy := b.sink("main"), b.sink("lossy")
				lossy.block = make(chan struct{})
				steps, want := letters(10)
				// the first message is in flight before the others come
				gate := make(chan struct{})
				steps[1].wait = gate
				b.fetcher = newScript(steps...)
				d := to("lossy")
				d.OnFull, d.Required = c.onFull, c.required
				d.Queue.Bytes = 9 // three messages of three bytes
				d.Batch = plan.Batch{Messages: 1, Bytes: 1 << 20}
				b.apply(b.plan("fetch", to("main"), d))
				synctest.Wait()
				close(gate)
				elapse(10 * time.Second)
				synctest.Wait()
				s := b.status()
				if s.State == report.Suspended || s.Accepted != 10 {
					t.Errorf("state %s, accepted %d: the source was held", s.State, s.Accepted)
				}
				close(lossy.block)
				elapse(10 * time.Second)
				synctest.Wait()
				if n := b.status().Destinations[1].Dropped["queue_full"]; n != 6 {
					t.Errorf("dropped %d, want 6", n)
				}
				if p := b.position(); p != "m09" {
					t.Errorf("bookmark is %q, want m09", p)
				}
				if s := b.status(); s.InUse != 0 {
					t.Errorf("window holds %d messages", s.InUse)
				}
				b.stop()
				if diff := cmp.Diff(c.got, lossy.messages()); diff != "" {
					t.Errorf("lossy (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(want, main.messages()); diff != "" {
					t.Errorf("main (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// A stop drains what is queued; what a dead destination cannot take within the grace keeps
// its bookmark unmoved, and the next life is given the old position.
func TestStopDrainsOrLeavesTheBookmark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		out := b.sink("out")
		out.answer = func(bs []*collector.Batch) error {
			if slices.Contains(bodies(bs), "m02") {
				return errors.New("down from m02 on")
			}
			return nil
		}
		steps, _ := letters(5)
		b.fetcher = newScript(steps...)
		d := to("out")
		d.Batch = plan.Batch{Messages: 1, Bytes: 1 << 20}
		b.apply(b.plan("fetch", d))
		elapse(time.Second)
		began := time.Now()
		b.engine.Stop(t.Context())
		if took := time.Since(began); took != 20*time.Second {
			t.Errorf("stop took %v, want the shutdownGrace of 20s", took)
		}
		if diff := cmp.Diff([]string{"m00", "m01"}, out.messages()); diff != "" {
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
		if p := b.position(); p != "m01" {
			t.Errorf("bookmark is %q, want m01", p)
		}
		r := b.engine.Report()
		balance(t, r)
		if left := r.LogPaths[0].Destinations[0].Queued; left != 3 {
			t.Errorf("%d left in the queue, want 3", left)
		}
		if err := b.store.Close(); err != nil {
			t.Error(err)
		}
	})
}

func bodies(bs []*collector.Batch) []string {
	var all []string
	for _, b := range bs {
		for i := range b.Len() {
			all = append(all, string(b.Body(i)))
		}
	}
	return all
}
