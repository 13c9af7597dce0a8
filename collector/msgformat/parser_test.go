package msgformat_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/msgformat"
)

// now is the time of every test that does not say another.
var now = time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)

// fields is a Record for people: no empty field is shown.
type fields map[string]string

func show(r *collector.Record) fields {
	f := fields{}
	set := func(name string, v []byte) {
		if len(v) > 0 {
			f[name] = string(v)
		}
	}
	if pri, ok := r.Priority.PRI(); ok {
		f["pri"] = string(rune('0'+pri/100)) + string(rune('0'+pri/10%10)) + string(rune('0'+pri%10))
	}
	if r.UnixNano != 0 {
		f["time"] = time.Unix(0, r.UnixNano).UTC().Format(time.RFC3339Nano)
	}
	set("host", r.Host)
	set("program", r.Program)
	set("pid", r.PID)
	set("msgid", r.MsgID)
	set("body", r.Body)
	set("raw", r.Raw)
	for _, p := range r.Pairs {
		f["pairs"] += string(p.SDID) + "/" + string(p.Name) + "=" + string(p.Value) + ";"
	}
	return f
}

// parse parses at now; an error is the field error.
func parse(t testing.TB, flags, zone, raw string) fields {
	t.Helper()
	p := parser(t, strings.Fields(flags), zone, func() time.Time { return now })
	// What a driver used before must not shine through.
	r := collector.Record{
		Received: 1, Variant: 2, Priority: 3, Host: []byte("x"), Program: []byte("x"), PID: []byte("x"), MsgID: []byte("x"),
		Addr: []byte("x"), Raw: []byte("x"), Pairs: []collector.Pair{{Name: []byte("x")}},
	}
	err := p.Parse([]byte(raw), &r)
	if r.Received != 0 || r.Variant != 0 || r.Addr != nil {
		t.Errorf("Parse(%q) left something of the record before: %+v", raw, r)
	}
	got := show(&r)
	if err != nil {
		got["error"] = err.Error()
	}
	return got
}

type check func(flags, raw string, want fields)

func checker(t *testing.T, zone string) check {
	return func(flags, raw string, want fields) {
		t.Helper()
		if diff := cmp.Diff(want, parse(t, flags, zone, raw)); diff != "" {
			t.Errorf("flags(%s) %q (-want +got):\n%s", flags, raw, diff)
		}
	}
}

func TestExamplesOfRFC5424(t *testing.T) {
	f := checker(t, "")
	f("", "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \xEF\xBB\xBF'su root' failed for lonvick on /dev/pts/8", fields{
		"pri": "034", "time": "2003-10-11T22:14:15.003Z", "host": "mymachine.example.com", "program": "su", "msgid": "ID47",
		"body": "'su root' failed for lonvick on /dev/pts/8",
	})
	f("", `<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time to make the do-nuts.`, fields{
		"pri": "165", "time": "2003-08-24T12:14:15.000003Z", "host": "192.0.2.1", "program": "myproc", "pid": "8710",
		"body": "%% It's time to make the do-nuts.",
	})
	f("", `<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"] `+"\xEF\xBB\xBFAn application event log entry...", fields{
		"pri": "165", "time": "2003-10-11T22:14:15.003Z", "host": "mymachine.example.com", "program": "evntslog", "msgid": "ID47",
		"pairs": "exampleSDID@32473/iut=3;exampleSDID@32473/eventSource=Application;exampleSDID@32473/eventID=1011;",
		"body":  "An application event log entry...",
	})
	f("", `<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"][examplePriority@32473 class="high"]`, fields{
		"pri": "165", "time": "2003-10-11T22:14:15.003Z", "host": "mymachine.example.com", "program": "evntslog", "msgid": "ID47",
		"pairs": "exampleSDID@32473/iut=3;exampleSDID@32473/eventSource=Application;exampleSDID@32473/eventID=1011;examplePriority@32473/class=high;",
	})
}

