// Package v1alpha1 is the API group logsource.dev, version v1alpha1.
//
// +kubebuilder:object:generate=true
// +groupName=logsource.dev
package v1alpha1
