package httppush

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// This file reads JSON (RFC 8259) as encoding/json does, bytes that are not UTF-8
// included, but takes one object apart without an allocation: what it returns lies in the
// text, or, where a string has escapes, in memory that is used again for the next one.

// maxDepth is how deep arrays and objects may be nested, as in encoding/json.
const maxDepth = 10000

// A scanner stands at a place in a text.
type scanner struct {
	src  []byte
	pos  int
	text []byte                  // strings without their escapes
	open [maxDepth/64 + 1]uint64 // what is open at each depth: 1 for an object
}

// A value is one JSON value: kind is its first byte, text its text. Of a string it is the
// string.
type value struct {
	kind byte
	text []byte
}

func (s *scanner) reset(src []byte) { s.src, s.pos, s.text = src, 0, s.text[:0] }

// end says that nothing but space is left.
func (s *scanner) end() bool {
	s.space()
	return s.pos == len(s.src)
}

func (s *scanner) space() {
	for s.pos < len(s.src) && isSpace(s.src[s.pos]) {
		s.pos++
	}
}

// isSpace is ws of RFC 8259 §2.
func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// next is the next byte after space, 0 at the end. It is not taken.
func (s *scanner) next() byte {
	s.space()
	if s.pos == len(s.src) {
		return 0
	}
	return s.src[s.pos]
}

// take takes the next byte after space if it is c.
func (s *scanner) take(c byte) bool {
	if s.next() != c || c == 0 {
		return false
	}
	s.pos++
	return true
}

// member reads the next member of the object that s stands in, after its brace or after
// another member. more is false at the end of the object.
func (s *scanner) member(first bool) (name []byte, v value, more, ok bool) {
	if s.take('}') {
		return nil, v, false, true
	}
	if !first && !s.take(',') {
		return nil, v, false, false
	}
	if s.next() != '"' {
		return nil, v, false, false
	}
	if name, ok = s.str(); !ok || !s.take(':') {
		return nil, v, false, false
	}
	v, ok = s.value()
	return name, v, true, ok
}

// value reads a member's value.
func (s *scanner) value() (v value, ok bool) {
	v.kind = s.next()
	if v.kind == '"' {
		v.text, ok = s.str()
		return v, ok
	}
	from := s.pos
	ok = s.skip(1)
	v.text = s.src[from:s.pos]
	return v, ok
}

// skip reads one value that lies within depth others.
func (s *scanner) skip(depth int) bool {
	for outer := depth; ; {
		opened, ok := s.begin(&depth)
		if !ok {
			return false
		}
		for !opened {
			if depth == outer {
				return true
			}
			if opened, ok = s.proceed(&depth); !ok {
				return false
			}
		}
	}
}

// begin reads a scalar, or the beginning of an array or object up to its first value. It
// says whether a value must follow.
func (s *scanner) begin(depth *int) (valueFollows, ok bool) {
	c := s.next()
	if c != '{' && c != '[' {
		return false, s.scalar(c)
	}
	s.pos++
	*depth++
	if *depth > maxDepth {
		return false, false
	}
	s.setOpen(*depth, c == '{')
	if s.take(c + 2) { // ASCII: ] and } are two after [ and {
		*depth--
		return false, true
	}
	return true, c == '[' || s.key()
}

// proceed reads what follows a value within an array or object: its end, or a comma and
// what is before the next value.
func (s *scanner) proceed(depth *int) (valueFollows, ok bool) {
	object := s.inObject(*depth)
	if s.take(',') {
		return true, !object || s.key()
	}
	if object && s.take('}') || !object && s.take(']') {
		*depth--
		return false, true
	}
	return false, false
}

func (s *scanner) key() bool { return s.next() == '"' && s.skipString() && s.take(':') }

func (s *scanner) setOpen(depth int, object bool) {
	word, bit := &s.open[depth/64], uint64(1)<<(depth%64)
	if *word &^= bit; object {
		*word |= bit
	}
}

func (s *scanner) inObject(depth int) bool { return s.open[depth/64]&(1<<(depth%64)) != 0 }

