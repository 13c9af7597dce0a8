package httppush_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/google/go-cmp/cmp"
)

// A wire is a client that says what it likes.
type wire struct{ net.Conn }

func (r *rig) dial(t *testing.T, said string) wire {
	t.Helper()
	c, err := net.Dial("tcp", r.address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, said); err != nil {
		t.Fatal(err)
	}
	return wire{c}
}

func (w wire) read(t *testing.T) reply {
	t.Helper()
	answer, err := http.ReadResponse(bufio.NewReader(w), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(answer.Body)
	return reply{answer.StatusCode, answer.Header.Get("Retry-After"), string(text), answer.Header}
}

func gzipped(t testing.TB, write func(io.Writer)) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	write(w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func zstded(t testing.TB, write func(io.Writer), options ...zstd.EOption) string {
	t.Helper()
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, options...)
	if err != nil {
		t.Fatal(err)
	}
	write(w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func text(s string) func(io.Writer) {
	return func(w io.Writer) { _, _ = io.WriteString(w, s) }
}

// lines64Mi is what a small body decompresses to.
func lines64Mi(w io.Writer) {
	piece := bytes.Repeat([]byte("a line of a bomb\n"), 4096)
	for n := 0; n < 64<<20; n += len(piece) {
		_, _ = w.Write(piece)
	}
}

func TestCompressedBodies(t *testing.T) {
	r := start(t, ``, nil, nil)
	f := func(coding, body string, want int) {
		t.Helper()
		if got := r.post(body, "Content-Encoding: "+coding); got.Status != want {
			t.Errorf("%s: %d %s, want %d", coding, got.Status, got.text, want)
		}
	}
	f("gzip", gzipped(t, text("a\n"))+gzipped(t, text("b\n")), 204) // RFC 1952 §2.2: several members
	f("x-gzip", gzipped(t, text("c\n")), 204)
	f("GZIP", gzipped(t, text("d\n")), 204)
	f("zstd", zstded(t, text("e\n"))+zstded(t, text("f\n")), 204)
	f("identity", "g\n", 204)
	cut := gzipped(t, text("x\n"))
	f("gzip", cut[:len(cut)-1], 400)
	f("gzip", cut+"garbage", 400)
	f("zstd", zstded(t, text("x\n"))[:9], 400)
	f("zstd", zstded(t, lines64Mi, zstd.WithWindowSize(64<<20)), 400) // more window than RFC 9659 allows
	if diff := cmp.Diff([]string{"a", "b", "c", "d", "e", "f", "g"}, r.sink.bodies()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// kilobyte is one message.
var kilobyte = strings.Repeat("x", 1023) + "\n"

// Bombs are refused when they have reached maxBody, however many come at once, and give
// their memory back.
func TestBombs(t *testing.T) {
	r := start(t, `, "maxBody": "1Mi"`, nil, nil)
	bombs := map[string]string{"gzip": gzipped(t, lines64Mi), "zstd": zstded(t, lines64Mi, zstd.WithWindowSize(1<<20))}
	var wait sync.WaitGroup
	for range 20 {
		for coding, body := range bombs {
			wait.Go(func() {
				if got := r.post(body, "Content-Encoding: "+coding); got.Status != http.StatusRequestEntityTooLarge && got.Status != http.StatusTooManyRequests {
					t.Errorf("%s bomb: %d %s", coding, got.Status, got.text)
				}
			})
		}
	}
	wait.Wait()
	for range 10 { // no bomb holds on to memory
		r.expect(t, "after the bombs", r.post(strings.Repeat(kilobyte, 1<<10)), isAccepted)
	}
	if r.event("body_too_large") == "0" {
		t.Error("event body_too_large was not counted")
	}
}

// The memory for bodies is bounded; who finds none is told to come back.
func TestBodiesBeyondTheMemory(t *testing.T) {
	r := start(t, `, "maxBody": "1Mi", "maxRequests": 100`, nil, nil)
	var slow []wire
	body := strings.Repeat(kilobyte, 1<<10)
	eventually(t, "429", func() bool {
		// one more that wants nearly a MiB of memory and does not end: one that finds none itself is gone
		slow = append(slow, r.dial(t, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1048576\r\n\r\n"+strings.Repeat(kilobyte, 1000)))
		return r.post(body).Status == http.StatusTooManyRequests
	})
	if r.event("refused_busy") == "0" {
		t.Error("event refused_busy was not counted")
	}
	for _, c := range slow {
		_ = c.Close()
	}
	eventually(t, "the memory to be free", func() bool { return r.post(body).Status == http.StatusNoContent })
	eventually(t, "body_incomplete to be counted", func() bool { return r.event("body_incomplete") != "0" })
	if n := len(r.sink.bodies()); n%(1<<10) != 0 {
		t.Errorf("%d messages: something of a body that did not end was taken", n)
	}
}

func TestABodyThatDoesNotArrive(t *testing.T) {
	r := start(t, `, "readTimeout": "50ms"`, nil, nil)
	c := r.dial(t, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
	r.expect(t, "half a body", c.read(t), reply{Status: http.StatusRequestTimeout})
	if n, err := io.Copy(io.Discard, c); n != 0 || err != nil { // closed: the rest could be taken for a request
		t.Errorf("after the answer: %d bytes, %v", n, err)
	}
	if r.event("body_timeout") != "1" || r.accepted() != 0 {
		t.Errorf("counted %s, accepted %d", r.event("body_timeout"), r.accepted())
	}
}

// The time for the body does not bound the wait for the ack.
func TestTheAckMayTakeLongerThanTheBody(t *testing.T) {
	r := start(t, `, "readTimeout": "20ms"`, nil, nil)
	r.sink.hold()
	late := r.later("a")
	r.awaitAccepted(1)
	r.expect(t, "a body that is late", r.dial(t, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n").read(t), reply{Status: http.StatusRequestTimeout})
	if answered(late) { // readTimeout has passed for this one as well
		t.Error("the answer came before the ack")
	}
	r.sink.release()
	r.expect(t, "acked", <-late, isAccepted)
}

func TestConnectionsAreBounded(t *testing.T) {
	r := start(t, `, "maxRequests": 1`, nil, nil)
	eventually(t, "one too many to be closed", func() bool {
		r.dial(t, "")
		return r.event("connection_refused") != "0"
	})
}

func TestAnIdleConnectionIsClosed(t *testing.T) {
	r := start(t, `, "idleTimeout": "20ms"`, nil, nil)
	c := r.dial(t, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na")
	r.expect(t, "first", c.read(t), isAccepted)
	if n, err := io.Copy(io.Discard, c); n != 0 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestHeadersAreBounded(t *testing.T) {
	r := start(t, ``, nil, nil)
	c := r.dial(t, "POST / HTTP/1.1\r\nHost: h\r\nX: "+strings.Repeat("x", 80<<10))
	if got := c.read(t).Status; got != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("80 KiB of headers: %d", got)
	}
}

// A connection that was answered early carries no second request out of the first one's
// body.
func TestABodyIsNeverTakenForARequest(t *testing.T) {
	r := start(t, ``, map[string]string{"token": "t"}, nil)
	inner := "POST / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer t\r\nContent-Length: 1\r\n\r\na"
	c := r.dial(t, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n")
	r.expect(t, "no credentials", c.read(t), reply{Status: http.StatusUnauthorized})
	_, _ = io.WriteString(c, inner) // the other side may have closed
	_ = c.Conn.(*net.TCPConn).CloseWrite()
	if rest, _ := io.ReadAll(c); len(rest) > 0 {
		t.Errorf("a second answer: %q", rest)
	}
	if r.accepted() != 0 {
		t.Error("a body was taken for a request")
	}
}
