package syslog_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func (l *listener) want(want ...string) {
	l.t.Helper()
	if diff := cmp.Diff(want, l.await(len(want))); diff != "" {
		l.t.Errorf("messages (-want +got):\n%s", diff)
	}
}

func TestFraming(t *testing.T) {
	a := numbered("a", 6)
	f := func(framing, sent string, want ...string) {
		t.Helper()
		l := listen(t, options{"framing": framing}, nil, "tcp")
		c := l.dial("tcp")
		send(t, c, sent)
		l.want(want...)
		_ = c.Close()
		l.stop()
		l.want(want...)
	}
	f("auto", lines(a...), a...)
	f("auto", counted(a...), a...)
	f("auto", counted(a[0], a[1])+lines(a[2], a[3])+counted(a[4])+lines(a[5]), a...)
	f("auto", counted(a[0]+"\nsecond line", a[1]), a[0]+"\nsecond line", a[1])
	f("newline", lines(a...), a...)
	f("newline", strings.Join(a, "\r\n")+"\r\n", a...)
	f("newline", counted("<13>x")+"\n", "5 <13>x")
	f("octet-counting", counted(a...), a...)
}

// A message may come in any two pieces, and byte by byte.
func TestPieces(t *testing.T) {
	a := numbered("a", 3)
	text := counted(a[0]) + lines(a[1]) + counted(a[2])
	l := listen(t, nil, nil, "tcp")
	var want []string
	for cut := range len(text) {
		c := l.dial("tcp")
		send(t, c, text[:cut])
		if cut%8 == 0 { // enough to have some pieces arrive alone for sure
			until(t, "the first piece to be read", func() bool { return unread(t, c) == 0 })
		}
		send(t, c, text[cut:])
		want = append(want, a...)
		l.want(want...)
	}
	c := l.dial("tcp")
	for i := range len(text) {
		send(t, c, text[i:i+1])
	}
	l.want(append(want, a...)...)
}