func (s *scanner) scalar(first byte) bool {
	switch first {
	case '"':
		return s.skipString()
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	return s.number()
}

func (s *scanner) word(w string) bool {
	if len(s.src)-s.pos < len(w) || string(s.src[s.pos:s.pos+len(w)]) != w {
		return false
	}
	s.pos += len(w)
	return true
}

// number is RFC 8259 §6.
func (s *scanner) number() bool {
	if s.at() == '-' {
		s.pos++
	}
	if s.at() == '0' {
		s.pos++
	} else if !s.digits() {
		return false
	}
	if s.at() == '.' {
		if s.pos++; !s.digits() {
			return false
		}
	}
	if s.at()|0x20 != 'e' {
		return true
	}
	if s.pos++; s.at() == '+' || s.at() == '-' {
		s.pos++
	}
	return s.digits()
}

// at is the byte here, 0 at the end.
func (s *scanner) at() byte {
	if s.pos == len(s.src) {
		return 0
	}
	return s.src[s.pos]
}

func (s *scanner) digits() bool {
	from := s.pos
	for s.pos < len(s.src) && '0' <= s.src[s.pos] && s.src[s.pos] <= '9' {
		s.pos++
	}
	return s.pos > from
}

// plain moves on to the next quote, backslash or control character.
func (s *scanner) plain() {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for s.pos+8 <= len(s.src) {
		x := binary.LittleEndian.Uint64(s.src[s.pos:])
		quote, slash := x^(ones*'"'), x^(ones*'\\')
		hit := ((x - ones*' ') &^ x) | ((quote - ones) &^ quote) | ((slash - ones) &^ slash)
		if hit &= highs; hit != 0 { // the lowest hit is exact, those above it may not be
			s.pos += bits.TrailingZeros64(hit) / 8
			return
		}
		s.pos += 8
	}
	for s.pos < len(s.src) && s.src[s.pos] != '"' && s.src[s.pos] != '\\' && s.src[s.pos] >= ' ' {
		s.pos++
	}
}

// skipString reads the string that begins here.
func (s *scanner) skipString() bool {
	s.pos++
	for {
		s.plain()
		switch s.at() {
		case '"':
			s.pos++
			return true
		case '\\':
			if _, ok := s.escape(); !ok {
				return false
			}
		default: // a control character, or the end
			return false
		}
	}
}

// str reads the string that begins here and returns it without its escapes.
func (s *scanner) str() ([]byte, bool) {
	s.pos++
	from := s.pos
	s.plain()
	if s.at() == '"' {
		s.pos++
		return s.src[from : s.pos-1], true
	}
	begin := len(s.text)
	for {
		s.text = append(s.text, s.src[from:s.pos]...)
		switch s.at() {
		case '"':
			s.pos++
			return s.text[begin:], true
		case '\\':
			r, ok := s.escape()
			if !ok {
				return nil, false
			}
			s.text = utf8.AppendRune(s.text, r)
		default:
			return nil, false
		}
		from = s.pos
		s.plain()
	}
}

// escapes are the characters that may follow a backslash, but for u.
var escapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escape reads the escape that begins here. Half of a surrogate pair is U+FFFD.
func (s *scanner) escape() (rune, bool) {
	if s.pos++; s.at() != 'u' {
		r := escapes[s.at()]
		if r != 0 {
			s.pos++
		}
		return rune(r), r != 0
	}
	s.pos++
	r := s.hex(s.pos)
	if r < 0 {
		return 0, false
	}
	s.pos += 4
	if !utf16.IsSurrogate(r) {
		return r, true
	}
	if s.pos+1 < len(s.src) && s.src[s.pos] == '\\' && s.src[s.pos+1] == 'u' {
		if pair := utf16.DecodeRune(r, s.hex(s.pos+2)); pair != utf8.RuneError {
			s.pos += 6
			return pair, true
		}
	}
	return utf8.RuneError, true
}

// hex is the number of four hexadecimal digits at that place, -1 when they are not there.
func (s *scanner) hex(at int) (r rune) {
	if at+4 > len(s.src) {
		return -1
	}
	for _, c := range s.src[at : at+4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}
