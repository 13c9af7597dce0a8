package plan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/logsource/operator/collector/plan"
)

func TestLocation(t *testing.T) {
	f := func(zone, want string) {
		t.Helper()
		l, err := plan.Message{TimeZone: zone}.Location()
		if err != nil {
			t.Errorf("%q: %v", zone, err)
			return
		}
		if got := time.Date(2026, 7, 1, 12, 0, 0, 0, l).Format(time.RFC3339); got != "2026-07-01T12:00:00"+want {
			t.Errorf("%q: got %s, want %s", zone, got, want)
		}
	}
	f("", "Z")
	f("UTC", "Z")
	f("Europe/Budapest", "+02:00")
	f("+05:30", "+05:30")
	f("-03:30", "-03:30")
	f("+00:00", "Z")
	f("-14:59", "-14:59")
}

func TestLocationRefuses(t *testing.T) {
	for _, zone := range []string{"Local", "Europe/Budapst", "CEST", "+2:00", "+0200", "+15:00", "+01:60", "../etc/passwd", "/etc/localtime"} {
		if l, err := (plan.Message{TimeZone: zone}).Location(); err == nil || !strings.Contains(err.Error(), "such as Europe/Budapest") {
			t.Errorf("%q: got %v, %v; want a refusal", zone, l, err)
		}
	}
}
