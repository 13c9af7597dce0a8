package containerlogs

import (
	"bufio"
	"errors"
	"io"
	"slices"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
)

// begin decides where to start in the files of a container that has none open.
func (c *container) begin(fresh []*generation) {
	fresh = c.dropCopies(fresh)
	if len(fresh) == 0 {
		return // a file will come
	}
	sortGenerations(fresh)
	c.t.makeReady(c)
	m, ok := c.position()
	if !ok {
		c.beginFirst(fresh)
		return
	}
	c.parked = nil
	i := locate(fresh, &m.file)
	if i < 0 {
		c.beginLost(fresh, &m)
		return
	}
	c.startAt(fresh, i, m.off, m.skip)
	if !c.cur.gz && c.cur.size < m.off {
		c.t.count("truncated", 1)
		c.lines.restart(c.cur, 0, 0)
		return
	}
	c.replay(fresh[:i+1], &m)
	for _, g := range fresh[:i] {
		c.finish(g)
	}
}

// position is where an earlier turn or an earlier life stopped.
func (c *container) position() (mark, bool) {
	if c.parked != nil {
		return *c.parked, true
	}
	data, ok := c.t.env.Bookmarks.Load(c.key)
	if !ok {
		return mark{}, false
	}
	m, err := decodeMark(data)
	if err != nil {
		c.t.count("bookmark_unreadable", 1)
	}
	return m, err == nil
}

// dropCopies leaves one of a file and its compressed copy.
func (c *container) dropCopies(fresh []*generation) []*generation {
	return slices.DeleteFunc(fresh, func(g *generation) bool {
		isCopy := g.gz && slices.ContainsFunc(fresh, func(o *generation) bool { return o != g && o != nil && !o.gz && g.copyOf(o) })
		if isCopy {
			c.t.closeFile(g)
		}
		return isCopy
	})
}

// locate finds the file that id was made of, the same inode before a copy; -1 without.
func locate(gs []*generation, id *fileID) int {
	i := slices.IndexFunc(gs, func(g *generation) bool { return g.is(id) && g.dev == id.dev && g.ino == id.ino })
	if i < 0 {
		i = slices.IndexFunc(gs, func(g *generation) bool { return g.is(id) })
	}
	return i
}

func (c *container) startAt(all []*generation, i int, off, skip int64) {
	c.cur = all[i]
	c.next = append(c.next[:0], all[i+1:]...)
	c.lines.restart(c.cur, off, skip)
}

// beginFirst starts without a bookmark: with the oldest file, or at the end when that was
// asked for and this is the source's first contact with the node.
func (c *container) beginFirst(fresh []*generation) {
	c.lines.since = c.t.since
	if !c.t.fromEnd || !c.present {
		c.startAt(fresh, 0, 0, 0)
		return
	}
	last := len(fresh) - 1
	c.startAt(fresh, last, lastLine(fresh[last]), 0)
	for _, g := range fresh[:last] {
		c.finish(g)
	}
	c.announce = true
}

// lastLine is where the last line of a file that is not complete begins, else its end.
func lastLine(g *generation) int64 {
	buf := make([]byte, 64<<10)
	for end := g.size; end > 0; end -= int64(len(buf)) {
		from := max(0, end-int64(len(buf)))
		n, err := g.readAt(buf[:end-from], from)
		if err != nil && err != io.EOF {
			break
		}
		for i := n - 1; i >= 0; i-- {
			if buf[i] == '\n' {
				return from + int64(i) + 1
			}
		}
	}
	return 0
}

// beginLost goes on with the oldest file there is, because the one that was read last is
// gone, or is another one now.
func (c *container) beginLost(fresh []*generation, m *mark) {
	c.t.env.Lost("rotated_away", 0, 0)
	i := max(0, slices.IndexFunc(fresh, func(g *generation) bool { return g.restart >= m.file.restart }))
	c.startAt(fresh, i, 0, 0)
	for _, g := range fresh[:i] {
		c.finish(g)
	}
}

// replay reads again the pieces of the messages that were open at the mark, which is in
// the last of files. Lines that were complete are passed over.
func (c *container) replay(files []*generation, m *mark) {
	var at [variants]int
	first := len(files)
	for v := range m.open {
		if !m.open[v].set {
			continue
		}
		at[v] = locate(files, &m.open[v].file)
		if at[v] < 0 {
			m.open[v].set = false
			c.t.env.Lost("rotated_away", 1, 0)
			continue
		}
		first = min(first, at[v])
	}
	for i := first; i < len(files); i++ {
		var from, to int64 = 0, -1
		if i == first {
			from = replayFrom(m, &at, i)
		}
		if i == len(files)-1 {
			to = m.off
		}
		c.replayFile(files[i], from, to, func(v uint8, off int64) (skip int64, take bool) {
			o := &m.open[v]
			if !o.set || i < at[v] || i == at[v] && off < o.off {
				return 0, false
			}
			if i == at[v] && off == o.off {
				skip = o.skip
			}
			return skip, true
		})
	}
	c.lines.restart(files[len(files)-1], m.off, m.skip)
}

func replayFrom(m *mark, at *[variants]int, i int) int64 {
	from := int64(-1)
	for v, o := range m.open {
		if o.set && at[v] == i && (from < 0 || o.off < from) {
			from = o.off
		}
	}
	return from
}

// replayFile appends the messages of the lines in [from, to) that want takes to the open
// messages of their streams; to is -1 for the end of the file.
func (c *container) replayFile(g *generation, from, to int64, want func(v uint8, off int64) (skip int64, take bool)) {
	r := bufio.NewReaderSize(&reader{g, from}, 64<<10)
	for off := from; to < 0 || off < to; {
		line, err := r.ReadSlice('\n')
		n := int64(len(line))
		if n == 0 {
			return
		}
		h := c.lines.header(&line)
		skip, take := want(h.variant, off)
		c.lines.restart(g, off, 0)
		c.replayPart(&h, line, h.body, skip, take, err == nil)
		for at := int64(len(line) - h.body); errors.Is(err, bufio.ErrBufferFull); {
			line, err = r.ReadSlice('\n')
			c.replayPart(&h, line, 0, skip-at, take, err == nil)
			n += int64(len(line))
			at += int64(len(line))
		}
		off += n
		if err != nil {
			return
		}
	}
}

func (c *container) replayPart(h *header, line []byte, body int, skip int64, take, newline bool) {
	if !take {
		return
	}
	end := len(line)
	if newline {
		end--
	}
	from := min(int64(end), int64(body)+max(0, skip))
	if c.lines.open[h.variant].file == nil {
		c.lines.skip = max(0, skip)
	}
	c.lines.append(h, line[from:end])
}

// reader reads a generation from an offset on.
type reader struct {
	g   *generation
	off int64
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.g.readAt(p, r.off)
	r.off += int64(n)
	return n, err
}

// isCorrupt says that the content of a compressed file is broken, not the way to it.
func isCorrupt(err error) bool {
	var c flate.CorruptInputError
	return errors.As(err, &c) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, io.ErrUnexpectedEOF)
}
