// Package soak says how much the long tests do. It is imported by tests only.
package soak

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
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

// Figures are sums over all that a long test did, said in one line when it ends. The line
// begins with "figure:", which hack/testsummary shows also of a test that passed; it is
// where docs/guarantees.md has its figures from.
type Figures struct {
	mu    sync.Mutex
	names []string // in the order of their first Add
	sums  map[string]int
}

// NewFigures says its line at the end of t and of its subtests.
func NewFigures(t testing.TB) *Figures {
	f := &Figures{sums: map[string]int{}}
	t.Cleanup(func() { t.Logf("figure: %s: %s", t.Name(), f) })
	return f
}

// Add adds n to the sum of that name, such as "kills". Any goroutine may call it.
func (f *Figures) Add(name string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, known := f.sums[name]; !known {
		f.names = append(f.names, name)
	}
	f.sums[name] += n
}

// String is "250 kills, 0 missing".
func (f *Figures) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	parts := make([]string, len(f.names))
	for i, name := range f.names {
		parts[i] = fmt.Sprintf("%d %s", f.sums[name], name)
	}
	return strings.Join(parts, ", ")
}
