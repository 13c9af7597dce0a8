// Package generate is the source class generate: it makes messages of its own.
package generate

import "github.com/logsource/operator/collector"

// Options configures the generate source. Interval has no default in the schema, because
// it would exclude rate.
type Options struct {
	// Message is the text of every message.
	// +kubebuilder:default="hello world"
	// +optional
	Message string `json:"message,omitempty"`
	// Interval is the time between two messages; 1s when rate is not set either. Excludes rate.
	// +logsource:minimumDuration=1ms
	// +optional
	Interval collector.Duration `json:"interval,omitempty"`
	// Rate is the number of messages per second, for load tests. Excludes interval.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000000
	// +optional
	Rate int `json:"rate,omitempty"`
	// Count is the number of messages after which the source falls silent; 0 means never.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:default=0
	// +optional
	Count int64 `json:"count,omitempty"`
	// Size pads every message with dots to that many bytes; 0 means not.
	// +kubebuilder:default="0"
	// +optional
	Size collector.Bytes `json:"size,omitempty"`
	// Numbered puts the number of the message, from 1, and a space before it, so that a test can tell whether all have arrived.
	// +kubebuilder:default=false
	// +optional
	Numbered bool `json:"numbered,omitempty"`
}
