package syslog

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/logsource/operator/collector/tlsserver"
)

// acceptPauseMax bounds the wait after an Accept that failed, as when the process is out of
// file descriptors.
const acceptPauseMax = time.Second

// accept starts a goroutine for every connection of l, with TLS unless it is nil.
func (s *source) accept(ctx context.Context, l *net.TCPListener, tls *tlsserver.Identity) {
	pause := time.Duration(0)
	for {
		c, err := l.AcceptTCP()
		switch {
		case err == nil:
			pause = 0
			s.admit(ctx, c, tls)
		case ctx.Err() != nil:
			return
		default:
			s.env.Count("accept_failed", 1)
			pause = min(max(2*pause, 5*time.Millisecond), acceptPauseMax)
			s.say(netip.Addr{}, "cannot accept connections", err)
			sleep(ctx, pause)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// admit serves the connection, or closes it when there are too many.
func (s *source) admit(ctx context.Context, c *net.TCPConn, tls *tlsserver.Identity) {
	p, err := s.newPeer(c)
	if err != nil {
		_ = c.Close()
		s.env.Count("accept_failed", 1)
		return
	}
	if !s.open.enter(p) {
		_ = c.Close()
		if ctx.Err() != nil {
			return
		}
		s.env.Count("too_many_connections", 1)
		s.say(p.ip, "connection refused: more than maxConnections or maxConnectionsPerPeer", nil)
		return
	}
	s.running.Go(func() {
		defer s.open.leave(p)
		p.serve(ctx, tls)
	})
}

// connections are those that are open. The zero value, with limit set, is ready.
type connections struct {
	limit, perPeer int // perPeer 0: no limit

	mu     sync.Mutex // protects following
	peers  map[*peer]struct{}
	byIP   map[netip.Addr]int
	ending time.Time // when request_exit came; zero: it has not
}

// enter returns false when there is no room for p, or nobody is let in any more.
func (c *connections) enter(p *peer) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.peers == nil {
		c.peers, c.byIP = map[*peer]struct{}{}, map[netip.Addr]int{}
	}
	if len(c.peers) >= c.limit || (c.perPeer > 0 && c.byIP[p.ip] >= c.perPeer) || !c.ending.IsZero() {
		return false
	}
	c.peers[p] = struct{}{}
	c.byIP[p.ip]++
	return true
}

func (c *connections) leave(p *peer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.peers, p)
	if c.byIP[p.ip]--; c.byIP[p.ip] == 0 {
		delete(c.byIP, p.ip)
	}
}

// end tells every connection to end.
func (c *connections) end(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ending = now
	for p := range c.peers {
		p.end(now)
	}
}

// quiet lets each peer be named in the log once in a while.
type quiet struct {
	mu   sync.Mutex
	last map[netip.Addr]time.Time
}

const (
	quietFor = time.Minute
	// quietPeers bounds what is remembered: beyond it, everything may be said again.
	quietPeers = 1024
)

func (q *quiet) may(ip netip.Addr) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if at, known := q.last[ip]; known && time.Since(at) < quietFor {
		return false
	}
	if q.last == nil || len(q.last) >= quietPeers {
		q.last = map[netip.Addr]time.Time{}
	}
	q.last[ip] = time.Now()
	return true
}

// say logs trouble with a peer, once a minute per peer; the counter has it all.
func (s *source) say(ip netip.Addr, what string, err error) {
	if s.said.may(ip) {
		s.env.Log.Warn(what, "peer", ip, "error", err)
	}
}
