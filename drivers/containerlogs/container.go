package containerlogs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/logsource/operator/collector"
)

const (
	// lateWrites is how long a rotated file must be silent before it is left for the next:
	// the runtime may still be writing the last lines to it while the next one exists.
	lateWrites = 250 * time.Millisecond
	// metadataPatience is how long first lines wait for the pod's metadata.
	metadataPatience = 2 * time.Second
	// retryOpen is how long after what could not be opened is tried again.
	retryOpen = 2 * time.Second
	// maxLooks bounds how often a directory that keeps changing is read at once.
	maxLooks = 16
	// keepDone is for how many looks a finished file is remembered after its name is
	// gone: its compressed copy may not have been seen yet.
	keepDone = 32
	// turnBytes is what one container may hand over before others have their turn.
	turnBytes = 1 << 20
)

// A container is one directory of log files, read as one unbroken sequence of lines.
type container struct {
	t    *tail
	pod  *podDir
	name string
	key  string // of its bookmark
	path string
	wd   int32 // inotify watch, -1 without

	present  bool // it was there at first contact
	announce bool // its position is to be saved although nothing was read

	verdict verdict
	judged  int       // t.namespaces at the last verdict
	born    time.Time // when it was first seen by this process
	waiting bool      // in t.waiting
	queued  bool      // in t.ready
	unread  bool      // the directory must be listed before the next turn
	gone    bool      // the directory is not there any more
	ended   bool      // gone, and everything in it has been handed over
	listing int       // how often the directory has been looked at
	listed  int64     // mtime of the directory when it was last listed, 0 when that may be too old

	lines  lines
	cur    *generation // nil before first contact and while parked
	next   []*generation
	done   []*generation
	quiet  time.Time // since when cur, which has a successor, has been at its end
	size   int64     // of cur when quiet was set
	odd    map[string]bool
	parked *mark // where to go on when the files are opened again

	meta    *collector.Pod
	stream  *collector.Stream
	restart int // of stream
	posted  []byte
}

// list looks at the directory and opens what is new in it.
func (c *container) list() {
	c.unread = false
	c.t.watch(c) // before the listing, so that nothing falls between the two
	root, err := c.t.root.OpenRoot(c.pod.dir)
	if err != nil {
		c.cannotList(err)
		return
	}
	defer root.Close()
	fresh, err := c.lookUntilStable(root)
	if err != nil {
		c.cannotList(err)
	}
	if c.cur == nil {
		c.begin(fresh)
	} else {
		c.follow(fresh)
	}
	c.done = slices.DeleteFunc(c.done, func(g *generation) bool { return g.seen+keepDone < c.listing })
}

// lookUntilStable reads the directory until it finds nothing new: a rotation during one
// look can hide a file from it and show the one after, and the order would be lost.
func (c *container) lookUntilStable(root *os.Root) (fresh []*generation, err error) {
	for range maxLooks {
		c.listing++
		names, err := c.look(root)
		if err != nil {
			return fresh, err
		}
		known := len(fresh)
		var stable bool
		fresh, stable = c.match(root, names, fresh)
		if stable && len(fresh) == known {
			return c.bury(fresh), nil
		}
	}
	c.listAgain()
	return c.bury(fresh), nil
}

// bury gives files that were live when they were opened, and are not there any more, the
// name they must have had since: that of their compressed copy. Without one they were
// deleted and, as the oldest go first, are older than the rest.
func (c *container) bury(fresh []*generation) []*generation {
	for _, k := range fresh {
		if !k.live || k.seen == c.listing {
			continue
		}
		k.live = false
		c.t.refresh(k)
		i := slices.IndexFunc(fresh, func(g *generation) bool { return g != k && g.copyOf(k) })
		if i >= 0 {
			k.name = fresh[i].name
			c.t.closeFile(fresh[i]) // not finish: k would be taken for a copy of what is done
			fresh = slices.Delete(slices.Clone(fresh), i, i+1)
		}
	}
	return fresh
}

// An entry is a name in the directory and the inode behind it.
type entry struct {
	name string
	stat unix.Stat_t
	gone bool // between reading the directory and looking at the name
}

func (c *container) look(root *os.Root) (entries []entry, err error) {
	dir, err := root.OpenFile(c.name, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	fd := int(dir.Fd())
	c.listed = c.t.dirTime(fd)
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		e := entry{name: name}
		e.gone = unix.Fstatat(fd, name, &e.stat, unix.AT_SYMLINK_NOFOLLOW) != nil
		entries = append(entries, e)
	}
	return entries, nil
}

func (c *container) cannotList(err error) {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		c.gone = true
		return
	}
	c.t.count("directory_unreadable", 1)
	c.listAgain()
}

