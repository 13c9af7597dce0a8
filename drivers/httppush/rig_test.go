package httppush_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/checkpoint"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/drivers/httppush"
)

// A rig is the source in a real collector, with one destination that the test holds.
type rig struct {
	t      testing.TB
	port   int
	engine *collector.Engine
	sink   *sink
	client *http.Client
	plan   *plan.Plan

	mu      sync.Mutex // protects secrets
	secrets map[string]string
}

// message is what the sink was given of one message.
type message struct {
	Body, Severity, Facility string
	UnixNano                 int64
	Pairs                    []string // name=value
}

// sink is a destination. While held, it takes nothing.
type sink struct {
	mu       sync.Mutex
	held     chan struct{} // nil: it takes everything at once
	got      []message
	received []int64
	addrs    []string
	discard  bool
}

func (*sink) Open(context.Context) error { return nil }
func (*sink) Close() error               { return nil }

func (s *sink) Write(ctx context.Context, bs []*collector.Batch) error {
	s.mu.Lock()
	held := s.held
	s.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range bs {
		for i := range b.Len() {
			if !s.discard {
				s.take(b, i)
			}
		}
	}
	return nil
}

func (s *sink) take(b *collector.Batch, i int) {
	f, _ := b.Fields(i)
	m := message{Body: string(b.Body(i)), Severity: f.Priority.Severity(), Facility: f.Priority.Facility(), UnixNano: b.UnixNano(i)}
	for p, ok := f.Pairs.Next(); ok; p, ok = f.Pairs.Next() {
		m.Pairs = append(m.Pairs, string(p.Name)+"="+string(p.Value))
	}
	s.got = append(s.got, m)
	s.received, s.addrs = append(s.received, f.Received), append(s.addrs, string(f.Addr))
}

func (s *sink) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = make(chan struct{})
}

func (s *sink) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.held)
	s.held = nil
}

func (s *sink) bodies() (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.got {
		all = append(all, m.Body)
	}
	return all
}

// start runs the source. options and secrets are added to those every test has; change may
// change the plan before it is applied.
func start(t testing.TB, options string, secrets map[string]string, change func(*plan.Plan)) *rig {
	t.Helper()
	if t, ok := t.(*testing.T); ok {
		ignore := goleak.IgnoreCurrent()
		t.Cleanup(func() { goleak.VerifyNone(t, ignore) })
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	r := &rig{t: t, port: freePort(t), sink: &sink{}, client: &http.Client{Transport: transport}, secrets: secrets}
	r.plan = r.newPlan(options)
	if change != nil {
		change(r.plan)
	}
	r.run()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		r.engine.Stop(context.WithoutCancel(t.Context()))
	})
	return r
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func (r *rig) newPlan(options string) *plan.Plan {
	if r.secrets["token"]+r.secrets["password"]+r.secrets["clientCA"] == "" {
		options += `, "insecure": true`
	}
	p := &plan.Plan{
		Version:   plan.Version,
		LogSource: plan.LogSource{Kind: "LogSource", Namespace: "test", Name: "inbox", UID: "u1", Generation: 1},
		Source: plan.Source{
			Class: "http-push", TimeReopen: plan.Duration(time.Second), OnRunExit: "Restart",
			Options:     json.RawMessage(fmt.Sprintf(`{"port": %d%s}`, r.port, options)),
			Window:      plan.Window{Messages: 8192, Bytes: 8 << 20},
			PersistName: "http-push",
		},
		Destinations: []plan.Destination{{
			Name: "sink", Class: "sink", Required: true, OnFull: plan.Suspend, Queue: plan.Queue{Bytes: 1 << 20},
			Batch: plan.Batch{Messages: 2048, Bytes: 1 << 20, Timeout: plan.Duration(time.Millisecond)},
			Retry: plan.Retry{Initial: plan.Duration(time.Millisecond), Max: plan.Duration(time.Second)},
		}},
		ShutdownGrace: plan.Duration(5 * time.Second),
	}
	for _, option := range slices.Sorted(maps.Keys(r.secrets)) {
		p.Source.SecretOptions = append(p.Source.SecretOptions, plan.SecretOption{Option: option, Name: "s", Key: option})
	}
	return p
}

func (r *rig) setSecret(option, value string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secrets[option] = value
}

func (r *rig) secret(_, key string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.secrets[key]
	if !ok {
		return nil, fmt.Errorf("no secret %s", key)
	}
	return []byte(v), nil
}

func (r *rig) run() {
	r.t.Helper()
	store, err := checkpoint.Open("", slog.New(slog.DiscardHandler))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = store.Close() })
	r.engine = collector.NewEngine(collector.Options{
		Registry: collector.Registry{httppush.Driver, collector.NewDestination(class.Class{Name: "sink"}, []byte(`[]`), func(struct{}, collector.Env) (collector.Destination, error) { return r.sink, nil })},
		Secrets:  func(plan.LogSource) collector.Secrets { return r.secret },
		Store:    store, Log: slog.New(slog.DiscardHandler),
	})
	r.apply(r.plan)
}

func (r *rig) apply(p *plan.Plan) {
	r.t.Helper()
	r.engine.Apply([]*plan.Plan{p})
	r.engine.Wait()
	if refused := r.engine.Report().Refused; len(refused) > 0 {
		r.t.Fatalf("plan refused: %v", refused)
	}
	eventually(r.t, "the port to be open", func() bool {
		c, err := net.Dial("tcp", r.address())
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

func (r *rig) address() string { return fmt.Sprintf("127.0.0.1:%d", r.port) }

// eventually waits for a condition that the test cannot be told of.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for range 10_000 {
		if ok() {
			return
		}
		<-tick.C
	}
	t.Fatalf("waited in vain for %s", what)
}

// reply is what a client is told.
type reply struct {
	Status     int
	RetryAfter string
	text       string
	header     http.Header
}

// post sends a body; headers are "Name: value".
func (r *rig) post(body string, headers ...string) reply {
	r.t.Helper()
	got, err := r.send(r.t.Context(), http.MethodPost, "/", strings.NewReader(body), headers...)
	if err != nil {
		r.t.Errorf("post: %v", err)
	}
	return got
}

func (r *rig) send(ctx context.Context, method, path string, body io.Reader, headers ...string) (reply, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+r.address()+path, body)
	if err != nil {
		return reply{}, err
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		request.Header.Set(name, value)
	}
	answer, err := r.client.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	return reply{answer.StatusCode, answer.Header.Get("Retry-After"), string(bytes.TrimSpace(text)), answer.Header}, err
}

// later sends a body from a goroutine of its own.
func (r *rig) later(body string, headers ...string) <-chan reply {
	done := make(chan reply, 1)
	go func() { done <- r.post(body, headers...) }()
	return done
}

func (r *rig) accepted() int64 { return r.engine.Report().LogPaths[0].Accepted }

func (r *rig) awaitAccepted(n int64) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("%d accepted messages", n), func() bool { return r.accepted() == n })
}

// drops is what the source was told to wait with and posted all the same.
func (r *rig) drops() map[string]int64 { return r.engine.Report().LogPaths[0].SourceDrops }

// event reads the counter of a reason where people do.
func (r *rig) event(reason string) string {
	w := httptest.NewRecorder()
	r.engine.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "logsource_source_events_total") && strings.Contains(line, `reason="`+reason+`"`) {
			return strings.TrimSpace(line[strings.LastIndexByte(line, ' '):])
		}
	}
	return "0"
}
