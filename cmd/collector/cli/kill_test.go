package cli

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/hack/soak"
)

// A container is one container's log on a node, written and rotated as the kubelet does.
type container struct {
	t       *testing.T
	name    string
	dir     string
	file    *os.File
	lines   int
	written int64
}

// rotateAt is the size at which a container's log is rotated.
const rotateAt = 256 << 10

func newContainer(t *testing.T, logs, name string) *container {
	c := &container{t: t, name: name, dir: filepath.Join(logs, "shop_"+name+"_11111111-2222-3333-4444-"+fmt.Sprintf("%012d", len(name)), "app")}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c.open()
	t.Cleanup(func() { c.file.Close() })
	return c
}

func (c *container) open() {
	file, err := os.OpenFile(filepath.Join(c.dir, "0.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		c.t.Fatal(err)
	}
	c.file, c.written = file, 0
}

// write appends n lines; every hundredth is long enough to be split by the runtime.
func (c *container) write(n int) {
	var b bytes.Buffer
	for range n {
		c.lines++
		text := fmt.Sprintf("%s %d ", c.name, c.lines)
		stream := "stdout"
		if c.lines%3 == 0 {
			stream = "stderr"
		}
		if c.lines%100 == 0 {
			text += string(bytes.Repeat([]byte{'x'}, 40<<10))
		}
		c.crio(&b, stream, text)
	}
	if _, err := c.file.Write(b.Bytes()); err != nil {
		c.t.Fatal(err)
	}
	if c.written += int64(b.Len()); c.written > rotateAt {
		c.rotate()
	}
}

// crio writes text as containerd does: pieces of 16 KiB marked P, the last one F.
func (c *container) crio(b *bytes.Buffer, stream, text string) {
	for mark := "P"; mark == "P"; {
		piece := text
		if len(piece) > 16<<10 {
			piece = piece[:16<<10]
		} else {
			mark = "F"
		}
		text = text[len(piece):]
		fmt.Fprintf(b, "%s %s %s %s\n", time.Now().UTC().Format("2006-01-02T15:04:05.000000000Z07:00"), stream, mark, piece)
	}
}

func (c *container) rotate() {
	c.file.Close()
	old := filepath.Join(c.dir, "0.log")
	for n := 0; ; n++ {
		to := old + "." + time.Now().Add(time.Duration(n)*time.Second).Format("20060102-150405")
		if _, err := os.Stat(to); err == nil {
			continue
		}
		if err := os.Rename(old, to); err != nil {
			c.t.Fatal(err)
		}
		break
	}
	c.open()
}

// kill -9 at any instant costs repeats, at most one window each time, never messages:
// with rotation going on, long lines split by the runtime, and two streams.
func TestKilledCollectorLosesNothing(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	far := newStore(t)
	logs, state := t.TempDir(), t.TempDir()
	file := write(t, "all.yaml", `apiVersion: logsource.dev/v1alpha1
kind: ClusterLogSource
metadata: {name: all}
spec:
  source: {class: container-logs}
  destinations:
  - {name: far, class: http, options: {url: "`+far.URL+`"}, retry: {initial: 10ms, max: 1s}}
`)
	var containers []*container
	for _, name := range []string{"a", "bb", "ccc"} {
		containers = append(containers, newContainer(t, logs, name))
	}
	collect := func() *process {
		return start(t, "run", "-f", file, "--node-logs", logs, "--state-dir", state)
	}
	p := collect()
	kills := 5 * soak.Scale(t)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for killed := 0; killed < kills; killed++ {
		for range 40 + 7*(killed%5) {
			<-tick.C
			for _, c := range containers {
				c.write(20)
			}
		}
		p.signal(syscall.SIGKILL)
		p = collect()
	}
	total := 0
	for _, c := range containers {
		c.write(1)
		total += c.lines
	}
	eventually(t, 90*time.Second, "every line arrives", func() bool { return far.count() >= total })
	p.signal(syscall.SIGTERM)
	if p.err != nil {
		t.Errorf("exit: %v\n%s", p.err, p.stderr)
	}
	repeats := 0
	for _, c := range containers {
		for i := 1; i <= c.lines; i++ {
			text := fmt.Sprintf("%s %d ", c.name, i)
			if i%100 == 0 {
				text += string(bytes.Repeat([]byte{'x'}, 40<<10))
			}
			switch n := far.got[text]; {
			case n == 0:
				t.Fatalf("line %d of %s is missing", i, c.name)
			default:
				repeats += n - 1
			}
		}
	}
	if len(far.got) != total {
		t.Errorf("%d different lines arrived, %d were written: some arrived torn", len(far.got), total)
	}
	if most := kills * plan.DefaultWindowMessages; repeats > most {
		t.Errorf("%d repeats after %d kills, want at most %d", repeats, kills, most)
	}
	figures := soak.NewFigures(t)
	figures.Add("kills with SIGKILL", kills)
	figures.Add("lines", total)
	figures.Add("missing", 0) // else the test has failed above
	figures.Add("repeats", repeats)
}
