// Package stdout is the destination class stdout: it prints messages.
package stdout

// Options configures the stdout destination.
type Options struct {
	// Format is json, one object per line with the time and all attributes, or raw, the message as it came and a newline.
	// +kubebuilder:validation:Enum=json;raw
	// +kubebuilder:default=json
	// +optional
	Format string `json:"format,omitempty"`
}
