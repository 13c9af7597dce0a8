package syslog

import (
	"crypto/tls"

	"github.com/logsource/operator/collector"
)

// ReadProxyHeader is the parser, for fuzzing.
var ReadProxyHeader = readProxyHeader

// Certificate is what a handshake asks for the certificate.
func Certificate(s collector.Source) (*tls.Certificate, error) {
	return s.(*source).tls.config.GetCertificate(&tls.ClientHelloInfo{})
}
