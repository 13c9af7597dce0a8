// Package soak says how much the long tests do. It is imported by tests only.
package soak

import (
	"os"
	"strconv"
	"testing"
)

// Scale is by how much a test multiplies its count of kills, rotations or schedules:
// LOGSOURCE_SCALE, 1 without it. `make soak` sets it high.
func Scale(t testing.TB) int {
	t.Helper()
	v := os.Getenv("LOGSOURCE_SCALE")
	if v == "" {
		return 1
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		t.Fatalf("LOGSOURCE_SCALE is %q, want a whole number from 1", v)
	}
	return n
}
