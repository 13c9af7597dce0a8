package tlsserver_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/tlsserver"
)

// pair is a self-signed certificate and its key.
func pair(t *testing.T, name string) (cert, key string) {
	t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, own.Public(), own)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}

// shown is the name on the certificate of the next handshake.
func shown(t *testing.T, i *tlsserver.Identity) string {
	t.Helper()
	c, err := i.Config().GetConfigForClient(nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.MinVersion != tls.VersionTLS12 || !c.SessionTicketsDisabled {
		t.Errorf("version %x, tickets off: %v", c.MinVersion, c.SessionTicketsDisabled)
	}
	return c.Certificates[0].Leaf.Subject.CommonName
}

// What was rotated is used a Life later; what cannot be used is told, and the former pair
// goes on.
func TestRotation(t *testing.T) {
	firstCert, firstKey := pair(t, "first")
	secondCert, secondKey := pair(t, "second")
	synctest.Test(t, func(t *testing.T) {
		secrets := map[string]string{"tlsCert": firstCert, "tlsKey": firstKey}
		troubles := 0
		i := &tlsserver.Identity{Cert: secret(secrets, "tlsCert"), Key: secret(secrets, "tlsKey"), Trouble: func(error) { troubles++ }}
		if err := i.Load(); err != nil {
			t.Fatal(err)
		}
		f := func(after time.Duration, want string, trouble int) {
			t.Helper()
			<-time.After(after)
			if got := shown(t, i); got != want || troubles != trouble {
				t.Errorf("%s is shown, %d troubles; want %s, %d", got, troubles, want, trouble)
			}
		}
		f(0, "first", 0)
		secrets["tlsCert"] = secondCert // its key comes later
		f(tlsserver.Life-1, "first", 0)
		f(1, "first", 1)
		secrets["tlsKey"] = secondKey
		f(tlsserver.Life, "second", 1)
		delete(secrets, "tlsKey")
		f(tlsserver.Life, "second", 2)
	})
}

// secret reads the map each time.
func secret(values map[string]string, name string) collector.Secret {
	return collector.SecretFunc(func() ([]byte, error) {
		v, ok := values[name]
		if !ok {
			return nil, errors.New("it is gone")
		}
		return []byte(v), nil
	})
}

// What is wrong at the start is an error that names the option.
func TestLoad(t *testing.T) {
	cert, key := pair(t, "server")
	_, other := pair(t, "other")
	f := func(values map[string]string, want string) {
		t.Helper()
		i := &tlsserver.Identity{Cert: secret(values, "tlsCert"), Key: secret(values, "tlsKey"), ClientCA: secret(values, "clientCA")}
		if err := i.Load(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want one that names %s", err, want)
		}
	}
	f(map[string]string{}, "tlsCert")
	f(map[string]string{"tlsCert": cert}, "tlsKey")
	f(map[string]string{"tlsCert": cert, "tlsKey": key}, "clientCA")
	f(map[string]string{"tlsCert": cert, "tlsKey": other, "clientCA": cert}, "tlsKey")
	f(map[string]string{"tlsCert": cert, "tlsKey": key, "clientCA": "no certificate"}, "clientCA")
	i := &tlsserver.Identity{Cert: collector.StaticSecret(cert), Key: collector.StaticSecret(key), ClientCA: collector.StaticSecret(cert)}
	if err := i.Load(); err != nil {
		t.Fatal(err)
	}
	if c, _ := i.Config().GetConfigForClient(nil); c.ClientAuth != tls.RequireAndVerifyClientCert || c.ClientCAs == nil {
		t.Errorf("clients are asked for a certificate: %v", c.ClientAuth)
	}
}