// listAgain tries again soon what could not be opened.
func (c *container) listAgain() {
	c.unread, c.listed = true, 0
	c.t.later(c, time.Now().Add(retryOpen))
}

// match finds the generations known among entries and opens the rest, behind fresh. It is
// not stable when a name changed its meaning meanwhile.
func (c *container) match(root *os.Root, entries []entry, fresh []*generation) (_ []*generation, stable bool) {
	stable = true
	for i := range entries {
		e := &entries[i]
		restart, live, gz, ok := parseName(e.name)
		switch {
		case !ok:
			continue
		case e.gone:
			stable = false
			continue
		case e.stat.Mode&unix.S_IFMT != unix.S_IFREG:
			c.refuse(e.name)
			continue
		}
		g := c.known(uint64(e.stat.Dev), e.stat.Ino, e.name, fresh)
		if g != nil {
			g.name, g.restart, g.live, g.gz, g.seen = e.name, restart, live, gz, c.listing
			continue
		}
		var there bool
		if g, there = c.open(root, e.name); g == nil {
			stable = stable && there
			continue
		}
		if c.known(g.dev, g.ino, e.name, fresh) != nil { // renamed between the look and the opening
			c.t.closeFile(g)
			stable = false
			continue
		}
		g.seen = c.listing
		fresh = append(fresh, g)
	}
	return fresh, stable
}

// refuse counts a name that is not a regular file, once.
func (c *container) refuse(name string) {
	if c.odd[name] {
		return
	}
	if c.odd == nil {
		c.odd = map[string]bool{}
	}
	c.odd[name] = true
	c.t.count("not_a_regular_file", 1)
}

// known finds the generation behind a directory entry. An inode identifies only what is
// held open; of a closed file it may have been given to another, so the name must agree
// and not be the one that is written now.
func (c *container) known(dev, ino uint64, name string, fresh []*generation) *generation {
	if c.cur != nil && c.cur.dev == dev && c.cur.ino == ino {
		return c.cur
	}
	for _, open := range [][]*generation{c.next, fresh} {
		for _, g := range open {
			if g.dev == dev && g.ino == ino {
				return g
			}
		}
	}
	if c.writes(name) {
		return nil
	}
	for _, g := range c.done {
		if g.dev == dev && g.ino == ino && g.name == name {
			return g
		}
	}
	return nil
}

// writes says that a file of this name may be the one that the container writes to now.
func (c *container) writes(name string) bool {
	restart, live, _, _ := parseName(name)
	return live && (c.cur == nil || restart >= c.cur.restart)
}

// open opens a file; without one, there says whether the name still exists.
func (c *container) open(root *os.Root, name string) (g *generation, there bool) {
	c.t.makeRoom(c)
	g, err := openGeneration(root, c.name, name, &c.t.cri)
	switch {
	case err == nil:
		c.t.openFiles++
		return g, true
	case errors.Is(err, fs.ErrNotExist):
		return nil, false
	case errors.Is(err, errNotRegular), errors.Is(err, unix.ELOOP):
		c.refuse(name)
	case isCorrupt(err):
		if !c.odd[name] {
			c.refuse(name)
			c.t.env.Lost("unreadable", 0, 0)
		}
	default:
		c.t.count("file_unreadable", 1)
		c.listAgain()
	}
	return nil, true
}

// follow puts new files behind the current one, unless they are copies of what is known.
func (c *container) follow(fresh []*generation) {
	sortGenerations(fresh)
	for _, g := range fresh {
		if g.restart < c.cur.restart || c.isCopy(g) {
			c.finish(g)
			continue
		}
		c.next = slices.Insert(c.next, c.place(g), g)
		c.t.makeReady(c)
	}
}

// place is where a new file belongs in next: at its end, because what is found later is
// younger, unless the names of files that are still there say otherwise.
func (c *container) place(g *generation) int {
	for i, k := range c.next {
		if k.seen == c.listing && byName(g, k) < 0 {
			return i
		}
	}
	return len(c.next)
}

func (c *container) isCopy(g *generation) bool {
	if g.live {
		return false
	}
	is := func(k *generation) bool {
		c.t.refresh(k)
		return g.copyOf(k)
	}
	return is(c.cur) || slices.ContainsFunc(c.next, is) || slices.ContainsFunc(c.done, is)
}

// finish closes a file that needs no more reading and remembers what it was.
func (c *container) finish(g *generation) {
	c.t.refresh(g) // what it began with is all that is known of it from now on
	c.t.closeFile(g)
	g.seen = c.listing
	c.done = append(c.done, g)
}

