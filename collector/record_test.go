package collector_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector"
)

// shown is a message as a test compares it.
type shown struct {
	Body, Host, Program, PID, MsgID, Addr, Raw string
	PRI                                        int // -1: none
	Received                                   int64
	Pairs                                      [][3]string
}

func show(b *collector.Batch, i int) shown {
	s := shown{Body: string(b.Body(i)), PRI: -1}
	f, ok := b.Fields(i)
	if !ok {
		return s
	}
	s.Host, s.Program, s.PID, s.MsgID = string(f.Host), string(f.Program), string(f.PID), string(f.MsgID)
	s.Addr, s.Raw, s.Received = string(f.Addr), string(f.Raw), f.Received
	if pri, ok := f.Priority.PRI(); ok {
		s.PRI = pri
	}
	for p, ok := f.Pairs.Next(); ok; p, ok = f.Pairs.Next() {
		s.Pairs = append(s.Pairs, [3]string{string(p.SDID), string(p.Name), string(p.Value)})
	}
	return s
}

// randomRecord is a record and how it must be shown.
func randomRecord(random *rand.Rand) (collector.Record, shown) {
	text := func() []byte { return bytes.Repeat([]byte{byte('a' + random.IntN(26))}, random.IntN(4)) }
	r := collector.Record{Body: text(), UnixNano: 1}
	s := shown{Body: string(r.Body), PRI: -1}
	if random.IntN(3) == 0 {
		return r, s
	}
	r.Host, r.Program, r.PID, r.MsgID, r.Addr, r.Raw = text(), text(), text(), text(), text(), text()
	s.Host, s.Program, s.PID, s.MsgID, s.Addr, s.Raw = string(r.Host), string(r.Program), string(r.PID), string(r.MsgID), string(r.Addr), string(r.Raw)
	if random.IntN(2) == 0 {
		s.PRI = random.IntN(192)
		r.Priority = collector.NewPriority(s.PRI)
	}
	r.Received = int64(random.IntN(2))
	s.Received = r.Received
	for range random.IntN(3) {
		p := collector.Pair{SDID: text(), Name: text(), Value: text()}
		r.Pairs = append(r.Pairs, p)
		s.Pairs = append(s.Pairs, [3]string{string(p.SDID), string(p.Name), string(p.Value)})
	}
	return r, s
}

// What is appended comes out as it went in, whatever its neighbours carry.
func TestRecordsKeepWhatTheyCarry(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	b := collector.NewBatch(&collector.Stream{}, 1000, 1<<20)
	for range 200 {
		b.Reuse(&collector.Stream{})
		var want []shown
		for range random.IntN(20) {
			r, s := randomRecord(random)
			if !b.AppendRecord(r) {
				t.Fatal("the batch is full")
			}
			want = append(want, s)
		}
		var got []shown
		for i := range b.Len() {
			got = append(got, show(b, i))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("records (-want +got):\n%s", diff)
		}
	}
}

func TestFieldsCountForTheSize(t *testing.T) {
	b := collector.NewBatch(&collector.Stream{}, 10, 100)
	big := collector.Record{Body: []byte("x"), Raw: bytes.Repeat([]byte("y"), 90)}
	if !b.AppendRecord(big) || b.AppendRecord(big) {
		t.Errorf("a batch of 100 bytes holds %d records of 91", b.Len())
	}
	if b.Size() != 91 {
		t.Errorf("size is %d, want 91", b.Size())
	}
}

func TestLongPairNamesAreCut(t *testing.T) {
	b := collector.NewBatch(&collector.Stream{}, 10, 1<<20)
	b.AppendRecord(collector.Record{Pairs: []collector.Pair{{Name: bytes.Repeat([]byte("n"), 300), Value: []byte("v")}}})
	if got := show(b, 0).Pairs; len(got) != 1 || got[0] != [3]string{"", strings.Repeat("n", 255), "v"} {
		t.Errorf("pairs are %q", got)
	}
}

func TestPriorityWords(t *testing.T) {
	f := func(p collector.Priority, severity, facility string) {
		t.Helper()
		if p.Severity() != severity || p.Facility() != facility {
			t.Errorf("priority %d is %s.%s, want %s.%s", p, p.Facility(), p.Severity(), facility, severity)
		}
	}
	f(0, "", "")
	f(collector.NewPriority(0), "emerg", "kern")
	f(collector.NewPriority(13), "notice", "user")
	f(collector.NewPriority(191), "debug", "local7")
	f(collector.NewPriority(1000), "emerg", "7d")
	f(collector.NewPriority(65535), "debug", "1fff")
}

func TestAppendingFieldsDoesNotAllocate(t *testing.T) {
	b := collector.NewBatch(&collector.Stream{}, 1000, 1<<20)
	r := collector.Record{Body: []byte("hello"), UnixNano: 1, Host: []byte("web-1"), Priority: collector.NewPriority(13),
		Pairs: []collector.Pair{{SDID: []byte("id"), Name: []byte("a"), Value: []byte("b")}}}
	var read int
	allocs := testing.AllocsPerRun(100, func() {
		b.Reuse(b.Stream())
		for range 100 {
			b.AppendFrom(&r)
		}
		for i := range b.Len() {
			f, _ := b.Fields(i)
			for p, ok := f.Pairs.Next(); ok; p, ok = f.Pairs.Next() {
				read += len(p.Value)
			}
		}
	})
	if allocs > 0 {
		t.Errorf("%v allocations for 100 records, want none", allocs)
	}
}
