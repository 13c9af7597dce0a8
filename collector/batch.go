package collector

import (
	"sync"
	"sync/atomic"
	"time"
)

// A Stream is what every message of one origin has in common: a container's file, a
// peer, a poll. It is immutable once a batch carries it.
type Stream struct {
	// Attrs are written with every message, in this order.
	Attrs []Attr
	// Variants are attribute sets that differ from record to record within one stream,
	// such as stdout and stderr of a container; Record.Variant picks one. May be empty.
	Variants [][]Attr

	once    sync.Once
	encoded [][]byte
}

// An Attr is one name and its value, or a group of attributes under one name.
type Attr struct {
	Name  string
	Value string
	Group []Attr // when not nil, Value is not used
}

// Record is one message as a driver hands it over. Body is copied by Append.
type Record struct {
	Body []byte
	// UnixNano is when the message was made, as the origin says; 0 means now.
	UnixNano int64
	// Variant picks Stream.Variants.
	Variant uint8
}

// record is where one message lies in its batch.
type record struct {
	off, end int32
	variant  uint8
	unixNano int64
}

// A Batch is a run of messages of one stream, laid end to end in one buffer. Whoever
// holds the batch may write it; Fetch returning, Post and Write hand it on, and every
// slice that Body gave dies with that.
type Batch struct {
	stream *Stream
	buf    []byte
	recs   []record

	// what the window and batch limits allow; set when the batch is lent
	maxMessages int
	maxBytes    int

	bookmarkKey string
	bookmark    []byte

	// set by the log path while the batch is on the way
	path    *logPath
	seq     uint64
	bytes   int64        // counted against the window
	waiting atomic.Int32 // destinations the window waits for
	acks    atomic.Int32 // required destinations the bookmark waits for
	refs    atomic.Int32 // destinations (and the log path) that hold the memory
	posted  int64        // UnixNano, for the lag
	next    *Batch       // free list
}

// SetStream says where the messages come from. A lent batch has the stream it was lent
// for; a fetcher sets its own.
func (b *Batch) SetStream(s *Stream) { b.stream = s }

// Stream is what the messages have in common; never nil in a batch given to Write.
func (b *Batch) Stream() *Stream { return b.stream }

// Append copies body into the batch as one message made at t. It returns false, and
// takes nothing, when the batch has no room for it: keep the position, return, and offer
// it again. A message larger than the whole room is taken by an empty batch.
func (b *Batch) Append(t time.Time, body []byte) bool {
	return b.AppendRecord(Record{Body: body, UnixNano: t.UnixNano()})
}

// AppendRecord is Append for all that a record may carry.
func (b *Batch) AppendRecord(r Record) bool {
	if len(b.recs) > 0 && (len(b.recs) >= b.maxMessages || len(b.buf)+len(r.Body) > b.maxBytes) {
		return false
	}
	off := len(b.buf)
	b.buf = append(b.buf, r.Body...)
	b.recs = append(b.recs, record{int32(off), int32(len(b.buf)), r.Variant, r.UnixNano})
	return true
}

// Full says that the batch takes no further message of n bytes.
func (b *Batch) Full(n int) bool {
	return len(b.recs) > 0 && (len(b.recs) >= b.maxMessages || len(b.buf)+n > b.maxBytes)
}

// SetBookmark says where the source stands after the last message of this batch. It is
// saved under key, in order, once every required destination has acked. The value is
// copied; the key should be a string that lives as long as the stream.
func (b *Batch) SetBookmark(key string, value []byte) {
	b.bookmarkKey, b.bookmark = key, append(b.bookmark[:0], value...)
}

// Len is the number of messages.
func (b *Batch) Len() int { return len(b.recs) }

// Size is the number of body bytes.
func (b *Batch) Size() int { return len(b.buf) }

// Body is message i. It is read-only and valid as long as the batch is held.
func (b *Batch) Body(i int) []byte { r := &b.recs[i]; return b.buf[r.off:r.end] }

// UnixNano is when message i was made.
func (b *Batch) UnixNano(i int) int64 { return b.recs[i].unixNano }

// Variant is the index into Stream.Variants of message i.
func (b *Batch) Variant(i int) int { return int(b.recs[i].variant) }

// reset empties the batch and lends it anew.
func (b *Batch) reset(s *Stream, maxMessages, maxBytes int) {
	b.stream, b.buf, b.recs = s, b.buf[:0], b.recs[:0]
	b.bookmarkKey, b.bookmark = "", b.bookmark[:0]
	b.maxMessages, b.maxBytes = maxMessages, maxBytes
}

// NewBatch makes a batch outside of a collector, for tests and benchmarks of drivers.
func NewBatch(s *Stream, maxMessages, maxBytes int) *Batch {
	b := &Batch{}
	b.reset(s, maxMessages, maxBytes)
	return b
}
