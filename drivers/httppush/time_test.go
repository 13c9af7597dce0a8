package httppush

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

var strict = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// stamp is the parser of the standard library, held to the grammar of RFC 3339.
func stamp(s string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, s)
	return t, err == nil && strict.MatchString(s) && t.Year() >= 1678 && t.Year() <= 2261
}

// canonical is s with T and Z as the standard library wants them.
func canonical(s string) string {
	s = strings.ToUpper(s)
	if len(s) > 10 && s[10] == ' ' {
		s = s[:10] + "T" + s[11:]
	}
	return s
}

func FuzzStamp(f *testing.F) {
	for _, s := range []string{
		"2026-11-23T08:00:00Z", "2026-11-23t08:00:00.123456789z", "2026-11-23 08:00:00+02:00", "2024-02-29T23:59:59.9-23:59",
		"2023-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-01T24:00:00Z",
		"2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00,5Z",
		"2026-01-01T00:00:00.1234567891Z", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+0200", "1677-12-31T00:00:00Z",
		"2262-01-01T00:00:00Z", "1678-01-01T00:00:00+23:00", "2261-12-31T23:59:59-23:59", "2026-01-01", "", "2026-01-01T00:00:00ZZ", "20260-1-01T00:00:00Z",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := parseStamp([]byte(s))
		want, wantOK := stamp(canonical(s))
		if ok != wantOK || (ok && got != want.UnixNano()) {
			t.Fatalf("%q is %d, %v, want %s, %v", s, got, ok, want, wantOK)
		}
	})
}

func TestUnixTimes(t *testing.T) {
	f := func(s string, want string) {
		t.Helper()
		n, ok := value{kind: s[0], text: []byte(s)}.time()
		got := "none"
		if ok {
			got = time.Unix(0, n).UTC().Format(time.RFC3339Nano)
		}
		if got != want {
			t.Errorf("%s is %s, want %s", s, got, want)
		}
	}
	f("1700000000", "2023-11-14T22:13:20Z")
	f("1700000000.5", "2023-11-14T22:13:20.5Z")
	f("1700000000.123456789012", "2023-11-14T22:13:20.123456789Z")
	f("1700000000123", "2023-11-14T22:13:20.123Z")
	f("1700000000123.25", "2023-11-14T22:13:20.12325Z")
	f("1700000000123456", "2023-11-14T22:13:20.123456Z")
	f("1700000000123456789", "2023-11-14T22:13:20.123456789Z")
	f("1.7e9", "2023-11-14T22:13:20Z")
	f("17000000005e-1", "2023-11-14T22:13:20.5Z")
	f("-1", "1969-12-31T23:59:59Z")
	f("-1.5", "1969-12-31T23:59:58.5Z")
	f("9223372035", "2262-04-11T23:47:15Z")
	f("9223372037", "none")
	f("99999999999", "none")
	f("9223372036854775807", "none")
	f("92233720368547758070", "none")
	f("1e400", "none")
	f("1e30", "none")
	f("true", "none")
	f("[1]", "none")
}
