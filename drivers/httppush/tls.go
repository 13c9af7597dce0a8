package httppush

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

// An identity is what the server shows in a handshake and whom it asks for a certificate.
// It is read again every secretLife, so that new handshakes use what was rotated.
type identity struct {
	cert, key, clientCA collector.Secret
	trouble             func(error) // told why a rotated secret is not used

	mu     sync.Mutex // protects following
	read   time.Time
	pem    [3][]byte // that config is made of
	config *tls.Config
}

// forClient implements tls.Config.GetConfigForClient. While the secrets cannot be used,
// as between the rotation of a certificate and of its key, the last good ones are.
func (i *identity) forClient(*tls.ClientHelloInfo) (*tls.Config, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if now := time.Now(); now.Sub(i.read) >= secretLife {
		i.read = now
		if err := i.loadLocked(); err != nil {
			i.trouble(err)
		}
	}
	return i.config, nil
}

// load reads the secrets for the first time.
func (i *identity) load() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.read = time.Now()
	return i.loadLocked()
}

func (i *identity) loadLocked() error {
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

func (i *identity) reveal() (pem [3][]byte, err error) {
	for n, o := range []struct {
		name   string
		secret collector.Secret
	}{{"tlsCert", i.cert}, {"tlsKey", i.key}, {"clientCA", i.clientCA}} {
		if !o.secret.Set() {
			continue
		}
		if pem[n], err = o.secret.Reveal(); err != nil {
			return pem, fmt.Errorf("option %s: %w", o.name, err)
		}
	}
	return pem, nil
}

// serverConfig lets no session be resumed where clients are asked for certificates: an
// authority that is trusted no more would be trusted as long as the session's ticket.
func (i *identity) serverConfig(pem [3][]byte) (*tls.Config, error) {
	pair, err := tls.X509KeyPair(pem[0], pem[1])
	if err != nil {
		return nil, fmt.Errorf("options tlsCert and tlsKey: %w", err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
	if !i.clientCA.Set() {
		return config, nil
	}
	config.SessionTicketsDisabled = true
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(pem[2]) {
		return nil, errors.New("option clientCA: the secret holds no PEM certificate")
	}
	return config, nil
}
