package collector_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/plan"
)

// The checklist of ack trackers, A1 to A8.

// told is what callbacks were told, in order.
type told struct {
	mu   sync.Mutex
	list []any
}

func (k *told) add(v any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list = append(k.list, v)
}

func (k *told) all() []any {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.list)
}

// tracked dresses a fetcher that sends bookmarks 1 to n under the tracker of track, one a
// message, and closes it in Deinit.
func tracked(n int, track func(p *puppet) *collector.AckTracker) func(p *puppet) {
	return func(p *puppet) {
		tracker, i := track(p), 0
		p.fetch = func(_ context.Context, b *collector.Batch) error {
			if i >= n {
				return collector.ErrNoData
			}
			i++
			tracker.Track(b, i)
			b.Append(time.Now(), fmt.Appendf(nil, "m%d", i))
			return nil
		}
		p.deinit = tracker.Close
	}
}

// marks is the bookmarks from to to.
func marks(from, to int) (list []any) {
	for i := from; i <= to; i++ {
		list = append(list, i)
	}
	return list
}

func TestA01_InstantTellsOfEach(t *testing.T) {
	var k told
	scene(t, tracked(5, func(*puppet) *collector.AckTracker { return collector.NewInstantAckTracker(k.add) }), func(s *stage) {
		out := s.sinks["out"]
		gate := make(chan struct{})
		out.block = gate
		s.apply(s.plan("fetch", at("out")))
		elapse(time.Minute)
		equal(t, "told before the destination took any", nil, k.all())
		close(gate)
		synctest.Wait()
		equal(t, "told", marks(1, 5), k.all())
		s.stop()
	})
}

// A destination that drops what its full queue cannot take acks that at once, before what
// it holds: the instant tracker tells of it, the consecutive one waits for the prefix.
func TestA02_ConsecutiveTellsOfAPrefixOnly(t *testing.T) {
	f := func(name string, track func(func(any)) *collector.AckTracker, early, all []any) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			var k told
			dress := func(p *puppet) {
				tracked(8, func(*puppet) *collector.AckTracker { return track(k.add) })(p)
				fetch := p.fetch
				p.fetch = func(ctx context.Context, b *collector.Batch) error {
					elapse(time.Millisecond) // the destination has the first one before the second comes
					return fetch(ctx, b)
				}
			}
			scene(t, dress, func(s *stage) {
				gate := make(chan struct{})
				s.sinks["out"].block = gate
				d := at("out")
				d.OnFull, d.Queue.Bytes = plan.DropNewest, 6 // three messages of two bytes
				s.apply(s.plan("fetch", d))
				elapse(time.Minute)
				equal(t, "told while m1 to m4 are held", early, k.all())
				close(gate)
				elapse(time.Second)
				equal(t, "told in the end", all, k.all())
				s.stop()
			})
		})
	}
	f("instant", collector.NewInstantAckTracker, marks(5, 8), append(marks(5, 8), marks(1, 4)...))
	f("consecutive", collector.NewConsecutiveAckTracker, nil, []any{1, 2, 3, 8})
}

func TestA03_BatchedTellsBySizeByTimeoutAndAtDeinit(t *testing.T) {
	var k told
	began := time.Now()
	dress := tracked(8, func(p *puppet) *collector.AckTracker {
		began = time.Now()
		return collector.NewBatchedAckTracker(500*time.Millisecond, 3, func(marks []any) {
			k.add(fmt.Sprint(marks, " ", time.Since(began)))
		})
	})
	scene(t, dress, func(s *stage) {
		s.apply(s.plan("fetch", at("out")))
		elapse(499 * time.Millisecond)
		equal(t, "told before the timeout", []any{"[1 2 3] 0s", "[4 5 6] 0s"}, k.all())
		elapse(time.Millisecond)
		synctest.Wait()
		equal(t, "told after it", []any{"[1 2 3] 0s", "[4 5 6] 0s", "[7 8] 500ms"}, k.all())
		s.stop()
		equal(t, "told after the stop: no empty list", 3, len(k.all()))
	})
}

