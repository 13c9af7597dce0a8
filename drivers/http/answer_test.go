package http

import (
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	f := func(header string, want time.Duration) {
		t.Helper()
		if got := retryAfter(header, now); got != want {
			t.Errorf("Retry-After %q: %s, want %s", header, got, want)
		}
	}
	f("", 0)
	f("7", 7*time.Second)
	f("0", 0)
	f("-5", 0)
	f("300", 5*time.Minute)
	f("315360000", 5*time.Minute)
	f("99999999999999999999", 0)
	f("1.5", 0)
	f("soon", 0)
	f("Mon, 23 Nov 2026 08:00:30 GMT", 30*time.Second)
	f("Mon, 23 Nov 2026 07:59:00 GMT", 0)
	f("Sun, 23 Nov 2036 08:00:00 GMT", 5*time.Minute)
}
