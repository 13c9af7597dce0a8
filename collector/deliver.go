package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/collector/report"
)

// reloadGrace is how long a write in progress may go on when its destination's settings
// change. What it has not taken by then is written again by the new instance.
const reloadGrace = 2 * time.Second

// A writer is the destination loop: it opens one instance of a destination driver, groups
// what its queue holds into requests, and writes each until its fate is known.
type writer struct {
	spec    plan.Destination
	driver  Destination
	queue   *queue
	log     *slog.Logger
	settled func(*Batch) // the destination is done with the batch

	stopTaking context.CancelFunc
	abort      context.CancelFunc
	done       chan struct{}

	mu      sync.Mutex // protects what follows
	state   string
	lastErr string
	errAt   time.Time
	lastAck time.Time

	// used by the loop only
	open    bool
	backoff backoff
	group   []*Batch
}

func newWriter(spec plan.Destination, driver Destination, q *queue, log *slog.Logger, settled func(*Batch)) *writer {
	return &writer{
		spec: spec, driver: driver, queue: q, log: log, settled: settled,
		done: make(chan struct{}), state: report.DestinationOpening,
		backoff: backoff{initial: spec.Retry.Initial.D(), max: spec.Retry.Max.D()},
	}
}

// start runs the loop until stop or finish.
func (w *writer) start() {
	taking, stopTaking := context.WithCancel(context.Background())
	writing, abort := context.WithCancel(context.Background())
	w.stopTaking, w.abort = stopTaking, abort
	go func() {
		defer close(w.done)
		defer stopTaking()
		defer abort()
		w.run(taking, writing)
	}()
}

// stop ends the loop for an instance with other settings; what is not delivered goes back
// to the front of the queue.
func (w *writer) stop() {
	w.stopTaking()
	t := time.NewTimer(reloadGrace)
	defer t.Stop()
	select {
	case <-w.done:
	case <-t.C:
	}
	w.abort()
	<-w.done
}

// finish ends the loop once the closing queue is empty, or when ctx ends: then what is
// not delivered stays unacked.
func (w *writer) finish(ctx context.Context) {
	select {
	case <-w.done:
	case <-ctx.Done():
		w.stopTaking()
		w.abort()
		<-w.done
	}
}

func (w *writer) run(taking, writing context.Context) {
	if !w.init(taking) {
		return
	}
	defer deinitDriver(w.driver)
	defer w.close()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for taking.Err() == nil {
		if !w.open && !w.reopen(taking) {
			return
		}
		w.setState(report.DestinationIdle)
		w.group = w.queue.take(taking, w.spec.Batch, timer, w.group[:0])
		if len(w.group) == 0 {
			return
		}
		w.setState(report.DestinationDelivering)
		w.deliver(taking, writing)
		clear(w.group)
	}
}

// init prepares the driver, for ever; false when taking ends first.
func (w *writer) init(taking context.Context) bool {
	for {
		err := initDriver(taking, w.driver)
		if err == nil {
			return true
		}
		w.fail("init", err)
		if !sleep(taking, w.backoff.next()) {
			return false
		}
	}
}

// reopen opens the driver, for ever; false when taking ends first. The queue goes on
// filling meanwhile, as its policy says.
func (w *writer) reopen(taking context.Context) bool {
	for {
		err := guard(func() error { return w.driver.Open(taking) })
		if err == nil {
			w.open = true
			w.backoff.reset()
			return true
		}
		if taking.Err() != nil {
			return false
		}
		w.retrying("open", err)
		if !sleep(taking, max(w.backoff.next(), retryWait(err))) {
			return false
		}
	}
}

// deliver writes the group until every record of it is delivered or rejected, or puts the
// whole group back when writing may not go on. A group of which a part was taken before
// that is written again: duplicates, never loss.
func (w *writer) deliver(taking, writing context.Context) {
	var sum outcome
	rest, began := w.group, time.Now()
	for {
		err := guard(func() error { return w.driver.Write(writing, rest) })
		rest = sum.add(rest, err)
		if len(rest) == 0 {
			break
		}
		if taking.Err() != nil || !w.again(taking, err) {
			w.queue.putBack(w.group)
			return
		}
	}
	w.queue.settle(sum)
	w.acked(sum)
	if w.log.Enabled(writing, slog.LevelDebug) { // asked first: the values would be boxed
		w.log.Debug("request delivered", "messages", sum.delivered, "bytes", sum.deliveredBytes, "took", time.Since(began))
	}
	for _, b := range w.group {
		w.settled(b)
	}
}

// again waits before the next attempt and reopens if the error asks for it.
func (w *writer) again(ctx context.Context, err error) bool {
	w.queue.countRetry()
	w.retrying("write", err)
	if errors.Is(err, ErrNotConnected) {
		w.close()
	}
	if !sleep(ctx, max(w.backoff.next(), retryWait(err))) {
		return false
	}
	return w.open || w.reopen(ctx)
}

// guard turns a driver's panic into an error.
func guard(call func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return call()
}

func initDriver(ctx context.Context, driver any) error {
	if i, ok := driver.(Initer); ok {
		return guard(func() error { return i.Init(ctx) })
	}
	return nil
}

func deinitDriver(driver any) {
	if d, ok := driver.(Deiniter); ok {
		_ = guard(func() error { d.Deinit(); return nil })
	}
}

func (w *writer) close() {
	if !w.open {
		return
	}
	w.open = false
	if err := guard(w.driver.Close); err != nil {
		w.log.Warn("destination did not close cleanly", "error", err)
	}
}

func (w *writer) setState(state string) {
	w.mu.Lock()
	w.state = state
	w.mu.Unlock()
}

// acked notes a success and says so in the log when it ends a row of failures.
func (w *writer) acked(sum outcome) {
	w.backoff.reset()
	w.mu.Lock()
	had := w.lastErr
	w.lastErr, w.lastAck = "", time.Now()
	w.mu.Unlock()
	if had != "" {
		w.log.Info("destination delivers again")
	}
	for reason, n := range sum.rejected {
		w.log.Error("destination rejected messages for good; they are counted, not retried", "reason", reason, "messages", n)
	}
}

// retrying notes a failure and logs it when it is a new one.
func (w *writer) retrying(during string, err error) {
	text := firstLine(err)
	w.mu.Lock()
	fresh := w.lastErr != text
	w.state, w.lastErr, w.errAt = report.DestinationRetrying, text, time.Now()
	w.mu.Unlock()
	if fresh {
		w.log.Warn("destination does not take messages; retrying", "during", during, "error", err)
	}
}

func (w *writer) fail(during string, err error) {
	w.mu.Lock()
	w.state, w.lastErr, w.errAt = report.DestinationFailed, firstLine(err), time.Now()
	w.mu.Unlock()
	w.log.Error("destination cannot start; retrying", "during", during, "error", err)
}

// report is the writer's part of the status; the ledger is the queue's.
func (w *writer) report() report.Destination {
	w.mu.Lock()
	defer w.mu.Unlock()
	return report.Destination{
		Name: w.spec.Name, Class: w.spec.Class, Required: w.spec.Required, State: w.state,
		LastError: w.lastErr, LastErrorTime: w.errAt, LastAckTime: w.lastAck,
	}
}

func firstLine(err error) string {
	s := err.Error()
	for i := range s {
		if s[i] == '\n' {
			return s[:i]
		}
	}
	return s
}
