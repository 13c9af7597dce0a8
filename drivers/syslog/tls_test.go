package syslog_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"maps"
	"math/big"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/drivertest"
	"github.com/logsource/operator/drivers/syslog"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key, block("CERTIFICATE", der)}
}

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// sign makes a certificate of that name, and its key.
func (a *authority) sign(t testing.TB, name string) (cert, key string) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &k.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return block("CERTIFICATE", der), block("PRIVATE KEY", pkcs8)
}

// secrets are those of a server of that name.
func (a *authority) secrets(t testing.TB, name string) map[string]string {
	t.Helper()
	cert, key := a.sign(t, name)
	return map[string]string{"tlsCert": cert, "tlsKey": key}
}

// trusting is a client's configuration.
func (a *authority) trusting() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}
}

func (l *listener) dialTLS(c *tls.Config) *tls.Conn {
	l.t.Helper()
	conn := tls.Client(l.dial("tls"), c)
	if err := conn.HandshakeContext(l.t.Context()); err != nil {
		l.t.Fatalf("handshake: %v", err)
	}
	return conn
}

func TestTLS(t *testing.T) {
	ca := newAuthority(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		l := listen(t, nil, ca.secrets(t, "server"), "tls")
		config := ca.trusting()
		config.MinVersion, config.MaxVersion = version, version
		c := l.dialTLS(config)
		all := numbered("tls", 3000)
		for _, m := range all[:100] {
			send(t, c, counted(m))
		}
		l.want(all[:100]...)
		send(t, c, counted(all[100:2000]...)+lines(all[2000:]...))
		l.want(all...)
		large := "<13>" + strings.Repeat("z", 60_000) // several records
		send(t, c, counted(large, "<13>end"))
		l.want(append(all, large, "<13>end")...)
		_ = c.Close()
	}
}

// Most senders never read. Nothing that TLS says to them may make their close a reset, which
// would throw away what has not been read here yet.
func TestTLSPeerThatNeverReads(t *testing.T) {
	ca := newAuthority(t)
	l := listenTo(t, &sink{limit: 10}, nil, ca.secrets(t, "server"), "tls")
	config := ca.trusting()
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1) // asks for a ticket
	c := tls.Client(sip{l.dial("tls")}, config)
	if err := c.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := numbered("tls", 10_000) // more than this side's kernel takes, less than both do
	send(t, c, counted(all[:10]...))
	until(t, "a full window", l.isSuspended)
	send(t, c, counted(all[10:]...))
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	l.widen()
	l.want(all...)
}

func TestTLSRefuses(t *testing.T) {
	ca := newAuthority(t)
	l := listen(t, nil, ca.secrets(t, "server"), "tls")
	c := l.dial("tls")
	send(t, c, "<13>1 - - plain - - - not TLS at all\n")
	closedByPeer(t, c)
	l.count("tls_handshake_failed", 1)
	old := ca.trusting()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if err := tls.Client(l.dial("tls"), old).HandshakeContext(t.Context()); err == nil {
		t.Error("TLS 1.1 is taken")
	}
	l.count("tls_handshake_failed", 2)
	good := l.dialTLS(ca.trusting())
	send(t, good, counted("<13>good"))
	l.want("<13>good")
}

func TestClientCertificates(t *testing.T) {
	ca, clients := newAuthority(t), newAuthority(t)
	secrets := ca.secrets(t, "server")
	secrets["clientCA"] = clients.pem
	l := listen(t, nil, secrets, "tls")
	f := func(by *authority, want bool) {
		t.Helper()
		config := ca.trusting()
		if by != nil {
			pair, err := tls.X509KeyPair(pairOf(by.sign(t, "client")))
			if err != nil {
				t.Fatal(err)
			}
			config.Certificates = []tls.Certificate{pair}
		}
		c := tls.Client(l.dial("tls"), config)
		_, err := c.Write([]byte(counted("<13>hello")))
		if want {
			if err != nil {
				t.Fatal(err)
			}
			l.want("<13>hello")
			return
		}
		closedByPeer(t, c) // with TLS 1.3 the client learns of it after its handshake only
	}
	f(nil, false)
	f(ca, false)
	l.count("tls_handshake_failed", 2)
	f(clients, true)
}

