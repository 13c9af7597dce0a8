package generate_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/drivertest"
	"github.com/logsource/operator/drivers/generate"
)

func numbered(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%d hello", i+1)
	}
	return all
}

func TestContract(t *testing.T) {
	drivertest.CheckSource(t, drivertest.SourceHarness{
		Driver: generate.Driver,
		Start: func(*testing.T) drivertest.Setup {
			return drivertest.Setup{Options: `{"rate": 100000, "count": 2500, "numbered": true, "message": "hello"}`}
		},
		Want: numbered(2500),
		Refused: map[string]string{
			`{"rate": 1, "interval": "1s"}`: "rate",
			`{"rate": -1}`:                  "rate",
			`{"rate": 10000001}`:            "rate",
			`{"interval": "1us"}`:           "interval",
			`{"interval": 5}`:               "duration",
			`{"count": -1}`:                 "count",
			`{"size": "1Gi"}`:               "size",
		},
	})
}

// run lets the source post for d of a time that passes only while everybody waits.
func run(t *testing.T, options string, d time.Duration, p *drivertest.Poster) []string {
	t.Helper()
	s := drivertest.MustNew[collector.Source](t, generate.Driver, drivertest.Setup{Options: options}, drivertest.NewRecorder())
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := s.Run(ctx, p); ctx.Err() == nil {
		t.Fatalf("run returned before its context ended: %v", err)
	}
	return p.Messages()
}

func TestPace(t *testing.T) {
	f := func(options string, d time.Duration, want int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			got := run(t, options, d, drivertest.NewPoster(1000, 1<<20))
			if len(got) != want {
				t.Errorf("%s made %d messages in %s, want %d", options, len(got), d, want)
			}
		})
	}
	f(``, 3500*time.Millisecond, 4) // hello world every second, the first at once
	f(`{"interval": "250ms"}`, 999*time.Millisecond, 4)
	f(`{"interval": "1ms"}`, 100*time.Millisecond+1, 101)
	f(`{"rate": 1}`, 3500*time.Millisecond, 4)
	f(`{"rate": 3}`, 2*time.Second-1, 6)
	f(`{"rate": 99999}`, time.Second+time.Millisecond, 99999+999) // the first tick's share comes at once
	f(`{"rate": 50, "count": 7}`, time.Hour, 7)
}

func TestMessage(t *testing.T) {
	f := func(options string, want ...string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			if diff := cmp.Diff(want, run(t, options, 1500*time.Millisecond, drivertest.NewPoster(10, 1000))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", options, diff)
			}
		})
	}
	f(``, "hello world", "hello world")
	f(`{"numbered": true, "message": "m"}`, "1 m", "2 m")
	f(`{"size": "12", "count": 1}`, "hello world.")
	f(`{"size": "4", "count": 1}`, "hello world")
	f(`{"size": "1Ki", "count": 1, "message": ""}`, strings.Repeat(".", 1024))
}

// slow lends whole batches but takes them only after a wait, as a window that was full.
type slow struct {
	*drivertest.Poster
	wait time.Duration
}

func (s *slow) Post(ctx context.Context, b *collector.Batch) error {
	if s.wait > 0 {
		timer := time.NewTimer(s.wait)
		defer timer.Stop()
		s.wait = 0
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	return s.Poster.Post(ctx, b)
}

func TestSuspendedSourceMakesUpForOneSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := drivertest.MustNew[collector.Source](t, generate.Driver, drivertest.Setup{Options: `{"rate": 1000}`}, drivertest.NewRecorder())
		p := &slow{drivertest.NewPoster(100_000, 1<<30), time.Minute}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute+time.Second)
		defer cancel()
		_ = s.Run(ctx, p)
		if n := len(p.Messages()); n < 1900 || n > 2100 {
			t.Errorf("%d messages: after a minute of suspension 1000 are made up for and 1000 are new", n)
		}
	})
}

// lender lends large batches and takes whatever comes.
type lender struct {
	taken int
	want  int
	stop  context.CancelFunc
}

func (l *lender) Batch(s *collector.Stream) *collector.Batch {
	return collector.NewBatch(s, 8192, 8<<20)
}

func (l *lender) Post(ctx context.Context, b *collector.Batch) error {
	l.taken += b.Len()
	if l.taken >= l.want {
		l.stop()
	}
	return ctx.Err()
}

func BenchmarkRun(b *testing.B) {
	d, err := generate.Driver.New([]byte(`{"rate": 10000000, "numbered": true}`), nil, nil, drivertest.NewRecorder().Env(b, ""))
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	b.ReportAllocs()
	l := &lender{want: b.N, stop: cancel}
	_ = d.(collector.Source).Run(ctx, l)
	if l.taken < b.N {
		b.Fatalf("%d messages, want %d", l.taken, b.N)
	}
}