func TestA03_BatchedTellsTheRestBeforeDeinitReturns(t *testing.T) {
	var k told
	dress := func(p *puppet) {
		tracked(5, func(*puppet) *collector.AckTracker {
			return collector.NewBatchedAckTracker(0, 3, func(marks []any) {
				k.add(fmt.Sprint(marks))
				p.note("told")
			})
		})(p)
		deinit := p.deinit
		p.deinit = func() {
			deinit()
			p.note("closed")
		}
	}
	scene(t, dress, func(s *stage) {
		s.apply(s.plan("fetch", at("out")))
		elapse(time.Hour)
		equal(t, "told without a timeout", []any{"[1 2 3]"}, k.all())
		s.stop()
		equal(t, "told", []any{"[1 2 3]", "[4 5]"}, k.all())
		var names []string
		for _, c := range s.calls.all() {
			if c.what == "told" || c.what == "closed" {
				names = append(names, c.what)
			}
		}
		equal(t, "order", []string{"told", "told", "closed"}, names)
	})
}

// A message that is not tracked is not told of and holds up nobody; syslog-ng dies of it.
func TestA04_AMessageWithoutABookmark(t *testing.T) {
	f := func(name string, track func(fn func(any)) *collector.AckTracker) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			var k told
			dress := func(p *puppet) {
				tracker, i := track(k.add), 0
				p.fetch = func(_ context.Context, b *collector.Batch) error {
					if i++; i > 5 {
						return collector.ErrNoData
					}
					if i != 3 {
						tracker.Track(b, i)
					}
					b.Append(time.Now(), []byte("m"))
					return nil
				}
				p.deinit = tracker.Close
			}
			scene(t, dress, func(s *stage) {
				s.apply(s.plan("fetch", at("out")))
				elapse(time.Second)
				s.stop()
				got := k.all()
				if slices.Contains(got, any(3)) || len(got) == 0 || got[len(got)-1] != 5 {
					t.Errorf("told %v", got)
				}
			})
		})
	}
	f("instant", collector.NewInstantAckTracker)
	f("consecutive", collector.NewConsecutiveAckTracker)
}

// Many messages with a tracker each: every one is told of, in order; the consecutive
// tracker of syslog-ng 3.x deadlocks here within a second.
func TestA05_Stress(t *testing.T) {
	const n = 20_000
	f := func(name string, track func(k *told) *collector.AckTracker) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			var k told
			scene(t, tracked(n, func(*puppet) *collector.AckTracker { return track(&k) }), func(s *stage) {
				s.apply(s.plan("fetch", at("out")))
				elapse(time.Minute)
				s.stop()
				got := k.all()
				if len(got) == 0 || got[len(got)-1] != n || !slices.IsSortedFunc(got, func(a, b any) int { return a.(int) - b.(int) }) {
					t.Errorf("told of %d, the last one %v; want rising up to %d", len(got), got[len(got)-1:], n)
				}
				if name != "consecutive" && len(got) != n {
					t.Errorf("told of %d, want each of %d", len(got), n)
				}
			})
		})
	}
	f("instant", func(k *told) *collector.AckTracker { return collector.NewInstantAckTracker(k.add) })
	f("consecutive", func(k *told) *collector.AckTracker { return collector.NewConsecutiveAckTracker(k.add) })
	f("batched", func(k *told) *collector.AckTracker {
		return collector.NewBatchedAckTracker(200*time.Millisecond, 100, func(marks []any) {
			for _, m := range marks {
				k.add(m)
			}
		})
	})
}

