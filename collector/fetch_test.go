package collector_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/report"
)

// The truth table of doc.go, row by row, with its waits: timeReopen is 10 s and
// fetchNoDataDelay 3 s in every plan of these tests.
func TestFetcherTruthTable(t *testing.T) {
	boom := errors.New("boom")
	cases := []struct {
		name  string
		steps []step
		opens []error
		until time.Duration
		calls []string
		got   []string
		state string
	}{{
		name:  "success fetches again at once",
		steps: []step{{send: []string{"a"}}, {send: []string{"b", "c"}}},
		calls: []string{"init@0s", "open@0s", "fetch@0s", "fetch@0s", "fetch@0s"},
		got:   []string{"a", "b", "c"}, state: report.Fetching,
	}, {
		name:  "success without a message is an error",
		steps: []step{{}},
		until: 10 * time.Second,
		calls: []string{"init@0s", "open@0s", "fetch@0s", "close@0s", "open@10s", "fetch@10s"},
		state: report.Reopening,
	}, {
		name:  "try again fetches at once",
		steps: []step{{err: collector.ErrTryAgain}, {err: collector.ErrTryAgain}, {send: []string{"a"}}},
		calls: []string{"init@0s", "open@0s", "fetch@0s", "fetch@0s", "fetch@0s", "fetch@0s"},
		got:   []string{"a"}, state: report.Fetching,
	}, {
		name:  "no data waits fetchNoDataDelay",
		steps: []step{{err: collector.ErrNoData}, {err: collector.ErrNoData}},
		until: 4 * time.Second,
		calls: []string{"init@0s", "open@0s", "fetch@0s", "fetch@3s"},
		state: report.Idle,
	}, {
		name:  "not connected waits timeReopen and opens without close",
		steps: []step{{err: collector.ErrNotConnected}},
		until: 10 * time.Second,
		calls: []string{"init@0s", "open@0s", "fetch@0s", "open@10s", "fetch@10s"},
		state: report.Reopening,
	}, {
		name:  "any other error closes, waits, opens",
		steps: []step{{err: boom}},
		until: 10 * time.Second,
		calls: []string{"init@0s", "open@0s", "fetch@0s", "close@0s", "open@10s", "fetch@10s"},
		state: report.Reopening,
	}, {
		name:  "a panic is any other error",
		steps: []step{{panics: true}},
		until: 10 * time.Second,
		calls: []string{"init@0s", "open@0s", "fetch@0s", "close@0s", "open@10s", "fetch@10s"},
		state: report.Reopening,
	}, {
		name:  "records in the batch are delivered whatever the error is",
		steps: []step{{send: []string{"a", "b"}, err: boom}},
		until: 5 * time.Second,
		calls: []string{"init@0s", "open@0s", "fetch@0s", "close@0s"},
		got:   []string{"a", "b"}, state: report.Reopening,
	}, {
		name:  "a failed open is retried every timeReopen, for ever",
		opens: []error{boom, boom, boom},
		until: 30 * time.Second,
		calls: []string{"init@0s", "open@0s", "open@10s", "open@20s", "open@30s", "fetch@30s"},
		state: report.Reopening,
	}}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				out := b.sink("out")
				f := newScript(c.steps...)
				f.opens = c.opens
				b.fetcher = f
				b.apply(b.plan("fetch", to("out")))
				elapse(c.until)
				synctest.Wait()
				state := b.status().State
				if diff := cmp.Diff(c.calls, f.calls()); diff != "" {
					t.Errorf("calls (-want +got):\n%s", diff)
				}
				if state != c.state {
					t.Errorf("state %s, want %s", state, c.state)
				}
				b.stop()
				if diff := cmp.Diff(c.got, out.messages()); diff != "" {
					t.Errorf("delivered (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// Stopping: RequestExit comes from another goroutine, a running fetch's result still
// counts, then Close once more and Deinit.
func TestStopDeliversTheRunningFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		out := b.sink("out")
		f := newScript(step{send: []string{"late"}, wait: make(chan struct{})})
		b.fetcher = f
		b.apply(b.plan("fetch", to("out")))
		synctest.Wait()
		b.stop()
		want := []string{"init@0s", "open@0s", "fetch@0s", "close@0s", "deinit@0s"}
		if diff := cmp.Diff(want, f.calls()); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"late"}, out.messages()); diff != "" {
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
		if f.exits != 1 {
			t.Errorf("RequestExit was called %d times", f.exits)
		}
	})
}

// A fetcher that never opened is closed and deinitialised all the same.
func TestStopClosesWhatNeverOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.sink("out")
		f := newScript()
		f.opens = []error{errors.New("down"), errors.New("down"), errors.New("down")}
		b.fetcher = f
		b.apply(b.plan("fetch", to("out")))
		elapse(15 * time.Second)
		b.stop()
		want := []string{"init@0s", "open@0s", "open@10s", "close@15s", "deinit@15s"}
		if diff := cmp.Diff(want, f.calls()); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
	})
}

// A full window suspends the source after the message that filled it, the status says by
// whom, and everything is delivered in order once the destination takes messages again.
func TestFullWindowSuspends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		out := b.sink("out")
		out.answer = func([]*collector.Batch) error { return errors.New("down") }
		var steps []step
		var want []string
		for i := range 20 {
			m := string(rune('a' + i))
			steps, want = append(steps, step{send: []string{m}}), append(want, m)
		}
		b.fetcher = newScript(steps...)
		b.apply(b.plan("fetch", to("out")))
		elapse(time.Minute)
		synctest.Wait()
		s := b.status()
		if s.State != report.Suspended || s.InUse != 8 || s.Accepted != 8 {
			t.Errorf("state %s, in use %d, accepted %d; want Suspended, 8, 8", s.State, s.InUse, s.Accepted)
		}
		if diff := cmp.Diff([]string{"out"}, s.SuspendedBy); diff != "" {
			t.Errorf("suspended by (-want +got):\n%s", diff)
		}
		if since := time.Since(s.SuspendedSince); since != time.Minute {
			t.Errorf("suspended for %v, want 1m", since)
		}
		out.set(func(s *sink) { s.answer = nil })
		elapse(time.Minute)
		synctest.Wait()
		if s := b.status(); s.State != report.Fetching || s.InUse != 0 {
			t.Errorf("after recovery: state %s, in use %d", s.State, s.InUse)
		}
		b.stop()
		if diff := cmp.Diff(want, out.messages()); diff != "" {
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
	})
}
