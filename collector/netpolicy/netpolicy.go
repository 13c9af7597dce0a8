// Package netpolicy says which addresses a driver never connects to, whatever a LogSource
// asks for: link-local ones and the metadata services of clouds, which hand out the
// credentials of the node. It judges the address that is dialled, after name resolution
// and on every redirect, so a name that points there (or is made to) is refused as well.
//
// It is the least that is right everywhere. What a tenant may reach beyond that is for
// the NetworkPolicy of the tenant's namespace to say.
package netpolicy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// ErrRefused is the error of a connection that the policy forbids.
var ErrRefused = errors.New("link-local and metadata addresses are refused")

// metadata are metadata services outside of the link-local ranges: AWS over IPv6, Alibaba.
var metadata = []netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"),
	netip.MustParseAddr("100.100.100.200"),
}

// nat64 are the prefixes behind which a translator reaches IPv4 addresses (RFC 6052, RFC 8215).
var nat64 = []netip.Prefix{
	netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/96"),
}

// Dialer returns a dialer that keeps the policy.
func Dialer() *net.Dialer {
	return &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second, Control: Control}
}

// Control is net.Dialer.Control: it refuses the address before the connection is made.
func Control(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", ErrRefused, address)
	}
	if Refused(a.Addr()) {
		return fmt.Errorf("%w: %s", ErrRefused, a.Addr())
	}
	return nil
}

// Refused says whether drivers may not connect to the address.
func Refused(a netip.Addr) bool {
	a = ipv4(a.WithZone(""))
	if a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast() || a.IsInterfaceLocalMulticast() {
		return true
	}
	for _, m := range metadata {
		if a == m {
			return true
		}
	}
	return false
}

// ipv4 unwraps an IPv4 address that is written as an IPv6 one.
func ipv4(a netip.Addr) netip.Addr {
	for _, p := range nat64 {
		if p.Contains(a) {
			b := a.As16()
			return netip.AddrFrom4([4]byte(b[12:]))
		}
	}
	return a.Unmap()
}
