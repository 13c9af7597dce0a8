package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// A LogSource declares one source of log messages and where they go.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=lsrc,categories=log-ingest
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
type LogSource struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the user wants.
	Spec LogSourceSpec `json:"spec"`
	// Status is what the manager sees.
	// +optional
	Status LogSourceStatus `json:"status,omitempty"`
}

// A LogSourceList is a list of LogSources.
//
// +kubebuilder:object:root=true
type LogSourceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []LogSource `json:"items"`
}

// LogSourceSpec is the wanted state of a LogSource.
//
// +kubebuilder:validation:XValidation:rule="self.destinations.exists(d, d.required)",message="at least one destination must be required: set required: true, or leave it out, on one of spec.destinations"
type LogSourceSpec struct {
	// Source is where the messages come from.
	Source SourceSpec `json:"source"`

	// Select says which containers are read. Only for classes of placement Node, such as
	// container-logs.
	// +optional
	Select *SelectSpec `json:"select,omitempty"`

	// Destinations take every message. Each has its own queue and retries; none delays
	// another beyond its own onFull.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Destinations []DestinationSpec `json:"destinations"`

	// Delivery says what it takes until a message counts as delivered.
	// +optional
	Delivery *DeliverySpec `json:"delivery,omitempty"`

	// Collector shapes the pods that run this source. Agents, which run the classes of
	// placement Node, are shaped by the Helm values instead.
	// +optional
	Collector *CollectorSpec `json:"collector,omitempty"`

	// Paused stops the source on purpose. What is queued is still delivered.
	// +optional
	Paused bool `json:"paused,omitempty"`
}

// SourceSpec is a source class and its settings.
type SourceSpec struct {
	// Class names the driver; `kubectl get driverclasses` lists them.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[A-Za-z_][A-Za-z0-9_.-]*$`
	Class string `json:"class"`

	// Options are the settings of the class, checked against its DriverClass.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:MaxProperties=64
	// +optional
	Options *runtime.RawExtension `json:"options,omitempty"`

	// SecretOptions fill options from Secrets of the same namespace.
	// +listType=map
	// +listMapKey=option
	// +kubebuilder:validation:MaxItems=16
	// +optional
	SecretOptions []SecretOption `json:"secretOptions,omitempty"`

	// Flags are the runtime switches of the source, in the names of syslog-ng: flags(). A
	// class takes those of its DriverClass; one that lists none takes no-parse.
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="!('no-hostname' in self && 'expect-hostname' in self)",message="no-hostname and expect-hostname contradict each other: keep one of them"
	// +kubebuilder:validation:XValidation:rule="!('store-legacy-msghdr' in self && 'dont-store-legacy-msghdr' in self)",message="store-legacy-msghdr and dont-store-legacy-msghdr contradict each other: keep one of them"
	// +optional
	Flags []Flag `json:"flags,omitempty"`

	// Message is what is done to every message of this source.
	// +optional
	Message *MessageSpec `json:"message,omitempty"`

	// TimeReopen is the wait before a source that lost its connection is opened again.
	// Unset means 1s, which is what syslog-ng does.
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('100ms') && duration(self) <= duration('24h')",message="must be a duration from 100ms to 24h, such as 250ms, 10s or 1h30m"
	// +optional
	TimeReopen *Duration `json:"timeReopen,omitempty"`

	// FetchNoDataDelay is the wait after a fetch that had no data. Unset means timeReopen.
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('0s') && duration(self) <= duration('24h')",message="must be a duration from 0s to 24h, such as 250ms, 10s or 1h30m"
	// +optional
	FetchNoDataDelay *Duration `json:"fetchNoDataDelay,omitempty"`

	// OnRunExit says what happens when a posting source returns: Restart with back-off,
	// or Stop, as syslog-ng does.
	// +kubebuilder:default=Restart
	// +kubebuilder:validation:Enum=Restart;Stop
	// +optional
	OnRunExit string `json:"onRunExit,omitempty"`

	// Window is how much of this source may be on the way, per collector; when it is full
	// the source is suspended (syslog-ng: log-iw-size).
	// +optional
	Window *WindowSpec `json:"window,omitempty"`

	// PersistName is the name under which positions are saved. Unset means the class.
	// Changing it starts anew.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$`
	// +optional
	PersistName string `json:"persistName,omitempty"`

	// StartAt says where to start in files that are there at first contact. Files that
	// appear later are always read from their beginning.
	// +kubebuilder:default=Beginning
	// +kubebuilder:validation:Enum=Beginning;End
	// +optional
	StartAt string `json:"startAt,omitempty"`
}

