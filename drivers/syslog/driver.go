package syslog

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/msgformat"
	"github.com/logsource/operator/collector/tlsserver"
)

//go:embed options.json
var options []byte

// Driver is the syslog source class.
var Driver = collector.NewSource(class.Class{
	Name:        "syslog",
	Placement:   class.Scaled,
	Description: "Listens for syslog messages, RFC 3164 and RFC 5424, on UDP, TCP and TLS.",
	Flags:       msgformat.Names(),
	Footprint: class.Footprint{Ports: []class.Port{
		{Name: "udp", Protocol: "UDP", Option: "udpPort", Service: 514},
		{Name: "tcp", Protocol: "TCP", Option: "tcpPort", Service: 601},
		{Name: "tls", Protocol: "TCP", Option: "tlsPort", Service: 6514},
	}},
}, options, newSource)

// greetingTimeout bounds the PROXY header and the TLS handshake of a connection together.
const greetingTimeout = 10 * time.Second

var framings = map[string]msgformat.Mode{
	"auto": msgformat.Auto, "octet-counting": msgformat.OctetCounting, "newline": msgformat.NewLine,
}

// source listens from Init to the end of Run. Each connection has a goroutine, which waits
// without a buffer; a connection that has something to read takes one of a few workers.
type source struct {
	opts  Options
	env   collector.Env
	batch shared
	said  quiet

	tls       *tlsserver.Identity // nil without tlsPort
	sockets   sockets
	workers   chan *worker
	open      connections
	datagrams *datagramReader // nil without udpPort
	running   sync.WaitGroup  // the goroutines of Run
}

func newSource(o Options, env collector.Env) (collector.Source, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &source{opts: o, env: env}
	s.batch.stream = &collector.Stream{Attrs: env.Common}
	s.batch.gate.opened.L = &s.batch.gate.mu
	s.open.limit, s.open.perPeer = o.MaxConnections, o.MaxConnectionsPerPeer
	if o.TLSPort != 0 {
		s.tls = &tlsserver.Identity{Cert: o.TLSCert, Key: o.TLSKey, ClientCA: o.ClientCA, Trouble: s.tlsTrouble}
	}
	if err := s.hireWorkers(); err != nil {
		return nil, err
	}
	return s, nil
}

// check says again what the schema says, for plans that no apiserver has seen, and what
// the schema cannot say.
func (o Options) check() error {
	_, framing := framings[o.Framing]
	switch {
	case o.UDPPort == 0 && o.TCPPort == 0 && o.TLSPort == 0:
		return errors.New("nothing to listen on: set at least one of the options udpPort, tcpPort and tlsPort")
	case o.TCPPort != 0 && o.TCPPort == o.TLSPort:
		return fmt.Errorf("options tcpPort and tlsPort are both %d: a port is either plain or TLS", o.TCPPort)
	case !framing:
		return fmt.Errorf("option framing is %q: use auto, octet-counting or newline", o.Framing)
	case o.MaxMessageBytes < 1<<10 || o.MaxMessageBytes > 16<<20:
		return fmt.Errorf("option maxMessageBytes is %d: set 1Ki to 16Mi", o.MaxMessageBytes)
	case o.MaxConnections < 1:
		return fmt.Errorf("option maxConnections is %d: set 1 or more", o.MaxConnections)
	case o.MaxConnectionsPerPeer < 0:
		return fmt.Errorf("option maxConnectionsPerPeer is %d: set 0 (no limit) or more", o.MaxConnectionsPerPeer)
	case o.IdleTimeout < 0:
		return fmt.Errorf("option idleTimeout is %s: set 0s (never) or more", o.IdleTimeout.D())
	case o.UDPReceiveBuffer > 1<<30:
		return fmt.Errorf("option udpReceiveBuffer is %d: the maximum is 1Gi", o.UDPReceiveBuffer)
	}
	return errors.Join(o.checkAddresses(), o.checkTLS())
}

func (o Options) checkAddresses() error {
	for name, port := range map[string]int{"udpPort": o.UDPPort, "tcpPort": o.TCPPort, "tlsPort": o.TLSPort} {
		if port < 0 || port > 65535 {
			return fmt.Errorf("option %s is %d: set 1 to 65535, or 0 for none", name, port)
		}
	}
	if o.Address == "" {
		return nil
	}
	if _, err := netip.ParseAddr(o.Address); err != nil {
		return fmt.Errorf("option address is %q: set an IP address of the pod, or leave it out for all of them", o.Address)
	}
	return nil
}

func (o Options) checkTLS() error {
	switch {
	case o.TLSPort != 0 && (!o.TLSCert.Set() || !o.TLSKey.Set()):
		return errors.New("option tlsPort needs a certificate: set tlsCert and tlsKey through secretOptions")
	case o.TLSPort == 0 && (o.TLSCert.Set() || o.TLSKey.Set() || o.ClientCA.Set()):
		return errors.New("options tlsCert, tlsKey and clientCA are for TLS: set tlsPort too, or remove them")
	}
	return nil
}

// tlsTrouble: while a changed Secret cannot be used the old certificate goes on.
func (s *source) tlsTrouble(err error) {
	s.env.Count("tls_certificate_unusable", 1)
	s.say(netip.Addr{}, "going on with the old certificate", err)
}

// Init binds the ports: a port that is taken, or a certificate that cannot be used, is said
// before anything of the old plan is gone.
func (s *source) Init(ctx context.Context) error {
	if s.tls != nil {
		if err := s.tls.Load(); err != nil {
			return err
		}
	}
	return s.listen(ctx)
}

// Deinit closes the ports, also where Run was never called.
func (s *source) Deinit() { s.sockets.close() }

// Suspend stops all reading but what has been read already; the kernel then pushes TCP
// peers back, and drops datagrams once its buffer is full.
func (s *source) Suspend() { s.batch.gate.suspend() }

// Wakeup goes on.
func (s *source) Wakeup() { s.batch.gate.wakeup() }

// Run reads from every socket until ctx ends, then what the kernel has already, for at most
// drainTime, and posts it.
func (s *source) Run(ctx context.Context, out collector.Poster) error {
	s.batch.out, s.batch.ctx = out, ctx
	if s.sockets.tcp != nil {
		s.running.Go(func() { s.accept(ctx, s.sockets.tcp, nil) })
	}
	if s.sockets.tls != nil {
		s.running.Go(func() { s.accept(ctx, s.sockets.tls, s.tls) })
	}
	if s.datagrams != nil {
		s.running.Go(func() { s.runUDP(ctx) })
	}
	<-ctx.Done()
	s.stop()
	return ctx.Err()
}

// stop ends every goroutine of Run.
func (s *source) stop() {
	s.open.end(time.Now())
	s.batch.gate.end()
	s.sockets.interrupt()
	s.running.Wait()
	s.batch.flush()
	s.sockets.close()
}
