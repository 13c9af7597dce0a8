package checkpoint_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/logsource/operator/collector/checkpoint"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, dir string) *checkpoint.Store {
	t.Helper()
	s, err := checkpoint.Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeStore(t *testing.T, s *checkpoint.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// told counts Saved calls and remembers their order.
type told struct {
	n     int
	order *[]int
}

func (w told) Saved() { *w.order = append(*w.order, w.n) }

func put(n *checkpoint.Namespace, key, value string, i int, order *[]int) {
	n.Put(key, []byte(value), told{i, order})
}

func TestValuesSurviveReopen(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	var order []int
	for i := range 100 {
		put(s.Namespace(fmt.Sprint("ns", i%3)), fmt.Sprint("key", i%7), fmt.Sprint("value", i), i, &order)
	}
	s.Namespace("ns0").Delete("key0")
	closeStore(t, s)
	for i, n := range order {
		if i != n {
			t.Fatalf("saved out of order: %v", order)
		}
	}
	if len(order) != 100 {
		t.Fatalf("%d of 100 were told as saved", len(order))
	}
	s = open(t, dir)
	defer closeStore(t, s)
	if v, _ := s.Namespace("ns1").Load("key1"); string(v) != "value85" {
		t.Errorf("ns1/key1 is %q, want value85", v)
	}
	if v, ok := s.Namespace("ns0").Load("key0"); ok {
		t.Errorf("deleted ns0/key0 is %q", v)
	}
	if n := len(s.Namespace("ns0").Keys()); n != 6 {
		t.Errorf("ns0 has %d keys, want 6", n)
	}
}

// What Saved told is there after a crash at any byte of what was written later; no crash
// stops the start.
func TestEveryCutIsATornTail(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	var order []int
	put(s.Namespace("ns"), "first", "safe", 0, &order)
	s.Flush()
	safe, err := os.ReadFile(filepath.Join(dir, "positions"))
	if err != nil {
		t.Fatal(err)
	}
	put(s.Namespace("ns"), "second", strings.Repeat("x", 300), 1, &order)
	closeStore(t, s)
	whole, err := os.ReadFile(filepath.Join(dir, "positions"))
	if err != nil {
		t.Fatal(err)
	}
	for cut := len(safe); cut <= len(whole); cut++ {
		dir := t.TempDir()
		write(t, dir, whole[:cut])
		s := open(t, dir)
		if v, _ := s.Namespace("ns").Load("first"); string(v) != "safe" {
			t.Fatalf("cut at %d: first is %q", cut, v)
		}
		if c := s.Counts(); c.Corrupt != 0 {
			t.Fatalf("cut at %d: a torn tail was called damage", cut)
		}
		closeStore(t, s)
	}
}

func write(t *testing.T, dir string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "positions"), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Damage sets the file aside, is counted, keeps what stands before it, and never stops
// the start.
func TestDamageIsSetAside(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	var order []int
	for i := range 20 {
		put(s.Namespace("ns"), fmt.Sprint("key", i), "value", i, &order)
	}
	closeStore(t, s)
	good, err := os.ReadFile(filepath.Join(dir, "positions"))
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]func([]byte) []byte{
		"flipped bit in the middle": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"not our file":              func([]byte) []byte { return []byte("#!/bin/sh\necho hello\n") },
		"zeroes":                    func(b []byte) []byte { clear(b); return b },
		"impossible length":         func(b []byte) []byte { binary.LittleEndian.PutUint32(b[22:], 1<<31); return b },
	}
	for name, damage := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, damage(bytes.Clone(good)))
			s := open(t, dir)
			if c := s.Counts(); c.Corrupt != 1 {
				t.Errorf("counted %d corrupt files, want 1", c.Corrupt)
			}
			aside, _ := filepath.Glob(filepath.Join(dir, "positions.corrupt-*"))
			if len(aside) != 1 {
				t.Errorf("set aside: %v", aside)
			}
			var order []int
			put(s.Namespace("ns"), "new", "works", 0, &order)
			closeStore(t, s)
			s = open(t, dir)
			if v, _ := s.Namespace("ns").Load("new"); string(v) != "works" {
				t.Errorf("after the damage a new value is %q", v)
			}
			closeStore(t, s)
		})
	}
}

func TestOneOwner(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if _, err := checkpoint.Open(dir, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "in use by another collector") {
		t.Errorf("second owner: %v", err)
	}
	closeStore(t, s)
	closeStore(t, open(t, dir))
}

// The journal does not grow without bound, and a value put while it is being rewritten is
// not lost.
func TestJournalIsRewritten(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	var order []int
	value := strings.Repeat("v", 1000)
	for round := range 60 {
		for i := range 100 {
			put(s.Namespace("ns"), fmt.Sprint("key", i), fmt.Sprint(round, value), 0, &order)
		}
		s.Flush()
	}
	closeStore(t, s)
	info, err := os.Stat(filepath.Join(dir, "positions"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 2<<20 {
		t.Errorf("the journal holds 100 KB and has %d bytes", info.Size())
	}
	s = open(t, dir)
	defer closeStore(t, s)
	for i := range 100 {
		if v, _ := s.Namespace("ns").Load(fmt.Sprint("key", i)); string(v) != fmt.Sprint(59, value) {
			t.Fatalf("key%d is of an old round: %.10q", i, v)
		}
	}
}

// A disk that refuses writes holds Saved back; once it accepts them again, everything is
// told and nothing is missing. A directory in the place of the new file stands for the
// refusing disk: it works for root too.
func TestWritesAreRetried(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	obstacle := filepath.Join(dir, "positions.new")
	if err := os.Mkdir(obstacle, 0o700); err != nil {
		t.Fatal(err)
	}
	var order []int
	big := strings.Repeat("x", 3<<20) // makes the journal overgrown, so that the next write begins a new file
	put(s.Namespace("ns"), "a", big, 0, &order)
	s.Flush()
	done := make(chan struct{})
	s.Namespace("ns").Put("b", []byte("2"), closing{done})
	s.Flush() // returns at the first failure
	if c := s.Counts(); c.WriteErrors == 0 {
		t.Fatal("the write did not fail: the test proves nothing")
	}
	select {
	case <-done:
		t.Error("told as saved while the disk refused")
	default:
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	<-done
	closeStore(t, s)
	s = open(t, dir)
	defer closeStore(t, s)
	if v, _ := s.Namespace("ns").Load("b"); string(v) != "2" {
		t.Errorf("b is %q after the disk recovered", v)
	}
}

type closing struct{ done chan struct{} }

func (c closing) Saved() { close(c.done) }

func FuzzReplay(f *testing.F) {
	f.Add([]byte("logsource positions 1\n"), uint64(1))
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		dir := t.TempDir()
		write(t, dir, data)
		s := open(t, dir) // never panics, never refuses
		var order []int
		key := fmt.Sprint(rand.New(rand.NewPCG(seed, 0)).Uint64())
		put(s.Namespace("ns"), key, "v", 0, &order)
		closeStore(t, s)
		s = open(t, dir)
		defer closeStore(t, s)
		if v, _ := s.Namespace("ns").Load(key); string(v) != "v" {
			t.Fatalf("a value put after %q is lost", data)
		}
	})
}
