// Package heartbeat is the source class heartbeat: it says at an interval that it lives.
package heartbeat

import "github.com/logsource/operator/collector"

// Options configures the heartbeat source.
type Options struct {
	// Every is the time between two messages.
	// +kubebuilder:default="10s"
	// +logsource:minimumDuration=100ms
	// +optional
	Every collector.Duration `json:"every,omitempty"`
	// Text is the beginning of every message; the number of the beat follows.
	// +kubebuilder:validation:Pattern=`^[^\n]+$`
	// +kubebuilder:default=alive
	// +optional
	Text string `json:"text,omitempty"`
}
