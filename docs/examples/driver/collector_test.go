// Package driver_test runs the collector of docs/write-a-driver.md, and holds the pages to
// the files that they show.
package driver_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/docs/examples/driver/drivers"
	"github.com/logsource/operator/docs/examples/driver/drivers/redis/redistest"
)

// patience is how long a condition may take to come true.
const patience = time.Minute

// build builds a program of this folder.
func build(t *testing.T, command string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), filepath.Base(command))
	if out, err := exec.Command("go", "build", "-o", program, command).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", command, err, out)
	}
	return program
}

// output is what a process writes, readable while it writes.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// A machine is a directory with spool.yaml, a spool, and state, and a server to write to.
type machine struct {
	t       *testing.T
	dir     string
	program string
	server  *redistest.Server
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t, t.TempDir(), build(t, "./cmd/collector"), redistest.Start(t, "opensesame")}
	sample, err := os.ReadFile("spool.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(sample), "127.0.0.1:6379", m.server.Addr())
	if text == string(sample) {
		t.Fatal("spool.yaml does not name 127.0.0.1:6379")
	}
	m.write("spool.yaml", text)
	return m
}

func (m *machine) write(name, text string) {
	m.t.Helper()
	path := filepath.Join(m.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// life runs the collector until ready says so, and then stops it.
func (m *machine) life(ready func() bool) {
	m.t.Helper()
	var out output
	cmd := exec.Command(m.program, "run", "-f", "spool.yaml", "--state-dir", "state")
	cmd.Dir, cmd.Stdout, cmd.Stderr = m.dir, &out, &out
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	came := eventually(ready)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		m.t.Error(err)
	}
	if err := cmd.Wait(); err != nil || !came {
		m.t.Fatalf("condition met: %t, exit: %v\n%s", came, err, &out)
	}
	if !strings.Contains(out.String(), "Everything that was accepted was delivered") {
		m.t.Errorf("the summary says\n%s", &out)
	}
}

func eventually(ready func() bool) bool {
	tick, end := time.NewTicker(10*time.Millisecond), time.NewTimer(patience)
	defer tick.Stop()
	defer end.Stop()
	for !ready() {
		select {
		case <-tick.C:
		case <-end.C:
			return false
		}
	}
	return true
}

func (m *machine) spoolIsEmpty() bool {
	entries, err := os.ReadDir(filepath.Join(m.dir, "spool"))
	return err == nil && len(entries) == 0
}

func (m *machine) messages(key string) (all []string) {
	m.t.Helper()
	for _, line := range m.server.List(key) {
		var record struct{ Message, Logsource string }
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			m.t.Fatalf("%s holds %q: %v", key, line, err)
		}
		all = append(all, record.Logsource+": "+record.Message)
	}
	return all
}

// Two lives of the collector, as the page runs it: files are delivered once and removed,
// beats go on where they were.
func TestCollectorRunsTheSample(t *testing.T) {
	m := newMachine(t)
	m.write("spool/001", "one\ntwo\nthree\n")
	m.life(func() bool { return m.spoolIsEmpty() && len(m.server.List("alive")) >= 2 })
	m.write("spool/002", "four\n")
	m.life(func() bool { return m.spoolIsEmpty() && len(m.server.List("alive")) >= 5 })

	want := []string{"default/orders: one", "default/orders: two", "default/orders: three", "default/orders: four"}
	if diff := cmp.Diff(want, m.messages("orders")); diff != "" {
		t.Errorf("orders (-want +got):\n%s", diff)
	}
	m.checkBeats()
}

// checkBeats wants every number in order; the one under way at the stop may be there twice.
func (m *machine) checkBeats() {
	m.t.Helper()
	next, repeated := 1, 0
	for _, got := range m.server.List("alive") {
		if got == fmt.Sprintf("alive %d", next-1) {
			repeated++
			continue
		}
		if want := fmt.Sprintf("alive %d", next); got != want {
			m.t.Errorf("a beat is %q, want %q", got, want)
		}
		next++
	}
	if repeated > 1 {
		m.t.Errorf("%d beats are repeated, want at most the last one of the first life", repeated)
	}
}

// What cmd/driverclasses prints is what the API takes.
func TestDriverClasses(t *testing.T) {
	out, err := exec.Command(build(t, "./cmd/driverclasses")).Output()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, text := range strings.Split(string(out), "---\n")[1:] {
		var obj v1alpha1.DriverClass
		if err := yaml.UnmarshalStrict([]byte(text), &obj); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if obj.Kind != "DriverClass" || obj.APIVersion != v1alpha1.GroupVersion.String() || obj.Spec.Description == "" || len(obj.Spec.Options) == 0 {
			t.Errorf("object\n%s", text)
		}
		names = append(names, obj.Name)
	}
	var want []string
	for _, k := range drivers.Own.Catalog().All() {
		want = append(want, k.ObjectName())
	}
	if diff := cmp.Diff(want, names); diff != "" || len(names) < 3 {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}
