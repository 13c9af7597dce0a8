package drivertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector"
)

// A Target is a real server, or whatever else a destination writes to.
type Target interface {
	// Setup makes a destination of this target.
	Setup() Setup
	// Received are the messages that have arrived, in order.
	Received(t *testing.T) []string
}

// A Breaker is a Target that can be out of reach.
type Breaker interface {
	// Down breaks connections and refuses everything; Up mends that.
	Down()
	Up()
}

// A Hanger is a Target that can leave a request without an answer.
type Hanger interface {
	// Hang lets requests wait until the client gives up. The channel is closed once one does.
	Hang() <-chan struct{}
	// Resume answers requests again.
	Resume()
}

// A Refuser is a Target that can refuse single messages for good.
type Refuser interface {
	Refuse(bad func(message string) bool)
}

// DestinationHarness is what CheckDestination needs to know.
type DestinationHarness struct {
	Driver collector.Driver
	// Start makes a new target that ends with the test. What else it is, of Breaker,
	// Hanger and Refuser, decides which scenarios run.
	Start func(t *testing.T) Target
	// Refused are options documents that must not make an instance, with a word that the
	// error must name.
	Refused map[string]string
}

// CheckDestination holds a destination to the contract.
func CheckDestination(t *testing.T, h DestinationHarness) {
	t.Helper()
	scenario(t, "options are decoded strictly", func(t *testing.T) {
		checkOptions(t, h.Driver, h.Start(t).Setup(), h.Refused)
	})
	scenario(t, "Close without Open", h.closeWithoutOpen)
	scenario(t, "Open ends with its context", h.openHonoursContext)
	scenario(t, "every message once and in order", h.delivers)
	scenario(t, "Open again after Close", h.reopens)
	scenario(t, "batches are read-only and not kept", h.keepsNothing)
	target := h.Start(t)
	if _, can := target.(Breaker); can {
		scenario(t, "a target that is down and comes back", h.downAndUp)
	}
	if _, can := target.(Hanger); can {
		scenario(t, "a Write that waits ends with its context", h.exitsWhileHanging)
	}
	if _, can := target.(Refuser); can {
		scenario(t, "refused messages are rejected alone", h.rejects)
	}
}

func (h DestinationHarness) start(t *testing.T) (Target, collector.Destination) {
	t.Helper()
	target := h.Start(t)
	return target, MustNew[collector.Destination](t, h.Driver, target.Setup(), NewRecorder())
}

func (h DestinationHarness) open(t *testing.T) (Target, collector.Destination) {
	t.Helper()
	target, d := h.start(t)
	if err := d.Open(t.Context()); err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { mustClose(t, d) })
	return target, d
}

func (h DestinationHarness) closeWithoutOpen(t *testing.T) {
	_, d := h.start(t)
	mustClose(t, d)
	mustClose(t, d)
}

func (h DestinationHarness) openHonoursContext(t *testing.T) {
	_, d := h.start(t)
	inTime(t, "Open with a context that has ended", func() { _ = d.Open(ended(t)) })
	mustClose(t, d)
}

func (h DestinationHarness) delivers(t *testing.T) {
	target, d := h.open(t)
	var want []string
	for request := range 5 {
		bs := Batches(
			messages(fmt.Sprintf("request %d first", request), 40),
			nil, // a batch without messages
			[]string{strings.Repeat("large ", 50_000) + fmt.Sprint(request)},
			messages(fmt.Sprintf("request %d last", request), 1),
		)
		want = append(want, texts(bs)...)
		if err := d.Write(t.Context(), bs); err != nil {
			t.Fatalf("write %d: %v", request, err)
		}
	}
	if err := d.Write(t.Context(), Batches(nil)); err != nil {
		t.Errorf("write of no message: %v", err)
	}
	compare(t, want, target.Received(t))
}

func (h DestinationHarness) reopens(t *testing.T) {
	target, d := h.open(t)
	var want []string
	for i := range 3 {
		bs := Batches(messages(fmt.Sprintf("life %d", i), 3))
		want = append(want, texts(bs)...)
		if err := d.Write(t.Context(), bs); err != nil {
			t.Fatalf("write: %v", err)
		}
		mustClose(t, d)
		if err := d.Open(t.Context()); err != nil {
			t.Fatalf("open again: %v", err)
		}
	}
	compare(t, want, target.Received(t))
}

// keepsNothing writes over the memory of a batch as soon as Write has returned.
func (h DestinationHarness) keepsNothing(t *testing.T) {
	target, d := h.open(t)
	var want []string
	for i := range 20 {
		bs := Batches(messages(fmt.Sprintf("request %d", i), 50))
		before := texts(bs)
		want = append(want, before...)
		if err := d.Write(t.Context(), bs); err != nil {
			t.Fatalf("write: %v", err)
		}
		if diff := cmp.Diff(before, texts(bs)); diff != "" {
			t.Fatalf("Write changed the batch (-before +after):\n%s", diff)
		}
		for r := range bs[0].Len() {
			for j := range bs[0].Body(r) {
				bs[0].Body(r)[j] = '!'
			}
		}
	}
	compare(t, want, target.Received(t))
}

