package drivertest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/drivertest"
)

// A test that cannot fail is worth nothing: each fault below breaks a driver in one way,
// and the contract must find it. A fault runs in a process of its own, since it fails.
var faults = map[string]string{ // fault → the scenario that finds it
	"":                    "",
	"fetch-skips":         "every_message_once",
	"fetch-empty":         "every_message_once",
	"fetch-no-stream":     "every_message_once",
	"fetch-never-fails":   "down_and_comes_back",
	"fetch-leaks":         "Close_without_Open",
	"source-keeps-batch":  "every_message_once",
	"source-returns":      "every_message_once",
	"write-keeps-batch":   "not_kept",
	"write-changes-batch": "read-only",
	"write-doubles":       "every_message_once",
	"write-gives-up":      "down_and_comes_back",
	"write-lies":          "down_and_comes_back",
	"write-rejects-all":   "rejected_alone",
}

const faultVariable = "DRIVERTEST_FAULT"

func TestFaultsAreFound(t *testing.T) {
	for fault, want := range faults {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDriverWithFault$", "-test.v", "-test.timeout=60s")
			cmd.Env = append(os.Environ(), faultVariable+"="+fault)
			out, err := cmd.CombinedOutput()
			if (err != nil) != (fault != "") {
				t.Fatalf("exit: %v\n%s", err, out)
			}
			if fault != "" && !failed(string(out), want) {
				t.Errorf("the fault was found elsewhere than in %q:\n%s", want, out)
			}
		})
	}
}

// failed says whether a scenario whose name contains want has failed.
func failed(output, want string) bool {
	for line := range strings.Lines(output) {
		if strings.Contains(line, "--- FAIL") && strings.Contains(line, want) {
			return true
		}
	}
	return false
}

// TestDriverWithFault is the other end of TestFaultsAreFound: in a process of that test it
// runs the contract over drivers that work in memory, one of which has a fault.
func TestDriverWithFault(t *testing.T) {
	fault, ok := os.LookupEnv(faultVariable)
	if !ok {
		return
	}
	kind, _, _ := strings.Cut(fault, "-")
	if kind == "fetch" || kind == "" {
		checkFetcher(t, fault)
	}
	if kind == "source" || kind == "" {
		checkSource(t, fault)
	}
	if kind == "write" || kind == "" {
		checkDestination(t, fault)
	}
}

type noOptions struct{}

// memory is an origin and a target.
type memory struct {
	mu    sync.Mutex // protects following
	lines []string
	down  bool
	bad   func(string) bool
}

func (m *memory) Setup() drivertest.Setup            { return drivertest.Setup{} }
func (m *memory) Hang() <-chan struct{}              { return nil }
func (m *memory) Down()                              { m.locked(func() { m.down = true }) }
func (m *memory) Up()                                { m.locked(func() { m.down = false }) }
func (m *memory) Offer(lines ...string)              { m.locked(func() { m.lines = append(m.lines, lines...) }) }
func (m *memory) Refuse(bad func(string) bool)       { m.locked(func() { m.bad = bad }) }
func (m *memory) Received(*testing.T) (out []string) { m.locked(func() { out = m.lines }); return out }

