package generate

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/class"
)

//go:embed options.json
var options []byte

// Driver is the generate class.
var Driver = collector.NewSource(class.Class{
	Name:        "generate",
	Placement:   class.Scaled,
	Description: "Makes messages at an interval or a rate, for demonstrations and tests.",
}, options, newSource)

const (
	// tickMin is how often a high rate makes messages: as many at once as are due.
	tickMin = 10 * time.Millisecond
	// debtMax bounds what is made up for after the window was full: a source that was
	// suspended for an hour does not send an hour's messages at once.
	debtMax = time.Second
	// sizeMax bounds option size.
	sizeMax = 16 << 20
)

type source struct {
	opts   Options
	stream *collector.Stream

	sent int64
	text []byte // the message being made, reused
}

func newSource(o Options, env collector.Env) (collector.Source, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	return &source{
		opts:   o,
		stream: &collector.Stream{Attrs: env.Common},
	}, nil
}

// check says again what the schema says, for plans that no apiserver has seen.
func (o Options) check() error {
	switch {
	case o.Rate != 0 && o.Interval != 0:
		return errors.New("options interval and rate exclude each other: set one")
	case o.Rate < 0 || o.Rate > 10_000_000:
		return fmt.Errorf("option rate is %d: set 1 to 10000000 messages per second", o.Rate)
	case o.Interval != 0 && o.Interval.D() < time.Millisecond:
		return fmt.Errorf("option interval is %s: the minimum is 1ms; for more use rate", o.Interval.D())
	case o.Count < 0:
		return fmt.Errorf("option count is %d: set 0 (endless) or more", o.Count)
	case o.Size > sizeMax:
		return fmt.Errorf("option size is %d: the maximum is 16Mi", o.Size)
	}
	return nil
}

// Run posts what is due at every tick, the first message at once. After count messages it
// waits for ctx, because returning would mean to be restarted.
func (s *source) Run(ctx context.Context, out collector.Poster) error {
	s.sent = 0
	tick := s.tick()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for last := time.Now().Add(-tick); ; {
		if err := s.post(ctx, out, s.due(&last, time.Now())); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// tick is the interval; with a rate it is as short as one message needs, or tickMin.
func (s *source) tick() time.Duration {
	switch {
	case s.opts.Rate > 0:
		return max(time.Second/time.Duration(s.opts.Rate), tickMin)
	case s.opts.Interval > 0:
		return s.opts.Interval.D()
	}
	return time.Second
}

// due is how many messages to make now. A rate moves last on by exactly the time of that
// many, so that it holds on average whatever the ticker does; an interval makes up for
// nothing.
func (s *source) due(last *time.Time, now time.Time) int64 {
	rate := int64(s.opts.Rate)
	if rate == 0 {
		return 1
	}
	if oldest := now.Add(-debtMax); last.Before(oldest) {
		*last = oldest
	}
	n := int64(now.Sub(*last)) * rate / int64(time.Second)
	*last = last.Add(time.Duration(n * int64(time.Second) / rate))
	return n
}

// post makes n messages, in batches as large as the window allows.
func (s *source) post(ctx context.Context, out collector.Poster, n int64) error {
	if s.opts.Count > 0 {
		n = min(n, s.opts.Count-s.sent)
	}
	for n > 0 {
		b := out.Batch(s.stream)
		made := s.fill(b, n)
		if err := out.Post(ctx, b); err != nil {
			return err
		}
		s.sent, n = s.sent+made, n-made
	}
	return nil
}

// fill appends up to n messages and says how many the batch took.
func (s *source) fill(b *collector.Batch, n int64) int64 {
	now := time.Now()
	for i := range n {
		if !b.Append(now, s.message(s.sent+i+1)) {
			return i
		}
	}
	return n
}

// message is the message of that number; it is valid until the next call.
func (s *source) message(number int64) []byte {
	s.text = s.text[:0]
	if s.opts.Numbered {
		s.text = append(strconv.AppendInt(s.text, number, 10), ' ')
	}
	s.text = append(s.text, s.opts.Message...)
	for len(s.text) < int(s.opts.Size) {
		s.text = append(s.text, '.')
	}
	return s.text
}
