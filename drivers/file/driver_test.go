package file_test

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/drivertest"
	"github.com/logsource/operator/drivers/file"
)

// target is a directory.
type target struct {
	dir string
}

func startTarget(t *testing.T) *target { return &target{t.TempDir()} }

func (d *target) Setup() drivertest.Setup {
	return drivertest.Setup{Options: `{"path": "shop/messages.log", "format": "raw"}`, OutputDir: d.dir}
}

func (d *target) file(name string) string { return filepath.Join(d.dir, "shop", name) }

func (d *target) Received(t *testing.T) []string {
	t.Helper()
	return lines(t, d.file("messages.log"))
}

func lines(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(text), "\n") {
		t.Fatalf("%s does not end in a newline", file)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// TestContract has no target that is down: TestMovedAway and TestNoSpace break it.
func TestContract(t *testing.T) {
	drivertest.CheckDestination(t, drivertest.DestinationHarness{
		Driver: file.Driver,
		Start:  func(t *testing.T) drivertest.Target { return startTarget(t) },
		Refused: map[string]string{
			`{}`:                               "path",
			`{"path": "/etc/passwd"}`:          "path",
			`{"path": "../up"}`:                "path",
			`{"path": "a/../../up"}`:           "path",
			`{"path": "a", "format": "xml"}`:   "format",
			`{"path": "a", "maxFiles": 0}`:     "maxFiles",
			`{"path": "a", "maxSize": "1 GB"}`: "bytes",
		},
	})
}

func open(t *testing.T, dir, options string) (collector.Destination, *drivertest.Recorder) {
	t.Helper()
	r := drivertest.NewRecorder()
	s := drivertest.Setup{Options: options, OutputDir: dir}
	d := drivertest.MustNew[collector.Destination](t, file.Driver, s, r)
	if err := d.Open(t.Context()); err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d, r
}

func write(t *testing.T, d collector.Destination, messages ...string) {
	t.Helper()
	if err := d.Write(t.Context(), drivertest.Batches(messages)); err != nil {
		t.Fatalf("write: %v", err)
	}
}

func TestNoOutputDirectory(t *testing.T) {
	_, err := drivertest.New[collector.Destination](t, file.Driver, drivertest.Setup{Options: `{"path": "a"}`}, drivertest.NewRecorder())
	if err == nil || !strings.Contains(err.Error(), "--output-dir") {
		t.Errorf("error %v, want one that names --output-dir", err)
	}
}

func TestOutputDirectoryIsMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "yet")
	d, _ := open(t, dir, `{"path": "a/b.log", "format": "raw"}`)
	write(t, d, "x")
	if got := lines(t, filepath.Join(dir, "a", "b.log")); len(got) != 1 {
		t.Errorf("file holds %q", got)
	}
}

func TestPathCannotLeaveTheDirectory(t *testing.T) {
	outside := t.TempDir()
	f := func(name string, prepare func(dir string) error) {
		t.Helper()
		dir := t.TempDir()
		must(prepare(dir))
		s := drivertest.Setup{Options: `{"path": "sub/file.log"}`, OutputDir: dir}
		d := drivertest.MustNew[collector.Destination](t, file.Driver, s, drivertest.NewRecorder())
		if err := d.Open(t.Context()); err == nil {
			t.Errorf("%s: open succeeded", name)
		}
		must(d.Close())
		if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
			t.Errorf("%s: outside of the directory there is now %v, %v", name, left, err)
		}
	}
	f("directory links outside", func(dir string) error { return os.Symlink(outside, filepath.Join(dir, "sub")) })
	f("file links outside", func(dir string) error {
		must(os.Mkdir(filepath.Join(dir, "sub"), 0o700))
		return os.Symlink(filepath.Join(outside, "x"), filepath.Join(dir, "sub", "file.log"))
	})
	f("file is a pipe", func(dir string) error {
		must(os.Mkdir(filepath.Join(dir, "sub"), 0o700))
		return syscall.Mkfifo(filepath.Join(dir, "sub", "file.log"), 0o600)
	})
}

func TestTornLastLineIsCutOff(t *testing.T) {
	f := func(before string, wantCount int, want ...string) {
		t.Helper()
		dir := t.TempDir()
		must(os.WriteFile(filepath.Join(dir, "a.log"), []byte(before), 0o600))
		d, r := open(t, dir, `{"path": "a.log", "format": "raw"}`)
		write(t, d, "new")
		if diff := cmp.Diff(want, lines(t, filepath.Join(dir, "a.log"))); diff != "" {
			t.Errorf("after %.20q (-want +got):\n%s", before, diff)
		}
		if got := r.Count("torn_line_removed"); got != wantCount {
			t.Errorf("after %.20q: %d torn lines counted, want %d", before, got, wantCount)
		}
	}
	f("", 0, "new")
	f("a\nb\n", 0, "a", "b", "new")
	f("a\nb", 1, "a", "new")
	f("torn", 1, "new")
	f("a\n"+strings.Repeat("x", 200<<10), 1, "a", "new")
}