// The stamps of RFC 5424 §6.2.3.1; the last two are the invalid ones.
func TestStampsOfRFC5424(t *testing.T) {
	f := func(stamp, want string) {
		t.Helper()
		raw := "<34>1 " + stamp + " - - - - - x"
		if got := parse(t, "", "+05:30", raw)["time"]; got != want {
			t.Errorf("stamp %s is %s, want %s", stamp, got, want)
		}
	}
	f("1985-04-12T23:20:50.52Z", "1985-04-12T23:20:50.52Z")
	f("1985-04-12T19:20:50.52-04:00", "1985-04-12T23:20:50.52Z")
	f("2003-10-11T22:14:15.003Z", "2003-10-11T22:14:15.003Z")
	f("2003-08-24T05:14:15.000003-07:00", "2003-08-24T12:14:15.000003Z")
	f("2003-08-24T05:14:15.000000003-07:00", "2003-08-24T12:14:15.000000003Z")
	f("2003-08-24T05:14:15.00000000399-07:00", "2003-08-24T12:14:15.000000003Z")
	f("2003-08-24T05:14:15,5-0700", "2003-08-24T12:14:15.5Z")
	f("2003-08-24 05:14:15", "2003-08-23T23:44:15Z") // no zone: that of the Parser
	f("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z")
	f("2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z")
	f("2023-02-30T00:00:00Z", "2023-03-02T00:00:00Z")
	f("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.5Z")
	f("1678-01-01T00:00:00Z", "1678-01-01T00:00:00Z")
	f("2261-12-31T23:59:59Z", "2261-12-31T23:59:59Z")
	f("0000-01-01T00:00:00Z", "") // an int64 cannot hold these two
	f("9999-12-31T23:59:59Z", "")
	f("-", "")
}

func TestRFC5424(t *testing.T) {
	f := checker(t, "")
	f("", "<0>1 - - - - - -", fields{"pri": "000"})
	f("", "<191>1 - - - - - - ", fields{"pri": "191"})
	f("", "<34>1 - h p 1 m -  two spaces\r\n\x00\n", fields{"pri": "034", "host": "h", "program": "p", "pid": "1", "msgid": "m", "body": " two spaces"})
	f("", "<34>1 - [fe80::1%eth0] - - - - x", fields{"pri": "034", "host": "[fe80::1%eth0]", "body": "x"})
	f("", `<34>1 - - - - - [a] x`, fields{"pri": "034", "pairs": "a/=;", "body": "x"})
	f("", `<34>1 - - - - - [a][b c="d"][a e="f" g=""] x`, fields{"pri": "034", "pairs": "a/=;b/c=d;a/e=f;a/g=;", "body": "x"})
	f("", `<34>1 - - - - - [a b="\"\\\]\n" c="é\]"] x`, fields{"pri": "034", "pairs": `a/b="\]\n;a/c=é];`, "body": "x"})
	f("", `<34>1 - - - - - [ a b=1 c= d="e" ] x`, fields{"pri": "034", "pairs": `a/b=1;a/c=;a/d=e;`, "body": "x"})
	f("", `1 2003-10-11T22:14:15Z h p - - - no PRI`, fields{"time": "2003-10-11T22:14:15Z", "host": "h", "program": "p", "body": "no PRI"})
	f("", `1 hello world`, fields{"program": "1", "body": "hello world"})
	f("", `<34>2 - - - - - - another version`, fields{"pri": "034", "program": "2", "body": "- - - - - - another version"})
	long := strings.Repeat("x", 300)
	f("", "<34>1 - h "+long+" "+long+" "+long+" -", fields{"pri": "034", "host": "h", "program": long, "pid": long, "msgid": long})
}

