package syslog

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// sockets are what the source listens on; nil where its port is not set.
type sockets struct {
	udp      *net.UDPConn
	tcp, tls *net.TCPListener
}

// listen binds what the options name, all of it or nothing.
func (s *source) listen(ctx context.Context) error {
	var err error
	if s.opts.UDPPort != 0 {
		s.sockets.udp, err = s.listenUDP(ctx)
	}
	if s.opts.UDPPort != 0 && err == nil {
		s.datagrams, err = s.newDatagramReader(s.sockets.udp)
	}
	if s.opts.TCPPort != 0 && err == nil {
		s.sockets.tcp, err = s.listenTCP(ctx, "tcpPort", s.opts.TCPPort)
	}
	if s.opts.TLSPort != 0 && err == nil {
		s.sockets.tls, err = s.listenTCP(ctx, "tlsPort", s.opts.TLSPort)
	}
	if err != nil {
		s.sockets.close()
	}
	return err
}

func (s *source) listenTCP(ctx context.Context, option string, port int) (*net.TCPListener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.hostPort(port))
	if err != nil {
		return nil, cannotListen(option, port, err)
	}
	return l.(*net.TCPListener), nil
}

func (s *source) listenUDP(ctx context.Context) (*net.UDPConn, error) {
	c, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", s.hostPort(s.opts.UDPPort))
	if err != nil {
		return nil, cannotListen("udpPort", s.opts.UDPPort, err)
	}
	u := c.(*net.UDPConn)
	if s.opts.UDPReceiveBuffer > 0 {
		err = s.setReceiveBuffer(u, int(s.opts.UDPReceiveBuffer))
	}
	if err != nil {
		_ = u.Close()
		return nil, fmt.Errorf("option udpReceiveBuffer: %w", err)
	}
	return u, nil
}

// setReceiveBuffer says so when the kernel grants less. The kernel doubles what it is asked
// for and tells the double (socket(7), SO_RCVBUF).
func (s *source) setReceiveBuffer(u *net.UDPConn, size int) error {
	if err := u.SetReadBuffer(size); err != nil {
		return err
	}
	granted, err := intOption(u, unix.SO_RCVBUF)
	if err == nil && granted/2 < size {
		s.env.Log.Warn("the kernel grants a smaller UDP receive buffer than udpReceiveBuffer asks for; raise net.core.rmem_max on the node",
			"asked", size, "granted", granted/2)
	}
	return err
}

func intOption(u *net.UDPConn, option int) (value int, err error) {
	raw, err := u.SyscallConn()
	if err != nil {
		return 0, err
	}
	told := raw.Control(func(fd uintptr) {
		value, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, option)
	})
	return value, errors.Join(told, err)
}

func (s *source) hostPort(port int) string {
	return net.JoinHostPort(s.opts.Address, strconv.Itoa(port))
}

// cannotListen names the option, the port, and what is mostly the reason.
func cannotListen(option string, port int, err error) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("option %s: port %d is in use by somebody else in this pod: choose another: %w", option, port, err)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("option %s: port %d is for root only: choose one from 1024 up, the Service can still offer %d: %w", option, port, port, err)
	}
	return fmt.Errorf("option %s: cannot listen on port %d: %w", option, port, err)
}

// interrupt ends accepting and lets the UDP reader read what is left.
func (k *sockets) interrupt() {
	if k.tcp != nil {
		_ = k.tcp.Close()
	}
	if k.tls != nil {
		_ = k.tls.Close()
	}
	if k.udp != nil {
		_ = k.udp.SetReadDeadline(time.Unix(1, 0))
	}
}

// close may be called more than once.
func (k *sockets) close() {
	k.interrupt()
	if k.udp != nil {
		_ = k.udp.Close()
	}
}
