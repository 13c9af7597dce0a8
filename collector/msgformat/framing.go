package msgformat

import (
	"bytes"
	"errors"
)

// This file cuts the bytes of a connection into messages: RFC 6587 and RFC 5425.

// Mode is how messages follow each other in a byte stream.
type Mode uint8

const (
	// Auto decides for every message: a length, a space and a < begin an octet-counted
	// one, anything else a line. The < must be there (RFC 6587 §3.4.1, SYSLOG-MSG), so
	// that a line such as "404 not found" does not swallow those that follow it.
	Auto Mode = iota
	// OctetCounting is RFC 6587 §3.4.1 and RFC 5425 §4.3: a length, a space, the message.
	// LF and NUL between messages are taken, some senders put them there.
	OctetCounting
	// NewLine is RFC 6587 §3.4.2: a message ends with LF, CR LF or NUL. Empty ones are
	// none.
	NewLine
)

var (
	// ErrCut comes with a frame of Max bytes that was cut off a longer message.
	ErrCut = errors.New("message longer than the maximum, cut")
	// ErrTooLong: an octet-counted message is longer than the maximum. The connection
	// cannot be trusted any more: close it.
	ErrTooLong = errors.New("length of an octet-counted message above the maximum")
	// ErrBadLength: there is no length of 1 or more and a space where they must be. Close
	// the connection.
	ErrBadLength = errors.New("no length and space in front of an octet-counted message")
	// ErrIncomplete comes with what there is of an octet-counted message when the
	// connection ended within it.
	ErrIncomplete = errors.New("connection ended within an octet-counted message")
)

// DefaultMax is the longest message, in bytes, of a Splitter that says nothing else.
// syslog-ng: log-msg-size.
const DefaultMax = 64 << 10

// MaxHead is the number of bytes that framing adds to a message at most: with a buffer of
// Max+MaxHead bytes Next always gets on.
const MaxHead = 16

// maxDigits is the longest length that is one, as in syslog-ng.
const maxDigits = 10

// A Splitter cuts the bytes of one connection into messages. Set the fields before the
// first Next. The zero value is ready. It is for one connection and one goroutine.
type Splitter struct {
	Mode Mode
	// Max is the longest message in bytes; 0: DefaultMax, less than MaxHead: MaxHead.
	Max int
	// Truncate drops what a message has beyond Max. Otherwise a longer line becomes
	// several messages and a longer octet-counted one is ErrTooLong, as in syslog-ng.
	// syslog-ng: trim-large-messages.
	Truncate bool

	within bool  // a line, part of which has been given
	skip   int64 // bytes of an octet-counted message that are to be dropped
	seen   int   // bytes of buf that hold no end of a line
}

// Next looks for one message in buf, the bytes that were read and not yet consumed. The
// caller drops advance bytes and calls again, with more bytes when frame is nil and
// advance 0. frame is part of buf, without what frames it; nil with an advance means that
// there was nothing but framing. The errors: ErrCut, with a frame, is to be counted;
// ErrTooLong and ErrBadLength end the connection.
func (s *Splitter) Next(buf []byte) (frame []byte, advance int, err error) {
	switch {
	case s.skip > 0:
		advance = int(min(s.skip, int64(len(buf))))
		s.skip -= int64(advance)
		return nil, advance, nil
	case s.within || s.Mode == NewLine:
		return s.line(buf)
	}
	if n := blanks(buf); n > 0 {
		return nil, n, nil
	}
	switch length, n, kind := s.head(buf); kind {
	case isCounted:
		return s.counted(buf, length, n)
	case isLine:
		return s.line(buf)
	case isTooLong:
		return nil, 0, ErrTooLong
	case isBad:
		return nil, 0, ErrBadLength
	}
	return nil, 0, nil
}

// blanks is the number of LF and NUL that buf begins with.
func blanks(buf []byte) int {
	n := 0
	for n < len(buf) && isEnd(buf[n]) {
		n++
	}
	return n
}

func isEnd(c byte) bool { return c == '\n' || c == 0 }

// kind is what a message turns out to be from its first bytes.
type kind int

const (
	isUnknown kind = iota // more bytes are needed
	isCounted
	isLine
	isTooLong
	isBad
)

