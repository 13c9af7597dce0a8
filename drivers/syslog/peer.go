package syslog

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/logsource/operator/collector/msgformat"
	"github.com/logsource/operator/collector/tlsserver"
)

const (
	// turnReads is how often a connection is read before others have their turn.
	turnReads = 16
	// drainTime bounds what is still read from the kernel after request_exit.
	drainTime = 250 * time.Millisecond
	// restKept is how much memory a connection keeps between two unfinished messages.
	restKept = 512
)

// A peer is one TCP or TLS connection. All of it but end belongs to its goroutine.
type peer struct {
	src    *source
	conn   *transport
	tls    *tls.Conn // nil: plain
	ip     netip.Addr
	addr   []byte // as Record.Addr
	split  msgformat.Splitter
	rest   []byte    // of a message that is not complete
	active time.Time // when a message was completed last

	ending atomic.Int64 // when request_exit came, UnixNano; 0: it has not
}

func (s *source) newPeer(c *net.TCPConn) (*peer, error) {
	t, err := newTransport(c)
	if err != nil {
		return nil, err
	}
	p := &peer{src: s, conn: t, split: msgformat.Splitter{
		Mode: framings[s.opts.Framing], Max: int(s.opts.MaxMessageBytes), Truncate: s.opts.TrimLargeMessages,
	}}
	p.ip = p.name(c.RemoteAddr().(*net.TCPAddr).AddrPort())
	return p, nil
}

// name is what the messages of the peer carry as its address.
func (p *peer) name(a netip.AddrPort) netip.Addr {
	a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	p.addr = a.AppendTo(p.addr[:0])
	return a.Addr()
}

// serve reads the connection to its end.
func (p *peer) serve(ctx context.Context, s *tlsserver.Identity) {
	defer p.close()
	if reason, err := p.greet(ctx, s); err != nil {
		if ctx.Err() == nil {
			p.src.env.Count(reason, 1)
			p.src.say(p.ip, "connection closed before its first message", err)
		}
		return
	}
	p.active = time.Now()
	for p.turn() {
		if !p.await() {
			return
		}
	}
}

func (p *peer) close() {
	if p.tls != nil {
		_ = p.tls.Close() // says close_notify
	}
	_ = p.conn.Close()
}

// end makes await return. A goroutine that sets a deadline looks at ending afterwards.
func (p *peer) end(now time.Time) {
	p.ending.Store(now.UnixNano())
	p.conn.setDeadline(time.Unix(1, 0))
}

// greet reads what comes before the first message, PROXY header and TLS handshake, or says
// in a word and an error why it could not.
func (p *peer) greet(ctx context.Context, s *tlsserver.Identity) (reason string, err error) {
	p.conn.setDeadline(time.Now().Add(greetingTimeout))
	if p.ending.Load() != 0 {
		return "", context.Canceled
	}
	if p.src.opts.ProxyProtocol {
		real, err := readProxyHeader(p.conn)
		if err != nil {
			return "proxy_header_refused", err
		}
		if real.IsValid() {
			p.name(real)
		}
	}
	if s != nil {
		p.tls = tls.Server(p.conn, s.Config())
		if err := p.tls.HandshakeContext(ctx); err != nil {
			return "tls_handshake_failed", err
		}
	}
	p.conn.greeting = false
	return "", nil
}

// await waits for the next bytes and holds no buffer. It returns false when there is no
// point in waiting: the peer was silent for too long, or the time to drain is over.
func (p *peer) await() bool {
	deadline := time.Time{}
	if idle := p.src.opts.IdleTimeout.D(); idle > 0 {
		deadline = p.active.Add(idle)
	}
	p.conn.setDeadline(deadline)
	if p.ending.Load() != 0 {
		return p.drains()
	}
	err := p.conn.await()
	switch {
	case err == nil:
		return true
	case p.ending.Load() != 0:
		return p.drains()
	case errors.Is(err, os.ErrDeadlineExceeded):
		p.src.env.Count("idle_timeout", 1)
	}
	return false
}

// drains says whether the kernel has more that should still be read after request_exit.
func (p *peer) drains() bool {
	return time.Since(time.Unix(0, p.ending.Load())) < drainTime && p.conn.isReadyNow()
}

// turn reads until there is nothing more, or for turnReads reads while others wait. It
// returns false at the end of the connection.
func (p *peer) turn() bool {
	for {
		w := <-p.src.workers
		more, err := p.read(w)
		w.settle(&p.src.env)
		p.src.workers <- w
		p.src.batch.flush()
		switch {
		case err != nil:
			return false
		case !more, p.ending.Load() != 0 && !p.drains():
			return true
		}
	}
}

// read has the worker for itself. more says that it stopped before there was nothing.
func (p *peer) read(w *worker) (more bool, err error) {
	n := copy(w.buf, p.rest)
	for reads := 0; err == nil; reads++ {
		if reads == turnReads {
			more = true
			break
		}
		var got, used int
		got, err = p.readSome(w.buf[n:])
		used, err = p.deliver(w, w.buf[:n+got], err)
		n = copy(w.buf, w.buf[used:n+got])
	}
	p.keep(w.buf[:n])
	if errors.Is(err, errWouldBlock) {
		err = nil
	}
	return more, err
}

func (p *peer) readSome(buf []byte) (int, error) {
	if p.tls != nil {
		return p.tls.Read(buf)
	}
	return p.conn.Read(buf)
}

// deliver hands on every complete message of buf and says how much of it is done with. err
// is what the read said; the answer is that, or why the connection has to be closed.
func (p *peer) deliver(w *worker, buf []byte, err error) (used int, _ error) {
	now := time.Now()
	for {
		frame, advance, bad := p.split.Next(buf[used:])
		used += advance
		if frame != nil {
			p.src.deliver(w, frame, p.addr, now)
		}
		if bad != nil && !errors.Is(bad, msgformat.ErrCut) {
			return used, p.misframed(bad)
		}
		if bad != nil {
			w.cut++
		}
		if frame == nil && advance == 0 {
			break
		}
	}
	if used > 0 {
		p.active = time.Now() // after a suspension: that is not the peer's silence
	}
	if err == nil || errors.Is(err, errWouldBlock) {
		return used, err
	}
	return len(buf), p.last(w, buf[used:], now, err)
}

// last hands on what the end of the connection leaves without an end of its own.
func (p *peer) last(w *worker, buf []byte, now time.Time, err error) error {
	frame, bad := p.split.Last(buf)
	if frame != nil {
		p.src.deliver(w, frame, p.addr, now)
	}
	if bad != nil {
		p.src.env.Count("unfinished_message", 1)
	}
	return err
}

func (p *peer) misframed(err error) error {
	p.src.env.Count("framing_error", 1)
	p.src.say(p.ip, "connection closed: its messages cannot be told apart; see option framing", err)
	return err
}

// keep saves the beginning of a message until its rest comes.
func (p *peer) keep(rest []byte) {
	if len(rest) == 0 && cap(p.rest) > restKept {
		p.rest = nil
		return
	}
	p.rest = append(p.rest[:0], rest...)
}
