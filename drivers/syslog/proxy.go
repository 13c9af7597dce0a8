package syslog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// This file reads the header of the PROXY protocol, versions 1 and 2, as
// https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt says, and no byte more.

const (
	// proxyStart is how many bytes tell the versions apart: version 2 begins with its
	// signature; the shortest header of version 1, PROXY UNKNOWN, is longer (§2.1).
	proxyStart = 12
	// proxyLineMax is the longest header of version 1, CRLF included (§2.1).
	proxyLineMax = 107
	// proxyBodyMax bounds what follows the fixed part of version 2. Addresses take at most
	// 216 bytes; the rest are TLVs, which are skipped.
	proxyBodyMax = 4096
)

var (
	proxySignature = []byte("\r\n\r\n\x00\r\nQUIT\n")

	errNoProxyHeader = errors.New("the connection does not begin with a PROXY protocol header: set proxyProtocol to false, or let the proxy send one")
)

// readProxyHeader reads a header from r. The address is that of the peer behind the proxy;
// it is not valid where the proxy names none (UNKNOWN, LOCAL, a Unix socket), and the
// proxy's own address then counts. r is read to the end of the header exactly.
func readProxyHeader(r io.Reader) (netip.AddrPort, error) {
	var start [proxyStart]byte
	if _, err := io.ReadFull(r, start[:]); err != nil {
		return netip.AddrPort{}, fmt.Errorf("read the PROXY protocol header: %w", err)
	}
	switch {
	case bytes.Equal(start[:], proxySignature):
		return readProxyV2(r)
	case bytes.HasPrefix(start[:], []byte("PROXY ")):
		return readProxyV1(r, start[:])
	}
	return netip.AddrPort{}, errNoProxyHeader
}

// readProxyV1 reads on byte by byte: what follows the line is not the header's. A line that
// ends without CR is taken too: syslog-ng's loggen sends such.
func readProxyV1(r io.Reader, start []byte) (netip.AddrPort, error) {
	line := append(make([]byte, 0, proxyLineMax), start...)
	for line[len(line)-1] != '\n' {
		if len(line) == proxyLineMax {
			return netip.AddrPort{}, fmt.Errorf("PROXY protocol: no end of line in %d bytes", proxyLineMax)
		}
		line = line[:len(line)+1]
		if _, err := io.ReadFull(r, line[len(line)-1:]); err != nil {
			return netip.AddrPort{}, fmt.Errorf("read the PROXY protocol header: %w", err)
		}
	}
	return parseProxyV1(strings.TrimSuffix(string(line[:len(line)-1]), "\r"))
}

// parseProxyV1 reads a line such as "PROXY TCP4 192.0.2.1 192.0.2.2 50312 601".
func parseProxyV1(line string) (netip.AddrPort, error) {
	f := strings.Split(line, " ")
	if len(f) > 1 && f[1] == "UNKNOWN" {
		return netip.AddrPort{}, nil
	}
	if len(f) != 6 || (f[1] != "TCP4" && f[1] != "TCP6") {
		return netip.AddrPort{}, fmt.Errorf("PROXY protocol: %q is not a header of version 1", line)
	}
	source, err := proxyAddr(f[1], f[2], f[4])
	if err != nil {
		return netip.AddrPort{}, err
	}
	_, err = proxyAddr(f[1], f[3], f[5])
	return source, err
}

func proxyAddr(family, ip, port string) (netip.AddrPort, error) {
	addr, err := netip.ParseAddr(ip)
	if err != nil || addr.Zone() != "" || addr.Is4() != (family == "TCP4") {
		return netip.AddrPort{}, fmt.Errorf("PROXY protocol: %q is not a %s address", ip, family)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != port {
		return netip.AddrPort{}, fmt.Errorf("PROXY protocol: %q is not a port", port)
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), nil
}

// readProxyV2 reads what follows the signature (§2.2): version and command, family and
// protocol, length, addresses, TLVs.
func readProxyV2(r io.Reader) (netip.AddrPort, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return netip.AddrPort{}, fmt.Errorf("read the PROXY protocol header: %w", err)
	}
	n := int(binary.BigEndian.Uint16(head[2:]))
	switch {
	case head[0] != 0x20 && head[0] != 0x21:
		return netip.AddrPort{}, fmt.Errorf("PROXY protocol: version and command are %#02x, want 0x20 or 0x21", head[0])
	case n > proxyBodyMax:
		return netip.AddrPort{}, fmt.Errorf("PROXY protocol: a header of %d bytes, the maximum is %d", n, proxyBodyMax)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return netip.AddrPort{}, fmt.Errorf("read the PROXY protocol header: %w", err)
	}
	if head[0] == 0x20 { // LOCAL: the proxy speaks for itself, such as a health check
		return netip.AddrPort{}, nil
	}
	return parseProxyV2(head[1], body)
}

// parseProxyV2 reads the addresses of a PROXY command.
func parseProxyV2(family byte, body []byte) (netip.AddrPort, error) {
	size, known := map[byte]int{0x00: 0, 0x11: 4, 0x21: 16, 0x31: 0}[family]
	switch {
	case !known:
		return netip.AddrPort{}, fmt.Errorf("PROXY protocol: family and protocol are %#02x, want those of a TCP connection", family)
	case size == 0: // unspecified, or a Unix socket
		return netip.AddrPort{}, nil
	case len(body) < 2*size+4:
		return netip.AddrPort{}, fmt.Errorf("PROXY protocol: %d bytes are too few for two addresses", len(body))
	}
	addr, _ := netip.AddrFromSlice(body[:size])
	return netip.AddrPortFrom(addr.Unmap(), binary.BigEndian.Uint16(body[2*size:])), nil
}
