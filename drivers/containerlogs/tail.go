package containerlogs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/logsource/operator/collector"
)

const (
	readBuffer = 256 << 10
	// sweepEvery is how often everything is looked at, in case an event was missed.
	sweepEvery = 10 * time.Second
	// pollEvery is how often directories without an inotify watch are looked at.
	pollEvery = 250 * time.Millisecond
	// mtimeGrain is how long a directory's mtime may not tell two changes apart.
	mtimeGrain = time.Second
)

// maxOpenFiles bounds the descriptors of one log path, together with half of what the
// process may have. Tests lower it.
var maxOpenFiles uint64 = 16 << 10

// firstContact is the key under which the time of first contact is saved.
const firstContact = "first-contact"

// A tail is one run of a source: one goroutine reads all files of the node, woken by one
// inotify instance and, in case that fails, by the clock.
type tail struct {
	source    *source
	env       *collector.Env
	out       collector.Poster
	selection selection

	root    *os.Root
	rootWD  int32
	pods    map[string]*podDir // by directory name
	watches map[int32]watched
	watcher *watcher // nil when there is no inotify
	dirty   map[int32]uint32

	ready   []*container
	reading []*container // the other half of ready
	due     map[*container]time.Time
	waiting map[*container]struct{} // for their pod to be known or to change
	changed <-chan struct{}
	relist  bool
	polling bool // something has no watch
	// namespaces counts changes after which every verdict is out of date.
	namespaces int

	fromEnd bool
	since   int64

	cri       criParser
	spare     spareBuffers
	buf       []byte
	head      head
	openFiles int
	maxOpen   int
}

// A podDir is one directory below the log directory: <namespace>_<pod>_<uid>.
type podDir struct {
	dir, path               string // path is absolute
	namespace, podName, uid string
	containers              map[string]*container
	wd                      int32
	listed                  int64
}

// watched is what a watch descriptor stands for; neither is set for the log directory.
type watched struct {
	pod       *podDir
	container *container
}

func newTail(s *source, out collector.Poster) (*tail, error) {
	root, err := os.OpenRoot(s.env.Node.LogDir)
	if err != nil {
		return nil, fmt.Errorf("the node's log directory: %w", err)
	}
	t := &tail{
		source: s, env: &s.env, out: out, selection: newSelection(&s.env),
		root: root, rootWD: -1, pods: map[string]*podDir{}, watches: map[int32]watched{}, dirty: map[int32]uint32{},
		due: map[*container]time.Time{}, waiting: map[*container]struct{}{},
		buf: make([]byte, readBuffer), maxOpen: openLimit(),
	}
	if t.watcher, err = newWatcher(); err != nil {
		t.count("inotify_unavailable", 1)
		t.polling = true
		t.env.Log.Warn("inotify is not available, log files are polled", "error", err)
	}
	return t, nil
}

// openLimit is half of the descriptors this process may have, at most maxOpenFiles.
func openLimit() int {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return 512
	}
	return int(min(l.Cur/2, maxOpenFiles))
}

func (t *tail) close() {
	for _, p := range t.pods {
		for _, c := range p.containers {
			c.close()
		}
	}
	if t.watcher != nil {
		t.watcher.close()
	}
	t.root.Close()
}

func (t *tail) count(reason string, n int) { t.env.Count(reason, n) }

func (t *tail) pod(uid string) *collector.Pod {
	if t.selection.pods == nil {
		return nil
	}
	return t.selection.pods.Pod(uid)
}

// run is the loop: look at what changed, give every container with data its turn, wait.
func (t *tail) run(ctx context.Context) error {
	if err := t.contact(ctx); err != nil {
		return stopped(ctx, err)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	sweep, poll := time.Now().Add(sweepEvery), time.Now()
	for {
		now := time.Now()
		if err := t.look(now, &sweep, &poll); err != nil {
			return err
		}
		if err := t.turns(ctx, now); err != nil {
			return stopped(ctx, err)
		}
		timer.Reset(t.pause(now, sweep))
		select {
		case <-ctx.Done():
			return nil
		case <-t.wake():
		case <-t.changed:
			t.podsChanged()
		case <-timer.C:
		}
	}
}

// stopped turns an error that only says that ctx ended into a normal end.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (t *tail) wake() <-chan struct{} {
	if t.watcher == nil {
		return nil
	}
	return t.watcher.wake
}

