package containerlogs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/drivertest"
	"github.com/logsource/operator/collector/plan"
)

const uid = "0d7a0a36-4a3c-4b7f-9a51-1d1f1f1f1f1f"

func TestAppendedLines(t *testing.T) {
	w := newWorld(t)
	k := w.container("shop", "web-1", uid, "app")
	k.out("one")
	w.start()
	w.expect("one")
	began := time.Now()
	k.out("two")
	k.line("stderr", "F", "three")
	w.expect("one", "two", "three")
	if d := time.Since(began); d > 500*time.Millisecond {
		t.Errorf("appended lines took %v, want less than 0.5 s", d)
	}
	d := w.delivered[2]
	for _, c := range []struct {
		path []string
		want string
	}{
		{[]string{"namespace"}, "shop"}, {[]string{"pod"}, "web-1"}, {[]string{"pod_uid"}, uid},
		{[]string{"container"}, "app"}, {[]string{"restart_count"}, "0"}, {[]string{"node"}, "node-a"},
	} {
		if got := attr(d.stream, c.path...); got != c.want {
			t.Errorf("attribute %v = %q, want %q", c.path, got, c.want)
		}
	}
	if got := d.stream.Variants[d.variant][0].Value; got != "stderr" {
		t.Errorf("stream = %q, want stderr", got)
	}
	if d.nano != k.nano {
		t.Errorf("time = %d, want %d", d.nano, k.nano)
	}
}

func TestNewContainersAndRestarts(t *testing.T) {
	w := newWorld(t)
	w.start()
	k := w.container("shop", "web-1", uid, "app")
	k.out("a")
	w.expect("a")
	k.out("b")
	k.again()
	k.out("c")
	w.expect("a", "b", "c")
	if got := attr(w.delivered[2].stream, "restart_count"); got != "1" {
		t.Errorf("restart_count = %q, want 1", got)
	}
}

func TestRotation(t *testing.T) {
	w := newWorld(t)
	k := w.container("shop", "web-1", uid, "app")
	k.out("1")
	w.start()
	w.expect("1")
	k.rename()
	k.out("2 late, before reopen")
	late := k.file
	k.file = nil
	k.create()
	k.out("3")
	if _, err := late.WriteString("2026-11-23T07:40:49Z stdout F 2b late, after reopen\n"); err != nil {
		t.Fatal(err)
	}
	late.Close()
	w.expect("1", "2 late, before reopen", "2b late, after reopen", "3")
	for range 3 {
		k.rotate()
		k.out("x")
	}
	w.expect("1", "2 late, before reopen", "2b late, after reopen", "3", "x", "x", "x")
}

func TestRenamedBack(t *testing.T) {
	w := newWorld(t)
	k := w.container("shop", "web-1", uid, "app")
	k.out("1")
	w.start()
	w.expect("1")
	name := k.rename()
	k.must(os.Rename(name, k.path()))
	k.out("2")
	w.expect("1", "2")
}

func TestResume(t *testing.T) {
	for _, rotations := range []int{0, 1, 2, 3} {
		w := newWorld(t)
		k := w.container("shop", "web-1", uid, "app")
		k.out("1", "2")
		w.start()
		w.expect("1", "2")
		w.kill()
		k.out("3")
		want := []string{"1", "2", "3"}
		for i := range rotations {
			k.rotate()
			k.out(string(rune('a' + i)))
			want = append(want, string(rune('a'+i)))
		}
		w.start()
		w.expect(want...)
		w.kill()
		if len(w.lost) != 0 {
			t.Errorf("%d rotations: lost %v", rotations, w.lost)
		}
	}
}

