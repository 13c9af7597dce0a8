package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/collector/report"
)

// runLocal runs the LogSources of files with the real planner and engine, shows how they
// do, and ends with the ledger.
func (p program) runLocal(stopping, hard context.Context, f *runFlags, opts collector.Options) error {
	sources, err := readSources(f.files, p.registry.Catalog(), true)
	if err != nil {
		return err
	}
	if err := p.refuseFindings(sources); err != nil {
		return err
	}
	opts.Secrets = sources.secrets.reader(f.secretsDir)
	stopping, finish := context.WithCancelCause(stopping)
	defer finish(nil)
	var engine *collector.Engine
	err = runEngine(stopping, hard, f, opts, func(e *collector.Engine) error {
		engine = e
		e.Apply(sources.plans)
		w := &watcher{program: p, engine: e, count: f.count, last: map[string]string{}}
		return w.watch(stopping, finish, f.timeout)
	})
	if engine != nil && p.summary(engine.Report()) && f.count > 0 && err == nil {
		return errReported // the summary said what is missing
	}
	return err
}

func (p program) refuseFindings(s *sourceFile) error {
	for _, other := range s.others {
		fmt.Fprintln(p.stderr, other+"; passed over")
	}
	for _, f := range s.findings {
		fmt.Fprintln(p.stderr, f)
	}
	if len(s.findings) > 0 {
		return errReported
	}
	if len(s.plans) == 0 {
		return errors.New("run: no LogSource or ClusterLogSource in these files")
	}
	return nil
}

// reader returns the Secrets of the files, then those of the directory.
func (s secretDocuments) reader(dir string) func(plan.LogSource) collector.Secrets {
	return func(ls plan.LogSource) collector.Secrets {
		return func(name, key string) ([]byte, error) {
			for _, namespace := range []string{ls.Namespace, "default"} {
				if v, ok := s[namespace+"/"+name][key]; ok {
					return v, nil
				}
			}
			if dir == "" {
				return nil, fmt.Errorf("no Secret document %s with key %s in the files, and no --secrets-dir", name, key)
			}
			return readSecret(dir, name, key)
		}
	}
}

// readSecret reads DIR/<name>/<key>, and nothing outside of DIR.
func readSecret(dir, name, key string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.ReadFile(filepath.Join(name, key))
}

// A watcher shows on stderr what changed, so that standard output stays the messages'.
type watcher struct {
	program
	engine *collector.Engine
	count  int64
	last   map[string]string // state by LogSource
	shown  time.Time
}

// progressInterval is how often the counters are shown while nothing else happens.
const progressInterval = 10 * time.Second

// watch shows progress until stopping ends; with a count it ends the run itself.
func (w *watcher) watch(stopping context.Context, finish context.CancelCauseFunc, timeout time.Duration) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var expired <-chan time.Time
	if timeout > 0 {
		expired = time.After(timeout)
	}
	w.shown = time.Now()
	for {
		select {
		case <-stopping.Done():
			return nil
		case <-expired:
			finish(nil)
			return fmt.Errorf("not every LogSource delivered %d messages within %s", w.count, timeout)
		case <-tick.C:
		}
		r := w.engine.Report()
		w.show(r)
		if w.count > 0 && len(r.LogPaths) > 0 && reached(r, w.count) {
			finish(nil)
			return nil
		}
	}
}

// reached says whether every destination has delivered that many.
func reached(r report.Collector, count int64) bool {
	for _, l := range r.LogPaths {
		for _, d := range l.Destinations {
			if d.Delivered < count {
				return false
			}
		}
	}
	return true
}

func (w *watcher) show(r report.Collector) {
	due := time.Since(w.shown) >= progressInterval
	if due {
		w.shown = time.Now()
	}
	for _, l := range r.LogPaths {
		key := pathName(l)
		state := l.State + " " + l.Message
		if state == w.last[key] && !due {
			continue
		}
		w.last[key] = state
		fmt.Fprintln(w.stderr, progressLine(l))
	}
	for _, refused := range r.Refused {
		if w.last[refused.UID] != refused.Error {
			w.last[refused.UID] = refused.Error
			fmt.Fprintln(w.stderr, "refused:", refused.Error)
		}
	}
}

func pathName(l report.LogPath) string {
	if l.Namespace == "" {
		return l.Name
	}
	return l.Namespace + "/" + l.Name
}

// progressLine is one LogSource in one line.
func progressLine(l report.LogPath) string {
	var delivered int64
	for i, d := range l.Destinations {
		if i == 0 || d.Delivered < delivered {
			delivered = d.Delivered
		}
	}
	line := fmt.Sprintf("── %s: %s, %d delivered, %d on the way", pathName(l), l.State, delivered, l.InUse)
	if l.Message != "" {
		line += ": " + l.Message
	}
	return line
}

// summary prints the ledger and says whether anything was lost or left behind.
func (p program) summary(r report.Collector) (lost bool) {
	rows := [][]string{{"LOGSOURCE", "DESTINATION", "ACCEPTED", "DELIVERED", "DROPPED", "REJECTED", "LEFT"}}
	for _, l := range r.LogPaths {
		for _, d := range l.Destinations {
			dropped, rejected, left := sum(d.Dropped), sum(d.Rejected), d.Queued+d.InFlight
			lost = lost || dropped+rejected+left > 0
			rows = append(rows, []string{pathName(l), d.Name, count(d.Accepted), count(d.Delivered), count(dropped), count(rejected), count(left)})
		}
		lost = lost || l.GapMessages+l.GapBytes > 0 || sum(l.SourceDrops) > 0
	}
	fmt.Fprintln(p.stderr)
	p.table(rows)
	if lost {
		fmt.Fprintln(p.stderr, "Not everything was delivered: see DROPPED, REJECTED and LEFT. With --state-dir, what is left is read again by the next run if its origin still has it.")
	} else {
		fmt.Fprintln(p.stderr, "Everything that was accepted was delivered.")
	}
	return lost
}

// table prints rows with the two names on the left and the numbers on the right.
func (p program) table(rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	for _, row := range rows {
		fmt.Fprintf(p.stderr, "%-*s  %-*s", widths[0], row[0], widths[1], row[1])
		for i, cell := range row[2:] {
			fmt.Fprintf(p.stderr, "  %*s", widths[i+2], cell)
		}
		fmt.Fprintln(p.stderr)
	}
}

func count(n int64) string { return strconv.FormatInt(n, 10) }

func sum(byReason map[string]int64) int64 {
	var n int64
	for _, v := range byReason {
		n += v
	}
	return n
}
