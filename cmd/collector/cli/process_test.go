package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/collector/report"
	"github.com/logsource/operator/drivers"
)

// The test binary is also the collector, so that faults hit a real process.
func TestMain(m *testing.M) {
	if os.Getenv("LOGSOURCE_TEST_COLLECTOR") != "" {
		os.Exit(Main(os.Args[1:], drivers.All))
	}
	goleak.VerifyTestMain(m)
}

// A process is a running collector.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stderr *output
	done   chan struct{}
	err    error
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(self, args...), stderr: &output{}, done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "LOGSOURCE_TEST_COLLECTOR=1")
	p.cmd.Stderr, p.cmd.Stdout = p.stderr, io.Discard
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.err = p.cmd.Wait(); close(p.done) }()
	t.Cleanup(func() { p.signal(syscall.SIGKILL) })
	return p
}

// signal sends s and waits for the end.
func (p *process) signal(s syscall.Signal) {
	_ = p.cmd.Process.Signal(s)
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		p.t.Fatalf("the collector did not end a minute after %v:\n%s", s, p.stderr)
	}
}

// eventually polls until the condition holds.
func eventually(t *testing.T, within time.Duration, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// A store is the far end: it counts how often each message arrived.
type store struct {
	*httptest.Server
	mu   sync.Mutex
	got  map[string]int
	down bool
}

func newStore(t *testing.T) *store {
	s := &store{got: map[string]int{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var messages []string
	lines := bufio.NewScanner(r.Body)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var m struct{ Message string }
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		messages = append(messages, m.Message)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	for _, m := range messages {
		s.got[m]++
	}
}

func (s *store) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.got)
}

func (s *store) setDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// mount writes a plan as the kubelet mounts a ConfigMap: a new directory, and a link that
// is switched to it.
func mount(t *testing.T, dir string, p *plan.Plan) {
	t.Helper()
	data, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	version := filepath.Join(dir, fmt.Sprintf("..%d", time.Now().UnixNano()))
	for _, err := range []error{
		os.Mkdir(version, 0o700),
		os.WriteFile(filepath.Join(version, plan.Key), data, 0o600),
		os.Symlink(filepath.Base(version), filepath.Join(dir, "..data_tmp")),
		os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, plan.Key)); err != nil {
		if err := os.Symlink(filepath.Join("..data", plan.Key), filepath.Join(dir, plan.Key)); err != nil {
			t.Fatal(err)
		}
	}
}

func generatePlan(url string, generation int64) *plan.Plan {
	return &plan.Plan{
		Version:   plan.Version,
		LogSource: plan.LogSource{Kind: "LogSource", Namespace: "shop", Name: "hello", UID: "u1", Generation: generation},
		Source: plan.Source{
			Class: "generate", Options: json.RawMessage(`{"rate":200,"numbered":true}`), OnRunExit: "Restart", PersistName: "generate",
			TimeReopen: plan.DefaultTimeReopen, FetchNoDataDelay: plan.DefaultTimeReopen,
			Window: plan.Window{Messages: plan.DefaultWindowMessages, Bytes: plan.DefaultWindowBytes},
		},
		Destinations: []plan.Destination{{
			Name: "store", Class: "http", Options: json.RawMessage(`{"url":"` + url + `"}`), Required: true, OnFull: plan.Suspend,
			Queue: plan.Queue{Bytes: plan.DefaultQueueBytes},
			Batch: plan.Batch{Messages: plan.DefaultBatchMessages, Bytes: plan.DefaultBatchBytes, Timeout: plan.DefaultBatchTimeout},
			Retry: plan.Retry{Initial: plan.Duration(50 * time.Millisecond), Max: plan.Duration(time.Second)},
		}},
		ShutdownGrace: plan.DefaultShutdownGrace,
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func get(t *testing.T, url string) (code int, body string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(data)
}

// A tenant collector runs the plan that is mounted, answers for itself, follows an edit of
// the plan without restart or loss, survives a broken plan, and drains on SIGTERM.
func TestTenantCollector(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	first, second := newStore(t), newStore(t)
	plans, addr := t.TempDir(), freeAddress(t)
	p := start(t, "run", "--plans-dir", plans, "--state-dir", t.TempDir(), "--listen", addr)
	eventually(t, 10*time.Second, "it answers", func() bool { code, _ := get(t, "http://"+addr+"/healthz"); return code == 200 })
	if code, _ := get(t, "http://"+addr+"/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("ready without a plan: %d", code)
	}
	mount(t, plans, generatePlan(first.URL, 1))
	eventually(t, 20*time.Second, "messages arrive", func() bool { return first.count() > 100 })
	if code, body := get(t, "http://"+addr+"/readyz"); code != 200 {
		t.Errorf("not ready: %d %s", code, body)
	}

	first.setDown(true)
	edited := time.Now()
	mount(t, plans, generatePlan(second.URL, 2))
	eventually(t, 20*time.Second, "messages arrive at the new URL", func() bool { return second.count() > 0 })
	t.Logf("an edit of the mounted plan took effect after %v", time.Since(edited))

	if err := os.WriteFile(filepath.Join(plans, "..data", plan.Key), []byte("{not a plan"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "the broken plan is refused", func() bool { return len(status(t, addr).Refused) == 1 })
	before := second.count()
	eventually(t, 20*time.Second, "the old plan goes on", func() bool { return second.count() > before })
	_, metrics := get(t, "http://"+addr+"/metrics")
	for _, want := range []string{"logsource_refused_plans 1", `logsource_source_state{logsource="hello",namespace="shop",state="Fetching"} 1`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics have no %q", want)
		}
	}
	p.signal(syscall.SIGTERM)
	if p.err != nil {
		t.Errorf("exit: %v\n%s", p.err, p.stderr)
	}
	// numbered messages: none may be missing between the two stores
	for i := 1; i <= first.count()+second.count(); i++ {
		m := fmt.Sprintf("%d hello world", i)
		if first.got[m]+second.got[m] == 0 {
			t.Errorf("%q arrived nowhere", m)
			break
		}
	}
}

func status(t *testing.T, addr string) report.Collector {
	t.Helper()
	var r report.Collector
	_, body := get(t, "http://"+addr+"/status")
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return r
}
