package msgformat_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/leodido/go-syslog/v4"
	"github.com/leodido/go-syslog/v4/rfc3164"
	"github.com/leodido/go-syslog/v4/rfc5424"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/msgformat"
)

// flagSets are what the fuzz tests parse every input with; the first is the default, with
// which stable reads.
var flagSets = []string{
	"", "no-parse store-raw-message", "no-header", "no-hostname", "check-hostname store-legacy-msghdr", "no-rfc3164-fallback",
	"sanitize-utf8 no-multi-line", "guess-timezone store-raw-message",
}

// FuzzRFC5424: what a strict parser of RFC 5424 takes has the same fields here.
func FuzzRFC5424(f *testing.F) {
	for _, raw := range []string{
		bench5424, "<0>1 - - - - - -", "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \xEF\xBB\xBF'su root' failed",
		`<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time`, `<1>1 - - - - - [a][b c="\"\]\\" d="é"] x`,
		"<191>1 0001-01-01T00:00:00.999999+14:00 a b c d - \n", `<34>1 - - - - - [a b=1 ] x`, "1 - - - - - - x", "<34>1 - h p - - [a b=\"]\"]",
		"<34>1 2016-12-31T23:59:60Z - - - - -", "<34>1 - - - - - - \xff\r\x00\n",
	} {
		f.Add([]byte(raw))
	}
	f.Fuzz(checks5424(f))
}

func checks5424(t testing.TB) func(*testing.T, []byte) {
	all, strict := parsers(t), rfc5424.NewParser()
	p := parser(t, nil, "", func() time.Time { return now })
	return func(t *testing.T, raw []byte) {
		invariants(t, all, raw)
		m, err := strict.Parse(trimmed(raw))
		want, ok := m.(*rfc5424.SyslogMessage)
		if err != nil || !ok || want.Version != 1 {
			return
		}
		var r collector.Record
		if err := p.Parse(raw, &r); err != nil {
			t.Fatalf("%q: %v; a strict parser takes it", raw, err)
		}
		if want.Message != nil {
			*want.Message = strings.TrimPrefix(*want.Message, "\xEF\xBB\xBF")
		}
		r.Pairs = pairsOf(dataOf(r.Pairs))
		if diff := cmp.Diff(strictFields(want.Base, want.StructuredData), show(&r)); diff != "" {
			t.Fatalf("%q (-strict parser +ours):\n%s", raw, diff)
		}
	}
}

// FuzzRFC3164: what a strict parser of RFC 3164 takes has the same fields here, where the
// RFC leaves no room.
func FuzzRFC3164(f *testing.F) {
	for _, raw := range []string{
		bench3164, "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8", "Use the BFG!",
		"<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!", "<0>1990 Oct 22 10:52:01 TZ-6 scapegoat.dmz.example.org 10.1.2.3 sched[0]: That's All Folks!",
		"<189>17: 000104: *Mar  1 00:00:00.123 UTC: %SYS-5-CONFIG_I: x", "<189>17: R1: .Mar  1 2003 00:00:00: x", "<34>2003-10-11T22:14:15.003Z h p[1]: x",
		"<34>Oct 11 22:14:15 2003 fe80::1 p[1] x", "<34>Oct 11 22:14:15 Message forwarded from h: p: x", "<34>Oct 11 22:14:15 last message repeated 2 times",
		"<34>2003 Oct 11 22:14:15 h", "<34>Feb 29 00:00:00 h p: x\r\n", `<34>{"a":1}`, "<34>p: \xff\n\x00y", "<34>Dec 31 23:59:59.5 h p[a]: x",
	} {
		f.Add([]byte(raw))
	}
	f.Fuzz(checks3164(f))
}

func checks3164(t testing.TB) func(*testing.T, []byte) {
	all := parsers(t)
	middle := time.Date(2026, 7, 2, 12, 0, 0, 0, time.UTC) // any day of 2026 is nearer than in another year
	strict := rfc3164.NewParser(rfc3164.WithYear(rfc3164.Year{YYYY: 2026}), rfc3164.WithRFC3339(), rfc3164.WithSecondFractions(), rfc3164.WithLenientDay())
	p := parser(t, nil, "", func() time.Time { return middle })
	return func(t *testing.T, raw []byte) {
		invariants(t, all, raw)
		m, err := strict.Parse(trimmed(raw))
		theirs, ok := m.(*rfc3164.SyslogMessage)
		if err != nil || !ok || hasRoom(string(trimmed(raw)), theirs) || !isKept(theirs.Timestamp) {
			return
		}
		var r collector.Record
		if err := p.Parse(raw, &r); err != nil {
			t.Fatalf("%q: %v; a strict parser takes it", raw, err)
		}
		want, got := strictFields(theirs.Base, nil), show(&r)
		if theirs.Hostname == nil || theirs.Appname == nil {
			want, got = fields{"pri": want["pri"], "time": want["time"]}, fields{"pri": got["pri"], "time": got["time"]}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q (-strict parser +ours):\n%s", raw, diff)
		}
	}
}

