package syslog_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/drivers/syslog"
)

const signature = "\r\n\r\n\x00\r\nQUIT\n"

// proxyV2 is a header of version 2: command, family, and what follows.
func proxyV2(command, family byte, body string) string {
	head := []byte{command, family, 0, 0}
	binary.BigEndian.PutUint16(head[2:], uint16(len(body)))
	return signature + string(head) + body
}

const (
	v4 = "\xc0\x00\x02\x01\xc0\x00\x02\x02\xc4\x88\x02\x59" // 192.0.2.1:50312 to 192.0.2.2:601
	v6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\xc4\x88\x02\x59"
	tlv = "\x04\x00\x03abc"
)

func TestProxyHeader(t *testing.T) {
	f := func(header, want string) {
		t.Helper()
		r := strings.NewReader(header + "rest")
		got, err := syslog.ReadProxyHeader(r)
		rest, _ := io.ReadAll(r)
		if err != nil || (want == "" && got.IsValid()) || (want != "" && got.String() != want) || string(rest) != "rest" {
			t.Errorf("%q: %v, %v, then %q; want %q, then the rest", header, got, err, rest, want)
		}
	}
	f("PROXY TCP4 192.0.2.1 192.0.2.2 50312 601\r\n", "192.0.2.1:50312")
	f("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535")
	f("PROXY TCP6 2001:db8::1 2001:db8::2 50312 601\r\n", "[2001:db8::1]:50312")
	f("PROXY TCP4 192.0.2.1 192.0.2.2 50312 601\n", "192.0.2.1:50312") // loggen
	f("PROXY UNKNOWN\r\n", "")
	f("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", "")
	f(proxyV2(0x21, 0x11, v4), "192.0.2.1:50312")
	f(proxyV2(0x21, 0x11, v4+tlv), "192.0.2.1:50312")
	f(proxyV2(0x21, 0x21, v6+tlv), "[2001:db8::1]:50312")
	f(proxyV2(0x20, 0x11, v4), "")
	f(proxyV2(0x20, 0x00, ""), "")
	f(proxyV2(0x21, 0x00, tlv), "")
	f(proxyV2(0x21, 0x31, strings.Repeat("\x00", 216)), "")
}

func TestProxyHeaderRefused(t *testing.T) {
	f := func(header, word string) {
		t.Helper()
		_, err := syslog.ReadProxyHeader(strings.NewReader(header))
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%q: error %v does not say %q", header, err, word)
		}
	}
	f("", "EOF")
	f("PROXY TCP4 192.0.2.1", "EOF")
	f("<13>1 - - not a proxy\r\n", "proxyProtocol")
	f("proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "proxyProtocol")
	f("PROXY TCP4 192.0.2.1 192.0.2.2 50312\r\n", "version 1")
	f("PROXY TCP4 192.0.2.1 192.0.2.2 50312 601 \r\n", "version 1")
	f("PROXY  TCP4 192.0.2.1 192.0.2.2 50312 601\r\n", "version 1")
	f("PROXY UDP4 192.0.2.1 192.0.2.2 50312 601\r\n", "version 1")
	f("PROXY TCP4 2001:db8::1 192.0.2.2 50312 601\r\n", "TCP4")
	f("PROXY TCP6 192.0.2.1 2001:db8::2 50312 601\r\n", "TCP6")
	f("PROXY TCP6 fe80::1%eth0 fe80::2 50312 601\r\n", "TCP6")
	f("PROXY TCP4 192.0.2.1 192.0.2.2 65536 601\r\n", "port")
	f("PROXY TCP4 192.0.2.1 192.0.2.2 1 060\r\n", "port")
	f("PROXY TCP4 192.0.2.1 192.0.2.2 -1 601\r\n", "port")
	f("PROXY UNKNOWN "+strings.Repeat("x", 200)+"\r\n", "107")
	f(signature, "EOF")
	f(proxyV2(0x11, 0x11, v4), "version and command")
	f(proxyV2(0x22, 0x11, v4), "version and command")
	f(proxyV2(0x21, 0x12, v4), "family")
	f(proxyV2(0x21, 0x13, v4), "family")
	f(proxyV2(0x21, 0x21, v4), "too few")
	f(proxyV2(0x21, 0x11, ""), "too few")
	f(proxyV2(0x21, 0x11, strings.Repeat("x", 5000)), "4096")
	f(proxyV2(0x21, 0x11, v4)[:20], "EOF")
}

