package msgformat

// This file reads stamps; what they mean is in clock.go.

// A wall is a stamp as it is written.
type wall struct {
	year, month, day, hour, minute, second int // year -1: none is written
	nanos                                  int64
	offset                                 int64 // of its zone in seconds, if zoned
	zoned                                  bool
}

// scan reads any stamp of RFC 3164 messages and returns its length, 0 when s begins with
// none. It ends before a space, a colon or the end of s. A year that no int64 of
// nanoseconds can hold makes it none, so that its text is not lost.
func (w *wall) scan(s []byte) int {
	if len(s) < len("Jan 1 1:00:00") {
		return 0
	}
	n := 0
	if isDigit(s[0]) {
		if n = w.scanISO(s); n == 0 {
			n = w.scanNXOS(s)
		}
	} else {
		n = w.scanBSD(s)
	}
	if n == 0 || n < len(s) && s[n] != ' ' && s[n] != ':' || !w.possible() || w.year >= 0 && !isYear(w.year) {
		return 0
	}
	return n
}

func isYear(n int) bool { return n >= 1678 && n <= 2261 }

// possible says whether there is such a day and time of day. 30 February passes, as in
// syslog-ng; so does second 60.
func (w *wall) possible() bool {
	return w.month >= 1 && w.month <= 12 && w.day >= 1 && w.day <= 31 && w.hour <= 23 && w.minute <= 59 && w.second <= 60
}

// scanISO reads 2003-10-11T22:14:15.003Z, RFC 5424 §6.2.3; also with a space for the T,
// a comma for the point, and no zone.
func (w *wall) scanISO(s []byte) int {
	const length = len("2003-10-11T22:14:15")
	if len(s) < length || s[4] != '-' || s[7] != '-' || s[10] != 'T' && s[10] != ' ' || s[13] != ':' || s[16] != ':' {
		return 0
	}
	w.year, w.month, w.day = digits4(s), digits2(s[5:]), digits2(s[8:])
	w.hour, w.minute, w.second = digits2(s[11:]), digits2(s[14:]), digits2(s[17:])
	if w.year|w.month|w.day|w.hour|w.minute|w.second < 0 {
		return 0
	}
	n := length + w.scanFraction(s[length:])
	if n < len(s) && s[n] == 'Z' {
		w.offset, w.zoned = 0, true
		return n + 1
	}
	offset, size := scanOffset(s[n:])
	w.offset, w.zoned = offset, size > 0
	return n + size
}

// scanOffset reads +02:00 or +0200, in seconds.
func scanOffset(s []byte) (seconds int64, n int) {
	if len(s) < 5 || s[0] != '+' && s[0] != '-' {
		return 0, 0
	}
	hours, minutes := digits2(s[1:]), -1
	switch {
	case s[3] != ':':
		minutes, n = digits2(s[3:]), 5
	case len(s) >= 6:
		minutes, n = digits2(s[4:]), 6
	}
	if hours < 0 || hours > 23 || minutes < 0 || minutes > 59 {
		return 0, 0
	}
	seconds = int64(hours*3600 + minutes*60)
	if s[0] == '-' {
		seconds = -seconds
	}
	return seconds, n
}

// scanNXOS reads 2003 Oct 11 22:14:15.
func (w *wall) scanNXOS(s []byte) int {
	year := digits4(s)
	if year < 0 || s[4] != ' ' {
		return 0
	}
	n := w.scanBSD(s[5:])
	if n == 0 || w.year >= 0 {
		return 0
	}
	w.year = year
	return n + 5
}

// scanBSD reads Oct 11 22:14:15, RFC 3164 §4.1.2, with a year before or behind the time
// of day or without one.
func (w *wall) scanBSD(s []byte) int {
	*w = wall{year: -1, month: month(s)}
	if w.month == 0 || s[3] != ' ' {
		return 0
	}
	n := 4
	n += scanNumber(s[n:], &w.day)
	if n == 4 || n >= len(s) || s[n] != ' ' {
		return 0
	}
	n++
	if n+4 < len(s) && s[n+4] == ' ' {
		if year := digits4(s[n:]); isYear(year) {
			w.year = year
			n += 5
		}
	}
	size := w.scanTime(s[n:])
	if size == 0 {
		return 0
	}
	n += size
	if w.year < 0 && n+5 <= len(s) && s[n] == ' ' && (n+5 == len(s) || s[n+5] == ' ' || s[n+5] == ':') {
		if year := digits4(s[n+1:]); isYear(year) {
			w.year = year
			n += 5
		}
	}
	return n
}