// A Flag is a runtime switch of a source: how its messages are parsed. The list is that of
// syslog-ng's threaded sources.
//
// +kubebuilder:validation:Enum=no-parse;check-hostname;syslog-protocol;assume-utf8;validate-utf8;sanitize-utf8;no-multi-line;store-legacy-msghdr;dont-store-legacy-msghdr;store-raw-message;expect-hostname;no-hostname;guess-timezone;no-header;no-rfc3164-fallback
type Flag string

// MessageSpec is what is done to every message of a source.
type MessageSpec struct {
	// DefaultFacility is the facility of messages that have no priority. When only the
	// severity is set it is user (syslog-ng: default-facility).
	// +kubebuilder:validation:Enum=kern;user;mail;daemon;auth;syslog;lpr;news;uucp;cron;authpriv;ftp;ntp;security;console;solaris-cron;local0;local1;local2;local3;local4;local5;local6;local7
	// +optional
	DefaultFacility string `json:"defaultFacility,omitempty"`
	// DefaultSeverity is the severity of messages that have no priority. When only the
	// facility is set it is notice (syslog-ng: default-severity, default-level).
	// +kubebuilder:validation:Enum=emerg;alert;crit;err;warning;notice;info;debug
	// +optional
	DefaultSeverity string `json:"defaultSeverity,omitempty"`
	// KeepHostname keeps the host that a message names. Otherwise it is replaced by that of
	// the peer that sent it (syslog-ng: keep-hostname).
	// +optional
	KeepHostname bool `json:"keepHostname,omitempty"`
	// HostOverride is the host of every message (syslog-ng: host-override).
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:Pattern=`^[!-~]+$`
	// +optional
	HostOverride string `json:"hostOverride,omitempty"`
	// ProgramOverride is the program of every message (syslog-ng: program-override).
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[!-~]+$`
	// +optional
	ProgramOverride string `json:"programOverride,omitempty"`
	// Tags are added to every message; one has printable characters other than a comma
	// (syslog-ng: tags).
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:items:Pattern=`^[!-+.-~-]+$`
	// +optional
	Tags []string `json:"tags,omitempty"`
	// TimeZone is that of stamps which name none: an IANA name such as Europe/Budapest, or
	// an offset such as +02:00. Unset means UTC (syslog-ng: time-zone).
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^([A-Za-z][A-Za-z0-9_+/-]*|[+-](0[0-9]|1[0-4]):[0-5][0-9])$`
	// +optional
	TimeZone string `json:"timeZone,omitempty"`
}

// DeliverySpec is a promise of delivery.
type DeliverySpec struct {
	// Level is what it takes until a message counts as acked. EndToEnd: every required
	// destination has confirmed it. Fast: it is in the queue of every destination, in
	// memory; a source that is pushed to answers at once, and a collector that crashes
	// loses what it holds.
	// +kubebuilder:default=EndToEnd
	// +kubebuilder:validation:Enum=Fast;EndToEnd
	// +optional
	Level string `json:"level,omitempty"`
}

// A SecretOption fills one option from a key of a Secret.
type SecretOption struct {
	// Option is the name of the option.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Option string `json:"option"`
	// SecretKeyRef names the Secret, in the namespace of the LogSource (for a
	// ClusterLogSource: of the agents), and the key in it.
	SecretKeyRef SecretKeyRef `json:"secretKeyRef"`
}