// FuzzProxyHeader: no input makes it panic, read beyond the header, or read on after it; a
// header that is taken is taken again when it is written as its address says.
func FuzzProxyHeader(f *testing.F) {
	for _, s := range []string{"PROXY TCP4 192.0.2.1 192.0.2.2 50312 601\r\n", "PROXY TCP6 ::1 ::2 1 2\r\n", "PROXY UNKNOWN\r\n", proxyV2(0x21, 0x11, v4+tlv), proxyV2(0x21, 0x21, v6), proxyV2(0x20, 0, "")} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		addr, err := syslog.ReadProxyHeader(r)
		header := data[:len(data)-r.Len()]
		if len(header) > 16+4096 {
			t.Fatalf("read %d bytes", len(header))
		}
		if err != nil {
			return
		}
		if again, err := syslog.ReadProxyHeader(bytes.NewReader(header)); err != nil || again != addr {
			t.Fatalf("%q without what follows: %v, %v; with it: %v", header, again, err, addr)
		}
		if addr.IsValid() {
			if got, err := syslog.ReadProxyHeader(strings.NewReader(proxyOf(addr))); err != nil || got != addr {
				t.Fatalf("%q names %v, written as a header: %v, %v", header, addr, got, err)
			}
		}
	})
}

func proxyOf(a netip.AddrPort) string {
	ip, to := a.Addr().AsSlice(), make([]byte, 20)
	family := map[int]byte{4: 0x11, 16: 0x21}[len(ip)]
	binary.BigEndian.PutUint16(to[len(ip):], a.Port())
	return proxyV2(0x21, family, string(ip)+string(to[:len(ip)+4]))
}

func TestProxyProtocol(t *testing.T) {
	ca := newAuthority(t)
	l := listen(t, options{"proxyProtocol": true}, ca.secrets(t, "server"), "tcp", "tls")
	f := func(port, header, want string) {
		t.Helper()
		c := l.dial(port)
		send(t, c, header)
		peer := want
		if want == "" {
			peer = c.LocalAddr().String()
		}
		if port == "tls" {
			c = tls.Client(c, ca.trusting())
		}
		n, _ := l.posted()
		send(t, c, "<13>hello\n")
		l.await(n + 1)
		got := l.messages()
		if diff := cmp.Diff(message{"<13>hello", peer}, got[len(got)-1]); diff != "" {
			t.Errorf("%s %q (-want +got):\n%s", port, header, diff)
		}
	}
	for _, port := range []string{"tcp", "tls"} {
		f(port, "PROXY TCP4 192.0.2.1 192.0.2.2 50312 601\r\n", "192.0.2.1:50312")
		f(port, proxyV2(0x21, 0x21, v6+tlv), "[2001:db8::1]:50312")
		f(port, "PROXY UNKNOWN\r\n", "")
	}
}

func TestProxyProtocolIsRequired(t *testing.T) {
	l := listen(t, options{"proxyProtocol": true}, nil, "tcp")
	f := func(sent string, n int) {
		t.Helper()
		c := l.dial("tcp")
		send(t, c, sent)
		if len(sent) < 12 {
			_ = c.(*net.TCPConn).CloseWrite()
		}
		closedByPeer(t, c)
		l.count("proxy_header_refused", n)
	}
	f("<13>1 - - nobody - - - speaks for me\n", 1)
	f("PROXY TCP4 nonsense\r\n<13>x\n", 2)
	f("PROXY", 3)
	if n, _ := l.posted(); n > 0 {
		t.Errorf("%d messages were taken without a header", n)
	}
}
