package httppush

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"sync/atomic"
)

// This file keeps bodies in memory within two bounds: of one body, and of all of them.

var (
	errTooLarge = errors.New("the body is too large")
	errNoMemory = errors.New("too many bodies are in memory")
)

// A budget is how many bytes of bodies may still come into memory.
type budget struct{ left atomic.Int64 }

func (b *budget) take(n int) bool {
	if b.left.Add(-int64(n)) >= 0 {
		return true
	}
	b.left.Add(int64(n))
	return false
}

func (b *budget) give(n int) { b.left.Add(int64(n)) }

const (
	// firstRead is the room that a body gets before it is known to be longer. What a client
	// says of its length is not believed: it costs the client nothing to say.
	firstRead = 16 << 10
	// keptBuffer is the largest buffer kept for the next body.
	keptBuffer = 1 << 20
)

// A body grows as it arrives, and pays for its room out of the budget.
type body struct {
	data   []byte
	budget *budget
	most   int
}

var buffers = sync.Pool{New: func() any { return new(make([]byte, 0, firstRead)) }}

func newBody(b *budget, most int) *body { return &body{budget: b, most: most} }

// readFrom reads r to its end.
func (b *body) readFrom(r io.Reader) error {
	for {
		if len(b.data) == cap(b.data) {
			if err := b.grow(); err != nil {
				return err
			}
		}
		n, err := r.Read(b.data[len(b.data):cap(b.data)])
		b.data = b.data[:len(b.data)+n]
		switch {
		case len(b.data) > b.most:
			return errTooLarge
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// grow doubles the room, to one byte more than may come at most.
func (b *body) grow() error {
	var room []byte
	if b.data == nil {
		room = *buffers.Get().(*[]byte)
	} else {
		room = make([]byte, 0, min(2*cap(b.data), max(b.most+1, cap(b.data)+1)))
	}
	if !b.budget.take(cap(room)) {
		return errNoMemory
	}
	room = append(room, b.data...)
	b.free()
	b.data = room
	return nil
}

// free gives the room back.
func (b *body) free() {
	b.budget.give(cap(b.data))
	if n := cap(b.data); n > 0 && n <= keptBuffer {
		buffers.Put(new(b.data[:0]))
	}
	b.data = nil
}

// text is the body without the byte order mark that some programs begin a file with.
func (b *body) text() []byte { return bytes.TrimPrefix(b.data, []byte("\xef\xbb\xbf")) }
