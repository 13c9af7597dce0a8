package syslog_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/drivertest"
	"github.com/logsource/operator/drivers/syslog"
)

// patience is how long something may take that mostly takes no time.
const patience = 20 * time.Second

// raw are flags under which a body is the message as it came.
var raw = []string{"no-parse"}

// options is an options document with the ports that a test needs: udp, tcp, tls.
type options map[string]any

// listener is a source under test that runs, and what it has posted.
type listener struct {
	*sink
	t     *testing.T
	rec   *drivertest.Recorder
	ports map[string]int
	stop  func() // request_exit; returns when Run has
}

// listen starts a source on 127.0.0.1 that ends with the test, and leaves nothing behind.
func listen(t *testing.T, o options, secrets map[string]string, ports ...string) *listener {
	t.Helper()
	return listenTo(t, &sink{}, o, secrets, ports...)
}

func listenTo(t *testing.T, to *sink, o options, secrets map[string]string, ports ...string) *listener {
	t.Helper()
	return listenFlags(t, raw, to, o, secrets, ports...)
}

func listenFlags(t *testing.T, flags []string, to *sink, o options, secrets map[string]string, ports ...string) *listener {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	l := &listener{sink: to, t: t, rec: drivertest.NewRecorder(), ports: map[string]int{}}
	l.rec.Flags = flags
	all := options{"address": "127.0.0.1"}
	for _, p := range ports {
		l.ports[p] = freePort(t)
		all[p+"Port"] = l.ports[p]
	}
	for name, v := range o {
		all[name] = v
	}
	s := drivertest.MustNew[collector.Source](t, syslog.Driver, drivertest.Setup{Options: document(t, all), Secrets: secrets}, l.rec)
	l.run(s)
	t.Cleanup(func() {
		l.stop()
		s.(collector.Deiniter).Deinit()
		goleak.VerifyNone(t, ignore)
	})
	return l
}

// run begins Run; stop ends it.
func (l *listener) run(s collector.Source) {
	l.sink.source, l.sink.more = s.(collector.Suspender), make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, l.sink) }()
	l.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if !errors.Is(err, context.Canceled) {
				l.t.Errorf("run: %v", err)
			}
		case <-time.After(patience):
			l.t.Errorf("Run did not return within %s of request_exit", patience)
		}
	})
}

func document(t testing.TB, o options) string {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// freePort is a port that was free for both protocols a moment ago.
func freePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		u, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		_ = l.Close()
		if err == nil {
			_ = u.Close()
			return port
		}
	}
	t.Fatal("no port is free for both TCP and UDP")
	return 0
}

func (l *listener) addr(port string) string { return fmt.Sprintf("127.0.0.1:%d", l.ports[port]) }

// dial connects to a port of the source: udp, tcp, or tls without its handshake.
func (l *listener) dial(port string) net.Conn {
	l.t.Helper()
	network := map[string]string{"udp": "udp", "tcp": "tcp", "tls": "tcp"}[port]
	c, err := net.Dial(network, l.addr(port))
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = c.Close() })
	return c
}

// send writes all of text to c.
func send(t testing.TB, c net.Conn, text string) {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatalf("send: %v", err)
	}
}

// closedByPeer waits for the source to close c.
func closedByPeer(t testing.TB, c net.Conn) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	_, err := c.Read(make([]byte, 1))
	var timeout net.Error
	if err == nil || (errors.As(err, &timeout) && timeout.Timeout()) {
		t.Fatalf("the connection is not closed: %v", err)
	}
}

// until waits for the condition.
func until(t testing.TB, what string, true func() bool) {
	t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for late := time.After(patience); !true(); {
		select {
		case <-ticker.C:
		case <-late:
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// count waits for the counter to be n.
func (l *listener) count(reason string, n int) {
	l.t.Helper()
	until(l.t, fmt.Sprintf("%d of %s", n, reason), func() bool { return l.rec.Count(reason) == n })
}

// message is what a test looks at.
type message struct{ Body, Addr string }

// sink is the collector's side: a window of limit messages, none when 0, that is full
// until release.
type sink struct {
	limit  int
	source collector.Suspender
	more   chan struct{} // something was posted
	size   int           // of a batch; 0: 2048

	mu        sync.Mutex // protects following
	got       []message
	received  []int64
	batches   int
	used      int
	suspended bool
	wrong     int // messages posted between Suspend and Wakeup
}

func (s *sink) Batch(st *collector.Stream) *collector.Batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	room := 2048
	if s.size > 0 {
		room = s.size
	}
	if s.limit > 0 {
		room = max(1, min(room, s.limit-s.used))
	}
	return collector.NewBatch(st, room, 1<<20)
}

func (s *sink) Post(_ context.Context, b *collector.Batch) error {
	s.take(b)
	select {
	case s.more <- struct{}{}:
	default:
	}
	return nil
}

// take suspends the source when the window has become full; mu is held, so that no Wakeup
// can come first.
func (s *sink) take(b *collector.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.suspended {
		s.wrong += b.Len()
	}
	for i := range b.Len() {
		f, _ := b.Fields(i)
		s.got = append(s.got, message{string(b.Body(i)), string(f.Addr)})
		s.received = append(s.received, f.Received)
	}
	s.batches++
	s.used += b.Len()
	if s.limit > 0 && s.used >= s.limit && !s.suspended {
		s.suspended = true
		s.source.Suspend()
	}
}

// release empties the window, as acks do.
func (s *sink) release() {
	s.mu.Lock()
	woken := s.suspended
	s.used, s.suspended = 0, false
	s.mu.Unlock()
	if woken {
		s.source.Wakeup()
	}
}

// widen removes the window.
func (s *sink) widen() {
	s.mu.Lock()
	s.limit = 0
	s.mu.Unlock()
	s.release()
}

func (s *sink) messages() []message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]message(nil), s.got...)
}

// receivedAt is Received of the i-th message.
func (s *sink) receivedAt(i int) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.received[i]
}

func (s *sink) posted() (messages, batches int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.got), s.batches
}

func (s *sink) isSuspended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.suspended
}

// await waits until n messages are posted, and returns their bodies.
func (l *listener) await(n int) []string {
	l.t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		if have, _ := l.posted(); have >= n {
			return bodies(l.messages())
		}
		select {
		case <-l.more:
		case <-late.C:
			have, _ := l.posted()
			l.t.Fatalf("%d messages within %s, want %d", have, patience, n)
		}
	}
}

func bodies(ms []message) []string {
	all := make([]string, len(ms))
	for i, m := range ms {
		all[i] = m.Body
	}
	return all
}

// numbered are n messages with that name.
func numbered(name string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("<13>1 - - %s - - - message %d", name, i)
	}
	return all
}

// counted frames messages by octet counting, lines by newline.
func counted(all ...string) string {
	var out strings.Builder
	for _, m := range all {
		fmt.Fprintf(&out, "%d %s", len(m), m)
	}
	return out.String()
}

func lines(all ...string) string { return strings.Join(all, "\n") + "\n" }
