package collector

import (
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

	encoded atomic.Pointer[encoding] // what the formats made of the attributes, a list
}

// An Encoder renders the attributes of a stream in one format. Make one per format, as a
// package variable: its address is the key under which every stream keeps the result.
type Encoder struct {
	// Encode renders s.Attrs and s.Variants[variant]; a variant that the stream does not
	// have (variant == len(s.Variants)) stands for none.
	Encode func(s *Stream, variant int) []byte
}

// encoding is what one encoder made of a stream: one entry per variant, then one for none.
type encoding struct {
	by   *Encoder
	sets [][]byte
	next *encoding
}

// Encoded returns the attributes of records of that variant as e renders them. They are
// rendered once per stream; the slice is shared and must not be written. Any goroutine
// may call it.
func (s *Stream) Encoded(e *Encoder, variant int) []byte {
	for n := s.encoded.Load(); n != nil; n = n.next {
		if n.by == e {
			return n.sets[min(variant, len(s.Variants))]
		}
	}
	return s.encode(e).sets[min(variant, len(s.Variants))]
}

// encode may run in two goroutines at once; both results are equal and either may stay.
func (s *Stream) encode(e *Encoder) *encoding {
	n := &encoding{by: e, sets: make([][]byte, len(s.Variants)+1)}
	for i := range n.sets {
		n.sets[i] = e.Encode(s, i)
	}
	for {
		n.next = s.encoded.Load()
		if s.encoded.CompareAndSwap(n.next, n) {
			return n
		}
	}
}

// An Attr is one name and its value, a list of values, or a group of attributes.
type Attr struct {
	Name  string
	Value string
	List  []string // when not nil, Value is not used
	Group []Attr   // when not nil, Value and List are not used
}

// A Batch is a run of messages of one stream, laid end to end in one buffer. Whoever
// holds the batch may write it; Fetch returning, Post and Write hand it on, and every
// slice that Body gave dies with that.
type Batch struct {
	stream *Stream
	buf    []byte   // bodies
	recs   []record // where they lie, and which have more than a body
	more   []more   // of records that have
	fields []byte   // what more points into
	policy *policy  // spec.source.message; nil outside of a collector

	// what the window and batch limits allow; set when the batch is lent
	maxMessages int
	maxBytes    int

	bookmarkKey string
	bookmark    []byte

	onAck  Acked // told of the ack; may be nil
	urgent bool  // somebody waits for the ack

	// set by the log path while the batch is on the way
	marks        *bookmarks   // where the bookmark is saved
	commit       *committer   // told of it afterwards; may be nil
	seq          uint64       // place in the tracker
	acked        bool         // guarded by the tracker
	windowed     bool         // took the window and gives it back
	releaseEarly bool         // gives it back on the last hold, not once saved
	holders      []holder     // who waits for it, as it was when posted
	holds        atomic.Int32 // suspending destinations the window waits for
	acks         atomic.Int32 // required destinations the bookmark waits for
	refs         atomic.Int32 // destinations and tracker that hold the memory
	posted       int64        // UnixNano, for the lag and the batch timeout
}

// A holder is one destination of a batch on the way, and what waits for it.
type holder struct {
	queue    *queue
	holds    bool // the window
	required bool // the bookmark
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
	return b.AppendText(body, t.UnixNano(), 0)
}

// AppendText is AppendRecord for a message that has nothing but a body, a time (0: now)
// and a variant. It is what reads files at their speed.
func (b *Batch) AppendText(body []byte, unixNano int64, variant uint8) bool {
	if b.policy != nil && b.policy.every {
		return b.AppendRecord(Record{Body: body, UnixNano: unixNano, Variant: variant})
	}
	if b.Full(len(body)) {
		return false
	}
	b.appendBody(body, unixNano, variant)
	return true
}

