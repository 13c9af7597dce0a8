package heartbeat_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/drivertest"
	"github.com/logsource/operator/docs/examples/driver/drivers/heartbeat"
)

// The first beat comes at once and the next an hour later, so that a life has one message.
func TestContract(t *testing.T) {
	drivertest.CheckSource(t, drivertest.SourceHarness{
		Driver: heartbeat.Driver,
		Start:  func(*testing.T) drivertest.Setup { return drivertest.Setup{Options: `{"every": "1h"}`} },
		Want:   []string{"alive 1"},
		Refused: map[string]string{
			`{"every": "99ms"}`: "every",
			`{"every": 5}`:      "duration",
			`{"text": ""}`:      "text",
		},
	})
}

// A window takes what is posted, keeps a copy, and acks when it is told to.
type window struct {
	full  int // suspends the source once it holds that many; 0 never
	posts []post
	lent  []*collector.Batch
	tell  collector.Suspender
}

type post struct {
	Body, Program, Skipped, Severity string
}

func (w *window) Batch(s *collector.Stream) *collector.Batch { return collector.NewBatch(s, 1, 1) }

func (w *window) Post(_ context.Context, b *collector.Batch) error {
	for i := range b.Len() {
		f, _ := b.Fields(i)
		p := post{Body: string(b.Body(i)), Program: string(f.Program), Severity: f.Priority.Severity()}
		if pair, ok := f.Pairs.Next(); ok && string(pair.Name) == "skipped" {
			p.Skipped = string(pair.Value)
		}
		w.posts = append(w.posts, p)
	}
	w.lent = append(w.lent, b)
	if len(w.posts) == w.full {
		w.tell.Suspend()
	}
	return nil
}

func beat(body, skipped string) post {
	return post{Body: body, Program: "heartbeat", Skipped: skipped, Severity: "info"}
}

// start runs the source in the bubble of synctest until stop.
func start(t *testing.T, r *drivertest.Recorder, w *window) (stop func()) {
	t.Helper()
	s := drivertest.MustNew[collector.Source](t, heartbeat.Driver, drivertest.Setup{Options: `{"every": "10s"}`}, r)
	w.tell = s.(collector.Suspender)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Run(ctx, w)
	}()
	return func() {
		cancel()
		<-done
		s.(collector.Deiniter).Deinit()
	}
}

func elapse(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestBeatsAreSkippedWhileSuspended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := drivertest.NewRecorder(), &window{full: 2}
		stop := start(t, r, w)
		elapse(45 * time.Second) // beats at 0 s and 10 s, none at 20, 30 and 40
		w.tell.Wakeup()
		elapse(20 * time.Second)
		stop()
		want := []post{beat("alive 1", ""), beat("alive 2", ""), beat("alive 3", "3"), beat("alive 4", "")}
		if diff := cmp.Diff(want, w.posts); diff != "" {
			t.Errorf("posted (-want +got):\n%s", diff)
		}
		if n := r.Count("beat_skipped"); n != 3 {
			t.Errorf("%d skipped beats counted, want 3", n)
		}
	})
}

// What an ack does to the number is seen in the test of the whole collector.
func TestNumbersGoOnBehindTheLastAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := drivertest.NewRecorder(), &window{}
		stop := start(t, r, w)
		elapse(25 * time.Second)
		stop()
		if n := len(w.posts); n != 3 {
			t.Fatalf("%d beats, want 3", n)
		}
		if _, saved := r.Persist.Get("last"); saved {
			t.Error("a number was saved although no beat was acked")
		}
		if err := r.Persist.Set("last", collector.IntValue(2)); err != nil {
			t.Fatal(err)
		}
		w = &window{}
		stop = start(t, r, w)
		elapse(time.Second)
		stop()
		if diff := cmp.Diff([]post{beat("alive 3", "")}, w.posts); diff != "" {
			t.Errorf("after the restart (-want +got):\n%s", diff)
		}
	})
}
