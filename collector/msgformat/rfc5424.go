package msgformat

import (
	"bytes"

	"github.com/logsource/operator/collector"
)

// This file is RFC 5424 §6: TIMESTAMP SP HOSTNAME SP APP-NAME SP PROCID SP MSGID SP
// STRUCTURED-DATA [SP MSG]. It is forgiving where syslog-ng is.

// maxName is the longest SD-ID or parameter name; RFC 5424 says 32, syslog-ng takes 255.
const maxName = 255

var bom = []byte("\xEF\xBB\xBF")

// rfc5424 parses s from i on, which is behind the version and its space.
func (p *Parser) rfc5424(s []byte, i int, r *collector.Record) *Error {
	i, err := p.header(s, i, r)
	if err != nil {
		return err
	}
	if i, err = p.sdata(s, i, r); err != nil || i == len(s) {
		return err
	}
	if s[i] != ' ' {
		return p.fail(i, "no space behind the structured data")
	}
	r.Body = p.text(bytes.TrimPrefix(s[i+1:], bom))
	return nil
}

// header parses what lies before the structured data.
func (p *Parser) header(s []byte, i int, r *collector.Record) (int, *Error) {
	n, ok := p.clock.stamp5424(s[i:], &r.UnixNano)
	if i += n; !ok || i == len(s) || s[i] != ' ' {
		return i, p.fail(i, "no stamp of RFC 5424 and a space behind the version")
	}
	i++
	if r.Host, n = column(s[i:]); n == 0 || p.has(checkHostname) && !isHostname(r.Host) {
		return i, p.fail(i, "no host name and a space behind the stamp")
	}
	i += n
	if r.Program, n = column(s[i:]); n == 0 {
		return i, p.fail(i, "no application name and a space behind the host name")
	}
	i += n
	if r.PID, n = column(s[i:]); n == 0 {
		return i, p.fail(i, "no process id and a space behind the application name")
	}
	i += n
	if r.MsgID, n = column(s[i:]); n == 0 {
		return i, p.fail(i, "no message id and a space behind the process id")
	}
	return i + n, nil
}

// column is the word that s begins with, and its length with the space behind it; 0 when
// there is no space. NILVALUE is empty.
func column(s []byte) (word []byte, n int) {
	i := 0
	for i < len(s) && s[i] != ' ' {
		i++
	}
	if i == len(s) {
		return nil, 0
	}
	if i == 1 && s[0] == '-' {
		return nil, 2
	}
	return s[:i:i], i + 1
}

// sdata parses STRUCTURED-DATA, §6.3.
func (p *Parser) sdata(s []byte, i int, r *collector.Record) (_ int, err *Error) {
	if i < len(s) && s[i] == '-' {
		return i + 1, nil
	}
	if i == len(s) || s[i] != '[' {
		return i, p.fail(i, "no structured data behind the message id")
	}
	for i < len(s) && s[i] == '[' {
		if i, err = p.element(s, i+1, r); err != nil {
			return i, err
		}
	}
	return i, nil
}

// element parses SD-ELEMENT behind its [. A space behind the [ or before the ] does no
// harm.
func (p *Parser) element(s []byte, i int, r *collector.Record) (int, *Error) {
	if i < len(s) && s[i] == ' ' {
		i++
	}
	id := name(s[i:])
	if len(id) == 0 {
		return i, p.fail(i, "no name of a structured data element of 1 to 255 ASCII characters")
	}
	i += len(id)
	pairs := len(r.Pairs)
	for i < len(s) && s[i] == ' ' {
		if i++; i < len(s) && s[i] == ']' {
			break
		}
		param, n, err := p.param(s, i)
		if err != nil {
			return i, err
		}
		param.SDID = id
		r.Pairs = append(r.Pairs, param)
		i += n
	}
	if i == len(s) || s[i] != ']' {
		return i, p.fail(i, "no space or closing ] in a structured data element")
	}
	if pairs == len(r.Pairs) {
		r.Pairs = append(r.Pairs, collector.Pair{SDID: id})
	}
	return i + 1, nil
}

// param parses SD-PARAM. A value without quotes is taken, too.
func (p *Parser) param(s []byte, i int) (param collector.Pair, n int, err *Error) {
	param.Name = name(s[i:])
	if len(param.Name) == 0 {
		return param, 0, p.fail(i, "no parameter name of 1 to 255 ASCII characters")
	}
	start := i
	if i += len(param.Name); i == len(s) || s[i] != '=' {
		return param, 0, p.fail(i, "no = behind a parameter name")
	}
	if i++; i == len(s) || s[i] != '"' {
		param.Value = bare(s[i:])
		return param, i + len(param.Value) - start, nil
	}
	value, n, err := p.quoted(s, i+1)
	param.Value = value
	return param, i + 1 + n - start, err
}

// name is the SD-NAME that s begins with, empty when there is none or it is too long.
func name(s []byte) []byte {
	i := 0
	for i < len(s) && isNameChar[s[i]] {
		i++
	}
	if i > maxName {
		return nil
	}
	return s[:i:i]
}

var isNameChar = func() (t [256]bool) {
	for c := range byte(0x80) {
		t[c] = c != '=' && c != ' ' && c != ']' && c != '"'
	}
	return t
}()

func bare(s []byte) []byte {
	i := 0
	for i < len(s) && s[i] != ' ' && s[i] != ']' {
		i++
	}
	return s[:i:i]
}

// quoted is the PARAM-VALUE at i, behind its opening quote, and the number of bytes to
// the end of its closing one.
func (p *Parser) quoted(s []byte, i int) (value []byte, n int, err *Error) {
	j := i
	for j < len(s) && s[j] != '"' && s[j] != '\\' && s[j] != ']' {
		j++
	}
	if j < len(s) && s[j] == '"' {
		return s[i:j:j], j + 1 - i, nil
	}
	start := len(p.scratch)
	p.scratch = append(p.scratch, s[i:j]...)
	for j < len(s) && s[j] != '"' {
		if s[j] == ']' {
			return nil, 0, p.fail(j, "a ] without a \\ in a parameter value")
		}
		if s[j] == '\\' && j+1 < len(s) {
			if c := s[j+1]; c != '"' && c != '\\' && c != ']' {
				p.scratch = append(p.scratch, '\\')
			}
			j++
		}
		p.scratch = append(p.scratch, s[j])
		j++
	}
	if j == len(s) {
		return nil, 0, p.fail(j, "no closing quote of a parameter value")
	}
	return p.since(start), j + 1 - i, nil
}
