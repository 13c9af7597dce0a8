// Package httpclient makes the HTTP clients of drivers from what a LogSource may say about
// a connection: TLS material from Secrets, credentials, headers. Every connection keeps
// netpolicy; proxy variables of the environment are not used, so that credentials go
// where the option url says and nowhere else.
package httpclient

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/netpolicy"
)

// TLS is what a LogSource says about the other side's identity and its own.
type TLS struct {
	// CA trusts the authorities in this PEM bundle instead of the system's.
	CA collector.Secret
	// ClientCert and ClientKey (PEM) are shown to a server that asks; both or none.
	ClientCert, ClientKey collector.Secret
	// ServerName replaces the host of the url in the check of the certificate.
	ServerName string
	// InsecureSkipVerify accepts any certificate.
	InsecureSkipVerify bool
}

// Check says what is wrong with the settings without reading a secret.
func (t TLS) Check() error {
	if t.ClientCert.Set() != t.ClientKey.Set() {
		return errors.New("clientCert and clientKey belong together: set both in secretOptions, or none")
	}
	return nil
}

// Transport reads the secrets and returns a transport with connections of its own. Call
// it in Open, so that rotated Secrets take effect, and CloseIdleConnections in Close.
func (t TLS) Transport() (*http.Transport, error) {
	config := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         t.ServerName,
		InsecureSkipVerify: t.InsecureSkipVerify, //nolint:gosec // the user's word, printed in the docs
	}
	if err := t.trust(config); err != nil {
		return nil, err
	}
	if err := t.identify(config); err != nil {
		return nil, err
	}
	return &http.Transport{
		DialContext:            netpolicy.Dialer().DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxIdleConns:           4,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
	}, nil
}

func (t TLS) trust(config *tls.Config) error {
	if !t.CA.Set() {
		return nil
	}
	pem, err := t.CA.Reveal()
	if err != nil {
		return fmt.Errorf("option ca: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return errors.New("option ca: the secret holds no PEM certificate")
	}
	return nil
}

func (t TLS) identify(config *tls.Config) error {
	if !t.ClientCert.Set() {
		return nil
	}
	cert, err := t.ClientCert.Reveal()
	if err != nil {
		return fmt.Errorf("option clientCert: %w", err)
	}
	key, err := t.ClientKey.Reveal()
	if err != nil {
		return fmt.Errorf("option clientKey: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("options clientCert and clientKey: %w", err)
	}
	config.Certificates = []tls.Certificate{pair}
	return nil
}

// Credentials are a bearer token, or a user name and password; or none.
type Credentials struct {
	Username        string
	Password, Token collector.Secret
}

// Check says what is wrong with the settings without reading a secret.
func (c Credentials) Check() error {
	switch {
	case c.Token.Set() && (c.Username != "" || c.Password.Set()):
		return errors.New("token excludes username and password: set one way to authenticate")
	case c.Username == "" && c.Password.Set():
		return errors.New("password is set but username is not: set both")
	case strings.Contains(c.Username, ":"):
		return errors.New("username contains a colon, which HTTP basic authentication cannot carry")
	}
	return nil
}

// Set says whether there are any.
func (c Credentials) Set() bool { return c.Token.Set() || c.Username != "" }

// Reveal reads the secrets and returns the Authorization header, "" without credentials.
// Space around a secret is not part of it: files end in newlines.
func (c Credentials) Reveal() (string, error) {
	if c.Token.Set() {
		token, err := reveal("token", c.Token)
		if err == nil && token == "" {
			err = errors.New("option token: the secret is empty")
		}
		return "Bearer " + token, err
	}
	if c.Username == "" {
		return "", nil
	}
	password := ""
	if c.Password.Set() {
		var err error
		if password, err = reveal("password", c.Password); err != nil {
			return "", err
		}
	}
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(c.Username, password)
	return r.Header.Get("Authorization"), nil
}

func reveal(option string, s collector.Secret) (string, error) {
	v, err := s.Reveal()
	if err != nil {
		return "", fmt.Errorf("option %s: %w", option, err)
	}
	text := strings.TrimSpace(string(v))
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", fmt.Errorf("option %s: the secret holds control characters or more than one line", option)
	}
	return text, nil
}

// URL checks the option of that name: http or https, with a host, without credentials.
func URL(option, value string) (*url.URL, error) {
	u, err := url.Parse(value)
	switch {
	case value == "":
		return nil, fmt.Errorf("option %s is required: set it to an http or https URL", option)
	case err != nil:
		return nil, fmt.Errorf("option %s is not a URL: write it as https://host:port/path", option) // err would print a password
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("option %s has scheme %q: use http or https", option, u.Scheme)
	case u.Host == "":
		return nil, fmt.Errorf("option %s has no host: write it as https://host:port/path", option)
	case u.User != nil:
		return nil, fmt.Errorf("option %s holds credentials: use username and secretOptions", option)
	}
	return u, nil
}

// reserved headers are set by the client, or carry secrets.
var reserved = map[string]string{
	"Authorization":       "use secretOptions token, or username and password",
	"Proxy-Authorization": "proxies are not supported",
	"Cookie":              "headers are stored in plain text; use secretOptions",
	"Host":                "the host comes from url",
	"Content-Length":      "the client sets it",
	"Transfer-Encoding":   "the client sets it",
	"Content-Encoding":    "the client sets it",
	"Connection":          "the client sets it",
}

// Headers checks option headers and returns it in canonical form.
func Headers(headers map[string]string) (http.Header, error) {
	h := make(http.Header, len(headers))
	for name, value := range headers {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if fix, ok := reserved[canonical]; ok {
			return nil, fmt.Errorf("option headers may not set %s: %s", canonical, fix)
		}
		if !token(name) || !fieldValue(value) {
			return nil, fmt.Errorf("option headers: %q is not a valid header name with a one-line value", name)
		}
		h.Set(canonical, value)
	}
	return h, nil
}

// token is RFC 9110 §5.6.2.
func token(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	})
}

func fieldValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// drainBytes bounds what is read of an answer that nobody needs, for the sake of using its
// connection again.
const drainBytes = 64 << 10

// Discard reads the rest of an answer within bounds and closes it.
func Discard(r *http.Response) {
	_, _ = io.CopyN(io.Discard, r.Body, drainBytes) // an answer cut short costs its connection, nothing else
	_ = r.Body.Close()
}
