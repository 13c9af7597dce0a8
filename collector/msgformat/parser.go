package msgformat

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/logsource/operator/collector"
)

// A Parser parses messages under one set of flags. It is for one goroutine.
type Parser struct {
	flags flags
	clock clock
	// scratch holds what the message does not have as it came: texts without their
	// escapes. A new message begins it anew.
	scratch []byte
	err     Error
}

// Error says where a message stopped to be what the flags ask for.
type Error struct {
	// Offset is the number of bytes before the place, counted in the message as it came.
	Offset int
	// Reason is a fixed text such as "no closing quote of a parameter value".
	Reason string
}

// Error names the place and the reason.
func (e *Error) Error() string { return fmt.Sprintf("byte %d: %s", e.Offset, e.Reason) }

// fail notes the error in the Parser, so that it costs no allocation.
func (p *Parser) fail(offset int, reason string) *Error {
	p.err = Error{offset, reason}
	return &p.err
}

func (p *Parser) has(f flags) bool { return p.flags&f != 0 }

// Parse fills r from raw. What r held is cleared, Received, Variant and Addr too; the
// memory of r.Pairs is used again. UnixNano is 0 when the message has no stamp, that
// of a clock never set (1970 itself), or one of RFC 5424 that an int64 cannot hold. The slices point into raw or into the Parser and are valid
// until the next Parse.
//
// A message that is not what the flags ask for is never lost: r then has the text as it
// came for a Body, and the error is an *Error, valid until the next Parse, to be counted.
func (p *Parser) Parse(raw []byte, r *collector.Record) error {
	s := trimEnd(raw)
	p.scratch = p.scratch[:0]
	*r = collector.Record{Pairs: r.Pairs[:0]}
	if p.has(noParse) {
		r.Body = s
	} else if err := p.parse(s, r); err != nil {
		*r = collector.Record{Pairs: r.Pairs[:0], Body: s, Raw: p.raw(s)}
		return err
	}
	r.Raw = p.raw(s)
	return nil
}

func (p *Parser) raw(s []byte) []byte {
	if p.has(storeRawMessage) {
		return s
	}
	return nil
}

// trimEnd cuts LF, CR LF and NUL from the end.
func trimEnd(s []byte) []byte {
	for n := len(s); n > 0; n = len(s) {
		switch {
		case s[n-1] == '\n' && n > 1 && s[n-2] == '\r':
			s = s[:n-2]
		case s[n-1] == '\n' || s[n-1] == 0:
			s = s[:n-1]
		default:
			return s
		}
	}
	return s
}

// parse chooses between the RFCs. A message that says version 1 behind a PRI is RFC 5424
// and nothing else; without a PRI a text may begin with "1 " by chance.
func (p *Parser) parse(s []byte, r *collector.Record) *Error {
	pri, i, ok := scanPRI(s)
	if p.has(syslogProtocol) && ok && isVersion1(s[i:]) {
		r.Priority = pri
		err := p.rfc5424(s, i+len("1 "), r)
		if err == nil || pri != 0 || p.has(noRFC3164Fallback) {
			return err
		}
		*r = collector.Record{Pairs: r.Pairs[:0]}
	}
	if !ok {
		return p.fail(i, "no priority of one to three digits between < and >")
	}
	if p.has(syslogProtocol) && p.has(noRFC3164Fallback) {
		return p.fail(i, "no version 1 of RFC 5424, and the flag no-rfc3164-fallback is set")
	}
	r.Priority = pri
	p.rfc3164(s, i, r)
	return nil
}

func isVersion1(s []byte) bool { return len(s) >= 2 && s[0] == '1' && s[1] == ' ' }

// scanPRI reads <PRI>, n bytes. A message that does not begin with < has none, which is
// no error; in an error n is the place.
func scanPRI(s []byte) (pri collector.Priority, n int, ok bool) {
	if len(s) == 0 || s[0] != '<' {
		return 0, 0, true
	}
	number := 0
	for n = 1; n < len(s) && isDigit(s[n]) && n <= 3; n++ {
		number = number*10 + int(s[n]-'0')
	}
	if n == 1 || n == len(s) || s[n] != '>' {
		return 0, n, false
	}
	return collector.NewPriority(number), n + 1, true
}

func isDigit(c byte) bool { return c-'0' < 10 }

// text is the body as the flags want it.
func (p *Parser) text(b []byte) []byte {
	if p.has(sanitizeUTF8) && !utf8.Valid(b) {
		b = p.escapeInvalid(b)
	}
	if p.has(noMultiLine) && bytes.ContainsAny(b, "\r\n\x00") {
		b = p.oneLine(b)
	}
	return b
}

// escapeInvalid writes every byte that is not UTF-8 as \xNN.
func (p *Parser) escapeInvalid(b []byte) []byte {
	const hex = "0123456789abcdef"
	start := len(p.scratch)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			p.scratch = append(p.scratch, '\\', 'x', hex[b[0]>>4], hex[b[0]&15])
		} else {
			p.scratch = append(p.scratch, b[:n]...)
		}
		b = b[n:]
	}
	return p.since(start)
}

func (p *Parser) oneLine(b []byte) []byte {
	start := len(p.scratch)
	p.scratch = append(p.scratch, b...)
	b = p.since(start)
	for i, c := range b {
		if c == '\r' || c == '\n' || c == 0 {
			b[i] = ' '
		}
	}
	return b
}

// since is what was written to the scratch memory from start on. Should it grow later,
// this part keeps lying where it is.
func (p *Parser) since(start int) []byte { return p.scratch[start:len(p.scratch):len(p.scratch)] }