// contact lists everything for the first time. On the source's very first contact it
// saves when that was: startAt and since are about that moment, not about a restart.
func (t *tail) contact(ctx context.Context) error {
	t.podsChanged()
	saved, again := t.env.Bookmarks.Load(firstContact)
	at, err := strconv.ParseInt(string(saved), 10, 64)
	if err != nil {
		at = time.Now().UnixNano()
	}
	if t.env.Select != nil && t.env.Select.Since > 0 {
		t.since = at - int64(t.env.Select.Since)
	}
	t.fromEnd = !again && len(t.env.Bookmarks.Keys()) == 0 && t.env.StartAt == "End"
	t.addWatch(t.env.Node.LogDir, watchDirs, &t.rootWD, watched{})
	if err := t.list(true); err != nil {
		return err
	}
	if again {
		return nil
	}
	b := t.out.Batch(&collector.Stream{})
	b.SetBookmark(firstContact, strconv.AppendInt(nil, at, 10))
	return t.out.Post(ctx, b)
}

// forgetOrphans deletes the bookmarks of pods that went while nobody looked.
func (t *tail) forgetOrphans(names map[string]bool) {
	uids := make(map[string]bool, len(names))
	for name := range names {
		uids[name[strings.LastIndexByte(name, '_')+1:]] = true
	}
	for _, key := range t.env.Bookmarks.Keys() {
		if uid, _, ok := strings.Cut(key, "/"); ok && !uids[uid] {
			t.env.Bookmarks.Delete(key)
		}
	}
}

// look takes in what events and the clock say has changed.
func (t *tail) look(now time.Time, sweep, poll *time.Time) error {
	select {
	case <-t.changed: // before the lines that were written after it
		t.podsChanged()
	default:
	}
	t.events()
	for c, at := range t.due {
		if !at.After(now) {
			delete(t.due, c)
			t.makeReady(c)
		}
	}
	if t.relist {
		t.relist = false
		if err := t.list(false); err != nil {
			return err
		}
	}
	if !sweep.After(now) {
		*sweep = now.Add(sweepEvery)
		return t.sweep(false)
	}
	if t.polling && !poll.After(now) {
		*poll = now.Add(pollEvery)
		return t.sweep(true)
	}
	return nil
}

// events marks what inotify reported.
func (t *tail) events() {
	if t.watcher == nil {
		return
	}
	dirty, overflow := t.watcher.take(t.dirty)
	for wd, mask := range dirty {
		t.event(wd, mask)
	}
	clear(dirty)
	t.dirty = dirty
	if overflow {
		t.count("inotify_overflow", 1)
		t.relist = true
		for _, p := range t.pods {
			p.listed = 0
			for _, c := range p.containers {
				c.unread = true
				t.makeReady(c)
			}
		}
	}
}

func (t *tail) event(wd int32, mask uint32) {
	w, ok := t.watches[wd]
	switch {
	case !ok && wd == t.rootWD:
		t.relist = true
	case !ok: // removed meanwhile
	case w.container == nil:
		w.pod.listed = 0
		t.relist = true
	default:
		w.container.unread = w.container.unread || mask&changedDir != 0
		t.makeReady(w.container)
	}
	if mask&unix.IN_IGNORED != 0 {
		t.unwatched(wd)
	}
}

func (t *tail) unwatched(wd int32) {
	w := t.watches[wd]
	delete(t.watches, wd)
	switch {
	case wd == t.rootWD:
		t.rootWD = -1
	case w.container != nil:
		w.container.wd = -1
	case w.pod != nil:
		w.pod.wd = -1
	}
}

// turns goes round the containers that have something to read until none has.
func (t *tail) turns(ctx context.Context, now time.Time) error {
	for len(t.ready) > 0 {
		t.ready, t.reading = t.reading[:0], t.ready
		for i, c := range t.reading {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			t.reading[i] = nil
			c.queued = false
			more, err := c.turn(ctx, now)
			if err != nil {
				return err
			}
			if more {
				t.makeReady(c)
			}
			if c.ended {
				t.forget(c)
			}
		}
		now = time.Now()
		t.events()
	}
	return nil
}

func (t *tail) makeReady(c *container) {
	if !c.queued {
		c.queued = true
		t.ready = append(t.ready, c)
	}
}

// later gives the container a turn at that time, or earlier if it has one already.
func (t *tail) later(c *container, at time.Time) {
	if old, ok := t.due[c]; !ok || at.Before(old) {
		t.due[c] = at
	}
}

