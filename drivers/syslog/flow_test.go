package syslog_test

import (
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// While the window is full nothing is posted and the kernel pushes the peers back; then
// everything arrives, in order.
func TestSuspendedTCPLosesNothing(t *testing.T) {
	const each, connections = 20_000, 3
	l := listenTo(t, &sink{limit: 500}, nil, nil, "tcp")
	var sending sync.WaitGroup
	for range connections {
		c := l.dial("tcp")
		sending.Go(func() {
			if _, err := c.Write([]byte(lines(numbered("flow", each)...))); err != nil {
				t.Errorf("send: %v", err)
			}
		})
	}
	for have := 0; have < each*connections; {
		until(t, "a full window or the end", func() bool {
			have, _ = l.posted()
			return have == each*connections || l.isSuspended()
		})
		l.release()
	}
	sending.Wait()
	l.stop()
	next := map[string]int{}
	of := numbered("flow", each)
	for i, m := range l.messages() {
		if n := next[m.Addr]; n >= each || m.Body != of[n] {
			t.Fatalf("message %d of %s is %q, not its %d-th", i, m.Addr, m.Body, n)
		}
		next[m.Addr]++
	}
	if have, _ := l.posted(); have != each*connections || l.wrong > 0 {
		t.Errorf("%d messages, want %d; %d were posted while suspended", have, each*connections, l.wrong)
	}
}

// A suspended source does not read on: what it has taken from a peer stays small. Nor is a
// peer that is not read idle.
func TestSuspendedTCPStopsReading(t *testing.T) {
	const idle = 2 * time.Second
	text := []byte(lines(numbered("flood", 20_000)...))
	l := listenTo(t, &sink{limit: 1}, options{"idleTimeout": idle.String()}, nil, "tcp")
	c := l.dial("tcp")
	send(t, c, lines(numbered("one", 1)...))
	until(t, "a full window", l.isSuspended)
	for sent := 0; ; {
		_ = c.SetWriteDeadline(time.Now().Add(idle + idle/4))
		n, err := c.Write(text)
		if sent += n; errors.Is(err, os.ErrDeadlineExceeded) {
			break // the peer is pushed back
		}
		if err != nil || sent > 256<<20 {
			t.Fatalf("a suspended source took %d bytes: %v", sent, err)
		}
	}
	if have, _ := l.posted(); have != 1 {
		t.Errorf("%d messages were posted, want 1", have)
	}
	l.widen()
	l.await(1000)
	if n := l.rec.Count("idle_timeout"); n > 0 {
		t.Error("a connection that was not read is closed as idle")
	}
}

// request_exit while suspended ends everything; what was read is given to the collector,
// which counts it.
func TestExitWhileSuspended(t *testing.T) {
	l := listenTo(t, &sink{limit: 1}, nil, nil, "tcp", "udp")
	c, u := l.dial("tcp"), l.dial("udp")
	send(t, c, "<13>one\n")
	until(t, "a full window", l.isSuspended)
	send(t, c, "<13>two\n")
	send(t, u, "<13>three")
	l.stop()
	if diff := cmp.Diff([]string{"<13>one", "<13>three", "<13>two"}, sorted(bodies(l.messages()))); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	if l.wrong != 2 {
		t.Errorf("%d messages are for the collector to count, want 2", l.wrong)
	}
}

// What the kernel drops while nobody reads is booked to the message.
func TestSuspendedUDPBooksWhatTheKernelDrops(t *testing.T) {
	const sent = 5000
	l := listenTo(t, &sink{limit: 10}, options{"udpReceiveBuffer": 8192}, nil, "udp")
	u := l.dial("udp")
	for _, m := range numbered("udp", sent) {
		send(t, u, m)
	}
	until(t, "a full window", l.isSuspended)
	l.widen()
	drops := int64(kernelDrops(t, l.ports["udp"]))
	until(t, "the kernel's drops in the books", func() bool { return l.rec.Lost("udp_receive_buffer") == drops })
	l.await(sent - int(drops))
	l.stop()
	have, _ := l.posted()
	if lost := l.rec.Lost("udp_receive_buffer"); lost == 0 || lost != drops || int64(have)+lost != sent {
		t.Errorf("%d messages and %d lost (kernel: %d), want %d together", have, lost, drops, sent)
	}
	if l.wrong > 0 {
		t.Errorf("%d messages were posted while suspended", l.wrong)
	}
}

// Drops that come last of all are booked when Run ends.
func TestLastDropsAreBooked(t *testing.T) {
	l := listenTo(t, &sink{limit: 1}, options{"udpReceiveBuffer": 8192}, nil, "udp")
	u := l.dial("udp")
	send(t, u, "<13>first")
	until(t, "a full window", l.isSuspended)
	for _, m := range numbered("udp", 2000) {
		send(t, u, m)
	}
	l.stop()
	have, _ := l.posted()
	if lost := l.rec.Lost("udp_receive_buffer"); lost == 0 || int64(have)+lost != 2001 {
		t.Errorf("%d messages and %d lost, want 2001 together", have, lost)
	}
}

func TestDatagrams(t *testing.T) {
	l := listen(t, options{"maxMessageBytes": 1024}, nil, "udp")
	u := l.dial("udp")
	long := "<13>" + strings.Repeat("x", 2000)
	for _, m := range []string{"<13>a", "", "<13>b\nsecond line", long} {
		send(t, u, m)
	}
	l.want("<13>a", "<13>b\nsecond line", long[:1024])
	l.count("message_cut", 1)
}
