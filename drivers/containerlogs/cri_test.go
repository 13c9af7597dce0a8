package containerlogs

import (
	"bytes"
	"regexp"
	"testing"
	"time"
)

var reference = regexp.MustCompile(`(?s)^([^ ]*) (stdout|stderr) ([PF])(:[^ ]*)?( .*)?$`)

// parseReference is the oracle: slow, allocating and obvious.
func parseReference(line []byte) (nano int64, stream string, partial bool, body []byte, ok bool) {
	m := reference.FindSubmatch(line)
	if m == nil {
		return 0, "", false, nil, false
	}
	t, err := time.Parse(time.RFC3339Nano, string(m[1]))
	if err != nil || t.Year() < 1700 || t.Year() > 2200 {
		return 0, "", false, nil, false
	}
	return t.UnixNano(), string(m[2]), string(m[3]) == "P", bytes.TrimPrefix(m[5], space), true
}

func checkParse(t *testing.T, p *criParser, line []byte) {
	t.Helper()
	var h header
	ok := p.parse(line, &h)
	nano, stream, partial, body, want := parseReference(line)
	if ok != want {
		t.Fatalf("parse(%q) = %v, want %v", line, ok, want)
	}
	if !ok {
		return
	}
	if h.unixNano != nano || []string{"stdout", "stderr"}[h.variant] != stream || h.partial != partial || !bytes.Equal(line[h.body:], body) {
		t.Fatalf("parse(%q) = %+v, body %q; want %d %s partial=%v body %q", line, h, line[h.body:], nano, stream, partial, body)
	}
}

var criLines = []string{
	"2026-11-23T07:40:49.123456789Z stdout F hello",
	"2026-11-23T07:40:49.123456789Z stderr P ",
	"2026-11-23T07:40:49.12345678Z stdout F short fraction",
	"2026-11-23T07:40:49.1Z stdout F one digit",
	"2026-11-23T07:40:49Z stdout F no fraction",
	"2026-11-23T07:40:49.Z stdout F no digits",
	"2026-11-23T07:40:49.1234567891Z stdout F ten digits",
	"2026-11-23T07:40:49,5Z stdout F comma",
	"2026-11-23T09:40:49.123456789+02:00 stdout F zone east",
	"2026-11-22T20:10:49.123456789-11:30 stderr F zone west",
	"2026-11-23T09:40:49.123456789+24:00 stdout F odd zone",
	"2026-02-29T07:40:49.123456789Z stdout F no such day",
	"2024-02-29T07:40:49.123456789Z stdout F leap day",
	"2026-11-23T07:40:60.123456789Z stdout F leap second",
	"2026-11-23T24:40:49.123456789Z stdout F hour 24",
	"1969-12-31T23:59:59.5Z stdout F before the epoch",
	"0001-01-01T00:00:00Z stdout F year one",
	"2026-11-23T07:40:49.123456789Z stdout F:tag more tags",
	"2026-11-23T07:40:49.123456789Z stdout P:xyz more tags",
	"2026-11-23T07:40:49.123456789Z stdout X tag X",
	"2026-11-23T07:40:49.123456789Z stdout FF tag FF",
	"2026-11-23T07:40:49.123456789Z stdout F",
	"2026-11-23T07:40:49.123456789Z stdout ",
	"2026-11-23T07:40:49.123456789Z stdin  F hello",
	"2026-11-23T07:40:49.123456789Z  stdout F two spaces",
	"2026-11-23t07:40:49.123456789z stdout F lower case",
	"2026-11-23T7:40:49.123456789Z stdout F short hour",
	"{\"log\":\"docker json\"}",
	"", " ", "\x00\x00\x00",
}

func TestParse(t *testing.T) {
	var p criParser
	for _, line := range criLines {
		checkParse(t, &p, []byte(line))
		checkParse(t, &p, []byte(line)) // again with the minute cached
	}
}

func FuzzParse(f *testing.F) {
	for _, line := range criLines {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if bytes.IndexByte(line, '\n') >= 0 {
			return
		}
		var p criParser
		checkParse(t, &p, line)
		checkParse(t, &p, line)
	})
}