// pause is how long nothing needs to be done.
func (t *tail) pause(now, sweep time.Time) time.Duration {
	if t.relist {
		return 0
	}
	d := sweep.Sub(now)
	if t.polling {
		d = min(d, pollEvery)
	}
	for _, at := range t.due {
		d = min(d, at.Sub(now))
	}
	return max(d, 0)
}

// podsChanged gives those that wait for metadata another look.
func (t *tail) podsChanged() {
	if t.selection.pods == nil {
		return
	}
	t.changed = t.selection.pods.Changed()
	if t.selection.NamespaceSelector != nil {
		t.namespaces++ // the change may be one of a namespace's labels
	}
	for c := range t.waiting {
		t.makeReady(c)
	}
}

// list looks at the log directory and at every pod directory that may have changed.
func (t *tail) list(first bool) error {
	dir, err := t.root.Open(".")
	if err != nil {
		return fmt.Errorf("the node's log directory: %w", err)
	}
	entries, err := dir.ReadDir(-1)
	dir.Close()
	if err != nil {
		return fmt.Errorf("the node's log directory: %w", err)
	}
	there := make(map[string]bool, len(entries))
	for _, e := range entries {
		there[e.Name()] = true
		if p := t.podDir(e); p != nil {
			t.listPod(p, first)
		}
	}
	for name, p := range t.pods {
		if !there[name] {
			t.podGone(p)
		}
	}
	if first {
		t.forgetOrphans(there)
	}
	return nil
}

// podDir returns the pod of a directory entry, nil when it is not to be read.
func (t *tail) podDir(e fs.DirEntry) *podDir {
	if p, ok := t.pods[e.Name()]; ok {
		return p
	}
	parts := strings.Split(e.Name(), "_")
	if !e.IsDir() || len(parts) != 3 || !t.selection.path(parts[0], parts[2]) {
		return nil
	}
	p := &podDir{dir: e.Name(), path: filepath.Join(t.env.Node.LogDir, e.Name()), namespace: parts[0], podName: parts[1], uid: parts[2], containers: map[string]*container{}, wd: -1}
	t.pods[p.dir] = p
	return p
}

// listPod looks for containers, if the directory has changed.
func (t *tail) listPod(p *podDir, first bool) {
	t.addWatch(p.path, watchDirs, &p.wd, watched{pod: p})
	if p.listed != 0 && t.pathTime(p.path) == p.listed {
		return
	}
	entries, listed, err := t.readDir(p.dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			t.podGone(p)
			return
		}
		t.count("directory_unreadable", 1)
		return
	}
	p.listed = listed
	there := make(map[string]bool, len(entries))
	for _, e := range entries {
		there[e.Name()] = true
		if e.IsDir() && p.containers[e.Name()] == nil && t.selection.container(e.Name()) {
			t.addContainer(p, e.Name(), first)
		}
	}
	for name, c := range p.containers {
		if !there[name] {
			c.gone = true
			t.makeReady(c)
		}
	}
}

func (t *tail) readDir(name string) ([]fs.DirEntry, int64, error) {
	dir, err := t.root.OpenFile(name, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, 0, err
	}
	defer dir.Close()
	listed := t.dirTime(int(dir.Fd()))
	entries, err := dir.ReadDir(-1)
	return entries, listed, err
}

func (t *tail) addContainer(p *podDir, name string, first bool) {
	c := &container{
		t: t, pod: p, name: name, key: p.uid + "/" + name, path: filepath.Join(p.path, name),
		wd: -1, born: time.Now(), unread: true, present: first,
		lines: lines{cri: &t.cri, spare: &t.spare, max: int(t.source.options.MaxRecordBytes), count: t.env.Count},
	}
	p.containers[name] = c
	t.makeReady(c)
}

// watch asks for events of the container's directory, unless it has that already.
func (t *tail) watch(c *container) {
	t.addWatch(c.path, watchFiles, &c.wd, watched{pod: c.pod, container: c})
}

func (t *tail) unwatch(c *container) {
	if c.wd >= 0 {
		t.watcher.remove(c.wd)
		t.unwatched(c.wd)
	}
}

func (t *tail) podGone(p *podDir) {
	for _, c := range p.containers {
		c.gone = true
		t.makeReady(c)
	}
	if len(p.containers) == 0 {
		t.forgetPod(p)
	}
}