// judge decides whether the container is read.
func (c *container) judge(now time.Time) verdict {
	pod := c.t.pod(c.pod.uid)
	if pod == nil {
		pod = c.meta // it left the cache; what is known stays true
	}
	if c.verdict == selected && pod == c.meta && c.judged == c.t.namespaces {
		return selected
	}
	c.judged = c.t.namespaces
	c.verdict = c.t.selection.pod(c.pod.namespace, pod)
	if c.verdict == unknown && !c.t.selection.strict() {
		c.awaitMetadata(now)
	}
	c.setWaiting(c.verdict != selected)
	if pod != c.meta {
		c.meta, c.stream = pod, nil
	}
	return c.verdict
}

// awaitMetadata lets a container whose pod is not known wait, but not for long: then, or
// when the pod is gone already, the path has to do.
func (c *container) awaitMetadata(now time.Time) {
	until := c.born.Add(metadataPatience)
	if !c.gone && now.Before(until) {
		c.t.later(c, until)
		return
	}
	c.verdict = selected
	c.t.count("metadata_missing", 1)
}

// describe makes the stream anew when the pod or the run of the container is another one.
func (c *container) describe() {
	if c.stream != nil && c.restart == c.cur.restart {
		return
	}
	c.restart = c.cur.restart
	c.stream = newStream(c.pod, c.name, c.restart, c.t.env.Node.Name, c.meta, collector.TagAttrs(c.t.env.Message))
}

// setWaiting asks for another look when the pod cache changes.
func (c *container) setWaiting(on bool) {
	if on == c.waiting {
		return
	}
	c.waiting = on
	if on {
		c.t.waiting[c] = struct{}{}
		return
	}
	delete(c.t.waiting, c)
}

// turn hands over what there is, up to turnBytes, and says whether there may be more now.
func (c *container) turn(ctx context.Context, now time.Time) (more bool, err error) {
	if c.ended {
		return false, nil
	}
	v := c.judge(now)
	if v == refused {
		c.park()
		c.t.unwatch(c)
		c.ended = c.gone
		return false, nil
	}
	if c.unread || c.cur == nil {
		c.list()
	}
	switch {
	case v == unknown: // files are open meanwhile: they may be deleted before the pod is known
		c.abandon()
		return false, nil
	case c.cur == nil:
		c.ended = c.gone
		return false, nil
	}
	c.describe()
	if c.announce {
		c.announce = false
		if err := c.post(ctx, c.t.out.Batch(c.stream)); err != nil {
			return false, err
		}
	}
	c.checkInPlace()
	return c.read(ctx, now)
}

// abandon gives up on a container that is gone before its pod was ever seen, when the
// pod has to be known.
func (c *container) abandon() {
	if c.gone && c.t.selection.strict() {
		c.t.count("pod_never_seen", 1)
		c.ended = true
	}
}

// checkInPlace notices that the file was truncated, or overwritten, where it stands.
func (c *container) checkInPlace() {
	g := c.cur
	if g.gz || g.stat() != nil {
		return
	}
	if g.size >= c.lines.next() && g.grow(&c.t.cri, &c.t.head) {
		return
	}
	c.t.count("truncated", 1)
	g.head, g.first = head{}, 0
	g.grow(&c.t.cri, &c.t.head)
	for v := range c.lines.open {
		if c.lines.open[v].file == g {
			c.lines.drop(uint8(v))
			c.t.env.Lost("truncated", 1, 0)
		}
	}
	c.lines.restart(g, 0, 0)
}

// read moves bytes of the current file into batches.
func (c *container) read(ctx context.Context, now time.Time) (more bool, err error) {
	var b *collector.Batch
	buf, have := c.t.buf, 0
	for total := 0; ; {
		n, rerr := c.cur.readAt(buf[have:], c.lines.next()+int64(have))
		total += n
		rest := buf[:have+n]
		if b, rest, err = c.handOver(ctx, b, rest); err != nil {
			return false, err
		}
		if rerr != nil {
			return c.atEnd(ctx, b, rest, rerr, now)
		}
		if total >= turnBytes && !c.cur.gz {
			return true, c.post(ctx, b)
		}
		have = copy(buf, rest)
	}
}

// handOver puts the whole lines of data into batches and returns what is left of it, and
// the batch that has room for more.
func (c *container) handOver(ctx context.Context, b *collector.Batch, data []byte) (*collector.Batch, []byte, error) {
	for len(data) > 0 {
		if b == nil && !c.lines.long && len(data) < len(c.t.buf) && bytes.IndexByte(data, '\n') < 0 {
			return nil, data, nil // no batch is lent for the beginning of a line
		}
		if b == nil {
			b = c.t.out.Batch(c.stream)
		}
		n, full := c.lines.take(b, data)
		data = data[n:]
		switch {
		case full:
			if err := c.post(ctx, b); err != nil {
				return nil, nil, err
			}
			b = nil
		case len(data) < len(c.t.buf):
			return b, data, nil
		default:
			data = data[c.lines.startLong(data):]
		}
	}
	return b, data, nil
}

