package httppush

import (
	"context"
	"crypto/tls"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/logsource/operator/collector"
)

// This file is the HTTP server of one Run, and its end.

const (
	// headTimeout bounds the TLS handshake, and the time until all headers are there.
	headTimeout = 10 * time.Second
	// maxHeaders bounds the headers of a request, in bytes.
	maxHeaders = 64 << 10
	// exitGrace is how long requests whose messages are posted may wait for their acks after
	// request_exit.
	exitGrace = time.Second
	// closeGrace is how long connections may then take to send their last answers.
	closeGrace = 250 * time.Millisecond
)

// A service serves during one Run.
type service struct {
	*source
	out       collector.Poster
	stopping  context.Context // ends at request_exit: nothing is posted after it
	abandon   context.CancelFunc
	server    *http.Server
	requests  *room
	inflaters inflaters
}

func newService(ctx context.Context, s *source, out collector.Poster) *service {
	v := &service{source: s, out: out, stopping: ctx, requests: newRoom(s.opts.MaxRequests), inflaters: newInflaters()}
	base, abandon := context.WithCancel(context.WithoutCancel(ctx))
	v.abandon = abandon
	v.server = &http.Server{
		Handler: v, BaseContext: func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: headTimeout, IdleTimeout: s.opts.IdleTimeout.D(), MaxHeaderBytes: maxHeaders,
		ErrorLog: log.New(serverLog{s.env}, "", 0), Protocols: new(http.Protocols),
	}
	v.server.Protocols.SetHTTP1(true)
	return v
}

func (v *service) serve() error {
	if v.identity == nil {
		return v.server.Serve(v.listener)
	}
	return v.server.Serve(tls.NewListener(v.listener, v.identity.Config()))
}

// end takes no further connection, gives the requests in work their grace, tells those
// that are left to send their messages again, and closes every connection.
func (v *service) end() {
	defer v.abandon()
	_ = v.listener.Close() // Serve may have closed it
	v.server.SetKeepAlivesEnabled(false)
	v.requests.close()
	grace := time.NewTimer(exitGrace)
	defer grace.Stop()
	select {
	case <-v.requests.empty:
	case <-grace.C:
		v.abandon()
		<-v.requests.empty
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	if v.server.Shutdown(ctx) != nil {
		_ = v.server.Close() // of connections that nobody needs any more
	}
}

// serverLog takes what net/http says of single connections. That is counted, not logged:
// any client can cause it.
type serverLog struct{ env collector.Env }

func (l serverLog) Write(line []byte) (int, error) {
	switch text := string(line); {
	case strings.HasPrefix(text, "http: TLS handshake error"):
		l.env.Count("tls_handshake_failed", 1)
	case strings.HasPrefix(text, "http: panic serving"):
		l.env.Log.Error("request failed", "error", text)
	default:
		l.env.Log.Debug("http server", "message", text)
	}
	return len(line), nil
}
