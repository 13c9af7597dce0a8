// Package spool is the fetcher class spool: it reads the files that others leave in a
// directory.
package spool

import "github.com/logsource/operator/collector"

// Options configures the spool fetcher.
type Options struct {
	// Directory is where the files are. Relative to the working directory of the collector.
	// +required
	Directory string `json:"directory"`
	// MaxFile is the largest file that is read, in bytes. A larger one is passed over, and stays.
	// +kubebuilder:default="16Mi"
	// +logsource:minimumBytes=1024
	// +optional
	MaxFile collector.Bytes `json:"maxFile,omitempty"`
	// Keep leaves delivered files where they are instead of removing them.
	// +kubebuilder:default=false
	// +optional
	Keep bool `json:"keep,omitempty"`
}