// A SecretKeyRef is a key of a Secret.
type SecretKeyRef struct {
	// Name of the Secret.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`
	// Key in the Secret.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key string `json:"key"`
}

// WindowSpec bounds what is on the way.
type WindowSpec struct {
	// Messages on the way at most.
	// +kubebuilder:default=8192
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000000
	// +optional
	Messages int32 `json:"messages,omitempty"`
	// Bytes on the way at most. One message larger than this passes alone.
	// +kubebuilder:default="8Mi"
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('64Ki')) >= 0 && quantity(string(self)).compareTo(quantity('64Gi')) <= 0",message="must be a number of bytes from 64Ki to 64Gi, such as 65536, 8Mi or 1Gi"
	// +optional
	Bytes *resource.Quantity `json:"bytes,omitempty"`
}

// SelectSpec selects containers.
type SelectSpec struct {
	// PodSelector selects pods by label. Unset selects every pod.
	// +optional
	PodSelector *metav1.LabelSelector `json:"podSelector,omitempty"`
	// Containers selects containers of those pods by name.
	// +optional
	Containers *ContainerSelect `json:"containers,omitempty"`
	// ExcludeAnnotation opts a pod out that carries this annotation with value "true".
	// +kubebuilder:default="logsource.dev/exclude"
	// +kubebuilder:validation:MaxLength=316
	// +optional
	ExcludeAnnotation string `json:"excludeAnnotation,omitempty"`
	// IncludeCollectors also reads the collectors of other LogSources. The collector that
	// reads never reads itself.
	// +optional
	IncludeCollectors bool `json:"includeCollectors,omitempty"`
	// Since skips what is older than this, counted from first contact.
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('0s') && duration(self) <= duration('8760h')",message="must be a duration from 0s to 8760h, such as 250ms, 10s or 1h30m"
	// +optional
	Since *Duration `json:"since,omitempty"`
}

// ContainerSelect selects containers by name; * and ? stand for any characters.
type ContainerSelect struct {
	// Include names the containers to read. Empty means all.
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[-a-z0-9*?]+$`
	// +optional
	Include []string `json:"include,omitempty"`
	// Exclude names containers to leave out.
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[-a-z0-9*?]+$`
	// +optional
	Exclude []string `json:"exclude,omitempty"`
}

// A DestinationSpec is a destination class and its settings.
//
// +kubebuilder:validation:XValidation:rule="self.required || self.onFull != 'Suspend'",message="an optional destination may not suspend the source: set onFull to DropOldest or DropNewest, or required to true"
type DestinationSpec struct {
	// Name of the destination within this LogSource; its queue and counters carry it.
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// Class names the driver; `kubectl get driverclasses` lists them.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[A-Za-z_][A-Za-z0-9_.-]*$`
	Class string `json:"class"`

	// Options are the settings of the class, checked against its DriverClass.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:MaxProperties=64
	// +optional
	Options *runtime.RawExtension `json:"options,omitempty"`

	// SecretOptions fill options from Secrets of the same namespace.
	// +listType=map
	// +listMapKey=option
	// +kubebuilder:validation:MaxItems=16
	// +optional
	SecretOptions []SecretOption `json:"secretOptions,omitempty"`

	// Required destinations must ack a message before the position of the source moves.
	// An optional one never holds the source.
	// +kubebuilder:default=true
	// +optional
	Required *bool `json:"required,omitempty"`

	// OnFull says what happens when this destination falls behind: Suspend the source, or
	// drop messages from its queue, counted.
	// +kubebuilder:default=Suspend
	// +kubebuilder:validation:Enum=Suspend;DropOldest;DropNewest
	// +optional
	OnFull string `json:"onFull,omitempty"`

	// Queue is what may wait for a destination that drops when full. One that suspends is
	// bounded by the window of the source.
	// +optional
	Queue *QueueSpec `json:"queue,omitempty"`

	// Batch cuts the requests.
	// +optional
	Batch *BatchSpec `json:"batch,omitempty"`

	// Retry is the back-off between attempts.
	// +optional
	Retry *RetrySpec `json:"retry,omitempty"`
}

