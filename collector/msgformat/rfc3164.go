package msgformat

import (
	"bytes"

	"github.com/logsource/operator/collector"
)

// This file is RFC 3164 as it is sent: nothing but the PRI has a sure place, so every
// part is taken if it looks like itself, and what is left is the text. It cannot fail.

var (
	forwarded = []byte("Message forwarded from ")
	repeated  = []byte("last message repeated")

	idMeta, nameSequence      = []byte("meta"), []byte("sequenceId")
	idTimeQuality, nameSynced = []byte("timeQuality"), []byte("isSynced")
	valueNo, valueYes         = []byte("0"), []byte("1")
	nameLegacy                = []byte("LEGACY_MSGHDR")
)

// rfc3164 parses s from i on, which is behind the PRI.
func (p *Parser) rfc3164(s []byte, i int, r *collector.Record) {
	s = s[i:]
	if !p.has(noHeader) {
		rest, stamped := p.stamp(s, r)
		if stamped {
			rest = p.host(rest, r)
		}
		if s = rest; !bytes.HasPrefix(rest, repeated) {
			s = p.program(rest, r)
		}
	}
	r.Body = p.text(s)
}

// stamp takes the stamp and what Cisco puts around it, and returns the rest of s.
func (p *Parser) stamp(s []byte, r *collector.Record) (rest []byte, ok bool) {
	s = trimSpaces(s)
	var w wall
	if n := w.scan(s); n > 0 {
		return p.stamped(s[n:], &w, false, r), true
	}
	sequence, rest := scanSequence(s)
	mark, rest := scanMark(rest)
	n := w.scan(rest)
	if n == 0 && len(rest) < len(s) && mark == 0 {
		r.Host, mark, rest = scanOrigin(rest)
		n = w.scan(rest)
	}
	if n == 0 {
		r.Host = nil
		return s, false
	}
	if len(sequence) > 0 {
		r.Pairs = append(r.Pairs, collector.Pair{SDID: idMeta, Name: nameSequence, Value: sequence})
	}
	switch mark {
	case '*':
		r.Pairs = append(r.Pairs, collector.Pair{SDID: idTimeQuality, Name: nameSynced, Value: valueNo})
	case '.':
		r.Pairs = append(r.Pairs, collector.Pair{SDID: idTimeQuality, Name: nameSynced, Value: valueYes})
	}
	return p.stamped(rest[n:], &w, true, r), true
}

// scanSequence takes the numbers that Cisco puts in front, "17: " or "17: 000104: " or
// ": "; the last one is the sequence number of the message.
func scanSequence(s []byte) (sequence, rest []byte) {
	for range 2 {
		n := 0
		for n < len(s) && isDigit(s[n]) {
			n++
		}
		if n+1 >= len(s) || s[n] != ':' || s[n+1] != ' ' {
			break
		}
		sequence, s = s[:n:n], trimSpaces(s[n+1:])
	}
	return sequence, s
}

// scanMark takes what Cisco says of its clock: * is not synchronised, . is, again.
func scanMark(s []byte) (mark byte, rest []byte) {
	if len(s) > 0 && (s[0] == '*' || s[0] == '.') {
		return s[0], s[1:]
	}
	return 0, s
}

// scanOrigin takes the name that Cisco's "logging origin-id" puts in front of the stamp.
func scanOrigin(s []byte) (host []byte, mark byte, rest []byte) {
	n := bytes.IndexByte(s, ' ')
	if n < 2 || s[n-1] != ':' {
		return nil, 0, s
	}
	mark, rest = scanMark(trimSpaces(s[n:]))
	return s[: n-1 : n-1], mark, rest
}

// stamped sets the time from w, and takes a zone and a colon behind the stamp.
func (p *Parser) stamped(s []byte, w *wall, cisco bool, r *collector.Record) (rest []byte) {
	if n := w.scanZoneName(s, cisco); n > 0 {
		s = s[n:]
	}
	if len(s) > 0 && s[0] == ':' {
		s = s[1:]
	}
	r.UnixNano = p.clock.unixNano(w, p.has(guessTimezone))
	return trimSpaces(s)
}

// host takes the word in front if it can be a host, and returns the rest of s.
func (p *Parser) host(s []byte, r *collector.Record) (rest []byte) {
	if bytes.HasPrefix(s, forwarded) {
		s = s[len(forwarded):]
		n := bytes.IndexByte(s, ':')
		if n < 0 {
			n = len(s)
		}
		r.Host = s[:n:n]
		return bytes.TrimLeft(s[n:], " :")
	}
	if !p.has(expectHostname) || len(r.Host) > 0 || bytes.HasPrefix(s, repeated) {
		return s
	}
	n := hostLen(s)
	if n == 0 || p.has(checkHostname) && !isHostname(s[:n]) {
		return s
	}
	r.Host = s[:n:n]
	return trimSpaces(s[n:])
}

// hostLen is the length of the word that s begins with if it can be a host, else 0. A
// colon is part of a host only in an IPv6 address; otherwise it ends a program.
func hostLen(s []byte) int {
	if len(s) > 0 && isMarkup(s[0]) {
		return 0
	}
	n, colons := 0, 0
	ipv6 := true // so far
	for ; n < len(s) && s[n] != ' '; n++ {
		switch c := s[n]; {
		case c == '[':
			return 0
		case c == ':':
			if colons++; !ipv6 || colons > 7 {
				return 0
			}
		case !isHexDigit(c):
			ipv6 = false
		}
	}
	if n == len(s) || colons == 1 {
		return 0
	}
	return n
}

// isMarkup says that JSON, XML or a quoted text may begin with c, no name does.
func isMarkup(c byte) bool { return c == '{' || c == '[' || c == '"' || c == '<' }

func isHexDigit(c byte) bool { return isDigit(c) || (c|0x20)-'a' < 6 }

// isHostname is what check-hostname asks of a host.
func isHostname(s []byte) bool {
	for _, c := range s {
		if !isDigit(c) && (c|0x20)-'a' >= 26 && bytes.IndexByte([]byte("-_.:@/"), c) < 0 {
			return false
		}
	}
	return true
}

// program takes "prog[pid]: " in front, each part if it is there, and returns the rest.
func (p *Parser) program(s []byte, r *collector.Record) (rest []byte) {
	n := 0
	for n < len(s) && s[n] != ' ' && s[n] != '[' && s[n] != ':' {
		n++
	}
	if n == 0 || isMarkup(s[0]) {
		return s
	}
	r.Program, rest = s[:n:n], s[n:]
	if pid := bracketed(rest); pid != nil {
		r.PID, rest = pid, rest[len(pid)+2:]
	}
	if len(rest) > 0 && rest[0] == ':' {
		rest = rest[1:]
	}
	if len(rest) > 0 && rest[0] == ' ' {
		rest = rest[1:]
	}
	if p.has(storeLegacyMsghdr) {
		header := s[: len(s)-len(rest) : len(s)-len(rest)]
		r.Pairs = append(r.Pairs, collector.Pair{Name: nameLegacy, Value: header})
	}
	return rest
}

// bracketed is what s has between [ and ] at its beginning, nil when there is a space
// within or no end.
func bracketed(s []byte) []byte {
	if len(s) == 0 || s[0] != '[' {
		return nil
	}
	for i := 1; i < len(s) && s[i] != ' '; i++ {
		if s[i] == ']' {
			return s[1:i:i]
		}
	}
	return nil
}

func trimSpaces(s []byte) []byte {
	for len(s) > 0 && s[0] == ' ' {
		s = s[1:]
	}
	return s
}
