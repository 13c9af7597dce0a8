package containerlogs

import (
	"bytes"
	"time"
)

// A header is what stands before the message in a line of the kubelet's log format:
//
//	2026-11-23T07:40:49.123456789Z stdout F message
type header struct {
	unixNano int64
	variant  uint8 // stdout or stderr
	partial  bool  // the next line of this stream goes on with the message
	body     int   // where the message begins
}

// Variants of a stream. A piece is a record that is not the whole message.
const (
	stdout uint8 = iota
	stderr
	malformed
	variants // how many there are; a piece of a message has the variant + variants
)

// criParser reads headers. It remembers the minute of the last line, because parsing a
// date costs more than everything else here.
type criParser struct {
	minute [len("2006-01-02T15:04:")]byte
	base   int64 // UnixNano of that minute, in UTC
}

// parse reads the header of a line without its newline. It takes what the runtimes write
// at fixed columns and hands everything else to parseSlow, so it never accepts a line
// that parseSlow refuses, nor reads it differently.
func (p *criParser) parse(line []byte, h *header) bool {
	const sec = len(p.minute)
	if len(line) < len("2006-01-02T15:04:05Z stdout F") ||
		string(line[:sec]) != string(p.minute[:]) && !p.setMinute(line[:sec]) {
		return parseSlow(line, h)
	}
	s1, s2 := line[sec]-'0', line[sec+1]-'0'
	if s1 > 5 || s2 > 9 {
		return parseSlow(line, h)
	}
	nano := p.base + int64(s1*10+s2)*int64(time.Second)
	i := sec + 2
	if line[i] == '.' {
		frac, n := fraction(line[i+1:])
		if n == 0 {
			return parseSlow(line, h)
		}
		nano, i = nano+frac, i+1+n
	}
	off, n := zone(line[i:])
	if n == 0 {
		return parseSlow(line, h)
	}
	i += n
	rest := line[i:]
	if len(rest) < len(" stdout F") || len(rest) > len(" stdout F") && rest[9] != ' ' || rest[0] != ' ' || rest[7] != ' ' {
		return parseSlow(line, h)
	}
	switch string(rest[1:7]) {
	case "stdout":
		h.variant = stdout
	case "stderr":
		h.variant = stderr
	default:
		return parseSlow(line, h)
	}
	if rest[8] != 'F' && rest[8] != 'P' {
		return parseSlow(line, h)
	}
	h.partial = rest[8] == 'P'
	h.unixNano = nano - off
	h.body = min(i+len(" stdout F "), len(line))
	return true
}

// setMinute reads "2006-01-02T15:04:" and says whether it is a time this parser handles.
func (p *criParser) setMinute(s []byte) bool {
	const layout = "2006-01-02T15:04:"
	for i, c := range []byte(layout) {
		digit := c >= '0' && c <= '9'
		if digit && (s[i] < '0' || s[i] > '9') || !digit && s[i] != c {
			return false
		}
	}
	t, err := time.Parse(layout, string(s))
	if err != nil || t.Year() < 1970 || t.Year() > 2200 {
		return false
	}
	copy(p.minute[:], s)
	p.base = t.UnixNano()
	return true
}

// fraction reads up to nine digits as nanoseconds and says how many it read; none when
// there are more, which the slow parser may judge.
func fraction(s []byte) (nano int64, n int) {
	for n < len(s) && s[n]-'0' <= 9 {
		if n == 9 {
			return 0, 0
		}
		nano = nano*10 + int64(s[n]-'0')
		n++
	}
	if n == 0 {
		return 0, 0
	}
	return nano * scale[n], n
}

var scale = [10]int64{0, 1e8, 1e7, 1e6, 1e5, 1e4, 1e3, 1e2, 10, 1}

// zone reads "Z" or "+02:00" as the offset in nanoseconds and says how long it is.
func zone(s []byte) (off int64, n int) {
	if len(s) > 0 && s[0] == 'Z' {
		return 0, 1
	}
	if len(s) < 6 || s[0] != '+' && s[0] != '-' || s[3] != ':' {
		return 0, 0
	}
	h1, h2, m1, m2 := s[1]-'0', s[2]-'0', s[4]-'0', s[5]-'0'
	if h1 > 2 || h2 > 9 || h1*10+h2 > 23 || m1 > 5 || m2 > 9 {
		return 0, 0
	}
	off = int64(h1*10+h2)*int64(time.Hour) + int64(m1*10+m2)*int64(time.Minute)
	if s[0] == '-' {
		off = -off
	}
	return off, 6
}

// parseSlow defines the format: an RFC 3339 time, stdout or stderr, tags of which the
// first is P or F, the message; one space between them.
func parseSlow(line []byte, h *header) bool {
	stamp, rest, ok := bytes.Cut(line, space)
	if !ok {
		return false
	}
	t, err := time.Parse(time.RFC3339Nano, string(stamp))
	if err != nil || t.Year() < 1700 || t.Year() > 2200 {
		return false
	}
	stream, rest, ok := bytes.Cut(rest, space)
	if !ok {
		return false
	}
	tags, body, _ := bytes.Cut(rest, space)
	tag, _, _ := bytes.Cut(tags, colon)
	if len(tag) != 1 || tag[0] != 'P' && tag[0] != 'F' {
		return false
	}
	switch string(stream) {
	case "stdout":
		h.variant = stdout
	case "stderr":
		h.variant = stderr
	default:
		return false
	}
	h.unixNano, h.partial, h.body = t.UnixNano(), tag[0] == 'P', len(line)-len(body)
	return true
}

var (
	space = []byte{' '}
	colon = []byte{':'}
)