func TestSecondWriterIsRefused(t *testing.T) {
	dir := t.TempDir()
	first, _ := open(t, dir, `{"path": "a.log"}`)
	second := drivertest.MustNew[collector.Destination](t, file.Driver, drivertest.Setup{Options: `{"path": "./a.log"}`, OutputDir: dir}, drivertest.NewRecorder())
	if err := second.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "another destination") {
		t.Errorf("open of a file that is being written: %v", err)
	}
	must(first.Close())
	if err := errors.Join(second.Open(t.Context()), second.Close()); err != nil {
		t.Errorf("open of the file when it is free: %v", err)
	}
}

func TestRotation(t *testing.T) {
	d := startTarget(t)
	w, _ := open(t, d.dir, `{"path": "shop/messages.log", "format": "raw", "maxSize": 12, "maxFiles": 2}`)
	for i := range 9 {
		write(t, w, fmt.Sprintf("line %d", i)) // 7 bytes: one line per file
	}
	write(t, w, "x", "y") // 4 bytes: fits
	got := map[string][]string{}
	entries, err := os.ReadDir(filepath.Join(d.dir, "shop"))
	must(err)
	for _, e := range entries {
		got[e.Name()] = lines(t, d.file(e.Name()))
	}
	want := map[string][]string{
		"messages.log": {"line 8", "x", "y"}, "messages.log.1": {"line 7"}, "messages.log.2": {"line 6"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestMovedAway: what was renamed or removed is made anew; what was truncated goes on.
func TestMovedAway(t *testing.T) {
	f := func(name string, move func(file string) error) {
		t.Helper()
		d := startTarget(t)
		w, _ := open(t, d.dir, `{"path": "shop/messages.log", "format": "raw"}`)
		write(t, w, "before")
		must(move(d.file("messages.log")))
		bs := drivertest.Batches([]string{"after"})
		if err := w.Write(t.Context(), bs); err != nil {
			if !errors.Is(err, collector.ErrNotConnected) {
				t.Errorf("%s: write: %v, want an error that reopens", name, err)
			}
			must(errors.Join(w.Close(), w.Open(t.Context()), w.Write(t.Context(), bs)))
		}
		if diff := cmp.Diff([]string{"after"}, d.Received(t)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	f("removed", os.Remove)
	f("renamed", func(file string) error { return os.Rename(file, file+".old") })
	f("copied and truncated", func(file string) error { return os.Truncate(file, 0) })
}

// TestNoSpace limits the size of files, so that a write goes out in part, as on a disk that
// is full. The part is cut off, and nothing is written twice once there is room.
func TestNoSpace(t *testing.T) {
	d := startTarget(t)
	w, _ := open(t, d.dir, `{"path": "shop/messages.log", "format": "raw"}`)
	write(t, w, "before")
	bs := drivertest.Batches([]string{"first", strings.Repeat("x", 100_000)}, []string{"last"})

	lift := limitFileSize(t, 50_000)
	err := w.Write(t.Context(), bs)
	lift()
	if !errors.Is(err, syscall.EFBIG) || collector.IsPermanent(err) {
		t.Fatalf("write beyond the limit: %v", err)
	}
	if diff := cmp.Diff([]string{"before"}, d.Received(t)); diff != "" {
		t.Fatalf("after the failure (-want +got):\n%s", diff)
	}
	must(errors.Join(w.Close(), w.Open(t.Context()), w.Write(t.Context(), bs)))
	want := []string{"before", "first", strings.Repeat("x", 100_000), "last"}
	if diff := cmp.Diff(want, d.Received(t)); diff != "" {
		t.Errorf("after the recovery (-want +got):\n%s", diff)
	}
}

// limitFileSize makes writes beyond n bytes of a file fail, in this process, until lifted.
func limitFileSize(t *testing.T, n uint64) (lift func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	var old syscall.Rlimit
	must(syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old))
	must(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: old.Max}))
	return func() {
		must(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old))
		signal.Reset(syscall.SIGXFSZ)
	}
}

func TestJSON(t *testing.T) {
	dir := t.TempDir()
	d, _ := open(t, dir, `{"path": "a.log", "sync": false}`)
	write(t, d, "a\nb")
	got := lines(t, filepath.Join(dir, "a.log"))
	if len(got) != 1 || !strings.HasSuffix(got[0], `"message":"a\nb","stream":"0"}`) {
		t.Errorf("file holds %q", got)
	}
}
