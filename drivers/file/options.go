// Package file is the destination class file: it appends messages to a file.
package file

import "github.com/logsource/operator/collector"

// Options configures the file destination.
type Options struct {
	// Path of the file, relative to the collector's output directory, which it cannot leave.
	// +kubebuilder:validation:Pattern=`^[^/].*$`
	// +required
	Path string `json:"path"`
	// Format is json, one object per line with the time and all attributes, or raw, the message as it came and a newline.
	// +kubebuilder:validation:Enum=json;raw
	// +kubebuilder:default=json
	// +optional
	Format string `json:"format,omitempty"`
	// Sync flushes the file to the disk before messages count as delivered. Without it a crash of the machine can lose what was delivered last.
	// +kubebuilder:default=true
	// +optional
	Sync bool `json:"sync,omitempty"`
	// MaxSize renames the file to path.1 before it grows beyond that many bytes; 0 never does.
	// +kubebuilder:default="0"
	// +optional
	MaxSize collector.Bytes `json:"maxSize,omitempty"`
	// MaxFiles is how many renamed files are kept: path.1, the newest, to path.N. Older ones are deleted.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	// +kubebuilder:default=5
	// +optional
	MaxFiles int `json:"maxFiles,omitempty"`
}
