package syslog

import (
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A transport is a TCP connection whose Read and Write do not wait, so that whoever reads
// needs a buffer only while there is data; await waits, and holds nothing. While greeting
// it is an ordinary connection.
type transport struct {
	*net.TCPConn
	raw      syscall.RawConn
	greeting bool

	// What the callbacks below work on. They are made once: a closure per call would be an
	// allocation per call. Read and Write are not called concurrently, as the only Writes
	// are those that tls makes inside of Read and Close.
	read, write func(fd uintptr)
	ready       func(fd uintptr) bool
	p           []byte
	n           int
	err         error
	poll        []unix.PollFd
}

// errWouldBlock is a timeout to crypto/tls, after which a Read may be repeated.
var errWouldBlock net.Error = wouldBlock{}

type wouldBlock struct{}

func (wouldBlock) Error() string   { return "nothing to read" }
func (wouldBlock) Timeout() bool   { return true }
func (wouldBlock) Temporary() bool { return true }

func newTransport(c *net.TCPConn) (*transport, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	t := &transport{TCPConn: c, raw: raw, greeting: true, poll: make([]unix.PollFd, 1)}
	t.read = func(fd uintptr) { t.n, t.err = unix.Read(int(fd), t.p) }
	t.write = func(fd uintptr) { t.n, t.err = unix.Write(int(fd), t.p) }
	t.ready = t.isReady
	return t, nil
}

// Read returns errWouldBlock when nothing is there.
func (t *transport) Read(p []byte) (int, error) {
	if t.greeting {
		return t.TCPConn.Read(p)
	}
	n, err := t.call(t.read, p)
	if n == 0 && err == nil && len(p) > 0 {
		err = io.EOF
	}
	return n, err
}

// Write fails when the kernel has no room: a peer that makes TLS answer and does not read
// the answers must not hold up the reader.
func (t *transport) Write(p []byte) (int, error) {
	if t.greeting {
		return t.TCPConn.Write(p)
	}
	n, err := t.call(t.write, p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

func (t *transport) call(f func(fd uintptr), p []byte) (int, error) {
	t.p = p
	err := t.raw.Control(f)
	for err == nil && errors.Is(t.err, unix.EINTR) {
		err = t.raw.Control(f)
	}
	t.p = nil
	switch {
	case err != nil:
		return 0, err
	case t.err == unix.EAGAIN:
		return 0, errWouldBlock
	}
	return max(t.n, 0), t.err
}

// await waits until there is something to read, the end included, or the deadline.
func (t *transport) await() error { return t.raw.Read(t.ready) }

// isReady looks again after the poller has been told: what came before would not be
// announced any more.
func (t *transport) isReady(fd uintptr) bool {
	t.poll[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN | unix.POLLRDHUP}
	n, err := unix.Poll(t.poll, 0)
	return n > 0 || (err != nil && err != unix.EINTR)
}

// isReadyNow is await without waiting.
func (t *transport) isReadyNow() (ready bool) {
	err := t.raw.Control(func(fd uintptr) { ready = t.isReady(fd) })
	return err == nil && ready
}

// setDeadline bounds await, and whatever is read and written while greeting.
func (t *transport) setDeadline(at time.Time) { _ = t.SetDeadline(at) }