// QueueSpec bounds a queue.
type QueueSpec struct {
	// Size in bytes.
	// +kubebuilder:default="64Mi"
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('64Ki')) >= 0 && quantity(string(self)).compareTo(quantity('64Gi')) <= 0",message="must be a number of bytes from 64Ki to 64Gi, such as 65536, 8Mi or 1Gi"
	// +optional
	Size *resource.Quantity `json:"size,omitempty"`
}

// BatchSpec cuts requests; the first limit that is reached cuts.
type BatchSpec struct {
	// Messages in a request at most.
	// +kubebuilder:default=2048
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	// +optional
	Messages int32 `json:"messages,omitempty"`
	// Bytes of message text in a request at most. One larger message goes alone.
	// +kubebuilder:default="1Mi"
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('1Ki')) >= 0 && quantity(string(self)).compareTo(quantity('256Mi')) <= 0",message="must be a number of bytes from 1Ki to 256Mi, such as 65536, 8Mi or 1Gi"
	// +optional
	Bytes *resource.Quantity `json:"bytes,omitempty"`
	// Timeout is how long a request waits for more messages. It does not wait while the
	// source is suspended.
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('0s') && duration(self) <= duration('5m')",message="must be a duration from 0s to 5m, such as 250ms, 10s or 1h30m"
	// +optional
	Timeout *Duration `json:"timeout,omitempty"`
}

// RetrySpec is a back-off that doubles from initial to max, with full jitter. Retries
// never end: what cannot be delivered now holds the source, or is dropped as onFull says.
type RetrySpec struct {
	// Initial wait. Unset means 500ms.
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('10ms') && duration(self) <= duration('1h')",message="must be a duration from 10ms to 1h, such as 250ms, 10s or 1h30m"
	// +optional
	Initial *Duration `json:"initial,omitempty"`
	// Max is the longest wait. Unset means 30s.
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('10ms') && duration(self) <= duration('24h')",message="must be a duration from 10ms to 24h, such as 250ms, 10s or 1h30m"
	// +optional
	Max *Duration `json:"max,omitempty"`
}

// CollectorSpec shapes tenant collectors.
type CollectorSpec struct {
	// Replicas is how many collectors run. Only classes of placement Scaled take more than
	// one.
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`
	// Resources of the collector container.
	// +optional
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`
	// Storage keeps positions across pods. Unset means a directory that lives as long as
	// the pod.
	// +optional
	Storage *StorageSpec `json:"storage,omitempty"`
	// ShutdownGrace is how long a stopping collector goes on delivering what it has.
	// Unset means 30s.
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('0s') && duration(self) <= duration('10m')",message="must be a duration from 0s to 10m, such as 250ms, 10s or 1h30m"
	// +optional
	ShutdownGrace *Duration `json:"shutdownGrace,omitempty"`
	// Service is how the ports of a class that listens are reached. Unset means a ClusterIP
	// Service with the port numbers of the class.
	// +optional
	Service *ServiceSpec `json:"service,omitempty"`
	// PodLabels are added to the pods.
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('logsource.dev/') && !k.startsWith('app.kubernetes.io/'))",message="labels of logsource.dev and app.kubernetes.io are set by the manager: choose another name"
	// +optional
	PodLabels map[string]string `json:"podLabels,omitempty"`
	// PodAnnotations are added to the pods.
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('logsource.dev/'))",message="annotations of logsource.dev are set by the manager: choose another name"
	// +optional
	PodAnnotations map[string]string `json:"podAnnotations,omitempty"`
	// NodeSelector of the pods.
	// +kubebuilder:validation:MaxProperties=32
	// +optional
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`
	// Tolerations of the pods.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
}

// ServiceSpec shapes the Service of a class that listens.
//
// +kubebuilder:validation:XValidation:rule="self.type != 'ClusterIP' || !has(self.ports) || self.ports.all(p, !has(p.nodePort))",message="a Service of type ClusterIP has no nodePort: set type to NodePort or LoadBalancer, or remove nodePort"
type ServiceSpec struct {
	// Type of the Service, as Kubernetes knows it.
	// +kubebuilder:default=ClusterIP
	// +kubebuilder:validation:Enum=ClusterIP;NodePort;LoadBalancer
	// +optional
	Type string `json:"type,omitempty"`
	// Ports give ports other numbers than those of the class. One that is not listed keeps
	// its number.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	// +optional
	Ports []ServicePort `json:"ports,omitempty"`
	// Annotations of the Service, such as those that a load balancer reads.
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('logsource.dev/'))",message="annotations of logsource.dev are set by the manager: choose another name"
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
}

// A ServicePort gives one port of the class other numbers.
type ServicePort struct {
	// Name of the port, as the class calls it; `collector drivers CLASS` lists them.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=15
	Name string `json:"name"`
	// Port of the Service.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`
	// NodePort on every node. Unset lets Kubernetes choose.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	// +optional
	NodePort *int32 `json:"nodePort,omitempty"`
}

