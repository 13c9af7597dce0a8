// Package syslog is the source class syslog: it listens for syslog messages on UDP, TCP
// and TLS.
package syslog

import "github.com/logsource/operator/collector"

// Options configures the syslog source. syslog-ng: network(), syslog().
type Options struct {
	// UDPPort takes datagrams of one message each (RFC 5426); 0 takes none. At least one of udpPort, tcpPort and tlsPort must be set.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	// +optional
	UDPPort int `json:"udpPort,omitempty"`
	// TCPPort takes plain connections (RFC 6587); 0 takes none.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	// +optional
	TCPPort int `json:"tcpPort,omitempty"`
	// TLSPort takes TLS connections (RFC 5425), TLS 1.2 or newer, with tlsCert and tlsKey; 0 takes none.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	// +optional
	TLSPort int `json:"tlsPort,omitempty"`
	// Address is the IP address to listen on; empty means every address of the pod, IPv4 and IPv6.
	// +optional
	Address string `json:"address,omitempty"`
	// Framing is how messages are told apart on TCP and TLS (RFC 6587 §3.4): octet-counting, newline, or auto, which looks at the first byte of every message.
	// +kubebuilder:validation:Enum=auto;octet-counting;newline
	// +kubebuilder:default=auto
	// +optional
	Framing string `json:"framing,omitempty"`
	// MaxMessageBytes is the largest message. Of a longer datagram the rest is lost, a longer line becomes several messages, a longer octet count closes the connection.
	// +logsource:minimumBytes=1024
	// +logsource:maximumBytes=16777216
	// +kubebuilder:default="64Ki"
	// +optional
	MaxMessageBytes collector.Bytes `json:"maxMessageBytes,omitempty"`
	// TrimLargeMessages cuts a line or an octet-counted message that is larger than maxMessageBytes, and drops its rest, instead.
	// +kubebuilder:default=false
	// +optional
	TrimLargeMessages bool `json:"trimLargeMessages,omitempty"`
	// MaxConnections is how many TCP and TLS connections may be open at once. One more is closed at once, counted.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	// +kubebuilder:default=10000
	// +optional
	MaxConnections int `json:"maxConnections,omitempty"`
	// MaxConnectionsPerPeer is how many of them may come from one IP address; 0 means no limit of its own. With proxyProtocol the address is the proxy's.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	// +kubebuilder:default=0
	// +optional
	MaxConnectionsPerPeer int `json:"maxConnectionsPerPeer,omitempty"`
	// IdleTimeout closes a connection on which no message was completed for that long; 0s never does.
	// +kubebuilder:default="10m"
	// +optional
	IdleTimeout collector.Duration `json:"idleTimeout,omitempty"`
	// ProxyProtocol says that every TCP and TLS connection begins with a header of the PROXY protocol, version 1 or 2, which names the real peer. One without it is closed, counted.
	// +kubebuilder:default=false
	// +optional
	ProxyProtocol bool `json:"proxyProtocol,omitempty"`
	// TLSCert is the PEM certificate chain of tlsPort, the server's own first.
	// +optional
	TLSCert collector.Secret `json:"tlsCert,omitzero"`
	// TLSKey is the PEM private key of tlsCert.
	// +optional
	TLSKey collector.Secret `json:"tlsKey,omitzero"`
	// ClientCA is a PEM bundle of authorities: TLS peers must then show a certificate that one of them has signed.
	// +optional
	ClientCA collector.Secret `json:"clientCA,omitzero"`
	// UDPReceiveBuffer is how many bytes of datagrams the kernel keeps while the source cannot read (SO_RCVBUF); 0 leaves it at the node's net.core.rmem_default. The kernel grants at most net.core.rmem_max.
	// +logsource:maximumBytes=1073741824
	// +kubebuilder:default="0"
	// +optional
	UDPReceiveBuffer collector.Bytes `json:"udpReceiveBuffer,omitempty"`
}
