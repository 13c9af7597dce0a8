package syslog

import (
	"crypto/tls"

	"github.com/logsource/operator/collector"
)

// ReadProxyHeader is the parser, for fuzzing.
var ReadProxyHeader = readProxyHeader

// Certificate is what a handshake asks for the certificate.
func Certificate(s collector.Source) (*tls.Certificate, error) {
	config, err := s.(*source).tls.Config().GetConfigForClient(&tls.ClientHelloInfo{})
	if err != nil {
		return nil, err
	}
	return &config.Certificates[0], nil
}
