// Package drivertest is the contract that every driver is held to: call CheckFetcher,
// CheckSource or CheckDestination from the driver's own test, with a real server behind
// it. The scenarios are those that the collector's loops rely on: strict options, errors
// in time, contexts honoured, every message exactly once while nothing fails, none lost
// while something does, and nothing left behind after Close.
package drivertest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/plan"
)

// patience is how long a call may take that has been asked to end, or that fails.
var patience = 10 * time.Second

// Setup is how to make the instance under test.
type Setup struct {
	// Options is the options document, "" for none.
	Options string
	// Secrets are the values of secret options.
	Secrets map[string]string
	// OutputDir is Env.OutputDir.
	OutputDir string
	// Node is Env.Node, for classes of placement Node.
	Node collector.Node
}

// A Recorder is the Env of an instance under test and what the instance told it.
type Recorder struct {
	// Flags, Message and Level are the fields of Env of these names. Set them before New.
	Flags   []string
	Message plan.Message
	Level   string
	// Persist is the Env's; it may be handed to the next recorder.
	Persist *Persist

	mu     sync.Mutex // protects following
	counts map[string]int
	lost   map[string]int64
	saved  map[string][]byte
}

// NewRecorder makes a recorder without saved bookmarks.
func NewRecorder() *Recorder {
	return &Recorder{counts: map[string]int{}, lost: map[string]int64{}, saved: map[string][]byte{}, Persist: &Persist{}}
}

// Env is what the collector would lend to the instance.
func (r *Recorder) Env(t testing.TB, outputDir string) collector.Env {
	return collector.Env{
		LogSource: plan.LogSource{Kind: "LogSource", Namespace: "shop", Name: "hello", UID: "1", Generation: 1},
		Log:       slog.New(slog.NewTextHandler(t.Output(), nil)),
		Count:     r.count,
		Lost:      r.book,
		Common:    []collector.Attr{{Name: "logsource", Value: "shop/hello"}},
		Flags:     r.Flags,
		Message:   r.Message,
		Level:     r.Level,
		Persist:   r.Persist,
		Bookmarks: r,
		OutputDir: outputDir,
	}
}

func (r *Recorder) count(reason string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[reason] += n
}

func (r *Recorder) book(reason string, messages, _ int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost[reason] += messages
}

// Count is what Env.Count added up for the reason.
func (r *Recorder) Count(reason string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[reason]
}

// Lost is how many messages Env.Lost booked for the reason.
func (r *Recorder) Lost(reason string) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lost[reason]
}

// Save stores a bookmark, as an earlier life of the source would have.
func (r *Recorder) Save(key, value string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.saved[key] = []byte(value)
}

// Load implements collector.Bookmarks.
func (r *Recorder) Load(key string) ([]byte, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.saved[key]
	return v, ok
}

// Delete implements collector.Bookmarks.
func (r *Recorder) Delete(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.saved, key)
}

// Keys implements collector.Bookmarks.
func (r *Recorder) Keys() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys := make([]string, 0, len(r.saved))
	for k := range r.saved {
		keys = append(keys, k)
	}
	return keys
}

// New makes an instance of the driver, as type D, or says why it cannot be made.
func New[D any](t testing.TB, driver collector.Driver, s Setup, r *Recorder) (D, error) {
	t.Helper()
	var refs []plan.SecretOption
	for option := range s.Secrets {
		refs = append(refs, plan.SecretOption{Option: option, Name: "test", Key: option})
	}
	read := func(name, key string) ([]byte, error) {
		v, ok := s.Secrets[key]
		if !ok || name != "test" {
			return nil, fmt.Errorf("there is no secret %s/%s", name, key)
		}
		return []byte(v), nil
	}
	env := r.Env(t, s.OutputDir)
	env.Node = s.Node
	instance, err := driver.New(json.RawMessage(s.Options), refs, read, env)
	if err != nil {
		var none D
		return none, err
	}
	d, ok := instance.(D)
	if !ok {
		t.Fatalf("class %s makes a %T, which is not a %T", driver.Class.Name, instance, *new(D))
	}
	return d, nil
}

// MustNew is New for options that are right.
func MustNew[D any](t testing.TB, driver collector.Driver, s Setup, r *Recorder) D {
	t.Helper()
	d, err := New[D](t, driver, s, r)
	if err != nil {
		t.Fatalf("new %s: %v", driver.Class.Name, err)
	}
	if i, ok := any(d).(collector.Initer); ok {
		if err := i.Init(t.Context()); err != nil {
			t.Fatalf("init %s: %v", driver.Class.Name, err)
		}
	}
	return d
}

// scenario runs f as a subtest that leaves no goroutine behind.
func scenario(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		ignore := goleak.IgnoreCurrent()
		t.Cleanup(func() { goleak.VerifyNone(t, ignore) })
		f(t)
	})
}

// checkOptions holds the driver to strict options. refused are documents that must not
// make an instance, with a word that the error must name.
func checkOptions(t *testing.T, driver collector.Driver, good Setup, refused map[string]string) {
	t.Helper()
	refuse := func(options, word string) {
		t.Helper()
		s := Setup{Options: options, OutputDir: good.OutputDir, Node: good.Node}
		_, err := New[any](t, driver, s, NewRecorder())
		if err == nil {
			t.Errorf("options %s are taken, want an error that names %q", options, word)
		} else if !strings.Contains(err.Error(), word) {
			t.Errorf("options %s: error %q does not name %q", options, err, word)
		}
	}
	if _, err := New[any](t, driver, good, NewRecorder()); err != nil {
		t.Errorf("good options %s: %v", good.Options, err)
	}
	refuse(with(t, good.Options, "noSuchOption", 1), "noSuchOption")
	for _, o := range driver.Class.Options {
		if o.Secret {
			refuse(with(t, good.Options, o.Name, "in plain text"), "secretOptions")
			continue
		}
		refuse(with(t, good.Options, o.Name, []any{map[string]any{}}), "")
	}
	for options, word := range refused {
		refuse(options, word)
	}
}

// with is the options document with one option replaced.
func with(t *testing.T, options, name string, value any) string {
	t.Helper()
	m := map[string]any{}
	if options != "" {
		if err := json.Unmarshal([]byte(options), &m); err != nil {
			t.Fatalf("harness: options %s: %v", options, err)
		}
	}
	m[name] = value
	out, err := json.Marshal(m)
	if err != nil {
		t.Fatalf("harness: %v", err)
	}
	return string(out)
}

// inTime runs f, which must return within patience.
func inTime(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	await(t, what, done)
}

// await waits for done, at most patience.
func await(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		t.Fatalf("%s did not return within %s", what, patience)
	}
}

// ended is a context that has ended already.
func ended(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// pause waits d or until ctx ends, and says which.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// requestExit does what the collector does at a stop: it ends the context and, from
// another goroutine, tells the instance.
func requestExit(instance any, cancel context.CancelFunc) (told <-chan struct{}) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if e, ok := instance.(collector.Exiter); ok {
			e.RequestExit()
		}
	}()
	cancel()
	return done
}
