package httppush

import (
	"bytes"
	"math"
	"strconv"
	"time"
)

// This file reads times without an allocation.

// time reads a time stamp or a number. It says false for what is neither, and for times
// that a count of nanoseconds since 1970 cannot tell, before 1678 or after 2261.
func (v value) time() (unixNano int64, ok bool) {
	switch {
	case v.kind == '"':
		return parseStamp(v.text)
	case v.kind == '-' || '0' <= v.kind && v.kind <= '9':
		return parseUnix(v.text)
	}
	return 0, false
}

// parseStamp reads the date-time of RFC 3339 §5.6. As its note allows, T and Z may be in
// lower case, and T a space.
func parseStamp(s []byte) (int64, bool) {
	const date = len("2006-01-02T15:04:05")
	if len(s) <= date || s[4] != '-' || s[7] != '-' || s[13] != ':' || s[16] != ':' || (s[10]|0x20 != 't' && s[10] != ' ') {
		return 0, false
	}
	year, month, day := number(s[0:4], 9999), number(s[5:7], 12), number(s[8:10], 31)
	hour, minute, second := number(s[11:13], 23), number(s[14:16], 59), number(s[17:19], 59)
	nanos, zone := fraction(s[date:])
	offset, ok := zoneOffset(zone)
	if min(year, month-1, day-1, hour, minute, second, nanos) < 0 || !ok {
		return 0, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC)
	if t.Day() != day || year < 1678 || year > 2261 {
		return 0, false
	}
	return t.UnixNano() - offset.Nanoseconds(), true
}

// number reads digits; -1 when they are none, or more than most.
func number(s []byte, most int) (n int) {
	for _, c := range s {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	if n > most {
		return -1
	}
	return n
}

// fraction reads the part of a second, if s begins with one, in nanoseconds; -1 when its
// dot has no digit.
func fraction(s []byte) (nanos int, rest []byte) {
	if s[0] != '.' {
		return 0, s
	}
	i := 1
	for unit := int(time.Second / 10); i < len(s) && '0' <= s[i] && s[i] <= '9'; i++ {
		nanos += unit * int(s[i]-'0')
		unit /= 10
	}
	if i == 1 {
		return -1, s
	}
	return nanos, s[i:]
}

// zoneOffset reads Z or an offset such as +02:00.
func zoneOffset(s []byte) (time.Duration, bool) {
	if len(s) == 1 && s[0]|0x20 == 'z' {
		return 0, true
	}
	if len(s) != len("+02:00") || s[3] != ':' || (s[0] != '+' && s[0] != '-') {
		return 0, false
	}
	hours, minutes := number(s[1:3], 23), number(s[4:6], 59)
	if hours < 0 || minutes < 0 {
		return 0, false
	}
	d := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if s[0] == '-' {
		d = -d
	}
	return d, true
}

// parseUnix reads a JSON number of seconds since 1970, or of milli-, micro- or
// nanoseconds: its size tells which, for times after February 1973.
func parseUnix(s []byte) (int64, bool) {
	whole, rest, ok := leading(bytes.TrimPrefix(s, []byte("-")))
	if !ok {
		return 0, false
	}
	billionths := 0
	if len(rest) > 0 {
		billionths, rest = fraction(rest)
	}
	if len(rest) > 0 {
		return parseExponent(s)
	}
	return inNanoseconds(whole, int64(billionths), s[0] == '-')
}

// leading reads the digits that s begins with; false when they are too many.
func leading(s []byte) (n int64, rest []byte, ok bool) {
	for len(s) > 0 && '0' <= s[0] && s[0] <= '9' {
		if n > (math.MaxInt64-9)/10 {
			return 0, nil, false
		}
		n, s = n*10+int64(s[0]-'0'), s[1:]
	}
	return n, s, true
}

// parseExponent reads what hardly anybody writes, and allocates.
func parseExponent(s []byte) (int64, bool) {
	f, err := strconv.ParseFloat(string(s), 64)
	if err != nil || math.Abs(f) >= math.MaxInt64 {
		return 0, false
	}
	whole, part := math.Modf(math.Abs(f))
	return inNanoseconds(int64(whole), int64(part*1e9), f < 0)
}

func inNanoseconds(whole, billionths int64, negative bool) (int64, bool) {
	unit := int64(time.Nanosecond)
	switch {
	case whole < 1e11:
		unit = int64(time.Second)
	case whole < 1e14:
		unit = int64(time.Millisecond)
	case whole < 1e17:
		unit = int64(time.Microsecond)
	}
	if whole > math.MaxInt64/unit-1 {
		return 0, false
	}
	n := whole*unit + billionths*unit/int64(time.Second)
	if negative {
		n = -n
	}
	return n, true
}
