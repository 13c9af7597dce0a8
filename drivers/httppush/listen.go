package httppush

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// A listener bounds how many connections are open. One more is closed at once, rather
// than kept waiting: its client sees that it must try again.
type listener struct {
	*net.TCPListener
	open    chan struct{} // one token per connection
	refused func()
}

func listen(ctx context.Context, port, most int, refused func()) (*listener, error) {
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		return nil, fmt.Errorf("option port: %w: see that nothing else in this collector listens there, or set another port", err)
	}
	return &listener{TCPListener: l.(*net.TCPListener), open: make(chan struct{}, most), refused: refused}, nil
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptTCP()
		if err != nil {
			return nil, err
		}
		select {
		case l.open <- struct{}{}:
			return &conn{TCPConn: c, closed: sync.OnceFunc(func() { <-l.open })}, nil
		default:
			_ = c.Close() // nothing was said on it
			l.refused()
		}
	}
}

// A conn gives its token back. It is a TCP connection, not any, so that the server finds
// its CloseWrite and an early answer is not lost in a reset.
type conn struct {
	*net.TCPConn
	closed func()
}

func (c *conn) Close() error {
	defer c.closed()
	return c.TCPConn.Close()
}
