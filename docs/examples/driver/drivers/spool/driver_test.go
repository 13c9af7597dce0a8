package spool_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/drivertest"
	"github.com/logsource/operator/docs/examples/driver/drivers/spool"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// origin is a directory that files are left in.
type origin struct {
	dir   string
	mu    sync.Mutex
	files int
}

func startOrigin(t *testing.T) *origin {
	o := &origin{dir: filepath.Join(t.TempDir(), "spool")}
	must(os.MkdirAll(o.dir, 0o700))
	return o
}

func (o *origin) Setup() drivertest.Setup {
	return drivertest.Setup{Options: fmt.Sprintf(`{"directory": %q}`, o.dir)}
}

func (o *origin) Offer(messages ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.files++
	o.leave(fmt.Sprintf("%04d", o.files), strings.Join(messages, "\n"))
}

// leave writes a file the way that the README asks for.
func (o *origin) leave(name, text string) {
	hidden := filepath.Join(o.dir, "."+name)
	must(os.WriteFile(hidden, []byte(text), 0o600))
	must(os.Rename(hidden, filepath.Join(o.dir, name)))
}

func (o *origin) Down() { must(os.Rename(o.dir, o.dir+".gone")) }
func (o *origin) Up()   { must(os.Rename(o.dir+".gone", o.dir)) }

// Hang is nil: a directory answers at once.
func (o *origin) Hang() <-chan struct{} { return nil }