// head reads the length and the space in front of a message, n bytes.
func (s *Splitter) head(buf []byte) (length int64, n int, _ kind) {
	for n < len(buf) && n <= maxDigits && isDigit(buf[n]) {
		length = length*10 + int64(buf[n]-'0')
		n++
	}
	switch auto := s.Mode == Auto; {
	case n > 0 && buf[0] == '0', n > maxDigits, n < len(buf) && (n == 0 || buf[n] != ' '):
		return 0, 0, s.noLength(n, buf[0])
	case n == len(buf), auto && n+1 == len(buf):
		return 0, 0, isUnknown
	case auto && buf[n+1] != '<':
		return 0, 0, isLine
	}
	return length, n + 1, isCounted
}

// noLength is what a message is that has n digits in front but no length.
func (s *Splitter) noLength(n int, first byte) kind {
	switch {
	case s.Mode == Auto:
		return isLine
	case n > maxDigits && first != '0':
		return isTooLong
	}
	return isBad
}

// counted gives the octet-counted message behind n bytes of head, or the part of it that
// is not too long.
func (s *Splitter) counted(buf []byte, length int64, n int) (frame []byte, advance int, err error) {
	longest := int64(s.max())
	if length > longest && !s.Truncate {
		return nil, 0, ErrTooLong
	}
	end := int64(n) + min(length, longest)
	if int64(len(buf)) < end {
		return nil, 0, nil
	}
	if length > longest {
		s.skip, err = length-longest, ErrCut
	}
	return buf[n:end:end], int(end), err
}

// line gives the line that buf begins with, or the part of it that is not too long. A
// line that was cut keeps being one, whatever its next part begins with.
func (s *Splitter) line(buf []byte) (frame []byte, advance int, err error) {
	if s.within && s.Truncate {
		return nil, s.dropLine(buf), nil
	}
	longest := s.max()
	end := s.end(buf[:min(len(buf), longest+len("\r\n"))])
	if end >= 0 {
		if frame = withoutCR(buf[:end]); len(frame) <= longest {
			s.within = false
			return some(frame), end + 1, nil
		}
	} else if len(buf) <= longest || len(buf) == longest+1 && buf[longest] == '\r' {
		return nil, 0, nil
	}
	s.within, s.seen = true, 0
	return buf[:longest:longest], longest, ErrCut
}

// dropLine is the number of bytes to the end of the line, or to that of buf.
func (s *Splitter) dropLine(buf []byte) int {
	s.seen = 0
	end := s.end(buf)
	s.seen = 0
	if end < 0 {
		return len(buf)
	}
	s.within = false
	return end + 1
}

// end finds the first LF or NUL of buf, -1 when there is none. Bytes that were looked at
// before are not looked at again: a sender may send them one by one. Short pieces, lest
// every search for a rare LF goes on to the end of a full buffer.
func (s *Splitter) end(buf []byte) int {
	const piece = 512
	for from := min(s.seen, len(buf)); from < len(buf); from += piece {
		part := buf[from:min(from+piece, len(buf))]
		n := bytes.IndexByte(part, '\n')
		if n >= 0 {
			part = part[:n]
		}
		if null := bytes.IndexByte(part, 0); null >= 0 {
			n = null
		}
		if n >= 0 {
			s.seen = 0
			return from + n
		}
	}
	s.seen = len(buf)
	return -1
}

func withoutCR(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}

// some is frame, nil when it is empty.
func some(frame []byte) []byte {
	if len(frame) == 0 {
		return nil
	}
	return frame[:len(frame):len(frame)]
}

func (s *Splitter) max() int {
	if s.Max == 0 {
		return DefaultMax
	}
	return max(s.Max, MaxHead)
}

// Last is what the end of the connection leaves in buf after Next has asked for more: a
// line without its end, or with ErrIncomplete part of an octet-counted message; nil when
// there is nothing. syslog-ng gives such a line, too, and drops such a part.
func (s *Splitter) Last(buf []byte) (frame []byte, err error) {
	if len(buf) == 0 || s.within && s.Truncate || s.skip > 0 {
		return nil, nil
	}
	if s.Mode == NewLine || s.within {
		return some(withoutCR(buf)), nil
	}
	switch _, n, kind := s.head(buf); {
	case kind == isCounted:
		return some(buf[n:]), ErrIncomplete
	case s.Mode == OctetCounting: // within the length
		return nil, ErrIncomplete
	}
	return some(withoutCR(buf)), nil
}