func (m *memory) locked(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

type fetcher struct {
	origin *memory
	fault  string
}

func checkFetcher(t *testing.T, fault string) {
	var origin *memory
	d := collector.NewFetcher(class.Class{Name: "fake"}, []byte(`[]`), func(noOptions, collector.Env) (collector.Fetcher, error) {
		return &fetcher{origin, fault}, nil
	})
	drivertest.CheckFetcher(t, drivertest.FetcherHarness{Driver: d, Start: func(*testing.T) drivertest.Origin {
		origin = &memory{}
		return origin
	}})
}

func (f *fetcher) Open(ctx context.Context) error { return ctx.Err() }

func (f *fetcher) Fetch(ctx context.Context, b *collector.Batch) error {
	f.origin.mu.Lock()
	defer f.origin.mu.Unlock()
	lines := &f.origin.lines
	switch {
	case f.fault == "fetch-empty":
		return nil
	case f.fault != "fetch-no-stream":
		b.SetStream(&collector.Stream{})
	}
	if f.origin.down && f.fault != "fetch-never-fails" {
		return errors.New("down")
	}
	for len(*lines) > 0 {
		if !b.AppendRecord(collector.Record{Body: []byte((*lines)[0])}) {
			if f.fault == "fetch-skips" {
				*lines = (*lines)[1:]
			}
			return nil
		}
		*lines = (*lines)[1:]
	}
	if b.Len() == 0 {
		return collector.ErrNoData
	}
	return nil
}

func (f *fetcher) Close() error {
	if f.fault == "fetch-leaks" {
		go func() { select {} }()
	}
	return nil
}

type source struct{ fault string }

func checkSource(t *testing.T, fault string) {
	d := collector.NewSource(class.Class{Name: "fake"}, []byte(`[]`), func(noOptions, collector.Env) (collector.Source, error) {
		return &source{fault}, nil
	})
	drivertest.CheckSource(t, drivertest.SourceHarness{
		Driver: d, Want: []string{"a", "b", "c"},
		Start: func(*testing.T) drivertest.Setup { return drivertest.Setup{} },
	})
}

func (s *source) Run(ctx context.Context, out collector.Poster) error {
	if s.fault == "source-keeps-batch" {
		out.Batch(&collector.Stream{})
	}
	for _, m := range []string{"a", "b", "c"} {
		if m == "c" && s.fault == "source-returns" {
			return nil
		}
		b := out.Batch(&collector.Stream{})
		b.AppendRecord(collector.Record{Body: []byte(m)})
		if err := out.Post(ctx, b); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

type destination struct {
	target *memory
	fault  string
	kept   [][]byte
}

func checkDestination(t *testing.T, fault string) {
	var target *memory
	d := collector.NewDestination(class.Class{Name: "fake"}, []byte(`[]`), func(noOptions, collector.Env) (collector.Destination, error) {
		return &destination{target: target, fault: fault}, nil
	})
	drivertest.CheckDestination(t, drivertest.DestinationHarness{Driver: d, Start: func(*testing.T) drivertest.Target {
		target = &memory{}
		return target
	}})
}

func (d *destination) Open(context.Context) error { return nil }
func (d *destination) Close() error               { return nil }

func (d *destination) Write(_ context.Context, bs []*collector.Batch) error {
	d.target.mu.Lock()
	defer d.target.mu.Unlock()
	if d.target.down {
		switch d.fault {
		case "write-gives-up":
			return collector.Permanent(errors.New("down"))
		case "write-lies":
			return nil
		}
		return errors.New("down")
	}
	d.flushKept()
	partial := &collector.PartialError{}
	for i, b := range bs {
		for r := range b.Len() {
			if err := d.take(b.Body(r)); err != nil {
				partial.Rejected = append(partial.Rejected, collector.Rejection{Batch: i, Record: r, Err: err})
			}
		}
	}
	switch {
	case len(partial.Rejected) == 0:
		return nil
	case d.fault == "write-rejects-all":
		return collector.Permanent(errors.New("poison"))
	}
	return partial
}

// flushKept is the fault of a driver that keeps what it was lent until the next Write.
func (d *destination) flushKept() {
	for _, body := range d.kept {
		d.target.lines = append(d.target.lines, string(body))
	}
	d.kept = nil
}

func (d *destination) take(body []byte) error {
	if d.target.bad != nil && d.target.bad(string(body)) {
		return collector.Permanent(errors.New("poison"))
	}
	switch d.fault {
	case "write-keeps-batch":
		d.kept = append(d.kept, body)
		return nil
	case "write-doubles":
		d.target.lines = append(d.target.lines, string(body))
	}
	d.target.lines = append(d.target.lines, string(body))
	if d.fault == "write-changes-batch" {
		body[0] = '?'
	}
	return nil
}
