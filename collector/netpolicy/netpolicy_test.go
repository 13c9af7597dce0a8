package netpolicy_test

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/logsource/operator/collector/netpolicy"
)

func TestRefused(t *testing.T) {
	f := func(address string, want bool) {
		t.Helper()
		if got := netpolicy.Refused(netip.MustParseAddr(address)); got != want {
			t.Errorf("Refused(%s) = %v, want %v", address, got, want)
		}
	}
	f("169.254.169.254", true)
	f("169.254.0.1", true)
	f("169.254.170.2", true)
	f("::ffff:169.254.169.254", true)
	f("64:ff9b::a9fe:a9fe", true)
	f("64:ff9b:1::a9fe:a9fe", true)
	f("fe80::1", true)
	f("fe80::1%eth0", true)
	f("febf::1", true)
	f("ff02::1", true)
	f("fd00:ec2::254", true)
	f("fd00:ec2::254%eth0", true)
	f("100.100.100.200", true)
	f("::ffff:100.100.100.200", true)
	f("127.0.0.1", false)
	f("::1", false)
	f("10.0.0.7", false)
	f("169.253.255.255", false)
	f("169.255.0.0", false)
	f("fec0::1", false)
	f("fd00:ec2::253", false)
	f("2001:db8::1", false)
	f("64:ff9b::a00:7", false)
}

func TestDialerRefuses(t *testing.T) {
	for _, address := range []string{"169.254.169.254:80", "[::ffff:169.254.169.254]:80", "[fe80::1%1]:80", "[fd00:ec2::254]:80"} {
		_, err := netpolicy.Dialer().DialContext(t.Context(), "tcp", address)
		if !errors.Is(err, netpolicy.ErrRefused) {
			t.Errorf("dial %s: %v, want ErrRefused", address, err)
		}
	}
}

func TestDialerConnects(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := netpolicy.Dialer().DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}
