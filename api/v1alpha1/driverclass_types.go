package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// A DriverClass describes one driver: its options are what `kubectl apply` of a LogSource
// is checked against. The objects of the built-in drivers are generated and shipped with
// the installation; an own driver brings its own.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=driverclasses,shortName=dcls
// +kubebuilder:printcolumn:name="Class",type=string,JSONPath=`.spec.class`
// +kubebuilder:printcolumn:name="Role",type=string,JSONPath=`.spec.role`
// +kubebuilder:printcolumn:name="Lifecycle",type=string,JSONPath=`.spec.lifecycle`
// +kubebuilder:printcolumn:name="Placement",type=string,JSONPath=`.spec.placement`
// +kubebuilder:printcolumn:name="Description",type=string,JSONPath=`.spec.description`
// +kubebuilder:validation:XValidation:rule="self.metadata.name == self.spec.class + '.' + self.spec.role.lowerAscii()",message="metadata.name must be the class and the role, such as http.destination"
type DriverClass struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec describes the driver.
	Spec DriverClassSpec `json:"spec"`
}

// A DriverClassList is a list of DriverClasses.
//
// +kubebuilder:object:root=true
type DriverClassList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DriverClass `json:"items"`
}

// DriverClassSpec mirrors class.Class of the collector; a test holds them equal.
type DriverClassSpec struct {
	// Class is the name that a LogSource uses.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=200
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Class string `json:"class"`
	// Role says on which end of a log path the class stands.
	// +kubebuilder:validation:Enum=Source;Destination
	Role string `json:"role"`
	// Lifecycle of a source class: a Fetcher is asked for messages, a Source posts them.
	// +kubebuilder:validation:Enum=Fetcher;Source
	// +optional
	Lifecycle string `json:"lifecycle,omitempty"`
	// Placement of a source class: one collector per Node, a Single one, or any number (Scaled).
	// +kubebuilder:validation:Enum=Node;Single;Scaled
	// +optional
	Placement string `json:"placement,omitempty"`
	// Description in one sentence.
	// +kubebuilder:validation:MaxLength=1024
	Description string `json:"description"`
	// Footprint is what the class needs of its pod.
	// +optional
	Footprint *DriverFootprint `json:"footprint,omitempty"`
	// Flags are the runtime switches that a source class takes, in the names of syslog-ng.
	// Empty means no-parse.
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Flags []Flag `json:"flags,omitempty"`
	// Options the class takes.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Options []DriverOption `json:"options,omitempty"`
}

// DriverFootprint is what a class needs of its pod.
type DriverFootprint struct {
	// State says that the class keeps positions across restarts.
	// +optional
	State bool `json:"state,omitempty"`
	// NodeLogs says that the class reads the logs of its node.
	// +optional
	NodeLogs bool `json:"nodeLogs,omitempty"`
	// ReadsPods says that the class watches the pods of its node.
	// +optional
	ReadsPods bool `json:"readsPods,omitempty"`
	// LocalOnly says that the class is refused on agents.
	// +optional
	LocalOnly bool `json:"localOnly,omitempty"`
	// Ports are where the class listens.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	// +optional
	Ports []DriverPort `json:"ports,omitempty"`
}

// A DriverPort is where a class listens, when its option is above 0.
type DriverPort struct {
	// Name of the port of the container and of the Service.
	// +kubebuilder:validation:MaxLength=15
	// +kubebuilder:validation:Pattern=`^[a-z]([a-z0-9]|-[a-z0-9])*$`
	// +kubebuilder:validation:XValidation:rule="self != 'status'",message="status is the port at which every collector reports: choose another name"
	Name string `json:"name"`
	// Protocol of the port.
	// +kubebuilder:validation:Enum=TCP;UDP
	Protocol string `json:"protocol"`
	// Option names the option, of type int, that holds the port number in the pod.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Option string `json:"option"`
	// Service is the port of the Service, unless a LogSource says otherwise.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Service int32 `json:"service"`
}

// A DriverOption is one setting of a class.
type DriverOption struct {
	// Name of the option.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
	// Type of its value.
	// +kubebuilder:validation:Enum=string;int;bool;duration;quantity;url;stringList;stringMap
	Type string `json:"type"`
	// Description for people.
	// +kubebuilder:validation:MaxLength=1024
	Description string `json:"description"`
	// Required options must be set.
	// +optional
	Required bool `json:"required,omitempty"`
	// Secret options are set through secretOptions only.
	// +optional
	Secret bool `json:"secret,omitempty"`
	// Default value.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
	Default *runtime.RawExtension `json:"default,omitempty"`
	// Enum lists the allowed values.
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=128
	// +optional
	Enum []string `json:"enum,omitempty"`
	// Pattern is an RE2 expression for a string and for every item of a list.
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="''.matches(self) || !''.matches(self)",message="must be an RE2 expression"
	// +optional
	Pattern string `json:"pattern,omitempty"`
	// Minimum of an int, or of a quantity in bytes.
	// +optional
	Minimum *int64 `json:"minimum,omitempty"`
	// Maximum of an int, or of a quantity in bytes.
	// +optional
	Maximum *int64 `json:"maximum,omitempty"`
	// MinimumDuration bounds a duration from below.
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('0s') && duration(self) <= duration('24h')",message="must be a duration from 0s to 24h, such as 250ms, 10s or 1h30m"
	// +optional
	MinimumDuration string `json:"minimumDuration,omitempty"`
}
