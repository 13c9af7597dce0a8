package collector

import (
	"context"
	"math/rand/v2"
	"time"
)

// A backoff is the wait between attempts: full jitter below a ceiling that doubles from
// initial to max. The zero attempt starts at initial.
type backoff struct {
	initial, max time.Duration
	ceiling      time.Duration
}

// next returns how long to wait now and raises the ceiling.
func (b *backoff) next() time.Duration {
	if b.ceiling == 0 {
		b.ceiling = b.initial
	}
	wait := rand.N(max(b.ceiling, 1)) + time.Millisecond
	b.ceiling = min(2*b.ceiling, b.max)
	return wait
}

// reset starts over after a success.
func (b *backoff) reset() { b.ceiling = 0 }

// sleep waits and says whether ctx lasted.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