// Every error says where, and the text stays whole.
func TestErrors(t *testing.T) {
	f := func(flags, raw, want string) {
		t.Helper()
		expected := fields{"error": want}
		if body := strings.TrimRight(raw, "\n"); body != "" {
			expected["body"] = body
		}
		checker(t, "")(flags, raw, expected)
	}
	f("", "<", "byte 1: no priority of one to three digits between < and >")
	f("", "<>x", "byte 1: no priority of one to three digits between < and >")
	f("", "<3x>", "byte 2: no priority of one to three digits between < and >")
	f("", "<34", "byte 3: no priority of one to three digits between < and >")
	f("", "<1234>x\n", "byte 4: no priority of one to three digits between < and >")
	f("no-rfc3164-fallback", "<34>Oct 11 22:14:15 h p: x", "byte 4: no version 1 of RFC 5424, and the flag no-rfc3164-fallback is set")
	f("no-rfc3164-fallback", "", "byte 0: no version 1 of RFC 5424, and the flag no-rfc3164-fallback is set")
	f("no-rfc3164-fallback", "1 x", "byte 2: no stamp of RFC 5424 and a space behind the version")
	f("", "<34>1 x", "byte 6: no stamp of RFC 5424 and a space behind the version")
	f("", "<34>1 -x", "byte 7: no stamp of RFC 5424 and a space behind the version")
	f("", "<34>1 2003-13-11T22:14:15Z h p - - - x", "byte 6: no stamp of RFC 5424 and a space behind the version")
	f("", "<34>1 2003-10-11T22:14:15+2 h p - - - x", "byte 25: no stamp of RFC 5424 and a space behind the version")
	f("", "<34>1 - host", "byte 8: no host name and a space behind the stamp")
	f("check-hostname", "<34>1 - h%st p - - - x", "byte 8: no host name and a space behind the stamp")
	f("", "<34>1 - h app", "byte 10: no application name and a space behind the host name")
	f("", "<34>1 - h p 1", "byte 12: no process id and a space behind the application name")
	f("", "<34>1 - h p 1 m", "byte 14: no message id and a space behind the process id")
	f("", "<34>1 - h p 1 m ", "byte 16: no structured data behind the message id")
	f("", "<34>1 - h p 1 m text", "byte 16: no structured data behind the message id")
	f("", "<34>1 - h p 1 m -text", "byte 17: no space behind the structured data")
	f("", "<34>1 - h p 1 m [", "byte 17: no name of a structured data element of 1 to 255 ASCII characters")
	f("", "<34>1 - h p 1 m [=]", "byte 17: no name of a structured data element of 1 to 255 ASCII characters")
	f("", "<34>1 - h p 1 m ["+strings.Repeat("x", 256)+"]", "byte 17: no name of a structured data element of 1 to 255 ASCII characters")
	f("", `<34>1 - h p 1 m [a`, "byte 18: no space or closing ] in a structured data element")
	f("", `<34>1 - h p 1 m [a é="1"]`, "byte 19: no parameter name of 1 to 255 ASCII characters")
	f("", `<34>1 - h p 1 m [a b`, "byte 20: no = behind a parameter name")
	f("", `<34>1 - h p 1 m [a b="1"c="2"]`, "byte 24: no space or closing ] in a structured data element")
	f("", `<34>1 - h p 1 m [a b="1]"]`, `byte 23: a ] without a \ in a parameter value`)
	f("", `<34>1 - h p 1 m [a b="1\`, "byte 24: no closing quote of a parameter value")
	f("", `<34>1 - h p 1 m [a b="1\"`, "byte 25: no closing quote of a parameter value")
}

func TestExamplesOfRFC3164(t *testing.T) {
	f := checker(t, "")
	f("", "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8", fields{
		"pri": "034", "time": "2026-10-11T22:14:15Z", "host": "mymachine", "program": "su", "body": "'su root' failed for lonvick on /dev/pts/8",
	})
	f("", "Use the BFG!", fields{"program": "Use", "body": "the BFG!"})
	f("", "<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!", fields{
		"pri": "013", "time": "2026-02-05T17:32:18Z", "host": "10.0.0.99", "program": "Use", "body": "the BFG!",
	})
	f("", "<165>Aug 24 05:34:00 CST 1987 mymachine myproc[10]: %% It's time to make the do-nuts.  %%  Ingredients: Mix=OK, Jelly=OK #", fields{
		"pri": "165", "time": "2026-08-24T05:34:00Z", "host": "CST", "program": "1987", "body": "mymachine myproc[10]: %% It's time to make the do-nuts.  %%  Ingredients: Mix=OK, Jelly=OK #",
	})
	f("", "<0>1990 Oct 22 10:52:01 TZ-6 scapegoat.dmz.example.org 10.1.2.3 sched[0]: That's All Folks!", fields{
		"pri": "000", "time": "1990-10-22T10:52:01Z", "host": "TZ-6", "program": "scapegoat.dmz.example.org", "body": "10.1.2.3 sched[0]: That's All Folks!",
	})
}

func TestRFC3164(t *testing.T) {
	f := checker(t, "")
	const stamp, at = "<34>Oct 11 22:14:15 ", "2026-10-11T22:14:15Z"
	f("", "", fields{})
	f("", "\n\x00\n", fields{})
	f("", "<34>", fields{"pri": "034"})
	f("", "<999>x", fields{"pri": "999", "program": "x"})
	f("", "Oct 11 22:14:15 h p[1]: no PRI", fields{"time": at, "host": "h", "program": "p", "pid": "1", "body": "no PRI"})
	f("", stamp+"h p[1]: x", fields{"pri": "034", "time": at, "host": "h", "program": "p", "pid": "1", "body": "x"})
	f("", stamp+"h p[1] x", fields{"pri": "034", "time": at, "host": "h", "program": "p", "pid": "1", "body": "x"})
	f("", stamp+"h p[a:b]:x", fields{"pri": "034", "time": at, "host": "h", "program": "p", "pid": "a:b", "body": "x"})
	f("", stamp+"h p[]: x", fields{"pri": "034", "time": at, "host": "h", "program": "p", "body": "x"})
	f("", stamp+"h p[1 2]: x", fields{"pri": "034", "time": at, "host": "h", "program": "p", "body": "[1 2]: x"})
	f("", stamp+"h p[1", fields{"pri": "034", "time": at, "host": "h", "program": "p", "body": "[1"})
	f("", stamp+"h p", fields{"pri": "034", "time": at, "host": "h", "program": "p"})
	f("", stamp+"h p:  two spaces", fields{"pri": "034", "time": at, "host": "h", "program": "p", "body": " two spaces"})
	f("", stamp+" h  p: x", fields{"pri": "034", "time": at, "host": "h", "program": "p", "body": "x"})
	f("", stamp+"su: no host", fields{"pri": "034", "time": at, "program": "su", "body": "no host"})
	f("", stamp+"su[12]: no host", fields{"pri": "034", "time": at, "program": "su", "pid": "12", "body": "no host"})
	f("", stamp+"dad: hexadecimal", fields{"pri": "034", "time": at, "program": "dad", "body": "hexadecimal"})
	f("", stamp+"fe80::1 p: x", fields{"pri": "034", "time": at, "host": "fe80::1", "program": "p", "body": "x"})
	f("", stamp+":: p: x", fields{"pri": "034", "time": at, "host": "::", "program": "p", "body": "x"})
	f("", stamp+"1:2:3:4:5:6:7:8 p: x", fields{"pri": "034", "time": at, "host": "1:2:3:4:5:6:7:8", "program": "p", "body": "x"})
	f("", stamp+"1:2:3:4:5:6:7:8:9 x", fields{"pri": "034", "time": at, "program": "1", "body": "2:3:4:5:6:7:8:9 x"})
	f("", stamp+`{"a" : 1}`, fields{"pri": "034", "time": at, "body": `{"a" : 1}`})
	f("", stamp+`h {"a":1}`, fields{"pri": "034", "time": at, "host": "h", "body": `{"a":1}`})
	f("", stamp+"h [a] b", fields{"pri": "034", "time": at, "host": "h", "body": "[a] b"})
	f("", stamp+"CRON: capitals", fields{"pri": "034", "time": at, "program": "CRON", "body": "capitals"})
	f("", stamp+"last message repeated 3 times", fields{"pri": "034", "time": at, "body": "last message repeated 3 times"})
	f("", stamp+"Message forwarded from h: p[1]: x", fields{"pri": "034", "time": at, "host": "h", "program": "p", "pid": "1", "body": "x"})
	f("", stamp+"Message forwarded from h: last message repeated 3 times", fields{"pri": "034", "time": at, "host": "h", "body": "last message repeated 3 times"})
	f("", stamp+"Message forwarded from h", fields{"pri": "034", "time": at, "host": "h"})
	f("", "<6>[   12.5] usb 1-1: new device", fields{"pri": "006", "body": "[   12.5] usb 1-1: new device"})
	f("", `{"level":"info","msg":"x"}`, fields{"body": `{"level":"info","msg":"x"}`})
	f("", "  p: x", fields{"program": "p", "body": "x"})
	f("", stamp+"0000 p: x", fields{"pri": "034", "time": at, "host": "0000", "program": "p", "body": "x"})
	f("", "9999-12-31T23:59:59Z h", fields{"program": "9999-12-31T23", "body": "59:59Z h"})
	f("", "404: not found", fields{"program": "404", "body": "not found"})
	f("", "*hello* world", fields{"program": "*hello*", "body": "world"})
	f("", "p: a\r\nb\r\n", fields{"program": "p", "body": "a\r\nb"})
}

func TestStampsOfRFC3164(t *testing.T) {
	f := func(stamp, want string) {
		t.Helper()
		checker(t, "+02:00")("", "<34>"+stamp+" h p: x", fields{"pri": "034", "time": want, "host": "h", "program": "p", "body": "x"})
	}
	f("Oct  1 22:14:15", "2026-10-01T20:14:15Z")
	f("Oct 01 22:14:15", "2026-10-01T20:14:15Z")
	f("Oct 1 22:14:15", "2026-10-01T20:14:15Z")
	f("oct 1  2:14:15", "2026-10-01T00:14:15Z")
	f("Oct 1 2:14:15", "2026-10-01T00:14:15Z")
	f("Oct 11 22:14:15.25", "2026-10-11T20:14:15.25Z")
	f("Oct 11 22:14:15,123456789", "2026-10-11T20:14:15.123456789Z")
	f("Oct 11 22:14:15:", "2026-10-11T20:14:15Z")
	f("Oct 11 2003 22:14:15", "2003-10-11T20:14:15Z")
	f("Oct 11 2003 22:14:15:", "2003-10-11T20:14:15Z")
	f("Oct 11 22:14:15 2003", "2003-10-11T20:14:15Z")
	f("Oct 11 22:14:15 2003:", "2003-10-11T20:14:15Z")
	f("2003 Oct 11 22:14:15.5", "2003-10-11T20:14:15.5Z")
	f("2003-10-11T22:14:15.003Z", "2003-10-11T22:14:15.003Z")
	f("2003-10-11T22:14:15.003-07:00", "2003-10-12T05:14:15.003Z")
	f("2003-10-11T22:14:15-0700", "2003-10-12T05:14:15Z")
	f("2003-10-11 22:14:15", "2003-10-11T20:14:15Z")
	f("2003-10-11T22:14:15 UTC:", "2003-10-11T22:14:15Z")
	f("Oct 11 22:14:15 GMT:", "2026-10-11T22:14:15Z")
	for i, month := range strings.Fields("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec") {
		f("2003 "+month+" 02 12:00:00", time.Date(2003, time.Month(i+1), 2, 10, 0, 0, 0, time.UTC).Format(time.RFC3339))
	}
}

// What looks like a stamp but is none stays in the text.
func TestNoStamp(t *testing.T) {
	f := func(raw string) {
		t.Helper()
		if got := parse(t, "", "", raw); got["time"] != "" {
			t.Errorf("%q has the time %s", raw, got["time"])
		}
	}
	for _, raw := range []string{
		"Oct", "Oct 11", "Oct 11 22:14:1", "Oct 11 22:14:1x h p: x", "Oct 11 22:14:15x h p: x", "Oct 00 22:14:15 h p: x",
		"Oct 32 22:14:15 h p: x", "Oct 11 24:14:15 h p: x", "Oct 11 22:60:15 h p: x", "Oct 11 22:14:61 h p: x",
		"Okt 11 22:14:15 h p: x", "Oct11 22:14:15 h p: x", "Oct  22:14:15 h p: xxxxx", "Oct 11-22:14:15 h p: x", "Oct 11 22.14.15 h p: x",
		"Oct 11 2003 22:14 h p: x", "2003 Oct 11 2003 22:14:15 h p: x", "2003-Oct-11 22:14:15 h p: x", "20x3 Oct 11 22:14:15 h p: x",
		"2003-10-11T22:14:15+25:00 h p: x", "2003-10-11T22:14:15+02:60 h p: x", "2003-10-11T22:14:15+02: h p: x", "2003-10-11T22:14:1",
		"2003-1x-11T22:14:15 h p: x", "2003-00-11T22:14:15 h p: x", "1065910455 h p: x", "Oct 11 22:14:15. h p: x",
	} {
		f(raw)
	}
}

func TestCisco(t *testing.T) {
	f := checker(t, "+02:00")
	f("", "<189>17: *Mar  1 00:00:00.123 UTC: %SYS-5-CONFIG_I: Configured from console", fields{
		"pri": "189", "time": "2026-03-01T00:00:00.123Z", "program": "%SYS-5-CONFIG_I", "body": "Configured from console",
		"pairs": "meta/sequenceId=17;timeQuality/isSynced=0;",
	})
	f("", "<189>17: 000104: .Mar  1 2025 00:00:00 CEST: %SYS-5-CONFIG_I: x", fields{
		"pri": "189", "time": "2025-02-28T22:00:00Z", "program": "%SYS-5-CONFIG_I", "body": "x",
		"pairs": "meta/sequenceId=000104;timeQuality/isSynced=1;",
	})
	f("", "<189>148: R1: *Mar  1 18:48:50.483: %LINK-3-UPDOWN: x", fields{
		"pri": "189", "time": "2026-03-01T16:48:50.483Z", "host": "R1", "program": "%LINK-3-UPDOWN", "body": "x",
		"pairs": "meta/sequenceId=148;timeQuality/isSynced=0;",
	})
	f("", "<189>148: R1: Mar  1 18:48:50: h p: x", fields{
		"pri": "189", "time": "2026-03-01T16:48:50Z", "host": "R1", "program": "h", "body": "p: x", "pairs": "meta/sequenceId=148;",
	})
	f("", "<187>: 2014 Dec  4 11:07:27 UTC: %ETHPORT-5-IF_UP: x", fields{
		"pri": "187", "time": "2014-12-04T11:07:27Z", "program": "%ETHPORT-5-IF_UP", "body": "x",
	})
	f("", "*Mar  1 00:00:00.123: %SYS-5-RESTART: x", fields{
		"time": "2026-02-28T22:00:00.123Z", "program": "%SYS-5-RESTART", "body": "x", "pairs": "timeQuality/isSynced=0;",
	})
	f("", "<166>Mar 01 2023 12:00:00 EST: %ASA-6-302013: x", fields{
		"pri": "166", "time": "2023-03-01T10:00:00Z", "program": "%ASA-6-302013", "body": "x",
	})
	f("", "<166>Mar 01 2023 12:00:00 asa : %ASA-6-302013: x", fields{
		"pri": "166", "time": "2023-03-01T10:00:00Z", "host": "asa", "body": ": %ASA-6-302013: x",
	})
	f("", "<189>17: R1: no stamp", fields{"pri": "189", "program": "17", "body": "R1: no stamp"})
	f("", "<189>17: *no stamp", fields{"pri": "189", "program": "17", "body": "*no stamp"})
	f("", "R1: *Mar  1 00:00:00: no number", fields{"program": "R1", "body": "*Mar  1 00:00:00: no number"})
}

func TestFlags(t *testing.T) {
	f := checker(t, "")
	const old, oldTime = "<34>Oct 11 22:14:15 h p[1]: x\ny\n", "2026-10-11T22:14:15Z"
	const modern = "<34>1 2003-10-11T22:14:15Z h p 1 m - x\ny\n"
	both := fields{"pri": "034", "time": oldTime, "host": "h", "program": "p", "pid": "1", "body": "x\ny"}
	f("", old, both)
	f("syslog-protocol expect-hostname dont-store-legacy-msghdr assume-utf8 validate-utf8", old, both)

	f("no-parse", old, fields{"body": strings.TrimSpace(old)})
	f("no-parse store-raw-message no-multi-line sanitize-utf8", "a\nb\xff\n\x00", fields{"body": "a\nb\xff", "raw": "a\nb\xff"})
	f("store-raw-message", old, fields{
		"pri": "034", "time": oldTime, "host": "h", "program": "p", "pid": "1", "body": "x\ny", "raw": strings.TrimSpace(old),
	})
	f("store-raw-message", "<x\n", fields{"body": "<x", "raw": "<x", "error": "byte 1: no priority of one to three digits between < and >"})

	f("store-legacy-msghdr", old, fields{
		"pri": "034", "time": oldTime, "host": "h", "program": "p", "pid": "1", "body": "x\ny", "pairs": "/LEGACY_MSGHDR=p[1]: ;",
	})
	f("store-legacy-msghdr dont-store-legacy-msghdr", old, both)
	f("store-legacy-msghdr", "p x", fields{"program": "p", "body": "x", "pairs": "/LEGACY_MSGHDR=p ;"})
	f("store-legacy-msghdr", "[x]", fields{"body": "[x]"})

	f("no-multi-line", old, fields{"pri": "034", "time": oldTime, "host": "h", "program": "p", "pid": "1", "body": "x y"})
	f("no-multi-line", "<34>1 - - - - - [a b=\"c\nd\"] x\r\n\x00y", fields{"pri": "034", "pairs": "a/b=c\nd;", "body": "x   y"})

	f("no-header", "<34> Oct 11 22:14:15 h p[1]: x", fields{"pri": "034", "body": " Oct 11 22:14:15 h p[1]: x"})
	f("no-header", modern, fields{"pri": "034", "time": "2003-10-11T22:14:15Z", "host": "h", "program": "p", "pid": "1", "msgid": "m", "body": "x\ny"})
	f("no-rfc3164-fallback", modern, fields{"pri": "034", "time": "2003-10-11T22:14:15Z", "host": "h", "program": "p", "pid": "1", "msgid": "m", "body": "x\ny"})

	f("no-hostname", "<34>Oct 11 22:14:15 h p[1]: x", fields{"pri": "034", "time": oldTime, "program": "h", "body": "p[1]: x"})
	f("no-hostname expect-hostname", old, both)
	f("check-hostname", "<34>Oct 11 22:14:15 h%t p: x", fields{"pri": "034", "time": oldTime, "program": "h%t", "body": "p: x"})
	f("check-hostname", "<34>Oct 11 22:14:15 aZ09-_.@/ p: x", fields{"pri": "034", "time": oldTime, "host": "aZ09-_.@/", "program": "p", "body": "x"})

	f("sanitize-utf8", "<34>p: \xff é\xc3\n\tok", fields{"pri": "034", "program": "p", "body": "\\xff é\\xc3\n\tok"})
	f("sanitize-utf8", "<34>1 - - - - - - \xEF\xBB\xBF\xff", fields{"pri": "034", "body": `\xff`})
	f("sanitize-utf8 no-multi-line", "<34>p: \xff\nx", fields{"pri": "034", "program": "p", "body": `\xff x`})
	f("sanitize-utf8", "<34>p: all \uFFFD good", fields{"pri": "034", "program": "p", "body": "all \uFFFD good"})
	f("assume-utf8 validate-utf8", "<34>p: \xff", fields{"pri": "034", "program": "p", "body": "\xff"})
}

func TestGuessTimezone(t *testing.T) {
	f := func(zone, stamp, want string) {
		t.Helper()
		if got := parse(t, "guess-timezone", zone, stamp+" h p: x")["time"]; got != want {
			t.Errorf("zone %q, stamp %s is %s, want %s", zone, stamp, got, want)
		}
	}
	f("", "Jun 15 12:00:00", "2026-06-15T12:00:00Z")
	f("", "Jun 15 14:00:10", "2026-06-15T12:00:10Z") // +02:00
	f("", "Jun 15 06:59:50", "2026-06-15T11:59:50Z") // -05:00
	f("", "Jun 15 17:30:00", "2026-06-15T12:00:00Z") // +05:30
	f("", "Jun 15 17:45:30", "2026-06-15T12:00:30Z") // +05:45
	f("", "Jun 16 02:00:00", "2026-06-15T12:00:00Z") // +14:00
	f("", "Jun 15 00:00:00", "2026-06-15T12:00:00Z") // -12:00
	f("+02:00", "Jun 15 12:00:00", "2026-06-15T12:00:00Z")
	f("+14:00", "Jun 15 00:00:00", "2026-06-14T10:00:00Z") // read as +14:00 it is 26 hours old
	f("", "Jun 15 14:15:00", "2026-06-15T14:15:00Z")       // there is no +02:15
	f("", "Jun 15 14:10:00", "2026-06-15T14:10:00Z")       // late, not elsewhere
	f("", "Jun 15 14:00:31", "2026-06-15T14:00:31Z")
	f("", "Jun 16 03:00:00", "2026-06-16T03:00:00Z") // there is no +15:00
	f("", "Jun 16 12:00:00", "2026-06-16T12:00:00Z") // a day
	f("", "Jun 14 12:00:00", "2026-06-14T12:00:00Z")
	f("", "2026-06-15T14:00:00Z", "2026-06-15T14:00:00Z") // says its zone
	f("", "2026-06-15T14:00:00", "2026-06-15T12:00:00Z")
}

func TestYearIsTheNearest(t *testing.T) {
	f := func(at, stamp, want string) {
		t.Helper()
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		p := parser(t, nil, "", func() time.Time { return when })
		var r collector.Record
		if err := p.Parse([]byte(stamp+" h p: x"), &r); err != nil || show(&r)["time"] != want {
			t.Errorf("at %s %s is %s, %v, want %s", at, stamp, show(&r)["time"], err, want)
		}
	}
	f("2026-12-31T23:59:00Z", "Jan  1 00:00:00", "2027-01-01T00:00:00Z")
	f("2027-01-01T00:01:00Z", "Dec 31 23:59:59", "2026-12-31T23:59:59Z")
	f("2026-01-02T00:00:00Z", "Jan  2 00:00:00", "2026-01-02T00:00:00Z")
	f("2026-12-01T00:00:00Z", "Jul  1 00:00:00", "2026-07-01T00:00:00Z")
	f("2026-12-01T00:00:00Z", "May  1 00:00:00", "2027-05-01T00:00:00Z")
	f("2026-02-01T00:00:00Z", "Sep  1 00:00:00", "2025-09-01T00:00:00Z")
	f("2028-03-01T00:00:00Z", "Feb 29 00:00:00", "2028-02-29T00:00:00Z")
	f("2025-01-01T00:00:00Z", "Feb 29 00:00:00", "2024-02-29T00:00:00Z")
	f("2027-12-01T00:00:00Z", "Feb 29 00:00:00", "2028-02-29T00:00:00Z")
	f("2026-06-01T00:00:00Z", "Feb 29 00:00:00", "2026-03-01T00:00:00Z") // no leap year near
}

func TestYearChangesWhileTheParserLives(t *testing.T) {
	at := time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC)
	p := parser(t, nil, "", func() time.Time { return at })
	for range 3 {
		var r collector.Record
		if err := p.Parse(at.AppendFormat(nil, time.Stamp+" h p: x"), &r); err != nil || r.UnixNano != at.UnixNano() {
			t.Fatalf("at %v the stamp is %v, %v", at, time.Unix(0, r.UnixNano).UTC(), err)
		}
		at = at.AddDate(0, 6, 1)
	}
}

// The offset that was asked for last must not change what a zone says.
func TestZone(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	p := parser(t, nil, "Europe/Berlin", func() time.Time { return now })
	f := func(at time.Time) {
		t.Helper()
		var r collector.Record
		stamp := at.Format("2006-01-02T15:04:05")
		want := time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), 0, berlin)
		if err := p.Parse([]byte(stamp+" h p: x"), &r); err != nil || r.UnixNano != want.UnixNano() {
			t.Fatalf("%s is %v, %v, want %v", stamp, time.Unix(0, r.UnixNano).UTC(), err, want.UTC())
		}
	}
	for year := 1880; year < 2050; year += 17 { // local mean time, war time, a future by rule
		for hour := range 366 * 24 {
			f(time.Date(year, 1, 1, hour, 30, 0, 0, time.UTC))
		}
	}
}

