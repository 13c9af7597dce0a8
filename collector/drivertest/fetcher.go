package drivertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector"
)

// An Origin is a real server, or whatever else a fetcher reads from.
type Origin interface {
	// Setup makes a fetcher of this origin.
	Setup() Setup
	// Offer makes messages available, each to be fetched once and in this order.
	Offer(messages ...string)
	// Down breaks connections and refuses new ones; Up mends that.
	Down()
	Up()
	// Hang lets requests wait until the client gives up. The channel is closed once one
	// does; nil when the fetcher never waits for its origin.
	Hang() <-chan struct{}
}

// FetcherHarness is what CheckFetcher needs to know.
type FetcherHarness struct {
	Driver collector.Driver
	// Start makes a new origin that ends with the test.
	Start func(t *testing.T) Origin
	// Refused are options documents that must not make an instance, with a word that the
	// error must name.
	Refused map[string]string
	// Messages is how many messages a delivery has; 0 means 100.
	Messages int
}

// CheckFetcher holds a fetcher to the contract.
func CheckFetcher(t *testing.T, h FetcherHarness) {
	t.Helper()
	if h.Messages == 0 {
		h.Messages = 100
	}
	scenario(t, "options are decoded strictly", func(t *testing.T) {
		checkOptions(t, h.Driver, h.Start(t).Setup(), h.Refused)
	})
	scenario(t, "Close without Open", h.closeWithoutOpen)
	scenario(t, "every message once and in order", h.delivers)
	scenario(t, "a message larger than the room", h.deliversLarge)
	scenario(t, "Open again after Close", h.reopens)
	scenario(t, "an origin that is down and comes back", h.downAndUp)
	scenario(t, "calls end with their context", h.honoursContext)
	if h.Start(t).Hang() != nil { // nil: it never waits for its origin
		scenario(t, "request_exit ends a Fetch that waits", h.exitsWhileHanging)
	}
}

func (h FetcherHarness) closeWithoutOpen(t *testing.T) {
	f := h.start(t, h.Start(t))
	if err := f.Close(); err != nil {
		t.Errorf("close without open: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

func (h FetcherHarness) delivers(t *testing.T) {
	origin := h.Start(t)
	want := messages("message", h.Messages)
	origin.Offer(want...)
	h.expect(t, h.start(t, origin), want, room{messages: 7, bytes: 1 << 20})
}

func (h FetcherHarness) deliversLarge(t *testing.T) {
	origin := h.Start(t)
	want := []string{"small", strings.Repeat("large ", 10_000) + ".", "small again"}
	origin.Offer(want...)
	h.expect(t, h.start(t, origin), want, room{messages: 10, bytes: 100})
}

func (h FetcherHarness) reopens(t *testing.T) {
	origin := h.Start(t)
	f := h.start(t, origin)
	for i := range 3 {
		want := messages(fmt.Sprintf("life %d", i), 3)
		origin.Offer(want...)
		h.expect(t, f, want, room{messages: 10, bytes: 1 << 20})
	}
}

func (h FetcherHarness) downAndUp(t *testing.T) {
	origin := h.Start(t)
	f := h.start(t, origin)
	origin.Down()
	inTime(t, "a fetch from an origin that is down", func() {
		err := openAndFetch(t.Context(), f)
		if err == nil || errors.Is(err, collector.ErrNoData) || errors.Is(err, collector.ErrTryAgain) {
			t.Errorf("neither Open nor Fetch failed while the origin was down: %v", err)
		}
	})
	if err := f.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	origin.Up()
	want := messages("after", 3)
	origin.Offer(want...)
	h.expect(t, f, want, room{messages: 10, bytes: 1 << 20})
}

func openAndFetch(ctx context.Context, f collector.Fetcher) error {
	if err := f.Open(ctx); err != nil {
		return err
	}
	return f.Fetch(ctx, collector.NewBatch(nil, 1, 100))
}

func (h FetcherHarness) honoursContext(t *testing.T) {
	f := h.start(t, h.Start(t))
	inTime(t, "Open and Fetch with a context that has ended", func() {
		if err := openAndFetch(ended(t), f); err == nil {
			t.Error("Fetch of an origin without messages succeeded")
		}
	})
	if err := f.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func (h FetcherHarness) exitsWhileHanging(t *testing.T) {
	origin := h.Start(t)
	hangs := origin.Hang()
	f := h.start(t, origin)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := make(chan struct{})
	go func() {
		defer close(result)
		if err := openAndFetch(ctx, f); err == nil {
			t.Error("Fetch of an origin that hangs succeeded")
		}
	}()
	await(t, "a request to the origin", hangs)
	told := requestExit(f, cancel)
	await(t, "Fetch after request_exit", result)
	await(t, "RequestExit", told)
	inTime(t, "Close", func() {
		if err := f.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}

func (h FetcherHarness) start(t *testing.T, o Origin) collector.Fetcher {
	t.Helper()
	return MustNew[collector.Fetcher](t, h.Driver, o.Setup(), NewRecorder())
}

// room is what a lent batch takes.
type room struct{ messages, bytes int }

// expect drives the fetcher as the collector does until it has as many messages as are
// wanted, compares, and closes it.
func (h FetcherHarness) expect(t *testing.T, f collector.Fetcher, want []string, r room) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got, err := Fetch(ctx, f, len(want), r.messages, r.bytes)
	if err != nil {
		t.Errorf("%d of %d messages: %v", len(got), len(want), err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	if err := f.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// Fetch opens f and drives it by the table of the fetcher loop, with short waits, until it
// has n messages. Batches have room for so many messages and bytes.
func Fetch(ctx context.Context, f collector.Fetcher, n, maxMessages, maxBytes int) (got []string, err error) {
	const wait = 5 * time.Millisecond
	open := false
	for len(got) < n {
		if !open {
			if open = f.Open(ctx) == nil; !open {
				if err := pause(ctx, wait); err != nil {
					return got, err
				}
				continue
			}
		}
		b := collector.NewBatch(nil, maxMessages, maxBytes)
		err := f.Fetch(ctx, b)
		for i := range b.Len() {
			got = append(got, string(b.Body(i)))
		}
		switch {
		case b.Len() > 0 && b.Stream() == nil:
			return got, errors.New("a batch with messages has no stream")
		case err == nil && b.Len() == 0:
			return got, errors.New("fetch succeeded without a message")
		case err == nil, errors.Is(err, collector.ErrTryAgain):
			continue
		case errors.Is(err, collector.ErrNoData):
		case errors.Is(err, collector.ErrNotConnected):
			open = false
		default:
			open = false
			if err := f.Close(); err != nil {
				return got, err
			}
		}
		if stop := pause(ctx, wait); stop != nil {
			return got, fmt.Errorf("%w; last fetch: %w", stop, err)
		}
	}
	return got, nil
}

// messages are n different messages.
func messages(text string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s %d", text, i)
	}
	return all
}
