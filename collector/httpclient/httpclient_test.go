package httpclient_test

import (
	"strings"
	"testing"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/httpclient"
)

func TestURL(t *testing.T) {
	f := func(value, wantErr string) {
		t.Helper()
		_, err := httpclient.URL("url", value)
		if (err == nil) != (wantErr == "") || err != nil && !strings.Contains(err.Error(), wantErr) {
			t.Errorf("%q: %v, want %q", value, err, wantErr)
		}
		if err != nil && strings.Contains(err.Error(), "swordfish") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
	f("http://host", "")
	f("https://host:8443/a/b?c=d", "")
	f("HTTPS://host", "")
	f("http://[::1]:80/", "")
	f("", "required")
	f("host:80", "scheme")
	f("file:///etc/passwd", "scheme")
	f("gopher://host", "scheme")
	f("unix:/run/x.sock", "scheme")
	f("http:///path", "host")
	f("http://me:swordfish@host", "secretOptions")
	f("http://me:swordfish@ho st", "not a URL")
}

func TestHeaders(t *testing.T) {
	f := func(name, value, wantErr string) {
		t.Helper()
		h, err := httpclient.Headers(map[string]string{name: value})
		if (err == nil) != (wantErr == "") || err != nil && !strings.Contains(err.Error(), wantErr) {
			t.Errorf("%q: %q: %v, want %q", name, value, err, wantErr)
		}
		if err == nil && h.Get(name) != value {
			t.Errorf("%q is %q, want %q", name, h.Get(name), value)
		}
	}
	f("x-scope-orgid", "shop", "")
	f("X-Empty", "", "")
	f("X-Tab", "a\tb", "")
	f("Content-Type", "application/json", "")
	f("authorization", "Bearer x", "secretOptions")
	f("COOKIE", "a=b", "secretOptions")
	f("Host", "other", "url")
	f("content-length", "1", "client")
	f("Transfer-Encoding", "chunked", "client")
	f("", "x", "header name")
	f("a b", "x", "header name")
	f("a:", "x", "header name")
	f("ä", "x", "header name")
	f("X-Split", "a\r\nX-Evil: b", "header name")
	f("X-Nul", "a\x00", "header name")
}

func TestCredentials(t *testing.T) {
	f := func(c httpclient.Credentials, want, wantErr string) {
		t.Helper()
		got, err := "", c.Check()
		if err == nil {
			got, err = c.Reveal()
		}
		if wantErr != "" {
			if err == nil || !strings.Contains(err.Error(), wantErr) {
				t.Errorf("error %v, want %q", err, wantErr)
			}
			return
		}
		if err != nil || got != want || c.Set() != (want != "") {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	s := collector.StaticSecret
	f(httpclient.Credentials{}, "", "")
	f(httpclient.Credentials{Token: s(" opensesame\n")}, "Bearer opensesame", "")
	f(httpclient.Credentials{Username: "Aladdin", Password: s("open sesame\n")}, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "")
	f(httpclient.Credentials{Username: "Aladdin"}, "Basic QWxhZGRpbjo=", "")
	f(httpclient.Credentials{Password: s("x")}, "", "username")
	f(httpclient.Credentials{Username: "a", Token: s("x")}, "", "token")
	f(httpclient.Credentials{Username: "a:b"}, "", "colon")
	f(httpclient.Credentials{Token: s("\n")}, "", "empty")
	f(httpclient.Credentials{Token: s("a\r\nX-Evil: b")}, "", "one line")
}