// isKept says whether an int64 of nanoseconds holds the year. In a message of RFC 3164 a
// stamp of another year is text, so the strict parser sees other fields behind it.
func isKept(stamp *time.Time) bool {
	return stamp == nil || stamp.Year() > 1677 && stamp.Year() < 2262
}

// TestMessagesOfPieces does to messages put together at random what the fuzz tests do.
func TestMessagesOfPieces(t *testing.T) {
	pieces := strings.Split(`<34>|<191>1 |<0>1 |1 |<|>| | | |:|: |[|]|"|=|\|\"|-|- |[a b="c"]|[a] |2003-10-11T22:14:15.003Z |2003-10-11 22:14:15|+02:00 |`+
		`Oct 11 22:14:15 |Feb 29 2:00:00|.5|2003 |UTC: |*|.|17: |R1: |%A-1-B: |host |fe80::1 |prog[12]: |su: |last message repeated |Message forwarded from |text|`+
		"\xEF\xBB\xBF|\xff|é|\n|\r\n|\x00|{|0|.", "|")
	random := rand.New(rand.NewPCG(3, 4))
	modern, old := checks5424(t), checks3164(t)
	var raw []byte
	for range 4000 {
		raw = raw[:0]
		switch random.IntN(4) {
		case 0:
			raw = append(raw, "<34>1 2003-10-11T22:14:15.003Z host app 12 id "...)
		case 1:
			raw = append(raw, "<34>Oct 11 22:14:15 "...)
		}
		for range random.IntN(12) {
			raw = append(raw, pieces[random.IntN(len(pieces))]...)
		}
		modern(t, raw)
		old(t, raw)
	}
}