func pairOf(cert, key string) ([]byte, []byte) { return []byte(cert), []byte(key) }

// A rotated Secret is used by the next handshake, a second later at most; one that
// cannot be used is not.
func TestCertificateRotation(t *testing.T) {
	ca := newAuthority(t)
	secrets, second := ca.secrets(t, "first"), ca.secrets(t, "second")
	synctest.Test(t, func(t *testing.T) {
		rec := drivertest.NewRecorder()
		s := drivertest.MustNew[collector.Source](t, syslog.Driver, drivertest.Setup{
			Options: document(t, options{"tlsPort": freePort(t)}), Secrets: secrets,
		}, rec)
		defer s.(collector.Deiniter).Deinit()
		f := func(after time.Duration, want string, unusable int) {
			t.Helper()
			<-time.After(after)
			cert, err := syslog.Certificate(s)
			if err != nil {
				t.Fatal(err)
			}
			if got := cert.Leaf.Subject.CommonName; got != want {
				t.Errorf("the certificate is that of %q, want %q", got, want)
			}
			if n := rec.Count("tls_certificate_unusable"); n != unusable {
				t.Errorf("%d of tls_certificate_unusable, want %d", n, unusable)
			}
		}
		f(0, "first", 0)
		maps.Copy(secrets, second)
		f(900*time.Millisecond, "first", 0)
		f(100*time.Millisecond, "second", 0)
		secrets["tlsKey"] = "no key"
		f(time.Second, "second", 1)
		f(900*time.Millisecond, "second", 1)
		delete(secrets, "tlsCert")
		f(100*time.Millisecond, "second", 2)
		maps.Copy(secrets, ca.secrets(t, "third"))
		f(time.Second, "third", 2)
	})
}

func TestCertificateIsCheckedAtInit(t *testing.T) {
	f := func(o options, secrets map[string]string, word string) {
		t.Helper()
		o["tlsPort"] = freePort(t)
		s, err := drivertest.New[collector.Source](t, syslog.Driver, drivertest.Setup{Options: document(t, o), Secrets: secrets}, drivertest.NewRecorder())
		if err == nil {
			err = s.(collector.Initer).Init(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("error %v does not name %q", err, word)
		}
	}
	good := newAuthority(t).secrets(t, "server")
	f(options{}, map[string]string{"tlsCert": "x", "tlsKey": "y"}, "tlsCert")
	f(options{}, map[string]string{"tlsCert": good["tlsCert"], "tlsKey": newAuthority(t).secrets(t, "other")["tlsKey"]}, "tlsKey")
	f(options{}, map[string]string{"tlsCert": good["tlsCert"], "tlsKey": good["tlsKey"], "clientCA": "no certificate"}, "clientCA")
	f(options{}, map[string]string{"tlsCert": good["tlsCert"]}, "tlsKey")
}

// The records of TLS may come in any pieces: each read stops in the middle of one.
func TestTLSPieces(t *testing.T) {
	ca := newAuthority(t)
	l := listen(t, nil, ca.secrets(t, "server"), "tls")
	raw := &drip{Conn: l.dial("tls")}
	c := tls.Client(raw, ca.trusting())
	if err := c.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := numbered("tls", 5)
	send(t, c, counted(all...))
	l.want(all...)
	if diff := cmp.Diff(true, raw.writes > 200); diff != "" {
		t.Errorf("%d writes: the handshake was to come byte by byte", raw.writes)
	}
}

// sip reads byte by byte, and so no more than it has to, as OpenSSL does.
type sip struct{ net.Conn }

func (s sip) Read(p []byte) (int, error) { return s.Conn.Read(p[:min(1, len(p))]) }

// drip writes byte by byte.
type drip struct {
	net.Conn
	writes int
}

func (d *drip) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := d.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
		d.writes++
	}
	return len(p), nil
}