func (b *Batch) appendBody(body []byte, unixNano int64, variant uint8) {
	if unixNano == 0 {
		unixNano = time.Now().UnixNano()
	}
	off := len(b.buf)
	b.buf = append(b.buf, body...)
	b.recs = append(b.recs, record{off: int32(off), end: int32(len(b.buf)), variant: variant, unixNano: unixNano})
}

// AppendRecord is Append for all that a record may carry. Everything is copied.
func (b *Batch) AppendRecord(r Record) bool { return b.AppendFrom(&r) }

// AppendFrom is AppendRecord for a record that is used again and again.
func (b *Batch) AppendFrom(r *Record) bool {
	if b.Full(r.size()) {
		return false
	}
	b.appendBody(r.Body, r.UnixNano, r.Variant)
	if !r.plain() || (b.policy != nil && b.policy.every) {
		b.appendMore(r)
	}
	return true
}

// Full says that the batch takes no further message of n bytes.
func (b *Batch) Full(n int) bool {
	return len(b.recs) > 0 && (len(b.recs) >= b.maxMessages || b.Size()+n > b.maxBytes)
}

// SetBookmark says where the source stands after the last message of this batch. It is
// saved under key, in order, once every required destination has acked. The value is
// copied; the key should be a string that lives as long as the stream.
func (b *Batch) SetBookmark(key string, value []byte) {
	b.bookmarkKey, b.bookmark = key, append(b.bookmark[:0], value...)
}

// SetAcked asks for a's Acked to be called once every required destination has acked the
// batch, in the order of the acks. It is not called for a batch that is not accepted, nor
// for what is undelivered when the collector stops.
func (b *Batch) SetAcked(a Acked) { b.onAck = a }

// SetUrgent says that somebody waits for the ack: destinations then do not wait for more
// messages before they write this one, up to batch.timeout, as they do otherwise.
func (b *Batch) SetUrgent() { b.urgent = true }

// Acked is told of an ack on the goroutine that acks, so it must return at once.
type Acked interface{ Acked() }

// Bookmark is what SetBookmark said last; the key is empty when it was not called. The
// value is valid as long as the batch is held.
func (b *Batch) Bookmark() (key string, value []byte) { return b.bookmarkKey, b.bookmark }

// Len is the number of messages.
func (b *Batch) Len() int { return len(b.recs) }

// Size is the number of bytes of all messages: bodies and what else they carry.
func (b *Batch) Size() int { return len(b.buf) + len(b.fields) }

// Body is message i. It is read-only and valid as long as the batch is held.
func (b *Batch) Body(i int) []byte { r := &b.recs[i]; return b.buf[r.off:r.end] }

// UnixNano is when message i was made.
func (b *Batch) UnixNano(i int) int64 { return b.recs[i].unixNano }

// Variant is the index into Stream.Variants of message i.
func (b *Batch) Variant(i int) int { return int(b.recs[i].variant) }

// empty says that there is nothing to deliver and nothing to save.
func (b *Batch) empty() bool { return len(b.recs) == 0 && b.bookmarkKey == "" }

// reset empties the batch and lends it anew.
func (b *Batch) reset(s *Stream, maxMessages, maxBytes int) {
	b.stream, b.buf, b.recs = s, b.buf[:0], b.recs[:0]
	b.more, b.fields, b.policy = b.more[:0], b.fields[:0], nil
	b.bookmarkKey, b.bookmark, b.marks, b.onAck = "", b.bookmark[:0], nil, nil
	b.commit, b.urgent = nil, false
	b.maxMessages, b.maxBytes = maxMessages, maxBytes
}

// NewBatch makes a batch outside of a collector, for tests and benchmarks of drivers.
func NewBatch(s *Stream, maxMessages, maxBytes int) *Batch {
	b := &Batch{}
	b.reset(s, maxMessages, maxBytes)
	return b
}

// Reuse empties a batch of NewBatch for the next loan, keeping its memory and its limits.
func (b *Batch) Reuse(s *Stream) { b.reset(s, b.maxMessages, b.maxBytes) }
