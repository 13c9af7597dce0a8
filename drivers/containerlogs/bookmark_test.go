package containerlogs

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMark(t *testing.T) {
	m := mark{
		file: fileID{dev: 66307, ino: 1 << 40, restart: 3, headLen: 128, headHash: 1<<64 - 1, name: "3.log"},
		off:  10 << 20, skip: 70_000,
	}
	m.open[stderr] = openMark{set: true, file: fileID{ino: 7, headLen: 40, name: "3.log.20261123-070000.gz"}, off: 5, skip: 1}
	data := m.append(nil)
	got, err := decodeMark(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, got, cmp.AllowUnexported(mark{}, fileID{}, openMark{})); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
	for n := range data {
		if _, err := decodeMark(data[:n]); err == nil {
			t.Errorf("the first %d of %d bytes were accepted", n, len(data))
		}
	}
}

func FuzzMark(f *testing.F) {
	f.Add([]byte{})
	f.Add((&mark{file: fileID{name: "0.log"}}).append(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decodeMark(data)
		if err != nil {
			return
		}
		again, err := decodeMark(m.append(nil))
		if err != nil || again != m {
			t.Errorf("%+v became %+v, %v", m, again, err)
		}
	})
}

func TestUnreadableBookmarkIsNoBookmark(t *testing.T) {
	w := newWorld(t)
	k := w.container("shop", "web-1", uid, "app")
	k.out("1")
	w.marks[uid+"/app"] = []byte("garbage")
	w.start()
	w.expect("1")
	w.kill()
	if w.counts["bookmark_unreadable"] != 1 {
		t.Errorf("counts %v, want bookmark_unreadable", w.counts)
	}
}