func (h DestinationHarness) downAndUp(t *testing.T) {
	target, d := h.open(t)
	breaker := target.(Breaker)
	breaker.Down()
	bs := Batches(messages("first", 10), messages("second", 10))
	var failed error
	inTime(t, "Write to a target that is down", func() { failed = d.Write(t.Context(), bs) })
	var sum settlement
	rest := sum.add(bs, failed)
	if failed == nil || len(sum.rejected) > 0 {
		t.Fatalf("Write to a target that is down: %v, %d messages given up; want an error that is retried", failed, len(sum.rejected))
	}
	breaker.Up()
	h.deliver(t, d, rest, failed, &sum)
	compare(t, texts(bs), target.Received(t))
}

func (h DestinationHarness) exitsWhileHanging(t *testing.T) {
	target, d := h.open(t)
	hanger := target.(Hanger)
	hangs := hanger.Hang()
	bs := Batches(messages("message", 10))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var failed error
	done := make(chan struct{})
	go func() {
		defer close(done)
		failed = d.Write(ctx, bs)
	}()
	await(t, "a request to the target", hangs)
	told := requestExit(d, cancel)
	await(t, "Write after its context ended", done)
	await(t, "RequestExit", told)
	if failed == nil || collector.IsPermanent(failed) {
		t.Fatalf("Write that was cut short: %v, want an error that is retried", failed)
	}
	hanger.Resume()
	var sum settlement
	h.deliver(t, d, sum.add(bs, failed), failed, &sum)
	compare(t, texts(bs), target.Received(t))
}

func (h DestinationHarness) rejects(t *testing.T) {
	target, d := h.open(t)
	refuser := target.(Refuser)
	refuser.Refuse(func(message string) bool { return strings.Contains(message, "poison") })
	first, second := messages("good", 30), messages("also good", 10)
	first[7], first[8], second[9] = "poison a", "poison b", "poison c"
	bs := Batches(first, second)
	var sum settlement
	err := d.Write(t.Context(), bs)
	h.deliver(t, d, sum.add(bs, err), err, &sum)
	compare(t, []string{"poison a", "poison b", "poison c"}, sum.rejected)
	want := slices.DeleteFunc(texts(bs), func(m string) bool { return strings.Contains(m, "poison") })
	compare(t, want, target.Received(t))
}

// deliver writes again what an answer left over, as the destination loop does.
func (h DestinationHarness) deliver(t *testing.T, d collector.Destination, rest []*collector.Batch, err error, sum *settlement) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for len(rest) > 0 {
		if stop := pause(ctx, 5*time.Millisecond); stop != nil {
			t.Fatalf("not delivered within %s: %v", patience, err)
		}
		if errors.Is(err, collector.ErrNotConnected) {
			mustClose(t, d)
			if err = d.Open(ctx); err != nil {
				err = errors.Join(err, collector.ErrNotConnected)
				continue
			}
		}
		err = d.Write(ctx, rest)
		rest = sum.add(rest, err)
	}
}

// settlement adds up what became of messages.
type settlement struct{ rejected []string }

// add books an answer and returns what is to be written again.
func (s *settlement) add(bs []*collector.Batch, err error) (rest []*collector.Batch) {
	var partial *collector.PartialError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &partial):
	case collector.IsPermanent(err):
		s.rejected = append(s.rejected, texts(bs)...)
		return nil
	default:
		return bs
	}
	again := make([][]string, len(bs))
	for _, r := range partial.Rejected {
		message := string(bs[r.Batch].Body(r.Record))
		if collector.IsPermanent(r.Err) {
			s.rejected = append(s.rejected, message)
			continue
		}
		again[r.Batch] = append(again[r.Batch], message)
	}
	again = slices.DeleteFunc(again, func(m []string) bool { return len(m) == 0 })
	return Batches(again...)
}

// Batches makes one batch, each of a stream of its own, per list of messages.
func Batches(all ...[]string) []*collector.Batch {
	bs := make([]*collector.Batch, len(all))
	for i, list := range all {
		s := &collector.Stream{Attrs: []collector.Attr{{Name: "stream", Value: fmt.Sprint(i)}}}
		bs[i] = collector.NewBatch(s, len(list), 1<<30)
		for _, m := range list {
			bs[i].Append(time.Now(), []byte(m))
		}
	}
	return bs
}

func texts(bs []*collector.Batch) (all []string) {
	for _, b := range bs {
		for i := range b.Len() {
			all = append(all, string(b.Body(i)))
		}
	}
	return all
}

func compare(t *testing.T, want, got []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

func mustClose(t *testing.T, d collector.Destination) {
	t.Helper()
	inTime(t, "Close", func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}
