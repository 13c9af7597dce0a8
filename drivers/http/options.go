// Package http is the destination class http: it posts messages as lines.
package http

import "github.com/logsource/operator/collector"

// Options configures the http destination.
type Options struct {
	// URL takes the messages, many lines in one request.
	// +kubebuilder:validation:Format=uri
	// +kubebuilder:validation:Pattern=`^https?://`
	// +required
	URL string `json:"url"`
	// Method of the request.
	// +kubebuilder:validation:Enum=POST;PUT
	// +kubebuilder:default=POST
	// +optional
	Method string `json:"method,omitempty"`
	// Headers are sent with every request. They are plain text: secrets belong into secretOptions.
	// +optional
	Headers map[string]string `json:"headers,omitempty"`
	// Format is json, one object per line with the time and all attributes, or raw, the message as it came and a newline.
	// +kubebuilder:validation:Enum=json;raw
	// +kubebuilder:default=json
	// +optional
	Format string `json:"format,omitempty"`
	// Compression of the request body.
	// +kubebuilder:validation:Enum=none;gzip;zstd
	// +kubebuilder:default=none
	// +optional
	Compression string `json:"compression,omitempty"`
	// Timeout bounds one request, from connecting to the last byte of the answer.
	// +kubebuilder:default="30s"
	// +logsource:minimumDuration=1ms
	// +optional
	Timeout collector.Duration `json:"timeout,omitempty"`
	// MaxConnectionAge closes connections that are older, so that a changed DNS entry or a new backend is seen.
	// +kubebuilder:default="5m"
	// +logsource:minimumDuration=1s
	// +optional
	MaxConnectionAge collector.Duration `json:"maxConnectionAge,omitempty"`
	// Username for HTTP basic authentication.
	// +optional
	Username string `json:"username,omitempty"`
	// Password for HTTP basic authentication.
	// +optional
	Password collector.Secret `json:"password,omitzero"`
	// Token is sent as a bearer token, instead of username and password.
	// +optional
	Token collector.Secret `json:"token,omitzero"`
	// CA is a PEM bundle of the authorities to trust instead of the system's.
	// +optional
	CA collector.Secret `json:"ca,omitzero"`
	// ClientCert is a PEM certificate chain to show to the server; with clientKey.
	// +optional
	ClientCert collector.Secret `json:"clientCert,omitzero"`
	// ClientKey is the PEM private key of clientCert.
	// +optional
	ClientKey collector.Secret `json:"clientKey,omitzero"`
	// ServerName replaces the host of the url in the check of the server's certificate.
	// +optional
	ServerName string `json:"serverName,omitempty"`
	// InsecureSkipVerify accepts any certificate; for tests only.
	// +optional
	InsecureSkipVerify bool `json:"insecureSkipVerify,omitempty"`
}
