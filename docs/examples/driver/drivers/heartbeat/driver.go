package heartbeat

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/class"
)

//go:embed options.json
var options []byte

// Driver is the heartbeat class.
var Driver = collector.NewSource(class.Class{
	Name:        "heartbeat",
	Placement:   class.Single,
	Description: "Says at an interval that it lives, with a number that goes on after a restart.",
	Footprint:   class.Footprint{State: true},
}, options, newSource)

// lastKey is the key in Persist of the last beat that every required destination has.
const lastKey = "last"

// daemonInfo is the PRI of every message: facility daemon, severity info.
const daemonInfo = 30

// source is a Suspender, so a Post never blocks it: while the window is full it skips
// beats, and the first one after that says how many.
type source struct {
	opts      Options
	env       collector.Env
	stream    *collector.Stream
	acks      *collector.AckTracker
	suspended atomic.Bool

	last    int64 // the number of the last beat
	skipped int64 // beats since then that were not posted
	text    []byte
	record  collector.Record
}

func newSource(o Options, env collector.Env) (collector.Source, error) {
	switch {
	case o.Every.D() < 100*time.Millisecond:
		return nil, fmt.Errorf("option every is %s: the minimum is 100ms", o.Every.D())
	case o.Text == "":
		return nil, errors.New("option text is empty: set a word such as alive")
	}
	return &source{opts: o, env: env, stream: &collector.Stream{Attrs: env.Common}}, nil
}

// Init goes on behind the last beat of an earlier life that is known to have arrived.
func (s *source) Init(context.Context) error {
	if v, ok := s.env.Persist.Get(lastKey); ok {
		s.last, _ = v.AsInt()
	}
	s.acks = collector.NewConsecutiveAckTracker(s.arrived)
	return nil
}

// Deinit waits until the tracker no longer calls arrived.
func (s *source) Deinit() { s.acks.Close() }

// arrived is told of acks on a goroutine of the tracker.
func (s *source) arrived(number any) {
	if err := s.env.Persist.Set(lastKey, collector.IntValue(number.(int64))); err != nil {
		s.env.Log.Warn("the number of the last beat is not saved", "error", err)
	}
}

// Suspend is called inside the Post that fills the window, Wakeup from another goroutine.
func (s *source) Suspend() { s.suspended.Store(true) }
func (s *source) Wakeup()  { s.suspended.Store(false) }

// Run beats at once, then at every tick, until ctx ends.
func (s *source) Run(ctx context.Context, out collector.Poster) error {
	ticker := time.NewTicker(s.opts.Every.D())
	defer ticker.Stop()
	for ctx.Err() == nil {
		if err := s.beat(ctx, out); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
	return ctx.Err()
}

func (s *source) beat(ctx context.Context, out collector.Poster) error {
	if s.suspended.Load() {
		s.skipped++
		s.env.Count("beat_skipped", 1)
		return nil
	}
	s.last++
	b := out.Batch(s.stream)
	b.AppendFrom(s.message()) // true: an empty batch takes any message
	s.acks.Track(b, s.last)
	return out.Post(ctx, b)
}

// message is the record of the present beat, valid until the next call.
func (s *source) message() *collector.Record {
	s.text = append(append(s.text[:0], s.opts.Text...), ' ')
	s.text = strconv.AppendInt(s.text, s.last, 10)
	s.record = collector.Record{
		Body:     s.text,
		Priority: collector.NewPriority(daemonInfo),
		Program:  []byte("heartbeat"),
		Pairs:    s.record.Pairs[:0],
	}
	if s.skipped > 0 {
		s.record.Pairs = append(s.record.Pairs, collector.Pair{Name: []byte("skipped"), Value: strconv.AppendInt(nil, s.skipped, 10)})
		s.skipped = 0
	}
	return &s.record
}
