// Package jsonlines renders messages as JSON lines: one object per message, with the
// time, the message and the attributes of its stream. It is what the destinations of
// format json write. Nothing is allocated per message; the attributes are rendered once
// per stream.
package jsonlines

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf8"

	"github.com/logsource/operator/collector"
)

// Append renders message i of b as one line, with its newline, and returns the extended
// dst:
//
//	{"time":"2026-11-23T08:00:00.5Z","message":"hello","stream":"stdout","kubernetes":{…}}
//
// The time is RFC 3339 in UTC with up to nine digits of fraction. Then comes what the
// message carries itself (fields.go), then the record's variant attributes and the
// stream's, groups as nested objects: no message can carry a name that the stream gives. Bytes of the message
// that are not UTF-8 become U+FFFD, so that a line is always valid JSON.
func Append(dst []byte, b *collector.Batch, i int) []byte {
	dst = append(dst, `{"time":"`...)
	dst = appendTime(dst, b.UnixNano(i))
	dst = append(dst, `","message":`...)
	dst = appendString(dst, b.Body(i))
	if f, ok := b.Fields(i); ok {
		dst = appendFields(dst, &f)
	}
	dst = append(dst, b.Stream().Encoded(&attributes, b.Variant(i))...)
	return append(dst, '}', '\n')
}

// AppendRaw appends message i as it came, and a newline, and returns the extended dst. A
// message with newlines within takes several lines.
func AppendRaw(dst []byte, b *collector.Batch, i int) []byte {
	return append(append(dst, b.Body(i)...), '\n')
}

// Format returns what renders one message for a destination's option format: Append for
// json, AppendRaw for raw.
func Format(format string) (func(dst []byte, b *collector.Batch, i int) []byte, error) {
	switch format {
	case "json":
		return Append, nil
	case "raw":
		return AppendRaw, nil
	}
	return nil, fmt.Errorf("option format is %q: use json or raw", format)
}

// attributes renders a stream's attributes as the rest of an object: ,"name":"value"…
var attributes = collector.Encoder{Encode: func(s *collector.Stream, variant int) []byte {
	var dst []byte
	if variant < len(s.Variants) {
		dst = appendAttrs(dst, s.Variants[variant])
	}
	return appendAttrs(dst, s.Attrs)
}}

func appendAttrs(dst []byte, attrs []collector.Attr) []byte {
	for _, a := range attrs {
		dst = append(dst, ',')
		dst = appendAttr(dst, a)
	}
	return dst
}

func appendAttr(dst []byte, a collector.Attr) []byte {
	dst = append(appendString(dst, []byte(a.Name)), ':')
	switch {
	case a.List != nil:
		return appendList(dst, a.List)
	case a.Group == nil:
		return appendString(dst, []byte(a.Value))
	}
	dst = append(dst, '{')
	for i, m := range a.Group {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendAttr(dst, m)
	}
	return append(dst, '}')
}

func appendList(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, v := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, []byte(v))
	}
	return append(dst, ']')
}

// appendString writes s as a JSON string. Runs that need no escape are copied whole.
func appendString(dst, s []byte) []byte {
	dst = append(dst, '"')
	for {
		n := plain(s)
		dst = append(dst, s[:n]...)
		s = s[n:]
		if len(s) == 0 {
			return append(dst, '"')
		}
		if s[0] < utf8.RuneSelf {
			dst, s = appendEscape(dst, s[0]), s[1:]
			continue
		}
		dst, s = appendWide(dst, s)
	}
}

const hex = "0123456789abcdef"

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}

// appendWide copies the run of non-ASCII runes that s begins with.
func appendWide(dst, s []byte) (_, rest []byte) {
	n := 0
	for n < len(s) && s[n] >= utf8.RuneSelf {
		r, size := utf8.DecodeRune(s[n:])
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, s[:n]...)
			return append(dst, "\uFFFD"...), s[n+1:]
		}
		n += size
	}
	return append(dst, s[:n]...), s[n:]
}

// Eight bytes at a time: each constant is one byte repeated.
const (
	ones   = 0x0101010101010101
	highs  = 0x80 * ones
	spaces = 0x20 * ones
	quotes = '"' * ones
	slants = '\\' * ones
)

// plain is the length of the prefix of s that JSON takes as it is: printable ASCII but
// for the quote and the backslash.
func plain(s []byte) int {
	n := 0
	for ; n+8 <= len(s); n += 8 {
		w := binary.LittleEndian.Uint64(s[n:])
		// A byte below 0x20, or equal to the quote or backslash, borrows from its high
		// bit. A borrow may run on into the bytes above, never into those below.
		special := (w - spaces) | ((w ^ quotes) - ones) | ((w ^ slants) - ones) | w
		if special &= highs; special != 0 {
			return n + bits.TrailingZeros64(special)/8
		}
	}
	for ; n < len(s); n++ {
		if c := s[n]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			break
		}
	}
	return n
}

// appendTime writes a time as time.RFC3339Nano does in UTC, without a time.Time.
func appendTime(dst []byte, unixNano int64) []byte {
	seconds, nanos := floorDiv(unixNano, 1e9)
	days, second := floorDiv(seconds, 86400)
	year, month, day := civil(days)
	dst = append(dst, byte('0'+year/1000), byte('0'+year/100%10))
	dst = append2(dst, year%100, '-')
	dst = append2(dst, month, '-')
	dst = append2(dst, day, 'T')
	dst = append2(dst, second/3600, ':')
	dst = append2(dst, second/60%60, ':')
	if nanos == 0 {
		return append2(dst, second%60, 'Z')
	}
	return append(appendFraction(append2(dst, second%60, '.'), nanos), 'Z')
}

func append2(dst []byte, n int64, after byte) []byte {
	return append(dst, byte('0'+n/10), byte('0'+n%10), after)
}

// appendFraction writes nine digits but for trailing zeros.
func appendFraction(dst []byte, nanos int64) []byte {
	var digits [9]byte
	for i := len(digits) - 1; i >= 0; i-- {
		digits[i] = byte('0' + nanos%10)
		nanos /= 10
	}
	n := len(digits)
	for digits[n-1] == '0' {
		n--
	}
	return append(dst, digits[:n]...)
}

func floorDiv(a, b int64) (quotient, remainder int64) {
	quotient, remainder = a/b, a%b
	if remainder < 0 {
		return quotient - 1, remainder + b
	}
	return quotient, remainder
}

// civil turns days since 1970-01-01 into a date of the Gregorian calendar; the year
// begins in March, so that the leap day is its last
// (howardhinnant.github.io/date_algorithms.html, civil_from_days).
func civil(days int64) (year, month, day int64) {
	era, dayOfEra := floorDiv(days+719468, 146097)
	yearOfEra := (dayOfEra - dayOfEra/1460 + dayOfEra/36524 - dayOfEra/146096) / 365
	dayOfYear := dayOfEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	m := (5*dayOfYear + 2) / 153
	year, month, day = era*400+yearOfEra, m+3, dayOfYear-(153*m+2)/5+1
	if month > 12 {
		year, month = year+1, month-12
	}
	return year, month, day
}