// post gives the batch away with the position behind it.
func (c *container) post(ctx context.Context, b *collector.Batch) error {
	if b == nil {
		return nil
	}
	if int64(c.cur.head.n) < min(headSize, c.lines.off) {
		c.cur.grow(&c.t.cri, &c.t.head)
	}
	m := c.lines.mark()
	c.posted = m.append(c.posted[:0])
	b.SetBookmark(c.key, c.posted)
	return c.t.out.Post(ctx, b)
}

// atEnd decides what the end of the current file means: wait for more, or leave it.
func (c *container) atEnd(ctx context.Context, b *collector.Batch, rest []byte, rerr error, now time.Time) (more bool, err error) {
	switch {
	case rerr != io.EOF && !c.cur.gz:
		c.t.count("read_error", 1)
		c.t.later(c, now.Add(time.Second))
		return false, c.post(ctx, b)
	case rerr != io.EOF:
		c.t.env.Lost("unreadable", 0, 0)
		rest = nil
	}
	grew, over := c.isOver(c.lines.next()+int64(len(rest)), now)
	if !over {
		return grew, c.post(ctx, b)
	}
	return c.leave(ctx, b, rest)
}

// isOver says whether nothing will be appended to the current file, which has been read
// up to end, or that it has grown meanwhile.
func (c *container) isOver(end int64, now time.Time) (grew, over bool) {
	switch {
	case len(c.next) == 0 && !c.gone:
		return false, false
	case c.cur.gz:
		return false, true
	}
	if c.cur.stat() == nil && c.cur.size > end {
		return true, false
	}
	if c.gone || c.cur.quiet(now, lateWrites) {
		return false, true
	}
	if c.quiet.IsZero() || c.size != c.cur.size {
		c.quiet, c.size = now, c.cur.size
	}
	if now.Sub(c.quiet) >= lateWrites { // for when the clock of the files is not ours
		return false, true
	}
	c.t.later(c, now.Add(lateWrites))
	return false, false
}

// leave hands over what the current file ends with and goes on with the next one. A
// message that is open then goes on in the next file, unless the container's run is over.
func (c *container) leave(ctx context.Context, b *collector.Batch, rest []byte) (more bool, err error) {
	last := len(c.next) == 0
	runOver := last || c.next[0].restart != c.cur.restart
	step := func(do func(*collector.Batch) bool) error {
		for {
			if b == nil {
				b = c.t.out.Batch(c.stream)
			}
			if do(b) {
				return nil
			}
			if err := c.post(ctx, b); err != nil {
				return err
			}
			b = nil
		}
	}
	if len(rest) > 0 || c.lines.long {
		if err := step(func(b *collector.Batch) bool { return c.lines.end(b, rest) }); err != nil {
			return false, err
		}
	}
	if runOver && c.lines.unfinished() {
		if err := step(c.lines.flush); err != nil {
			return false, err
		}
	}
	if err := c.post(ctx, b); err != nil {
		return false, err
	}
	c.finish(c.cur)
	c.quiet = time.Time{}
	if last {
		c.ended = true
		return false, nil
	}
	c.cur = c.next[0]
	c.next = slices.Delete(c.next, 0, 1)
	c.lines.restart(c.cur, 0, 0)
	return true, nil
}

// idle says that everything read so far is at the end of the one open file, so that its
// descriptor can be lent to another container.
func (c *container) idle() bool {
	return c.cur != nil && c.cur.file != nil && !c.cur.gz && len(c.next) == 0 && !c.gone && !c.lines.long &&
		c.lines.skip == 0 && c.cur.stat() == nil && c.cur.size == c.lines.off
}

// park closes every file and remembers the position, as a restart would.
func (c *container) park() {
	if c.cur == nil {
		return
	}
	m := c.lines.mark()
	c.parked = &m
	for v := range c.lines.open {
		c.lines.drop(uint8(v))
	}
	c.close()
	c.cur, c.next, c.done = nil, nil, nil
}

// close closes every file.
func (c *container) close() {
	if c.cur != nil {
		c.t.closeFile(c.cur)
	}
	for _, g := range c.next {
		c.t.closeFile(g)
	}
}

// grown says that the current file has more than has been read, or that a sweep can not
// tell.
func (c *container) grown() bool {
	switch {
	case c.cur == nil:
		return c.parked != nil && c.t.sizeOf(c) != c.parked.off
	case len(c.next) > 0 || c.gone:
		return true
	}
	return c.cur.stat() != nil || c.cur.size != c.lines.next()
}
