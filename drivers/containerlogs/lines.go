package containerlogs

import (
	"bytes"

	"github.com/logsource/operator/collector"
)

// lines turns the bytes of a container's files into records. It knows where it stands;
// it does not know files, batches are lent to it.
//
// A message may come in pieces: lines tagged P, closed by one tagged F, stdout and stderr
// apart. Pieces are collected in open; a message longer than max leaves in parts of max
// bytes. A line longer than the read buffer is fed chunk by chunk.
type lines struct {
	cri   *criParser
	spare *spareBuffers
	max   int
	count func(reason string, n int)
	since int64 // UnixNano; older lines are skipped until the first that is not

	file *generation
	off  int64 // where the current line begins
	skip int64 // how many bytes of its message are handed over or in open
	open [variants]openMessage

	hdr     header // of the current line, while skip is not 0 or long is set
	long    bool   // the current line is longer than the buffer
	longRaw int64  // how many of its bytes have been fed
}

// An openMessage is what has come so far of a message in pieces.
type openMessage struct {
	buf  []byte
	file *generation // where it began; nil when none is open
	off  int64
	skip int64
	nano int64
}

// spareBuffers are reused by open messages; few are open at a time.
type spareBuffers struct{ free [][]byte }

const maxSpare = 8

func (s *spareBuffers) get() []byte {
	if len(s.free) == 0 {
		return make([]byte, 0, 64<<10)
	}
	b := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	return b[:0]
}

func (s *spareBuffers) put(b []byte) {
	if len(s.free) < maxSpare && cap(b) > 0 {
		s.free = append(s.free, b)
	}
}

// take hands over the whole lines of data, which begins where the lines stand, and says
// how many bytes it is done with. full means that the batch takes no more: post it and
// offer the rest again.
func (l *lines) take(b *collector.Batch, data []byte) (n int, full bool) {
	if l.long {
		if n, full = l.takeLong(b, data); full || l.long {
			return n, full
		}
	}
	for {
		i := bytes.IndexByte(data[n:], '\n')
		if i < 0 {
			return n, false
		}
		if !l.line(b, data[n:n+i]) {
			return n, true
		}
		n += i + 1
		l.off += int64(i + 1)
	}
}

// line hands over one line without its newline.
func (l *lines) line(b *collector.Batch, line []byte) bool {
	var h header
	if l.cri.parse(line, &h) && !h.partial && l.open[h.variant].file == nil && l.skip == 0 && l.since == 0 && len(line) <= l.max {
		return b.AppendText(line[h.body:], h.unixNano, h.variant)
	}
	return l.lineSlow(b, line)
}

func (l *lines) lineSlow(b *collector.Batch, line []byte) bool {
	had := len(line)
	l.hdr = l.header(&line)
	if l.old(&l.hdr) || had > 0 && len(line) == 0 {
		return true
	}
	if !l.feed(b, &l.hdr, line[l.hdr.body:], 0, true) {
		return false
	}
	l.endLine(&l.hdr)
	return true
}

func (l *lines) endLine(h *header) {
	l.skip = 0
	if h.variant == malformed {
		l.count("malformed", 1)
	}
}

// header parses a line; one that has no header is a message as it is, without the zeros
// that a crashed node leaves in front of the first line after the crash.
func (l *lines) header(line *[]byte) (h header) {
	if l.cri.parse(*line, &h) {
		return h
	}
	if len(*line) > 0 && (*line)[0] == 0 {
		rest := bytes.TrimLeft(*line, "\x00")
		if l.cri.parse(rest, &h) || len(rest) == 0 {
			l.count("zero_bytes_skipped", len(*line)-len(rest))
			*line = rest
			if len(rest) > 0 {
				return h
			}
		}
	}
	return header{variant: malformed}
}

// old says whether the line is from before spec.select.since. Once one line is not, none is.
func (l *lines) old(h *header) bool {
	if l.since == 0 || h.variant == malformed {
		return false
	}
	if h.unixNano < l.since {
		return true
	}
	l.since = 0
	return false
}

// feed takes a part of the current line's message: body is what is found at, counted from
// the beginning of the message, and last says that the line ends with it. When it returns
// false the batch is full, and the same call must be repeated with another.
func (l *lines) feed(b *collector.Batch, h *header, body []byte, at int64, last bool) bool {
	if l.skip > at {
		body = body[min(l.skip-at, int64(len(body))):]
	}
	m := &l.open[h.variant]
	for len(m.buf)+len(body) > l.max {
		room := l.max - len(m.buf)
		l.append(h, body[:room])
		body = body[room:]
		if !l.emit(b, h.variant, true) {
			return false
		}
		l.count("record_split", 1)
	}
	if !last || h.partial {
		l.append(h, body)
		return true
	}
	if m.file == nil {
		return b.AppendText(body, h.unixNano, h.variant)
	}
	had := len(m.buf)
	m.buf = append(m.buf, body...)
	if l.emit(b, h.variant, false) {
		return true
	}
	m.buf = m.buf[:had]
	return false
}

