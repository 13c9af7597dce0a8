package httppush

import (
	"strings"

	"github.com/logsource/operator/collector"
)

// This file makes a record of a JSON object.

// maxMembers is how many members an object may have beside those with a meaning. One with
// more is no log message, and is delivered as it is.
const maxMembers = 4096

// fields says which members are more than name-value pairs.
type fields struct {
	message, time, severity string
	facility                int // of messages that name a severity
}

// userFacility is the facility of messages that name none (RFC 3164 §4.3.3).
const userFacility = 1

func newFields(o Options, env collector.Env) *fields {
	f := &fields{message: o.MessageField, time: o.TimeField, severity: o.SeverityField, facility: userFacility}
	if pri := env.Message.DefaultPriority; pri != nil {
		f.facility = *pri >> 3
	}
	return f
}

// An event is a JSON object taken apart, in memory that is used again for the next one.
type event struct {
	scanner
	fields *fields

	message  []byte
	unixNano int64 // 0: the object names no time
	badTime  bool  // it names one that is none
	priority collector.Priority
	pairs    []collector.Pair
}

// read takes text apart. It says false when text is not one object and nothing else.
func (e *event) read(text []byte) bool {
	e.reset(text)
	e.message, e.unixNano, e.badTime, e.priority, e.pairs = text, 0, false, 0, e.pairs[:0]
	if !e.take('{') {
		return false
	}
	for first := true; ; first = false {
		name, v, more, ok := e.member(first)
		switch {
		case !ok || len(e.pairs) > maxMembers:
			return false
		case !more:
			return e.end()
		}
		e.use(name, v)
	}
}

// use takes a member for what its name says, or else as a name-value pair. Of two members
// with one name the last counts, as in encoding/json, but both are pairs.
func (e *event) use(name []byte, v value) {
	null := v.kind == 'n'
	switch e.meaning(name) {
	case isMessage:
		if e.message = v.text; null {
			e.message = e.src
		}
		return
	case isTime:
		n, ok := v.time()
		if e.badTime = !ok && !null; !e.badTime {
			e.unixNano = n
			return
		}
	case isSeverity:
		if n, ok := v.severity(); ok {
			e.priority = collector.NewPriority(e.fields.facility<<3 | n)
			return
		}
	}
	e.pairs = append(e.pairs, collector.Pair{Name: name, Value: v.text})
}

type meaning int

const (
	isPair meaning = iota
	isMessage
	isTime
	isSeverity
)

func (e *event) meaning(name []byte) meaning {
	switch {
	case len(name) == 0: // an option with an empty name means none
		return isPair
	case string(name) == e.fields.message:
		return isMessage
	case string(name) == e.fields.time:
		return isTime
	case string(name) == e.fields.severity:
		return isSeverity
	}
	return isPair
}

// severity reads a word, or a digit of RFC 5424 §6.2.1, table 2.
func (v value) severity() (int, bool) {
	if len(v.text) == 1 && '0' <= v.text[0] && v.text[0] <= '7' {
		return int(v.text[0] - '0'), true
	}
	var word [longestWord]byte
	if v.kind != '"' || len(v.text) > len(word) {
		return 0, false
	}
	for i, c := range v.text {
		if word[i] = c; 'A' <= c && c <= 'Z' {
			word[i] += 'a' - 'A'
		}
	}
	n, ok := severities[string(word[:len(v.text)])]
	return n, ok
}

// severities are the words of syslog and of the usual log libraries.
var severities = numbered(
	"emerg emergency panic", "alert", "crit critical fatal", "err error", "warning warn", "notice",
	"info informational information", "debug trace verbose")

const longestWord = len("informational")

func numbered(words ...string) map[string]int {
	m := map[string]int{}
	for n, w := range words {
		for word := range strings.FieldsSeq(w) {
			m[word] = n
		}
	}
	return m
}
