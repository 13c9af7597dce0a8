// Package httppoll is the fetcher class http-poll: it asks a URL for messages.
package httppoll

import "github.com/logsource/operator/collector"

// Options configures the http-poll fetcher.
type Options struct {
	// URL is asked for messages.
	// +kubebuilder:validation:Format=uri
	// +kubebuilder:validation:Pattern=`^https?://`
	// +required
	URL string `json:"url"`
	// Method of the request.
	// +kubebuilder:validation:Enum=GET;POST
	// +kubebuilder:default=GET
	// +optional
	Method string `json:"method,omitempty"`
	// Body is sent with every request of method POST.
	// +optional
	Body string `json:"body,omitempty"`
	// Headers are sent with every request. They are plain text: secrets belong into secretOptions.
	// +optional
	Headers map[string]string `json:"headers,omitempty"`
	// Interval is the time from the beginning of one poll to the next while polls succeed or have no data. After an error timeReopen paces.
	// +kubebuilder:default="10s"
	// +logsource:minimumDuration=100ms
	// +optional
	Interval collector.Duration `json:"interval,omitempty"`
	// Timeout bounds one poll, from connecting to the last byte of the answer.
	// +kubebuilder:default="10s"
	// +logsource:minimumDuration=1ms
	// +optional
	Timeout collector.Duration `json:"timeout,omitempty"`
	// Split makes one message per answer (none) or one per line that is not empty (lines).
	// +kubebuilder:validation:Enum=none;lines
	// +kubebuilder:default=none
	// +optional
	Split string `json:"split,omitempty"`
	// MaxBody is the largest answer taken, in bytes. A larger one is an error.
	// +kubebuilder:default="1Mi"
	// +optional
	MaxBody collector.Bytes `json:"maxBody,omitempty"`
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
	// InsecureSkipVerify accepts any certificate; for tests only.
	// +optional
	InsecureSkipVerify bool `json:"insecureSkipVerify,omitempty"`
}