func TestNew(t *testing.T) {
	names := []string{
		"assume-utf8", "check-hostname", "dont-store-legacy-msghdr", "expect-hostname", "guess-timezone", "no-header", "no-hostname", "no-multi-line",
		"no-parse", "no-rfc3164-fallback", "sanitize-utf8", "store-legacy-msghdr", "store-raw-message", "syslog-protocol", "validate-utf8",
	}
	if diff := cmp.Diff(names, msgformat.Names()); diff != "" {
		t.Errorf("Names (-want +got):\n%s", diff)
	}
	f := func(flags []string, zone, want string) {
		t.Helper()
		if _, err := msgformat.New(flags, zone, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New(%v, %q) = %v, want an error with %q", flags, zone, err, want)
		}
	}
	f([]string{"no-parse", "kernel"}, "", `unknown flag "kernel": use some of assume-utf8, check-hostname, `)
	f(nil, "Mars/Phobos", `"Mars/Phobos" is no time zone`)
	f(nil, "Local", `"Local" is no time zone`)
	if _, err := msgformat.New(names, "Asia/Kolkata", nil); err != nil {
		t.Errorf("New with every flag: %v", err)
	}
	// Without a clock it is now.
	var r collector.Record
	if err := parser(t, nil, "", nil).Parse(time.Now().UTC().AppendFormat(nil, time.Stamp+" h p: x"), &r); err != nil ||
		time.Since(time.Unix(0, r.UnixNano)).Abs() > time.Minute {
		t.Errorf("a stamp of now is %v, %v", time.Unix(0, r.UnixNano), err)
	}
}