// append adds a piece to the open message of its stream.
func (l *lines) append(h *header, body []byte) {
	m := &l.open[h.variant]
	if m.file == nil {
		m.file, m.off, m.skip, m.nano = l.file, l.off, l.skip, h.unixNano
		m.buf = l.spare.get()
	}
	m.buf = append(m.buf, body...)
	l.skip += int64(len(body))
}

// emit hands over an open message; cut marks it as not the whole one.
func (l *lines) emit(b *collector.Batch, variant uint8, cut bool) bool {
	m := &l.open[variant]
	mark := variant
	if cut {
		mark += variants
	}
	if !b.AppendText(m.buf, m.nano, mark) {
		return false
	}
	l.drop(variant)
	return true
}

func (l *lines) drop(variant uint8) {
	l.spare.put(l.open[variant].buf)
	l.open[variant] = openMessage{}
}

// flush hands over messages whose end will never come.
func (l *lines) flush(b *collector.Batch) bool {
	for v := range l.open {
		if l.open[v].file == nil {
			continue
		}
		if !l.emit(b, uint8(v), true) {
			return false
		}
		l.count("record_unfinished", 1)
	}
	return true
}

// startLong begins a line of which data, a full buffer, is only the beginning. It returns
// how many zeros it skipped in front of it.
func (l *lines) startLong(data []byte) int {
	line := data
	l.hdr = l.header(&line)
	zeros := len(data) - len(line)
	l.off += int64(zeros)
	l.long, l.longRaw = len(line) > 0, 0
	return zeros
}

// unfinished says whether a message is open.
func (l *lines) unfinished() bool {
	for v := range l.open {
		if l.open[v].file != nil {
			return true
		}
	}
	return false
}

// takeLong feeds data to a long line.
func (l *lines) takeLong(b *collector.Batch, data []byte) (n int, full bool) {
	n = bytes.IndexByte(data, '\n')
	last := n >= 0
	if !last {
		n = len(data)
	}
	if !l.feedLong(b, data[:n], last) {
		return 0, true
	}
	l.longRaw += int64(n)
	if last {
		l.endLong(1)
		n++
	}
	return n, false
}

// feedLong feeds raw bytes of a long line, which begin where it stands.
func (l *lines) feedLong(b *collector.Batch, raw []byte, last bool) bool {
	at := l.longRaw - int64(l.hdr.body)
	if at < 0 {
		raw = raw[-at:]
		at = 0
	}
	if l.hdr.variant != malformed && l.since != 0 && l.hdr.unixNano < l.since {
		return true
	}
	return l.feed(b, &l.hdr, raw, at, last)
}

// endLong leaves a long line, whose newline has that many bytes.
func (l *lines) endLong(newline int64) {
	l.off += l.longRaw + newline
	l.endLine(&l.hdr)
	l.long, l.longRaw = false, 0
}

// end hands over what the file ends with, a line without a newline.
func (l *lines) end(b *collector.Batch, rest []byte) bool {
	if l.long {
		if !l.feedLong(b, rest, true) {
			return false
		}
		l.longRaw += int64(len(rest))
		l.endLong(0)
		return true
	}
	if len(rest) == 0 {
		return true
	}
	if !l.line(b, rest) {
		return false
	}
	l.off += int64(len(rest))
	return true
}

// restart stands at a position of a file, with nothing open in the current line.
func (l *lines) restart(g *generation, off, skip int64) {
	l.file, l.off, l.skip = g, off, skip
	l.long, l.longRaw = false, 0
}

// next is where to read on.
func (l *lines) next() int64 { return l.off + l.longRaw }

// mark is the position after what has been handed over.
func (l *lines) mark() (m mark) {
	m.file, m.off, m.skip = l.file.id(), l.off, l.skip
	for v := range m.open {
		o := &l.open[v]
		switch {
		case o.file == nil:
		case o.file == l.file && o.off == l.off: // it began in the current line
			m.skip = o.skip
		default:
			m.open[v] = openMark{set: true, file: o.file.id(), off: o.off, skip: o.skip}
			if l.skip > 0 && v == int(l.hdr.variant) {
				m.skip = 0 // what was taken of the current line is in the open message
			}
		}
	}
	return m
}
