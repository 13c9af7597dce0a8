package httppush_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// certificate makes a key and a certificate of that name, signed by itself or by an
// authority, as PEM.
func certificate(t *testing.T, name string, authority *tls.Certificate) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	parent, signer := template, any(private)
	if authority != nil {
		parent, signer = authority.Leaf, authority.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, private.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}

func pair(t *testing.T, cert, key string) *tls.Certificate {
	t.Helper()
	p, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return &p
}

// handshake posts over TLS in a connection of its own and says who answered.
func (r *rig) handshake(t *testing.T, trusted string, own *tls.Certificate) (server string, status int) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(trusted))
	config := &tls.Config{RootCAs: roots}
	if own != nil {
		config.Certificates = []tls.Certificate{*own}
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true, ForceAttemptHTTP2: true}}
	answer, err := client.Post("https://"+r.address()+"/", "text/plain", strings.NewReader("a"))
	if err != nil {
		return err.Error(), 0
	}
	defer func() { _ = answer.Body.Close() }()
	return answer.TLS.PeerCertificates[0].Subject.CommonName, answer.StatusCode
}

func TestARotatedTokenIsTakenWithoutARestart(t *testing.T) {
	r := start(t, ``, map[string]string{"token": "old"}, nil)
	if got := r.post("a", "Authorization: Bearer old"); got.Status != http.StatusNoContent {
		t.Fatalf("old token: %+v", got)
	}
	r.setSecret("token", "new")
	eventually(t, "the new token to be right", func() bool { return r.post("b", "Authorization: Bearer new").Status == http.StatusNoContent })
	if got := r.post("c", "Authorization: Bearer old"); got.Status != http.StatusUnauthorized {
		t.Errorf("the old token is still right: %+v", got)
	}
}

func TestNobodyIsLetInWhileTheTokenCannotBeRead(t *testing.T) {
	r := start(t, ``, map[string]string{"token": "old"}, nil)
	r.setSecret("token", "")
	want := reply{Status: http.StatusServiceUnavailable, RetryAfter: "5"}
	eventually(t, "503", func() bool {
		got := r.post("b", "Authorization: Bearer old")
		return got.Status == want.Status && got.RetryAfter == want.RetryAfter
	})
	if r.event("secret_unreadable") == "0" {
		t.Error("event secret_unreadable was not counted")
	}
}

func TestRotatedCertificatesAreUsedByNewHandshakes(t *testing.T) {
	oldCert, oldKey := certificate(t, "old", nil)
	newCert, newKey := certificate(t, "new", nil)
	r := start(t, ``, map[string]string{"tlsCert": oldCert, "tlsKey": oldKey}, nil)
	if server, status := r.handshake(t, oldCert, nil); server != "old" || status != http.StatusNoContent {
		t.Fatalf("%s answered %d", server, status)
	}
	r.setSecret("tlsCert", newCert) // the key follows later: until then the old pair is used
	eventually(t, "the half rotated pair to be seen", func() bool {
		if server, _ := r.handshake(t, oldCert, nil); server != "old" {
			t.Fatalf("%s", server)
		}
		return r.event("secret_unreadable") != "0"
	})
	r.setSecret("tlsKey", newKey)
	eventually(t, "the new certificate", func() bool { server, _ := r.handshake(t, newCert, nil); return server == "new" })
}

func TestClientCertificates(t *testing.T) {
	caCert, caKey := certificate(t, "ca", nil)
	otherCert, otherKey := certificate(t, "other", nil)
	clientCert, clientKey := certificate(t, "client", pair(t, caCert, caKey))
	serverCert, serverKey := certificate(t, "server", nil)
	r := start(t, ``, map[string]string{"tlsCert": serverCert, "tlsKey": serverKey, "clientCA": caCert}, nil)
	f := func(name string, own *tls.Certificate, want int) {
		t.Helper()
		if server, got := r.handshake(t, serverCert, own); got != want {
			t.Errorf("%s: %d %s, want %d", name, got, server, want)
		}
	}
	f("no certificate", nil, 0)
	f("somebody else's", pair(t, otherCert, otherKey), 0)
	f("the right one", pair(t, clientCert, clientKey), http.StatusNoContent)
	eventually(t, "failed handshakes to be counted", func() bool { return r.event("tls_handshake_failed") != "0" })
	r.setSecret("clientCA", otherCert)
	eventually(t, "the rotated authority", func() bool {
		_, status := r.handshake(t, serverCert, pair(t, otherCert, otherKey))
		return status == http.StatusNoContent
	})
	f("one of the former authority", pair(t, clientCert, clientKey), 0)
}

func TestNoSessionOutlivesItsAuthority(t *testing.T) {
	caCert, caKey := certificate(t, "ca", nil)
	serverCert, serverKey := certificate(t, "server", nil)
	r := start(t, ``, map[string]string{"tlsCert": serverCert, "tlsKey": serverKey, "clientCA": caCert}, nil)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(serverCert))
	config := &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{*pair(t, caCert, caKey)}, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	for range 2 {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
		answer, err := client.Post("https://"+r.address()+"/", "text/plain", strings.NewReader("a"))
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.TLS.DidResume {
			t.Error("a session was resumed without a look at the authorities")
		}
	}
}