// hasRoom says that the message has something that may be read in two ways: what devices
// put behind the stamp, and hosts, programs and process ids that look like something else.
// Where the strict parser has gone back on its way it has lost some of the text.
func hasRoom(text string, m *rfc3164.SyslogMessage) bool {
	host, program, pid, message := value(m.Hostname), value(m.Appname), value(m.ProcID), value(m.Message)
	word := host + program // the first one behind the stamp
	if word == "" {
		word = strings.TrimLeft(message, " ")
	}
	_, notNumber := strconv.Atoi(word[:min(4, len(word))])
	tag := program
	if pid != "" {
		tag += "[" + pid + "]"
	}
	head, whole := strings.CutSuffix(text, tag+": "+message)
	whole = whole && strings.HasSuffix(strings.TrimRight(head, " "), " "+host)
	return notNumber == nil || program != "" && !whole || word == "UTC" || word == "GMT" || strings.HasPrefix(message, "%") ||
		strings.HasPrefix(host+" "+message, "Message forwarded from ") || strings.HasPrefix(host+" "+message, "last message repeated") ||
		strings.Contains(host, "[") || strings.IndexAny(host, `{"<`) == 0 || strings.IndexAny(program, `{"<`) == 0 || strings.Contains(pid, " ")
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// strictFields says what the strict parser found as show does.
func strictFields(m syslog.Base, data *map[string]map[string]string) fields {
	r := collector.Record{Priority: collector.NewPriority(int(*m.Priority))}
	if m.Timestamp != nil && isKept(m.Timestamp) {
		r.UnixNano = m.Timestamp.UnixNano()
	}
	set := func(to *[]byte, s *string) {
		if s != nil {
			*to = []byte(*s)
		}
	}
	set(&r.Host, m.Hostname)
	set(&r.Program, m.Appname)
	set(&r.PID, m.ProcID)
	set(&r.MsgID, m.MsgID)
	set(&r.Body, m.Message)
	if data != nil {
		r.Pairs = pairsOf(*data)
	}
	return show(&r)
}

// pairsOf lists structured data as the strict parser has it, sorted.
func pairsOf(data map[string]map[string]string) (pairs []collector.Pair) {
	for _, id := range slices.Sorted(maps.Keys(data)) {
		if len(data[id]) == 0 {
			pairs = append(pairs, collector.Pair{SDID: []byte(id)})
		}
		for _, name := range slices.Sorted(maps.Keys(data[id])) {
			pairs = append(pairs, collector.Pair{SDID: []byte(id), Name: []byte(name), Value: []byte(data[id][name])})
		}
	}
	return pairs
}

// dataOf is the reverse. Of two parameters with one name the strict parser keeps the last.
func dataOf(pairs []collector.Pair) map[string]map[string]string {
	data := map[string]map[string]string{}
	for _, p := range pairs {
		if data[string(p.SDID)] == nil {
			data[string(p.SDID)] = map[string]string{}
		}
		if len(p.Name) > 0 {
			data[string(p.SDID)][string(p.Name)] = string(p.Value)
		}
	}
	return data
}

func trimmed(raw []byte) []byte {
	for {
		s := bytes.TrimRight(raw, "\n\x00")
		if t := bytes.TrimSuffix(s, []byte("\r")); len(t) < len(s) && len(s) < len(raw) && raw[len(s)] == '\n' {
			raw = t
			continue
		}
		return s
	}
}

// parsers has one for each of flagSets, used again for every input.
func parsers(t testing.TB) (ps []*msgformat.Parser) {
	for _, flags := range flagSets {
		ps = append(ps, parser(t, strings.Fields(flags), "Europe/Berlin", func() time.Time { return now }))
	}
	return ps
}

// invariants are what holds for every input under all flags.
func invariants(t *testing.T, ps []*msgformat.Parser, raw []byte) {
	for i, flags := range flagSets {
		p, before := ps[i], string(raw)
		var r collector.Record
		err := p.Parse(raw, &r)
		first := show(&r)
		if string(raw) != before {
			t.Fatalf("flags(%s) changed %q to %q", flags, before, raw)
		}
		text := string(trimmed(raw))
		switch {
		case err != nil:
			want := fields{"body": text}
			if strings.Contains(flags, "store-raw-message") {
				want["raw"] = text
			}
			withoutEmpty(want)
			if diff := cmp.Diff(want, first); diff != "" {
				t.Fatalf("flags(%s) %q: %v, and the record has not the text alone (-want +got):\n%s", flags, raw, err, diff)
			}
			if e := err.(*msgformat.Error); e.Offset < 0 || e.Offset > len(text) {
				t.Fatalf("flags(%s) %q: %v", flags, raw, err)
			}
		case strings.Contains(flags, "no-parse"):
			if string(r.Body) != text || r.Priority != 0 || r.UnixNano != 0 {
				t.Fatalf("no-parse %q is %v", raw, first)
			}
		case strings.Contains(flags, "sanitize-utf8"):
			if !utf8.Valid(r.Body) || bytes.ContainsAny(r.Body, "\r\n\x00") {
				t.Fatalf("flags(%s) %q has the body %q", flags, raw, r.Body)
			}
		default:
			lostNothing(t, text, &r)
		}
		// The same message again, into memory that was used.
		if err2 := p.Parse(raw, &r); fmt.Sprint(err) != fmt.Sprint(err2) {
			t.Fatalf("%q: %v, then %v", raw, err, err2)
		}
		if diff := cmp.Diff(first, show(&r)); diff != "" {
			t.Fatalf("flags(%s) %q, then again:\n%s", flags, raw, diff)
		}
		stable(t, ps[0], &r)
	}
}

func withoutEmpty(f fields) {
	maps.DeleteFunc(f, func(_, v string) bool { return v == "" })
}

// lostNothing: the body is the end of the text, and without a stamp nothing lies between
// the PRI and the body but the program, the process id and the marks around them.
func lostNothing(t *testing.T, text string, r *collector.Record) {
	head, ok := strings.CutSuffix(text, string(r.Body))
	if !ok {
		t.Fatalf("%q has the body %q", text, r.Body)
	}
	if strings.HasPrefix(head, "<") {
		_, head, _ = strings.Cut(head, ">")
	}
	head = strings.TrimLeft(head, " ")
	if r.UnixNano != 0 || head == "" || strings.Contains(head, "1970") || strings.Contains("0123456789.*:", head[:1]) {
		return
	}
	head = strings.Replace(strings.TrimPrefix(head, string(r.Program)), "["+string(r.PID)+"]", "", 1)
	if strings.Trim(head, ": ") != "" || len(r.Host) > 0 {
		t.Fatalf("%q has lost %q: %v", text, head, show(r))
	}
}

// stable: the record written as RFC 5424 gives the record again.
func stable(t *testing.T, p *msgformat.Parser, r *collector.Record) {
	want := show(r)
	delete(want, "raw")
	written, ok := write(r)
	if !ok {
		return
	}
	var again collector.Record
	err := p.Parse(written, &again)
	if diff := cmp.Diff(want, show(&again)); diff != "" || err != nil {
		t.Fatalf("written as %q: %v (-want +got):\n%s", written, err, diff)
	}
}

// write renders what RFC 5424 can say, false when that is not all.
func write(r *collector.Record) (dst []byte, ok bool) {
	if pri, ok := r.Priority.PRI(); ok {
		dst = fmt.Appendf(dst, "<%d>", pri)
	}
	dst = append(dst, "1 "...)
	if r.UnixNano == 0 {
		dst = append(dst, '-')
	} else {
		dst = time.Unix(0, r.UnixNano).UTC().AppendFormat(dst, time.RFC3339Nano)
	}
	for _, word := range [][]byte{r.Host, r.Program, r.PID, r.MsgID} {
		if dst = append(dst, ' '); len(word) == 0 {
			dst = append(dst, '-')
		} else if dst = append(dst, word...); bytes.IndexByte(word, ' ') >= 0 || string(word) == "-" {
			return nil, false
		}
	}
	if dst = append(dst, ' '); len(r.Pairs) == 0 {
		dst = append(dst, '-')
	}
	for _, p := range r.Pairs { // an element for each
		if len(p.SDID) == 0 {
			return nil, false
		}
		if dst = fmt.Appendf(dst, "[%s", p.SDID); len(p.Name) > 0 {
			dst = fmt.Appendf(dst, ` %s="%s"`, p.Name, escape.Replace(string(p.Value)))
		}
		dst = append(dst, ']')
	}
	return append(append(dst, " \xEF\xBB\xBF"...), r.Body...), true
}

var escape = strings.NewReplacer(`"`, `\"`, `\`, `\\`, `]`, `\]`)