// forget lets go of a container whose directory is gone and which has been read to its
// end. Its bookmark stays until the last batch is acked.
func (t *tail) forget(c *container) {
	c.close()
	c.setWaiting(false)
	delete(t.due, c)
	t.unwatch(c)
	if !t.source.settled(c.key, c.posted) {
		t.later(c, time.Now().Add(pollEvery))
		return
	}
	t.env.Bookmarks.Delete(c.key)
	delete(c.pod.containers, c.name)
	if _, err := t.root.Lstat(c.pod.dir); err != nil && len(c.pod.containers) == 0 {
		t.forgetPod(c.pod)
	}
}

func (t *tail) forgetPod(p *podDir) {
	if p.wd >= 0 {
		t.watcher.remove(p.wd)
		t.unwatched(p.wd)
	}
	delete(t.pods, p.dir)
}

// addWatch watches a directory that is not watched yet. When the kernel refuses, the
// directory is polled.
func (t *tail) addWatch(path string, mask uint32, wd *int32, w watched) {
	if *wd >= 0 || t.watcher == nil {
		return
	}
	got, err := t.watcher.add(path, mask)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			t.count("inotify_watch_refused", 1)
			t.polling = true
		}
		return
	}
	*wd = got
	if w.pod != nil {
		t.watches[got] = w
	}
}

// sweep looks at everything, or only at what has no watch.
func (t *tail) sweep(unwatched bool) error {
	if !unwatched {
		if err := t.sameRoot(); err != nil {
			return err
		}
		t.polling = t.watcher == nil // until a watch is refused again
		t.addWatch(t.env.Node.LogDir, watchDirs, &t.rootWD, watched{})
	}
	if err := t.list(false); err != nil {
		return err
	}
	for _, p := range t.pods {
		for _, c := range p.containers {
			if !unwatched || c.wd < 0 {
				t.sweepContainer(c)
			}
		}
	}
	return nil
}

func (t *tail) sweepContainer(c *container) {
	if c.ended || c.verdict == refused {
		return
	}
	t.watch(c)
	at := t.pathTime(c.path)
	c.unread = c.unread || at == 0 || at != c.listed
	if c.unread || c.grown() {
		t.makeReady(c)
	}
}

// sameRoot notices that the log directory was replaced: another file system was mounted
// over it, or it was deleted and made again.
func (t *tail) sameRoot() error {
	held, err := t.root.Stat(".")
	if err != nil {
		return fmt.Errorf("the node's log directory: %w", err)
	}
	now, err := os.Stat(t.env.Node.LogDir)
	if err != nil {
		return fmt.Errorf("the node's log directory: %w", err)
	}
	if !os.SameFile(held, now) {
		return errors.New("the node's log directory was replaced; starting again with the new one")
	}
	return nil
}

// dirTime is the mtime of an open directory, 0 when it is so young that another change
// may get the same.
func (t *tail) dirTime(fd int) int64 {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return 0
	}
	return settledTime(&st)
}

func (t *tail) pathTime(path string) int64 {
	var st unix.Stat_t
	if unix.Lstat(path, &st) != nil {
		return 0
	}
	return st.Mtim.Nano()
}

func settledTime(st *unix.Stat_t) int64 {
	age := time.Now().UnixNano() - st.Mtim.Nano()
	if age >= 0 && age < int64(mtimeGrain) {
		return 0
	}
	return st.Mtim.Nano()
}

// makeRoom closes the files of idle containers while too many are open. When all are
// busy the limit gives way: losing lines would be worse.
func (t *tail) makeRoom(but *container) {
	if t.openFiles < t.maxOpen {
		return
	}
	for _, p := range t.pods {
		for _, c := range p.containers {
			if c != but && c.idle() {
				c.park()
				t.count("file_parked", 1)
				return
			}
		}
	}
}

func (t *tail) closeFile(g *generation) {
	if g.file != nil {
		t.openFiles--
		g.close()
	}
}

// sizeOf is the size of the file a parked container would read on, -1 without one.
func (t *tail) sizeOf(c *container) int64 {
	var st unix.Stat_t
	if unix.Lstat(filepath.Join(c.path, c.parked.file.name), &st) != nil {
		return -1
	}
	return st.Size
}

// refresh reads the head of an open file again while it is short.
func (t *tail) refresh(g *generation) {
	if g.file != nil && g.head.n < headSize {
		g.grow(&t.cri, &t.head)
	}
}