func TestResumeAfterDeletion(t *testing.T) {
	w := newWorld(t)
	k := w.container("shop", "web-1", uid, "app")
	k.out("1")
	w.start()
	w.expect("1")
	w.kill()
	k.out("2 is lost")
	name := k.rename()
	k.reopen()
	k.out("3")
	k.must(os.Remove(name))
	w.start()
	w.expect("1", "3")
	if w.lost["rotated_away"] != 1 {
		t.Errorf("lost = %v, want rotated_away once", w.lost)
	}
}

func TestPartials(t *testing.T) {
	w := newWorld(t)
	k := w.container("shop", "web-1", uid, "app")
	big := strings.Repeat("x", 16<<10)
	for range 6 {
		k.line("stdout", "P", big)
		k.line("stderr", "P", "e")
	}
	k.line("stdout", "F", "end")
	w.start()
	w.expect(strings.Repeat(big, 6) + "end")
	k.rotate()
	k.line("stderr", "F", "!")
	w.expect(strings.Repeat(big, 6)+"end", "eeeeee!")
}

func TestPartialsAcrossRestartOfTheCollector(t *testing.T) {
	w := newWorld(t)
	k := w.container("shop", "web-1", uid, "app")
	k.line("stdout", "P", "a")
	k.out()
	k.line("stderr", "P", "A")
	k.line("stdout", "P", "b")
	k.line("stderr", "F", "B")
	k.line("stderr", "P", "C")
	w.start()
	w.expect("AB")
	w.kill()
	k.rotate()
	k.line("stdout", "P", "c")
	w.start()
	k.line("stderr", "F", "D")
	w.expect("AB", "CD")
	w.kill()
	k.rotate()
	k.line("stdout", "F", "d")
	w.start()
	w.expect("AB", "CD", "abcd")
	if len(w.lost) != 0 {
		t.Errorf("lost %v", w.lost)
	}
}

func TestUnfinishedMessages(t *testing.T) {
	w := newWorld(t)
	k := w.container("shop", "web-1", uid, "app")
	k.line("stdout", "P", "never finished")
	k.raw("2026-11-23T07:40:49Z stderr F no newline")
	k.again()
	k.out("next")
	w.start()
	w.expect("no newline", "never finished", "next")
	if v := w.delivered[1].variant; v != int(stdout+variants) {
		t.Errorf("variant = %d, want a piece of stdout", v)
	}
}

func TestLongMessagesAreCut(t *testing.T) {
	w := newWorld(t)
	w.opts.MaxRecordBytes = 64 << 10
	k := w.container("shop", "web-1", uid, "app")
	line := strings.Repeat("0123456789", 70<<10/10)
	k.out("a", line, "b")
	huge := strings.Repeat("h", 1<<20)
	k.out(huge, "c")
	for range 5 {
		k.line("stderr", "P", strings.Repeat("p", 16<<10))
	}
	k.line("stderr", "F", "")
	want := []string{"a", line[:64<<10], line[64<<10:], "b"}
	for range 16 {
		want = append(want, huge[:64<<10])
	}
	want = append(want, "c", strings.Repeat("p", 64<<10), strings.Repeat("p", 16<<10))
	w.start()
	w.expect(want...)
	if v := w.delivered[1].variant; v != int(stdout+variants) {
		t.Errorf("variant of the first part = %d, want a piece of stdout", v)
	}
	if got := w.counts["record_split"]; got != 1+15+1 {
		t.Errorf("record_split = %d, want 17", got)
	}
}

func TestMalformedLines(t *testing.T) {
	w := newWorld(t)
	k := w.container("shop", "web-1", uid, "app")
	k.raw("no header\n\x00\x00\x00\x00")
	k.out("after zeros")
	k.raw("2026-11-23T07:40:49Z stdout X what\n")
	w.start()
	w.expect("no header", "after zeros", "2026-11-23T07:40:49Z stdout X what")
	if w.counts["malformed"] != 2 || w.counts["zero_bytes_skipped"] != 4 {
		t.Errorf("counts = %v, want malformed 2, zero_bytes_skipped 4", w.counts)
	}
}

