package httppush

import (
	"context"
	_ "embed"
	"fmt"
	"sync/atomic"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/tlsserver"
)

//go:embed options.json
var options []byte

// Driver is the http-push class.
var Driver = collector.NewSource(class.Class{
	Name:        "http-push",
	Placement:   class.Scaled,
	Description: "Takes messages by HTTP POST, as JSON or lines, and answers 2xx once every required destination has them.",
	Footprint:   class.Footprint{Ports: []class.Port{{Name: "http", Protocol: "TCP", Option: "port", Service: 80}}},
}, options, newSource)

// connectionsPerRequest is how many connections there may be for each request in work:
// most are idle between two requests.
const connectionsPerRequest = 4

// bodiesInMemory is how many bodies of the largest size may be in memory at once. One
// that is compressed takes up to two and a half of them. Small ones have room of their own.
const bodiesInMemory = 4

type source struct {
	opts     Options
	env      collector.Env
	stream   *collector.Stream
	fields   *fields
	keeper   *doorkeeper
	identity *tlsserver.Identity // nil: no TLS
	gate     gate
	memory   budget
	said     atomic.Pointer[string] // by trouble

	listener *listener // from Init
}

func newSource(o Options, env collector.Env) (collector.Source, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &source{
		opts: o, env: env, stream: &collector.Stream{Attrs: env.Common}, fields: newFields(o, env),
		keeper: &doorkeeper{username: o.Username, password: o.Password, token: o.Token},
	}
	s.memory.give(bodiesInMemory*int(o.MaxBody) + 2*firstRead*o.MaxRequests)
	if o.TLSCert.Set() {
		s.identity = &tlsserver.Identity{Cert: o.TLSCert, Key: o.TLSKey, ClientCA: o.ClientCA, NextProtos: []string{"http/1.1"}, Trouble: s.trouble}
	}
	return s, nil
}

// trouble counts a secret that cannot be used, and logs what it has not just said.
func (s *source) trouble(err error) {
	s.env.Count("secret_unreadable", 1)
	text := err.Error()
	if said := s.said.Swap(&text); said == nil || *said != text {
		s.env.Log.Warn("a secret cannot be used: without token or password nobody is let in; of certificates the former ones are used", "error", err)
	}
}

// Init reads the secrets for the first time and takes the port, so that what is wrong with
// them is an error of the LogSource rather than of its clients.
func (s *source) Init(ctx context.Context) error {
	if s.identity != nil {
		if err := s.identity.Load(); err != nil {
			return err
		}
	}
	if _, err := s.keeper.admits(""); err != nil {
		return err
	}
	l, err := listen(ctx, s.opts.Port, connectionsPerRequest*s.opts.MaxRequests, func() { s.env.Count("connection_refused", 1) })
	s.listener = l
	return err
}

// Run serves until ctx ends.
func (s *source) Run(ctx context.Context, out collector.Poster) error {
	v := newService(ctx, s, out)
	defer v.inflaters.close()
	served := make(chan error, 1)
	go func() { served <- v.serve() }()
	select {
	case err := <-served:
		v.end()
		return fmt.Errorf("listen on port %d: %w", s.opts.Port, err)
	case <-ctx.Done():
	}
	v.end()
	<-served // it says that the port was closed
	return ctx.Err()
}

// Suspend is called when the window is full: nothing is posted before Wakeup.
func (s *source) Suspend() { s.gate.suspend() }

// Wakeup ends Suspend.
func (s *source) Wakeup() { s.gate.wake() }

// Deinit gives the port back, if Run did not.
func (s *source) Deinit() {
	if s.listener != nil {
		_ = s.listener.Close() // it may be closed
	}
}
