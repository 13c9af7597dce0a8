package containerlogs

import (
	"cmp"
	"errors"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"golang.org/x/sys/unix"
)

// A generation is one file in a container's directory: what one run of the container
// wrote between two rotations. "2.log" is written now, by the third run;
// "2.log.20261123-074049" was, and the same with ".gz" has been compressed since.
type generation struct {
	dev, ino uint64
	restart  int
	name     string // relative to the container's directory, as last seen
	live     bool   // the name is "<restart>.log"
	gz       bool
	head     head
	first    int64 // UnixNano of the first line, 0 when there is none or it has no time

	seen   int      // the last listing of the directory that had it
	file   *os.File // nil when closed
	fd     int
	size   int64 // of a plain file, at the last stat
	mtime  int64
	gunzip *gzip.Reader
	gzPos  int64
}

// parseName splits the name of a log file; ok is false for anything else, such as the
// kubelet's ".tmp" files.
func parseName(name string) (restart int, live, gz, ok bool) {
	digits, rest, found := strings.Cut(name, ".log")
	n, err := strconv.Atoi(digits)
	if !found || err != nil || n < 0 || digits != strconv.Itoa(n) {
		return 0, false, false, false
	}
	if rest == "" {
		return n, true, false, true
	}
	stamp, gz := strings.CutSuffix(rest, ".gz")
	return n, false, gz, isStamp(stamp)
}

// isStamp says whether s is ".20261123-074049".
func isStamp(s string) bool {
	if len(s) != len(".20060102-150405") || s[0] != '.' || s[9] != '-' {
		return false
	}
	for i := 1; i < len(s); i++ {
		if i != 9 && (s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return true
}

var errNotRegular = errors.New("not a regular file")

// openGeneration opens a file below dir. A link out of the root is refused by the root;
// O_NONBLOCK keeps a FIFO from blocking until it is refused here.
func openGeneration(root *os.Root, dir, name string, p *criParser) (*generation, error) {
	g := &generation{name: name}
	var ok bool
	if g.restart, g.live, g.gz, ok = parseName(name); !ok {
		return nil, errNotRegular
	}
	f, err := root.OpenFile(dir+"/"+name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	g.file, g.fd = f, int(f.Fd())
	if err := g.stat(); err != nil {
		f.Close()
		return nil, err
	}
	if err := g.readHead(p); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

// stat refreshes size and mtime and, the first time, the identity.
func (g *generation) stat() error {
	var st unix.Stat_t
	if err := unix.Fstat(g.fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return errNotRegular
	}
	g.dev, g.ino = uint64(st.Dev), st.Ino
	g.size, g.mtime = st.Size, st.Mtim.Nano()
	return nil
}

func (g *generation) readHead(p *criParser) error {
	n, err := g.readAt(g.head.b[:], 0)
	if err != nil && err != io.EOF {
		return err
	}
	g.head.n = n
	g.readFirst(p)
	return nil
}

// readFirst takes the time of the first line from the head.
func (g *generation) readFirst(p *criParser) {
	var h header
	if g.first == 0 && p.parse(g.head.bytes(), &h) {
		g.first = h.unixNano
	}
}

// grow reads the head again, keeps it while it is short, and says whether the file still
// begins as it did: false after truncation or replacement in place.
func (g *generation) grow(p *criParser, now *head) bool {
	if g.gz {
		return true
	}
	n, err := g.readAt(now.b[:], 0)
	if err != nil && err != io.EOF {
		return true // the read that follows reports it
	}
	if n < g.head.n || string(now.b[:g.head.n]) != string(g.head.bytes()) {
		return false
	}
	if n > g.head.n {
		now.n = n
		g.head = *now
		g.readFirst(p)
	}
	return true
}

// readAt reads decompressed bytes at off. A compressed file is cheap to read forward and
// expensive to read backward. It returns io.EOF with what it has when the end is reached.
func (g *generation) readAt(p []byte, off int64) (int, error) {
	if g.gz {
		return g.readGzip(p, off)
	}
	for {
		n, err := unix.Pread(g.fd, p, off)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, &os.PathError{Op: "read", Path: g.name, Err: err}
		case n < len(p):
			return n, io.EOF
		}
		return n, nil
	}
}

func (g *generation) readGzip(p []byte, off int64) (n int, err error) {
	if g.gunzip == nil || off < g.gzPos {
		if err := g.rewind(); err != nil {
			return 0, err
		}
	}
	if off > g.gzPos {
		skipped, err := io.CopyN(io.Discard, g.gunzip, off-g.gzPos)
		g.gzPos += skipped
		if err != nil {
			return 0, err
		}
	}
	n, err = io.ReadFull(g.gunzip, p)
	g.gzPos += int64(n)
	if err == io.ErrUnexpectedEOF && g.atGzipEnd() {
		err = io.EOF
	}
	return n, err
}

// atGzipEnd tells the end of the file from a file that is cut off: the reader, asked
// again, repeats what it ended with.
func (g *generation) atGzipEnd() bool {
	_, err := g.gunzip.Read(make([]byte, 1))
	return err == io.EOF
}

func (g *generation) rewind() error {
	if _, err := g.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	g.gzPos = 0
	if g.gunzip != nil {
		return g.gunzip.Reset(g.file)
	}
	var err error
	g.gunzip, err = gzip.NewReader(g.file)
	return err
}

func (g *generation) close() {
	if g.file != nil {
		g.file.Close() // it was only read
		g.file, g.gunzip = nil, nil
	}
}

func (g *generation) id() fileID {
	return fileID{dev: g.dev, ino: g.ino, restart: g.restart, headLen: g.head.n, headHash: g.head.hash(g.head.n), name: g.name}
}

// is says whether this is the file that id was made of, in whatever shape it is now.
func (g *generation) is(id *fileID) bool {
	if g.restart != id.restart || !g.head.matches(id) {
		return false
	}
	return g.dev == id.dev && g.ino == id.ino && !g.gz || id.headLen >= minHead
}

// copyOf says whether this file, under a rotated name, is what other is or was: compressed
// by the kubelet, or copied by a rotation that copies. A live file never is a copy.
func (g *generation) copyOf(other *generation) bool {
	return !g.live && g.restart == other.restart && sameHead(&g.head, &other.head)
}

// quiet says that nothing has been written for d.
func (g *generation) quiet(now time.Time, d time.Duration) bool {
	age := now.UnixNano() - g.mtime
	return age > int64(d)
}

// sortGenerations orders the files of a container from oldest to newest: by run of the
// container, then by name, which holds the node's local time; where every rotated file
// says when it begins, by that, because local time repeats an hour every autumn.
func sortGenerations(gs []*generation) {
	slices.SortStableFunc(gs, byName)
	for len(gs) > 0 {
		n := 0
		timed := true
		for n < len(gs) && gs[n].restart == gs[0].restart {
			timed = timed && (gs[n].first != 0 || gs[n].live)
			n++
		}
		if timed {
			slices.SortStableFunc(gs[:n], func(a, b *generation) int {
				if a.live || b.live {
					return cmp.Compare(order(a.live), order(b.live))
				}
				return cmp.Compare(a.first, b.first)
			})
		}
		gs = gs[n:]
	}
}

// byName orders by run of the container, then by name, the live file last.
func byName(a, b *generation) int {
	return cmp.Or(
		cmp.Compare(a.restart, b.restart),
		cmp.Compare(order(a.live), order(b.live)),
		strings.Compare(a.name, b.name),
	)
}

// order puts the live file behind the rotated ones.
func order(live bool) int {
	if live {
		return 1
	}
	return 0
}