// scanTime reads 22:14:15.003; the hour may have one digit.
func (w *wall) scanTime(s []byte) int {
	n := scanNumber(s, &w.hour)
	if n == 0 || n+6 > len(s) || s[n] != ':' || s[n+3] != ':' {
		return 0
	}
	if w.minute, w.second = digits2(s[n+1:]), digits2(s[n+4:]); w.minute|w.second < 0 {
		return 0
	}
	n += 6
	return n + w.scanFraction(s[n:])
}

// scanFraction reads .003 or ,003; what is less than a nanosecond is dropped.
func (w *wall) scanFraction(s []byte) int {
	w.nanos = 0
	if len(s) < 2 || s[0] != '.' && s[0] != ',' || !isDigit(s[1]) {
		return 0
	}
	n, unit := 1, int64(1e8)
	for ; n < len(s) && isDigit(s[n]); n++ {
		w.nanos += int64(s[n]-'0') * unit
		unit /= 10
	}
	return n
}

// scanZoneName reads the zone of " UTC:", and says where it is UTC. Without other signs
// of Cisco a name in capitals and a colon are a program, such as CRON.
func (w *wall) scanZoneName(s []byte, cisco bool) int {
	n := 1
	for n < len(s) && s[n]-'A' < 26 {
		n++
	}
	if n < 3 || n > 6 || s[0] != ' ' || n >= len(s) || s[n] != ':' {
		return 0
	}
	name := string(s[1:n])
	utc := name == "UTC" || name == "GMT"
	if !utc && !cisco && !(n+2 < len(s) && s[n+1] == ' ' && s[n+2] == '%') {
		return 0
	}
	if utc {
		w.offset, w.zoned = 0, true
	}
	return n
}

// month is the number of the month whose first three letters s begins with, 0 for none.
func month(s []byte) int {
	switch uint32(s[0]|0x20)<<16 | uint32(s[1]|0x20)<<8 | uint32(s[2]|0x20) {
	case 'j'<<16 | 'a'<<8 | 'n':
		return 1
	case 'f'<<16 | 'e'<<8 | 'b':
		return 2
	case 'm'<<16 | 'a'<<8 | 'r':
		return 3
	case 'a'<<16 | 'p'<<8 | 'r':
		return 4
	case 'm'<<16 | 'a'<<8 | 'y':
		return 5
	case 'j'<<16 | 'u'<<8 | 'n':
		return 6
	case 'j'<<16 | 'u'<<8 | 'l':
		return 7
	case 'a'<<16 | 'u'<<8 | 'g':
		return 8
	case 's'<<16 | 'e'<<8 | 'p':
		return 9
	case 'o'<<16 | 'c'<<8 | 't':
		return 10
	case 'n'<<16 | 'o'<<8 | 'v':
		return 11
	case 'd'<<16 | 'e'<<8 | 'c':
		return 12
	}
	return 0
}

// scanNumber reads a number of one or two digits, with a space in front of one or not.
func scanNumber(s []byte, number *int) (n int) {
	if n < len(s) && s[n] == ' ' {
		n++
	}
	if n >= len(s) || !isDigit(s[n]) {
		return 0
	}
	*number = int(s[n] - '0')
	if n++; n == 1 && n < len(s) && isDigit(s[n]) {
		*number = *number*10 + int(s[n]-'0')
		n++
	}
	return n
}

// digits2 is the number of two digits that s begins with, negative when it does not.
func digits2(s []byte) int {
	a, b := s[0]-'0', s[1]-'0'
	if a > 9 || b > 9 {
		return -1
	}
	return int(a)*10 + int(b)
}

func digits4(s []byte) int {
	a, b := digits2(s), digits2(s[2:])
	if a|b < 0 {
		return -1
	}
	return a*100 + b
}
