// Package tlsserver is the TLS of a source that listens: a certificate that follows its
// Secret, and the authorities that peers must show a certificate of.
package tlsserver

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

// Life is how long a Secret is used before it is read again.
const Life = time.Second

// An Identity is what the server shows in a handshake and whom it asks for a certificate.
// Its Secrets are read again after Life, so that new handshakes use what was rotated.
// TLS is 1.2 or newer. Its fields are set before Load, its methods may be called by any
// goroutine.
type Identity struct {
	// Cert and Key are the options tlsCert and tlsKey, PEM, the server's own certificate
	// first. ClientCA is the option clientCA, a PEM bundle; without it no peer is asked.
	Cert, Key, ClientCA collector.Secret
	// NextProtos are the protocols offered (RFC 7301); nil: none.
	NextProtos []string
	// Trouble is told why a rotated Secret is not used.
	Trouble func(error)

	mu     sync.Mutex // protects following
	read   time.Time
	pem    [3][]byte // that config is made of
	config *tls.Config
}

// Config is for tls.Server and tls.NewListener, after Load.
func (i *Identity) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: i.forClient}
}

// forClient implements tls.Config.GetConfigForClient. While the Secrets cannot be used,
// as between the rotation of a certificate and of its key, the last good ones are.
func (i *Identity) forClient(*tls.ClientHelloInfo) (*tls.Config, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if now := time.Now(); now.Sub(i.read) >= Life {
		i.read = now
		if err := i.loadLocked(); err != nil {
			i.Trouble(err)
		}
	}
	return i.config, nil
}

// Load reads the Secrets for the first time: call it in Init, so that what is wrong with
// them is an error of the LogSource. The error names the option.
func (i *Identity) Load() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.read = time.Now()
	return i.loadLocked()
}

func (i *Identity) loadLocked() error {
	pem, err := i.reveal()
	if err != nil {
		return err
	}
	if i.config != nil && bytes.Equal(pem[0], i.pem[0]) && bytes.Equal(pem[1], i.pem[1]) && bytes.Equal(pem[2], i.pem[2]) {
		return nil
	}
	config, err := i.serverConfig(pem)
	if err != nil {
		return err
	}
	i.pem, i.config = pem, config
	return nil
}

func (i *Identity) reveal() (pem [3][]byte, err error) {
	for n, o := range []struct {
		name   string
		secret collector.Secret
	}{{"tlsCert", i.Cert}, {"tlsKey", i.Key}, {"clientCA", i.ClientCA}} {
		if !o.secret.Set() {
			continue
		}
		if pem[n], err = o.secret.Reveal(); err != nil {
			return pem, fmt.Errorf("option %s: %w", o.name, err)
		}
	}
	return pem, nil
}

// serverConfig lets no session be resumed: an authority that is trusted no more would be
// trusted as long as the session's ticket. And some senders never read: had one an unread
// ticket when it closes, its kernel would reset the connection, and ours throw away what
// was not read yet.
func (i *Identity) serverConfig(pem [3][]byte) (*tls.Config, error) {
	pair, err := tls.X509KeyPair(pem[0], pem[1])
	if err != nil {
		return nil, fmt.Errorf("options tlsCert and tlsKey: %w", err)
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: i.NextProtos, SessionTicketsDisabled: true,
	}
	if !i.ClientCA.Set() {
		return config, nil
	}
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(pem[2]) {
		return nil, errors.New("option clientCA: the secret holds no PEM certificate")
	}
	return config, nil
}