// A callback that panics, or is slow, ends nothing and holds up nothing.
func TestA05_CallbacksThatMisbehave(t *testing.T) {
	calls := 0
	dress := tracked(6, func(*puppet) *collector.AckTracker {
		return collector.NewInstantAckTracker(func(any) {
			if calls++; calls == 1 {
				elapse(time.Minute)
			}
			panic("boom")
		})
	})
	scene(t, dress, func(s *stage) {
		s.apply(s.plan("fetch", at("out")))
		elapse(time.Second)
		if st := s.status(); st.InUse != 0 || len(s.sinks["out"].messages()) != 6 {
			t.Errorf("%d in use, %d delivered; want 0, 6", st.InUse, len(s.sinks["out"].messages()))
		}
		elapse(time.Hour)
		s.stop()
		equal(t, "calls", 6, calls)
	})
}

func TestA06_TwoDestinationsAreToldOfAfterBoth(t *testing.T) {
	var k told
	scene(t, tracked(3, func(*puppet) *collector.AckTracker { return collector.NewInstantAckTracker(k.add) }), func(s *stage) {
		down, up := s.sinks["out"], s.sink("up")
		gate := make(chan struct{})
		down.block = gate
		s.apply(s.plan("fetch", at("out"), at("up")))
		elapse(time.Minute)
		if len(up.messages()) != 3 || len(k.all()) != 0 {
			t.Errorf("up has %d, told %v; want 3 and nothing", len(up.messages()), k.all())
		}
		close(gate)
		synctest.Wait()
		equal(t, "told", marks(1, 3), k.all())
		s.stop()
	})
}

// A destination that is not required acks nothing that anybody waits for.
func TestA07_WithoutARequiredDestinationTheAckIsAtOnce(t *testing.T) {
	var k told
	scene(t, tracked(3, func(*puppet) *collector.AckTracker { return collector.NewInstantAckTracker(k.add) }), func(s *stage) {
		s.sinks["out"].block = make(chan struct{})
		d := at("out")
		d.Required, d.OnFull = false, plan.DropNewest
		p := s.plan("fetch", d)
		p.ShutdownGrace = plan.Duration(time.Second)
		s.apply(p)
		synctest.Wait()
		equal(t, "told", marks(1, 3), k.all())
		s.stop()
	})
}

func TestA08_TheOldInstanceIsToldOfItsOwnAfterAnEdit(t *testing.T) {
	var old, young told
	dress := tracked(3, func(p *puppet) *collector.AckTracker {
		return collector.NewInstantAckTracker([]func(any){old.add, young.add}[p.n])
	})
	scene(t, dress, func(s *stage) {
		out := s.sinks["out"]
		gate := make(chan struct{})
		out.block = gate
		s.apply(s.plan("fetch", at("out")))
		elapse(time.Second)
		s.apply(edit(s.plan("fetch", at("out")), 1))
		elapse(time.Second)
		if s.calls.countOf(0, "deinit") != 1 || len(old.all())+len(young.all()) != 0 {
			t.Errorf("before the ack: %v, told %v and %v", s.calls.names(), old.all(), young.all())
		}
		close(gate)
		elapse(time.Second)
		equal(t, "the old one is told", marks(1, 3), old.all())
		equal(t, "the new one is told", marks(1, 3), young.all())
		s.stop()
	})
}

// K6: what is undelivered at the stop is told of by no tracker.
func TestA09_NothingUndeliveredIsToldOf(t *testing.T) {
	f := func(name string, track func(k *told) *collector.AckTracker) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			var k told
			scene(t, tracked(7, func(*puppet) *collector.AckTracker { return track(&k) }), func(s *stage) {
				s.sinks["out"].block = make(chan struct{})
				p := s.plan("fetch", at("out"))
				p.ShutdownGrace = plan.Duration(time.Second)
				s.apply(p)
				elapse(time.Minute)
				s.stop()
				elapse(time.Hour)
				equal(t, "told", nil, k.all())
			})
		})
	}
	f("instant", func(k *told) *collector.AckTracker { return collector.NewInstantAckTracker(k.add) })
	f("consecutive", func(k *told) *collector.AckTracker { return collector.NewConsecutiveAckTracker(k.add) })
	f("batched", func(k *told) *collector.AckTracker {
		return collector.NewBatchedAckTracker(time.Second, 2, func(marks []any) { k.add(marks) })
	})
}