func TestErrorCanBeTold(t *testing.T) {
	p := parser(t, nil, "", nil)
	var r collector.Record
	var e *msgformat.Error
	if err := p.Parse([]byte("<34>1 x"), &r); !errors.As(err, &e) || e.Offset != 6 || !strings.Contains(e.Reason, "stamp") {
		t.Errorf("the error is %#v", err)
	}
	if err := p.Parse([]byte("<34>x"), &r); err != nil {
		t.Errorf("the next message has the error %v", err)
	}
}

// A Parser's own memory, not raw, takes what must be written; raw is the caller's.
func TestRawIsNotWritten(t *testing.T) {
	p := parser(t, []string{"no-multi-line", "sanitize-utf8", "store-raw-message"}, "", nil)
	raw := []byte("<34>1 - - - - - [a b=\"\\]\"] x\ny\xff")
	before := slices.Clone(raw)
	var r collector.Record
	if err := p.Parse(raw, &r); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(before), string(raw)); diff != "" {
		t.Errorf("raw was changed (-before +after):\n%s", diff)
	}
	if got := show(&r); got["body"] != `x y\xff` || got["pairs"] != "a/b=];" || got["raw"] != string(before) {
		t.Errorf("the record is %v", got)
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	f := func(flags, raw string) {
		t.Helper()
		p := parser(t, strings.Fields(flags), "Europe/Berlin", time.Now)
		message, r := []byte(raw), collector.Record{}
		if n := testing.AllocsPerRun(1000, func() { _ = p.Parse(message, &r) }); n != 0 {
			t.Errorf("flags(%s) %q: %v allocations", flags, raw, n)
		}
	}
	f("", bench5424)
	f("", bench3164)
	f("store-legacy-msghdr store-raw-message guess-timezone", bench3164)
	f("", "<189>17: R1: *Mar  1 00:00:00.123 UTC: %SYS-5-CONFIG_I: x")
	f("sanitize-utf8 no-multi-line", "<34>1 - - - - - [a b=\"\\\"\\]\"] x\ny\xff")
	f("", "<34>1 an error")
	f("no-parse", bench5424)
}
