package stdout_test

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/drivertest"
	"github.com/logsource/operator/drivers/stdout"
)

// target is a file in the place of standard output.
type target struct{ file *os.File }

func startTarget(t *testing.T) *target {
	file, err := os.OpenFile(filepath.Join(t.TempDir(), "out"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	redirect(t, file)
	return &target{file}
}

// redirect makes f standard output until the test ends.
func redirect(t *testing.T, f *os.File) {
	old := os.Stdout
	os.Stdout = f
	t.Cleanup(func() {
		os.Stdout = old
		if err := f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Errorf("standard output: %v", err)
		}
	})
}

func (s *target) Setup() drivertest.Setup { return drivertest.Setup{Options: `{"format": "raw"}`} }

func (s *target) Received(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(s.file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

func TestContract(t *testing.T) {
	drivertest.CheckDestination(t, drivertest.DestinationHarness{
		Driver:  stdout.Driver,
		Start:   func(t *testing.T) drivertest.Target { return startTarget(t) },
		Refused: map[string]string{`{"format": "xml"}`: "format"},
	})
}

func open(t *testing.T, options string) collector.Destination {
	t.Helper()
	d := drivertest.MustNew[collector.Destination](t, stdout.Driver, drivertest.Setup{Options: options}, drivertest.NewRecorder())
	if err := d.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestJSON(t *testing.T) {
	s := startTarget(t)
	if err := open(t, "").Write(t.Context(), drivertest.Batches([]string{"a\nb"})); err != nil {
		t.Fatal(err)
	}
	got := s.Received(t)
	if len(got) != 1 || !strings.HasSuffix(got[0], `"message":"a\nb","stream":"0"}`) {
		t.Errorf("printed %q", got)
	}
}

func TestClosedPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	redirect(t, w)
	d := open(t, `{"format": "raw"}`)
	if err := d.Write(t.Context(), drivertest.Batches([]string{"a"})); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 2)
	if _, err := io.ReadFull(r, line); err != nil || string(line) != "a\n" {
		t.Errorf("the pipe holds %q, %v", line, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	err = d.Write(t.Context(), drivertest.Batches([]string{"b"}))
	if !errors.Is(err, syscall.EPIPE) || collector.IsPermanent(err) {
		t.Errorf("write to a closed pipe: %v, want EPIPE, retried", err)
	}
}

// TestTornLine fails in the middle of a request, as on a full disk, and goes on: within the
// torn line if it comes first again, else on a line of its own.
func TestTornLine(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	f := func(name string, retry []string, want ...string) {
		t.Helper()
		s := startTarget(t)
		d := open(t, `{"format": "raw"}`)
		lift := limitFileSize(t, 50_000)
		err := d.Write(t.Context(), drivertest.Batches([]string{"a", "b"}, []string{long, "c"}))
		lift()
		var partial *collector.PartialError
		if !errors.As(err, &partial) || len(partial.Rejected) != 2 || partial.Rejected[0].Batch != 1 || partial.Rejected[1].Record != 1 {
			t.Fatalf("%s: %v, want the second batch not taken", name, err)
		}
		if err := d.Write(t.Context(), drivertest.Batches(retry)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, s.Received(t)); diff != "" {
			t.Errorf("%s (-want +got):\n%.500s", name, diff)
		}
	}
	f("the same again", []string{long, "c"}, "a", "b", long, "c")
	f("something else", []string{"other"}, "a", "b", long[:50_000-4], "other")
}

// limitFileSize makes writes beyond n bytes of a file fail, in this process, until lifted.
func limitFileSize(t *testing.T, n uint64) (lift func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	var old syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old)
	if err == nil {
		err = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: old.Max})
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Error(err)
		}
		signal.Reset(syscall.SIGXFSZ)
	}
}