func TestTruncation(t *testing.T) {
	w := newWorld(t)
	k := w.container("shop", "web-1", uid, "app")
	k.out("1", "2", "3")
	w.start()
	w.expect("1", "2", "3")
	k.must(k.file.Truncate(0))
	w.until("truncation is seen", func() bool { return w.counts["truncated"] == 1 })
	k.out("4")
	w.expect("1", "2", "3", "4")
	w.kill()
	k.must(k.file.Truncate(0))
	k.out("5", "6", "7", "8", "9") // beyond the old position
	w.start()
	w.expect("1", "2", "3", "4", "5", "6", "7", "8", "9")
}

func TestReplacedFile(t *testing.T) {
	w := newWorld(t)
	k := w.container("shop", "web-1", uid, "app")
	k.out("1")
	w.start()
	w.expect("1")
	k.must(os.Remove(k.path()))
	k.out("2 in the deleted file")
	k.reopen()
	k.out("3")
	w.expect("1", "2 in the deleted file", "3")
}

func TestPodIsDeleted(t *testing.T) {
	w := newWorld(t)
	k := w.container("shop", "web-1", uid, "app")
	k.out("1")
	w.start()
	w.expect("1")
	k.out("2")
	k.line("stdout", "P", "3")
	k.remove()
	w.expect("1", "2", "3")
	w.until("the bookmark is forgotten", func() bool {
		_, ok := w.marks[uid+"/app"]
		return !ok && len(w.marks) == 1
	})
}

func TestPodIsDeletedWhileNobodyLooks(t *testing.T) {
	w := newWorld(t)
	k := w.container("shop", "web-1", uid, "app")
	other := w.container("shop", "web-2", "other-uid", "app")
	k.out("1")
	w.start()
	w.expect("1")
	w.kill()
	k.remove()
	other.out("2")
	w.start()
	w.expect("1", "2")
	w.until("the bookmark is forgotten", func() bool { _, ok := w.marks[uid+"/app"]; return !ok })
}

