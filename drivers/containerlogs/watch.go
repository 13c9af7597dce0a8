package containerlogs

import (
	"encoding/binary"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	watchDirs  = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE | unix.IN_DELETE_SELF | unix.IN_ONLYDIR | unix.IN_DONT_FOLLOW
	watchFiles = watchDirs | unix.IN_MODIFY
	// changedDir are the events after which a directory is listed again.
	changedDir = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE | unix.IN_DELETE_SELF | unix.IN_IGNORED

	// gather is how long events are left to gather, so that a busy node wakes the reader
	// a few times a second and not for every line.
	gather = 25 * time.Millisecond
)

// A watcher is the one inotify instance of a log path. One goroutine empties the kernel's
// queue into a set, so that a reader which waits for its window never overflows it.
type watcher struct {
	fd   int
	file *os.File
	wake chan struct{} // has room for one
	quit chan struct{}
	done sync.WaitGroup

	mu       sync.Mutex // protects what follows
	dirty    map[int32]uint32
	overflow bool
}

// newWatcher starts a watcher. Tests make it fail.
var newWatcher = startWatcher

func startWatcher() (*watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	w := &watcher{
		fd: fd, file: os.NewFile(uintptr(fd), "inotify"),
		wake: make(chan struct{}, 1), quit: make(chan struct{}), dirty: map[int32]uint32{},
	}
	w.done.Go(w.run)
	return w, nil
}

func (w *watcher) close() {
	close(w.quit)
	w.file.Close() // ends the read in run
	w.done.Wait()
}

// add watches a directory; the descriptor it returns names it in events.
func (w *watcher) add(path string, mask uint32) (int32, error) {
	wd, err := unix.InotifyAddWatch(w.fd, path, mask)
	return int32(wd), err
}

func (w *watcher) remove(wd int32) {
	_, _ = unix.InotifyRmWatch(w.fd, uint32(wd)) // gone with its directory already
}

func (w *watcher) run() {
	buf := make([]byte, 64<<10)
	timer := time.NewTimer(gather)
	defer timer.Stop()
	for {
		n, err := w.file.Read(buf)
		if err != nil {
			return // closed
		}
		w.note(buf[:n])
		timer.Reset(gather)
		select {
		case <-timer.C:
		case <-w.quit:
			return
		}
	}
}

// note adds raw events to the set.
func (w *watcher) note(events []byte) {
	w.mu.Lock()
	for len(events) >= unix.SizeofInotifyEvent {
		wd := int32(binary.NativeEndian.Uint32(events))
		mask := binary.NativeEndian.Uint32(events[4:])
		if mask&unix.IN_Q_OVERFLOW != 0 {
			w.overflow = true
		} else {
			w.dirty[wd] |= mask
		}
		events = events[unix.SizeofInotifyEvent+int(binary.NativeEndian.Uint32(events[12:])):]
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// take gives the set away for an empty one.
func (w *watcher) take(empty map[int32]uint32) (dirty map[int32]uint32, overflow bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	dirty, overflow = w.dirty, w.overflow
	w.dirty, w.overflow = empty, false
	return dirty, overflow
}
