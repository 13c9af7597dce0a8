package httppush

import (
	"bytes"
	"sync"

	"github.com/logsource/operator/collector"
)

// This file cuts a body into messages, one at a time, each as a record of its own.

// A form is how the messages lie in a body.
type form int

const (
	lines     form = iota // one per line
	jsonLines             // one object per line
	jsonOne               // one object, over as many lines as it likes
	jsonArray             // the elements of an array
)

// messages stands at one message of a body: record, if more.
type messages struct {
	form  form
	rest  []byte  // lines: what is not cut yet
	array scanner // jsonArray: before the next element

	event  event
	record collector.Record
	more   bool

	received  int64 // of record
	malformed int   // messages that are no object; they are delivered as they are
	badTimes  int
}

var cursors = sync.Pool{New: func() any { return &messages{} }}

// newMessages stands before the first message: begin comes next, or longest.
func newMessages(text []byte, json bool, f *fields) *messages {
	m := cursors.Get().(*messages)
	m.event.fields = f
	m.rest, m.malformed, m.badTimes = text, 0, 0
	m.form = lines
	if json {
		m.form = m.jsonForm(text)
	}
	m.array.reset(text)
	return m
}

// jsonForm is an array or one object if that is all there is, else lines: what is not JSON
// is then delivered line by line, rather than refused as a whole.
func (m *messages) jsonForm(text []byte) form {
	s := &m.array
	s.reset(text)
	first := s.next()
	if (first != '{' && first != '[') || !s.skip(0) || !s.end() {
		return jsonLines
	}
	if first == '[' {
		return jsonArray
	}
	return jsonOne
}

// keptText is the largest memory for strings that is kept for the next body.
const keptText = 1 << 20

// free ends the use of m.
func (m *messages) free() {
	clear(m.event.pairs[:cap(m.event.pairs)])
	if cap(m.event.text) > keptText {
		m.event.text = nil
	}
	m.event.src, m.array.src, m.rest, m.event.message, m.record = nil, nil, nil, nil, collector.Record{}
	cursors.Put(m)
}

// longest is the number of bytes of the longest message, as sent. After it m stands before
// the first message again.
func (m *messages) longest() (most int) {
	rest, array := m.rest, m.array.pos
	for {
		text, ok := m.cut()
		if !ok {
			break
		}
		most = max(most, len(text))
	}
	m.rest, m.array.pos = rest, array
	return most
}

// begin goes to the first message, if there is one. All records arrived then and from there.
func (m *messages) begin(received int64, addr []byte) {
	m.received, m.record = received, collector.Record{Received: received, Addr: addr}
	m.advance()
}

// advance goes on to the next message, if there is one.
func (m *messages) advance() {
	var text []byte
	if text, m.more = m.cut(); !m.more {
		return
	}
	r := &m.record
	r.Body, r.UnixNano, r.Priority, r.Pairs = text, m.received, 0, nil
	switch {
	case m.form == lines:
	case m.event.read(text):
		m.useEvent()
	default:
		m.malformed++
	}
}

func (m *messages) useEvent() {
	r, e := &m.record, &m.event
	r.Body, r.Priority, r.Pairs = e.message, e.priority, e.pairs
	if e.unixNano != 0 {
		r.UnixNano = e.unixNano
	}
	if e.badTime {
		m.badTimes++
	}
}

// cut cuts off the next message; false after the last.
func (m *messages) cut() ([]byte, bool) {
	switch m.form {
	case jsonArray:
		return m.element()
	case jsonOne:
		text := trimSpace(m.rest)
		m.rest = nil
		return text, len(text) > 0
	}
	return m.line()
}

// line cuts off the next line that is not empty; for JSON, that is not only space.
func (m *messages) line() (line []byte, ok bool) {
	for len(m.rest) > 0 {
		line, m.rest, _ = bytes.Cut(m.rest, newline)
		line = bytes.TrimSuffix(line, carriageReturn)
		if len(line) > 0 && (m.form == lines || len(trimSpace(line)) > 0) {
			return line, true
		}
	}
	return nil, false
}

// trimSpace cuts off the space of JSON, and no other.
func trimSpace(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

var newline, carriageReturn = []byte{'\n'}, []byte{'\r'}

// element cuts off the next element of the array, which jsonForm has seen to be right.
func (m *messages) element() ([]byte, bool) {
	s := &m.array
	if !s.take('[') && !s.take(',') || s.next() == ']' {
		return nil, false
	}
	from := s.pos
	s.skip(1)
	return s.src[from:s.pos], true
}