func TestOddFiles(t *testing.T) {
	w := newWorld(t)
	outside := filepath.Join(t.TempDir(), "secret.log")
	if err := os.WriteFile(outside, []byte("2026-11-23T07:40:49Z stdout F secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	k := w.container("shop", "web-1", uid, "app")
	k.must(os.Symlink(outside, filepath.Join(k.dir, "1.log")))
	k.must(unix.Mkfifo(filepath.Join(k.dir, "2.log"), 0o600))
	k.must(os.Mkdir(filepath.Join(k.dir, "3.log"), 0o700))
	k.must(os.Symlink(filepath.Dir(outside), filepath.Join(filepath.Dir(k.dir), "linked")))
	k.must(os.Symlink(filepath.Dir(k.dir), filepath.Join(w.dir, "shop_linked_x")))
	k.must(os.WriteFile(filepath.Join(k.dir, "0.log.20261123-070000.gz.tmp"), []byte("x"), 0o600))
	k.out("1")
	w.start()
	w.expect("1")
	w.until("all three are counted", func() bool { return w.counts["not_a_regular_file"] == 3 })
}

func TestStartAtEnd(t *testing.T) {
	w := newWorld(t)
	w.env.StartAt = "End"
	k := w.container("shop", "web-1", uid, "app")
	k.out("old")
	w.start()
	w.until("the position is saved", func() bool { return len(w.marks) == 2 })
	k.out("new")
	late := w.container("shop", "web-2", "later", "app")
	late.out("later file")
	w.until("both", func() bool { return len(w.delivered) == 2 })
	w.kill()
	k.out("newer")
	w.start()
	w.until("three", func() bool { return len(w.delivered) == 3 })
	for _, d := range w.delivered {
		if d.body == "old" {
			t.Error("a line from before first contact was delivered")
		}
	}
}

func TestSince(t *testing.T) {
	w := newWorld(t)
	w.env.Select = &plan.Select{Since: plan.Duration(time.Hour)}
	k := w.container("shop", "web-1", uid, "app")
	k.out("old", "old")
	k.nano = time.Now().Add(-time.Minute).UnixNano()
	k.out("young")
	w.start()
	w.expect("young")
}

func TestBatchLimits(t *testing.T) {
	w := newWorld(t)
	w.messages, w.bytes = 3, 100
	k := w.container("shop", "web-1", uid, "app")
	var want []string
	for i := range 100 {
		s := strings.Repeat("x", i*3)
		k.line("stdout", "P", s)
		k.line("stdout", "F", "|")
		want = append(want, s+"|")
	}
	w.start()
	w.expect(want...)
}

func TestFewDescriptors(t *testing.T) {
	old := maxOpenFiles
	maxOpenFiles = 4
	defer func() { maxOpenFiles = old }()
	w := newWorld(t)
	var ks []*kubelet
	for i := range 20 {
		ks = append(ks, w.container("shop", "web", "uid-"+string(rune('a'+i)), "app"))
	}
	w.start()
	n := 0
	for range 5 {
		for _, k := range ks {
			k.out("x")
			n++
		}
		w.until("all lines", func() bool { return len(w.delivered) == n })
	}
	w.kill()
	if w.counts["file_parked"] == 0 || len(w.lost) != 0 {
		t.Errorf("counts %v, lost %v", w.counts, w.lost)
	}
}

func TestWithoutInotify(t *testing.T) {
	newWatcher = func() (*watcher, error) { return nil, unix.EMFILE }
	defer func() { newWatcher = startWatcher }()
	w := newWorld(t)
	k := w.container("shop", "web-1", uid, "app")
	k.out("1")
	w.start()
	w.expect("1")
	began := time.Now()
	k.out("2")
	w.expect("1", "2")
	if d := time.Since(began); d > 500*time.Millisecond {
		t.Errorf("an appended line took %v, want less than 0.5 s", d)
	}
	k.rotate()
	k.out("3")
	k.again()
	k.out("4")
	other := w.container("shop", "web-2", "other", "app")
	w.expect("1", "2", "3", "4")
	other.out("5")
	w.expect("1", "2", "3", "4", "5")
	k.remove()
	w.until("the bookmark is forgotten", func() bool { _, ok := w.marks[uid+"/app"]; return !ok })
	w.kill()
	if w.counts["inotify_unavailable"] != 1 {
		t.Errorf("counts %v, want inotify_unavailable", w.counts)
	}
}

func TestContract(t *testing.T) {
	var want []string
	for i := range 50 {
		want = append(want, strings.Repeat("x", i))
	}
	drivertest.CheckSource(t, drivertest.SourceHarness{
		Driver: Driver,
		Start: func(t *testing.T) drivertest.Setup {
			w := &world{t: t, dir: t.TempDir()}
			w.container("shop", "web-1", uid, "app").out(want...)
			return drivertest.Setup{Node: collector.Node{Name: "node-a", LogDir: w.dir}}
		},
		Want:    want,
		Refused: map[string]string{`{"maxRecordBytes":"10"}`: "maxRecordBytes", `{"path":"/etc"}`: "path"},
	})
}

func TestWhatCannotBeRunIsRefused(t *testing.T) {
	if _, err := newSource(Options{MaxRecordBytes: 10}, collector.Env{Node: collector.Node{LogDir: "/x"}}); err == nil {
		t.Error("maxRecordBytes 10 was accepted")
	}
	if _, err := newSource(Options{}, collector.Env{}); err == nil {
		t.Error("no log directory was accepted")
	}
	env := collector.Env{Node: collector.Node{LogDir: "/x"}, Select: &plan.Select{PodSelector: selector(nil)}}
	if _, err := newSource(Options{}, env); err == nil {
		t.Error("a pod selector without a pod cache was accepted")
	}
}