func (o *origin) names() (names []string) {
	entries, err := os.ReadDir(o.dir)
	must(err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestContract(t *testing.T) {
	drivertest.CheckFetcher(t, drivertest.FetcherHarness{
		Driver: spool.Driver,
		Start:  func(t *testing.T) drivertest.Origin { return startOrigin(t) },
		Refused: map[string]string{
			`{}`:                                "directory",
			`{"directory": "d", "maxFile": 1}`:  "maxFile",
			`{"directory": "d", "keep": "yes"}`: "keep",
		},
	})
}

// A life is one instance of the fetcher, and what the collector keeps for it.
type life struct {
	t        *testing.T
	recorder *drivertest.Recorder
	fetcher  collector.Fetcher
}

func begin(t *testing.T, o *origin, options string, r *drivertest.Recorder) *life {
	t.Helper()
	s := drivertest.Setup{Options: fmt.Sprintf(`{"directory": %q%s}`, o.dir, options)}
	l := &life{t, r, drivertest.MustNew[collector.Fetcher](t, spool.Driver, s, r)}
	must(l.fetcher.Open(t.Context()))
	t.Cleanup(func() { must(l.fetcher.Close()) })
	return l
}

// fetch fetches once and saves the bookmark, as the collector does after the ack.
func (l *life) fetch(room int) (got []string, err error) {
	l.t.Helper()
	b := collector.NewBatch(nil, room, 1<<20)
	err = l.fetcher.Fetch(l.t.Context(), b)
	for i := range b.Len() {
		got = append(got, string(b.Body(i)))
	}
	if key, value := b.Bookmark(); key != "" {
		l.recorder.Save(key, string(value))
	}
	return got, err
}

func (l *life) want(room int, want ...string) {
	l.t.Helper()
	got, err := l.fetch(room)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		l.t.Errorf("%v, messages (-want +got):\n%s", err, diff)
	}
}

func (l *life) commit(name string, read int) {
	l.t.Helper()
	if err := l.fetcher.(collector.Committer).Commit(name, strconv.AppendInt(nil, int64(read), 10)); err != nil {
		l.t.Errorf("commit %s %d: %v", name, read, err)
	}
}

func (l *life) wantNoData() {
	l.t.Helper()
	if got, err := l.fetch(10); !errors.Is(err, collector.ErrNoData) || len(got) > 0 {
		l.t.Errorf("got %q, %v; want no data", got, err)
	}
}

func TestOrderAndWhatIsPassedOver(t *testing.T) {
	o := startOrigin(t)
	o.leave("2", "b\n")
	o.leave("1", "a\n\na2")
	o.leave("3", "")
	must(os.WriteFile(filepath.Join(o.dir, ".4"), []byte("unfinished"), 0o600))
	must(os.Mkdir(filepath.Join(o.dir, "5"), 0o700))
	must(os.Symlink("/etc/hostname", filepath.Join(o.dir, "6")))
	o.leave("7", "\n\n")
	l := begin(t, o, "", drivertest.NewRecorder())
	l.want(10, "a", "a2")
	l.want(10, "b")
	if got, err := l.fetch(10); !errors.Is(err, collector.ErrTryAgain) || len(got) > 0 {
		t.Errorf("a file of empty lines gives %q, %v; want a bookmark and try again", got, err)
	}
	l.wantNoData()
}

func TestDeliveredFilesAreRemoved(t *testing.T) {
	o := startOrigin(t)
	o.leave("1", "a\nb\n")
	o.leave("2", "c\n")
	l := begin(t, o, "", drivertest.NewRecorder())
	l.want(1, "a")
	l.want(1, "b")
	l.want(1, "c")
	l.commit("1", 2)
	if diff := cmp.Diff([]string{"1", "2"}, o.names()); diff != "" {
		t.Errorf("after half of a file (-want +got):\n%s", diff)
	}
	l.commit("1", 4)
	if diff := cmp.Diff([]string{"2"}, o.names()); diff != "" {
		t.Errorf("after all of it (-want +got):\n%s", diff)
	}
	if _, ok := l.recorder.Load("1"); ok {
		t.Error("the bookmark of a file that is gone is still there")
	}
	must(os.Remove(filepath.Join(o.dir, "2")))
	l.commit("2", 2) // somebody else was faster
	o.leave("1", "a new file of the old name\n")
	l.want(1, "a new file of the old name")
}

func TestKeep(t *testing.T) {
	o := startOrigin(t)
	o.leave("1", "a\n")
	l := begin(t, o, `, "keep": true`, drivertest.NewRecorder())
	l.want(1, "a")
	l.commit("1", 2)
	if diff := cmp.Diff([]string{"1"}, o.names()); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	l.wantNoData()
}

// The next instance goes on within the file, and removes what the one before it posted
// whole once a bookmark of its own is saved.
func TestNextInstanceGoesOn(t *testing.T) {
	o, r := startOrigin(t), drivertest.NewRecorder()
	o.leave("1", "a\n")
	o.leave("2", "b\nc\n")
	first := begin(t, o, "", r)
	first.want(1, "a")
	first.want(1, "b")

	r.Save("gone", "7")
	second := begin(t, o, "", r)
	if _, ok := r.Load("gone"); ok {
		t.Error("Open kept the bookmark of a file that is gone")
	}
	second.want(10, "c")
	if diff := cmp.Diff([]string{"1", "2"}, o.names()); diff != "" {
		t.Errorf("before the commit (-want +got):\n%s", diff)
	}
	second.commit("2", 4)
	if names := o.names(); len(names) > 0 {
		t.Errorf("files %q are left", names)
	}
}

func TestTooLargeIsPassedOverAndCountedOnce(t *testing.T) {
	o := startOrigin(t)
	o.leave("1", strings.Repeat("x", 1025))
	o.leave("2", "a")
	l := begin(t, o, `, "maxFile": "1Ki"`, drivertest.NewRecorder())
	l.want(10, "a")
	l.wantNoData()
	l.wantNoData()
	if n := l.recorder.Count("file_too_large"); n != 1 {
		t.Errorf("counted %d times, want once", n)
	}
}

func TestVanishedFileIsCounted(t *testing.T) {
	o := startOrigin(t)
	o.leave("1", "a")
	o.leave("2", "b")
	o.leave("3", "c")
	l := begin(t, o, "", drivertest.NewRecorder())
	l.want(10, "a")
	must(os.Remove(filepath.Join(o.dir, "2")))
	l.want(10, "c")
	if n := l.recorder.Count("file_vanished"); n != 1 {
		t.Errorf("counted %d times, want once", n)
	}
}
