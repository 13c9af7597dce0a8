// Package redis is the destination class redis: it appends messages to a list.
package redis

import "github.com/logsource/operator/collector"

// Options configures the redis destination.
type Options struct {
	// Address of the server, host and port.
	// +kubebuilder:validation:Pattern=`^[^/]+:[0-9]+$`
	// +required
	Address string `json:"address"`
	// Key of the list that messages are appended to.
	// +kubebuilder:default=logs
	// +optional
	Key string `json:"key,omitempty"`
	// Format is json, one object per message with the time and all attributes, or raw, the message as it came.
	// +kubebuilder:validation:Enum=json;raw
	// +kubebuilder:default=json
	// +optional
	Format string `json:"format,omitempty"`
	// MaxMessage is the largest message, in bytes as it is written. A larger one is rejected.
	// +kubebuilder:default="1Mi"
	// +logsource:minimumBytes=1024
	// +optional
	MaxMessage collector.Bytes `json:"maxMessage,omitempty"`
	// Timeout bounds one request, from the first byte written to the answer.
	// +kubebuilder:default="10s"
	// +logsource:minimumDuration=1ms
	// +optional
	Timeout collector.Duration `json:"timeout,omitempty"`
	// Password is sent with AUTH when the connection is opened.
	// +optional
	Password collector.Secret `json:"password,omitzero"`
}