// StorageSpec is where a tenant collector keeps positions.
type StorageSpec struct {
	// Size of the PersistentVolumeClaim of each collector.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('1Mi')) >= 0 && quantity(string(self)).compareTo(quantity('64Ti')) <= 0",message="must be a number of bytes from 1Mi to 64Ti, such as 65536, 8Mi or 1Gi"
	// +required
	Size resource.Quantity `json:"size"`
	// StorageClassName of the claim. Unset means the default of the cluster.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	StorageClassName *string `json:"storageClassName,omitempty"`
}

// LogSourceStatus is what the manager sees of a LogSource.
type LogSourceStatus struct {
	// ObservedGeneration is the generation the status describes.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// State of the source; with several collectors the worst of them.
	// +kubebuilder:validation:Enum=Pending;Opening;Fetching;Idle;Suspended;Reopening;Paused;Stopping;Failed
	// +optional
	State string `json:"state,omitempty"`
	// Placement of the class: Node, Single or Scaled.
	// +optional
	Placement string `json:"placement,omitempty"`
	// Replicas is the number of collectors, for the scale subresource.
	// +optional
	Replicas int32 `json:"replicas,omitempty"`
	// Selector selects the collectors, for the scale subresource.
	// +optional
	Selector string `json:"selector,omitempty"`
	// Collectors counts the collectors.
	// +optional
	Collectors *CollectorsStatus `json:"collectors,omitempty"`
	// Flow is the state of flow control.
	// +optional
	Flow *FlowStatus `json:"flow,omitempty"`
	// Delivery is the ledger, summed over the collectors.
	// +optional
	Delivery *DeliveryStatus `json:"delivery,omitempty"`
	// LastFetch is the newest result of a fetch.
	// +optional
	LastFetch *LastFetch `json:"lastFetch,omitempty"`
	// Destinations is the state of each destination.
	// +listType=map
	// +listMapKey=name
	// +optional
	Destinations []DestinationStatus `json:"destinations,omitempty"`
	// Worst lists the collectors that are worst off, at most 10.
	// +listType=atomic
	// +optional
	Worst []CollectorStatus `json:"worst,omitempty"`
	// Conditions: Accepted, ResolvedRefs, Programmed, Connected, Ready, FlowControlled, DataLoss.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// CollectorsStatus counts collectors.
type CollectorsStatus struct {
	// Desired collectors.
	Desired int32 `json:"desired"`
	// Ready collectors.
	Ready int32 `json:"ready"`
	// Programmed collectors run the newest plan.
	Programmed int32 `json:"programmed"`
	// Summary is ready/desired.
	Summary string `json:"summary"`
}

// FlowStatus is the state of flow control.
type FlowStatus struct {
	// Window in messages, summed over the collectors.
	Window int64 `json:"window"`
	// InUse is how many messages are on the way.
	InUse int64 `json:"inUse"`
	// SuspendedCollectors is how many collectors are suspended.
	SuspendedCollectors int32 `json:"suspendedCollectors"`
	// SuspendedBy names the destinations that hold the source.
	// +listType=set
	// +optional
	SuspendedBy []string `json:"suspendedBy,omitempty"`
	// SuspendedSince is when the longest suspension began.
	// +optional
	SuspendedSince *metav1.Time `json:"suspendedSince,omitempty"`
}

// DeliveryStatus is the ledger: accepted = delivered + lost + on the way, per destination;
// here the slowest required destination counts.
type DeliveryStatus struct {
	// Accepted messages from the source.
	Accepted int64 `json:"accepted"`
	// Delivered messages.
	Delivered int64 `json:"delivered"`
	// Lag is the age of the oldest message that is not acked.
	// +optional
	Lag string `json:"lag,omitempty"`
	// OldestUnackedTime is when that message was accepted.
	// +optional
	OldestUnackedTime *metav1.Time `json:"oldestUnackedTime,omitempty"`
	// Lost is what was dropped, rejected or gone before it could be read.
	// +optional
	Lost *LostStatus `json:"lost,omitempty"`
	// LostSummary is lost.messages, with the bytes where only these are known.
	// +optional
	LostSummary string `json:"lostSummary,omitempty"`
	// Retired are the totals of collectors that are gone.
	// +optional
	Retired *RetiredStatus `json:"retired,omitempty"`
}

// LostStatus counts losses.
type LostStatus struct {
	// Messages lost.
	Messages int64 `json:"messages"`
	// Bytes lost that could not be counted in messages.
	Bytes int64 `json:"bytes"`
	// ByReason counts messages by reason.
	// +optional
	ByReason map[string]int64 `json:"byReason,omitempty"`
}

// RetiredStatus is what collectors counted that are gone.
type RetiredStatus struct {
	// Accepted messages.
	Accepted int64 `json:"accepted"`
	// Delivered messages.
	Delivered int64 `json:"delivered"`
	// Lost messages.
	Lost int64 `json:"lost"`
	// LostBytes are bytes lost that could not be counted in messages.
	// +optional
	LostBytes int64 `json:"lostBytes,omitempty"`
}

// LastFetch is the newest result of a fetch.
type LastFetch struct {
	// Result in the words of the seed: Success, NoData, TryAgain, NotConnected, Error.
	Result string `json:"result"`
	// Time of the result.
	Time metav1.Time `json:"time"`
}

// DestinationStatus is the state of one destination over all collectors.
type DestinationStatus struct {
	// Name of the destination.
	Name string `json:"name"`
	// State: Opening, Delivering, Idle, Retrying or Failed; the worst of the collectors.
	State string `json:"state"`
	// LastError is the newest error, empty once it delivers again.
	// +optional
	LastError string `json:"lastError,omitempty"`
	// LastAckTime is when it last took something.
	// +optional
	LastAckTime *metav1.Time `json:"lastAckTime,omitempty"`
	// Delivered messages.
	Delivered int64 `json:"delivered"`
	// Queued messages, with those in flight.
	Queued int64 `json:"queued"`
	// Lost messages: dropped or rejected.
	Lost int64 `json:"lost"`
}

// CollectorStatus is one collector that is not well.
type CollectorStatus struct {
	// Collector is the name of the pod.
	Collector string `json:"collector"`
	// Node it runs on.
	// +optional
	Node string `json:"node,omitempty"`
	// State of the source there.
	State string `json:"state"`
	// Reason in words.
	// +optional
	Reason string `json:"reason,omitempty"`
}