// unread is what the kernel of this side has not sent, or the other has not acked.
func unread(t *testing.T, c net.Conn) (n int) {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err == nil {
		err = errors.Join(raw.Control(func(fd uintptr) { n, err = outQueue(fd) }), err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestEndOfConnection(t *testing.T) {
	f := func(sent, want string, unfinished int) {
		t.Helper()
		l := listen(t, nil, nil, "tcp")
		c := l.dial("tcp")
		send(t, c, "<13>first\n"+sent)
		_ = c.Close()
		l.want("<13>first", want)
		l.count("unfinished_message", unfinished)
	}
	f("<13>no newline", "<13>no newline", 0)
	f("30 <13>too short", "<13>too short", 1)
}

// A connection whose messages cannot be told apart is closed; what came before is kept,
// and others go on.
func TestBadFraming(t *testing.T) {
	f := func(framing, bad string) {
		t.Helper()
		l := listen(t, options{"framing": framing}, nil, "tcp")
		other, c := l.dial("tcp"), l.dial("tcp")
		send(t, other, counted("<13>before"))
		l.want("<13>before")
		send(t, c, counted("<13>good")+bad)
		closedByPeer(t, c)
		send(t, other, counted("<13>after"))
		l.want("<13>before", "<13>good", "<13>after")
		l.count("framing_error", 1)
	}
	f("octet-counting", "99999999999 <13>x")
	f("octet-counting", "no length")
	f("octet-counting", "-5 <13>x")
	f("octet-counting", "65537 <13>")
	f("auto", "65537 <13>")
}

func TestLargeMessages(t *testing.T) {
	largest := "<13>" + strings.Repeat("x", 1020)
	l := listen(t, options{"maxMessageBytes": 1024}, nil, "tcp")
	c := l.dial("tcp")
	send(t, c, counted(largest)+lines(largest))
	send(t, c, lines(largest+"rest"))
	l.want(largest, largest, largest, "rest")

	trims := listen(t, options{"maxMessageBytes": 1024, "trimLargeMessages": true}, nil, "tcp")
	c = trims.dial("tcp")
	send(t, c, counted(largest+"rest")+lines(largest+"rest", "<13>next"))
	trims.want(largest, largest, "<13>next")
	trims.count("message_cut", 2)

	large := "<13>" + strings.Repeat("y", 1<<20-4)
	l = listen(t, options{"maxMessageBytes": "1Mi"}, nil, "tcp")
	c = l.dial("tcp")
	send(t, c, counted(large)+lines(large)+counted("<13>end"))
	l.want(large, large, "<13>end")
}

// What is not syslog is delivered as it came, and counted.
func TestMalformed(t *testing.T) {
	l := listenFlags(t, nil, &sink{}, nil, nil, "tcp", "udp")
	bad := "<34>1 2003-10-11T22:14:15Z host app - - [unclosed sdata"
	c := l.dial("tcp")
	send(t, c, lines(bad))
	l.want(bad)
	send(t, l.dial("udp"), bad)
	l.want(bad, bad)
	l.count("malformed", 2)
}

// Peers are named by address and port, and messages carry when they arrived.
func TestPeerAddress(t *testing.T) {
	l := listen(t, nil, nil, "tcp", "udp")
	began := time.Now().UnixNano()
	for i, port := range []string{"tcp", "udp"} {
		c := l.dial(port)
		send(t, c, "<13>hello\n")
		l.await(i + 1)
		got := l.messages()[i]
		if want := c.LocalAddr().String(); got.Addr != want {
			t.Errorf("%s: peer %q, want %q", port, got.Addr, want)
		}
		if at := l.receivedAt(i); at < began || at > time.Now().UnixNano() {
			t.Errorf("%s: received at %d, not now", port, at)
		}
	}
}

// Sixteen connections at once: every message once, and in order per connection.
func TestManyConnections(t *testing.T) {
	const connections, each = 16, 5000
	l := listen(t, nil, nil, "tcp")
	var sending sync.WaitGroup
	for i := range connections {
		c := l.dial("tcp")
		sending.Go(func() {
			all := numbered(fmt.Sprint("c", i), each)
			for len(all) > 0 {
				n := min(len(all), 1+i*7)
				_, err := c.Write([]byte(lines(all[:n]...)))
				if err != nil {
					t.Errorf("send: %v", err)
					return
				}
				all = all[n:]
			}
		})
	}
	sending.Wait()
	got := l.await(connections * each)
	for i := range connections {
		name := fmt.Sprintf(" c%d ", i)
		var of []string
		for _, m := range got {
			if strings.Contains(m, name) {
				of = append(of, m)
			}
		}
		if diff := cmp.Diff(numbered(fmt.Sprint("c", i), each), of); diff != "" {
			t.Fatalf("connection %d (-want +got):\n%s", i, diff)
		}
	}
	messages, batches := l.posted()
	if messages != connections*each || batches > messages/20 {
		t.Errorf("%d messages in %d batches: under load batches must grow", messages, batches)
	}
}

func TestIdleTimeout(t *testing.T) {
	l := listen(t, options{"idleTimeout": "300ms"}, nil, "tcp")
	silent, slow, busy := l.dial("tcp"), l.dial("tcp"), l.dial("tcp")
	dripping := make(chan struct{})
	go func() { // a byte now and then does not keep a connection open
		defer close(dripping)
		for range time.Tick(20 * time.Millisecond) {
			if _, err := slow.Write([]byte("x")); err != nil {
				return
			}
			_, _ = busy.Write([]byte("<13>busy\n"))
		}
	}()
	closedByPeer(t, silent)
	<-dripping
	l.count("idle_timeout", 2)
	send(t, busy, "<13>still open\n")
	until(t, "the busy connection's message", func() bool {
		all := l.messages()
		return len(all) > 0 && all[len(all)-1].Body == "<13>still open"
	})
}

func TestConnectionLimits(t *testing.T) {
	l := listen(t, options{"maxConnections": 2}, nil, "tcp")
	a, b := l.dial("tcp"), l.dial("tcp")
	send(t, a, "<13>a\n")
	l.want("<13>a")
	send(t, b, "<13>b\n")
	l.want("<13>a", "<13>b")
	closedByPeer(t, l.dial("tcp"))
	l.count("too_many_connections", 1)
	_ = a.Close()
	until(t, "a place that was given back", func() bool {
		c := l.dial("tcp")
		_, _ = c.Write([]byte("<13>c\n"))
		_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		_, err := c.Read(make([]byte, 1))
		var n net.Error
		return errors.As(err, &n) && n.Timeout()
	})
	l.want("<13>a", "<13>b", "<13>c")
}

func TestConnectionLimitPerPeer(t *testing.T) {
	l := listen(t, options{"maxConnectionsPerPeer": 1}, nil, "tcp")
	send(t, l.dial("tcp"), "<13>a\n")
	l.want("<13>a")
	closedByPeer(t, l.dial("tcp"))
	l.count("too_many_connections", 1)
	other, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).Dial("tcp", l.addr("tcp"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	send(t, other, "<13>b\n")
	l.want("<13>a", "<13>b")
}

// What has been sent before request_exit is posted after it, and then the peer is closed.
func TestExitReadsWhatIsThere(t *testing.T) {
	l := listen(t, nil, nil, "tcp", "udp")
	var want []string
	c, u := l.dial("tcp"), l.dial("udp")
	send(t, c, "<13>first\n")
	l.want("<13>first")
	all := numbered("late", 2000)
	for _, m := range all[:100] {
		send(t, u, m)
	}
	send(t, c, lines(all[100:]...))
	l.stop()
	closedByPeer(t, c)
	want = append([]string{"<13>first"}, all...)
	if diff := cmp.Diff(sorted(want), sorted(bodies(l.messages()))); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}
