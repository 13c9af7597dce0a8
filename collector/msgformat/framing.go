package msgformat

import "errors"

// Mode is how messages follow each other in a byte stream.
type Mode uint8

const (
	// Auto decides for every message: a length, a space and a < begin an octet-counted
	// one, anything else a line.
	Auto Mode = iota
	// OctetCounting is RFC 6587 §3.4.1 and RFC 5425 §4.3: a length, a space, the message.
	OctetCounting
	// NewLine is RFC 6587 §3.4.2: a message ends with LF, CR LF or NUL.
	NewLine
)

var (
	// ErrCut comes with a frame that is the first Max bytes of a longer message.
	ErrCut = errors.New("message longer than the maximum, cut")
	// ErrTooLong: an octet-counted message is longer than the maximum. The connection
	// cannot be trusted any more: close it.
	ErrTooLong = errors.New("length of an octet-counted message above the maximum")
	// ErrBadLength: there is no length where one must be. Close the connection.
	ErrBadLength = errors.New("no length and space in front of an octet-counted message")
	// ErrIncomplete comes with what there is of an octet-counted message when the
	// connection ended within it.
	ErrIncomplete = errors.New("connection ended within an octet-counted message")
)

// DefaultMax is the longest message, in bytes, of a Splitter that says nothing else.
// syslog-ng: log-msg-size.
const DefaultMax = 64 << 10

// MaxHead is the number of bytes that framing adds to a message at most: a buffer of
// Max+MaxHead bytes always gets on.
const MaxHead = 16

// A Splitter cuts the bytes of one connection into messages. Set the fields before the
// first Next. The zero value is ready. It is for one connection and one goroutine.
type Splitter struct {
	Mode Mode
	// Max is the longest message in bytes; 0: DefaultMax.
	Max int
	// Truncate drops what a message has beyond Max. Otherwise a longer line becomes
	// several messages and a longer octet-counted one is ErrTooLong, as in syslog-ng.
	// syslog-ng: trim-large-messages.
	Truncate bool
}

// Next looks for one message in buf, the bytes that were read and not yet consumed. The
// caller drops advance bytes and calls again, with more bytes when frame is nil and
// advance 0. frame is part of buf, without what frames it; nil with an advance means that
// there was nothing but framing. The errors: ErrCut, with a frame, is to be counted;
// ErrTooLong and ErrBadLength end the connection.
func (s *Splitter) Next(buf []byte) (frame []byte, advance int, err error) { return nil, 0, nil }

// Last is what the end of the connection leaves in buf after Next has asked for more: a
// line without its end, or with ErrIncomplete part of an octet-counted message; nil when
// there is nothing.
func (s *Splitter) Last(buf []byte) (frame []byte, err error) { return nil, nil }
