package syslog_test

import (
	"fmt"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/logsource/operator/hack/soak"
)

// crowdDelay is how long a good client may wait because of all the others.
const crowdDelay = 100 * time.Millisecond

// Thousands of peers that are silent, or in the middle of a message, cost little and do not
// delay a good one.
func TestCrowd(t *testing.T) {
	idle, slow := 2500*soak.Scale(t), 2500*soak.Scale(t)
	idle, slow = min(idle, 25_000), min(slow, 25_000) // one address has no more ports
	raiseFileLimit(t, uint64(2*(idle+slow)+1000))
	figures := soak.NewFigures(t)
	l := listen(t, options{"maxConnections": 1_000_000}, nil, "tcp")
	before := heap()
	crowd := make([]net.Conn, idle+slow)
	for i := range crowd {
		crowd[i] = l.dial("tcp")
	}
	for _, c := range crowd[idle:] {
		send(t, c, "60000 <13>the beginning of a mess")
	}
	good := l.dial("tcp")
	send(t, good, "<13>warm\n")
	l.await(1)
	perPeer := (heap() - before) / int64(len(crowd))

	stop, dripping := make(chan struct{}), sync.WaitGroup{}
	dripping.Go(func() { dripOver(crowd[idle:], stop) })
	worst := worstDelay(t, l, good)
	close(stop)
	dripping.Wait()

	figures.Add("connections", len(crowd))
	figures.Add("µs at worst for a good one's message", int(worst.Microseconds()))
	figures.Add("bytes of memory per connection", int(perPeer))
	if worst > crowdDelay {
		t.Errorf("a message of a good client took %s among %d others, want less than %s", worst, len(crowd), crowdDelay)
	}
	if perPeer > 16<<10 { // both ends of the connection live in this process
		t.Errorf("an idle connection costs %d bytes, want less than 16Ki", perPeer)
	}
	if n := l.rec.Count("too_many_connections") + l.rec.Count("accept_failed"); n > 0 {
		t.Errorf("%d connections were refused", n)
	}
}

// dripOver sends a byte over one connection after the other until stop, a thousand a second:
// no message is ever complete.
func dripOver(all []net.Conn, stop <-chan struct{}) {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		case <-ticker.C:
			_, _ = all[i%len(all)].Write([]byte("x"))
		}
	}
}

// worstDelay sends 200 messages, each after the one before has arrived, and a few over
// connections of their own.
func worstDelay(t *testing.T, l *listener, good net.Conn) time.Duration {
	var delays []time.Duration
	for i := range 200 {
		c := good
		began := time.Now()
		if i%4 == 0 {
			c = l.dial("tcp")
		}
		text := fmt.Sprintf("<13>good %d of %d", i, began.UnixNano())
		send(t, c, text+"\n")
		until(t, text, func() bool { return l.has(text) })
		delays = append(delays, time.Since(began))
	}
	slices.Sort(delays)
	return delays[len(delays)-1]
}

// has looks among the messages posted last.
func (s *sink) has(body string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.got[max(0, len(s.got)-1000):]
	return slices.ContainsFunc(last, func(m message) bool { return m.Body == body })
}

// heap is what is in use after a collection: objects and stacks.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
