package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A ClusterLogSource declares one source of log messages for the whole cluster. It is
// for cluster administrators: its Secrets live in the namespace of the agents.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=clsrc,categories=log-ingest
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.collector.replicas,statuspath=.status.replicas,selectorpath=.status.selector
// +kubebuilder:selectablefield:JSONPath=`.spec.source.class`
// +kubebuilder:printcolumn:name="Class",type=string,JSONPath=`.spec.source.class`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Collectors",type=string,JSONPath=`.status.collectors.summary`
// +kubebuilder:printcolumn:name="Lag",type=string,JSONPath=`.status.delivery.lag`
// +kubebuilder:printcolumn:name="Lost",type=string,JSONPath=`.status.delivery.lostSummary`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Last-Fetch",type=string,priority=1,JSONPath=`.status.lastFetch.result`
// +kubebuilder:printcolumn:name="Delivered",type=integer,priority=1,JSONPath=`.status.delivery.delivered`
// +kubebuilder:printcolumn:name="Placement",type=string,priority=1,JSONPath=`.status.placement`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 52",message="metadata.name must be at most 52 characters: it becomes part of the names of the collectors"
type ClusterLogSource struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the user wants.
	Spec ClusterLogSourceSpec `json:"spec"`
	// Status is what the manager sees.
	// +optional
	Status LogSourceStatus `json:"status,omitempty"`
}

// A ClusterLogSourceList is a list of ClusterLogSources.
//
// +kubebuilder:object:root=true
type ClusterLogSourceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClusterLogSource `json:"items"`
}

// ClusterLogSourceSpec is the spec of a LogSource plus what only an administrator may say.
type ClusterLogSourceSpec struct {
	LogSourceSpec `json:",inline"`

	// NamespaceSelector selects the namespaces to read by their labels. Unset reads all.
	// Only for classes of placement Node.
	// +optional
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`
}
