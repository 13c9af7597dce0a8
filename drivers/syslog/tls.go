package syslog

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/logsource/operator/collector"
)

// revealEvery is how often the Secrets are read at most.
const revealEvery = 10 * time.Second

// serverTLS is TLS as tlsPort speaks it. A handshake takes the certificate as the Secret is
// then, at most revealEvery old; connections that are open stay as they are.
type serverTLS struct {
	config    *tls.Config
	cert, key collector.Secret
	env       collector.Env

	mu      sync.Mutex // protects following
	at      time.Time  // when the Secrets were read last
	pem     [2][]byte  // what they said: certificate, key
	present *tls.Certificate
}

func newServerTLS(o Options, env collector.Env) (*serverTLS, error) {
	s := &serverTLS{cert: o.TLSCert, key: o.TLSKey, env: env}
	s.config = &tls.Config{
		MinVersion: tls.VersionTLS12, GetCertificate: s.certificate,
		// Senders of syslog mostly never read. Had one an unread ticket when it closes, its
		// kernel would reset the connection, and ours throw away what was not read yet.
		SessionTicketsDisabled: true,
	}
	if o.ClientCA == "" {
		return s, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(o.ClientCA)) {
		return nil, errors.New("option clientCA has no certificate in PEM form")
	}
	s.config.ClientCAs, s.config.ClientAuth = pool, tls.RequireAndVerifyClientCert
	return s, nil
}

// certificate is asked at every handshake. While a changed Secret cannot be used the old
// certificate goes on.
func (s *serverTLS) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.at) < revealEvery {
		return s.present, nil
	}
	if err := s.loadLocked(); err != nil {
		s.env.Count("tls_certificate_unusable", 1)
		s.env.Log.Warn("going on with the old certificate", "error", err)
	}
	return s.present, nil
}

func (s *serverTLS) load() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loadLocked()
}

func (s *serverTLS) loadLocked() error {
	s.at = time.Now()
	cert, err := s.cert.Reveal()
	if err != nil {
		return fmt.Errorf("option tlsCert: %w", err)
	}
	key, err := s.key.Reveal()
	if err != nil {
		return fmt.Errorf("option tlsKey: %w", err)
	}
	if bytes.Equal(cert, s.pem[0]) && bytes.Equal(key, s.pem[1]) {
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("options tlsCert and tlsKey are no certificate with its key in PEM form: %w", err)
	}
	s.present, s.pem = &pair, [2][]byte{cert, key}
	return nil
}
