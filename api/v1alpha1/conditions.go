package v1alpha1

// The types of the conditions of a LogSource and a ClusterLogSource. The list is closed:
// a program may rely on it.
const (
	// ConditionAccepted says that the spec is valid, the class is known and the LogSource
	// may run as it is written.
	ConditionAccepted = "Accepted"
	// ConditionResolvedRefs says that the Secrets the spec names were found by the
	// collectors that read them.
	ConditionResolvedRefs = "ResolvedRefs"
	// ConditionProgrammed says that every collector runs this generation of the spec.
	ConditionProgrammed = "Programmed"
	// ConditionConnected says that the source is open on every collector.
	ConditionConnected = "Connected"
	// ConditionReady says that every collector is up, runs this generation and has had the
	// source open; `kubectl wait --for=condition=Ready` asks for it. It stays True while a
	// source is suspended or reconnects: that is normal operation.
	ConditionReady = "Ready"
	// ConditionFlowControlled is True while at least one collector is suspended because its
	// window is full. At other times it is not there.
	ConditionFlowControlled = "FlowControlled"
	// ConditionDataLoss is True once something was lost, until the annotation
	// AnnotationAcknowledgeLoss says that somebody has seen it. Before the first loss it is
	// not there.
	ConditionDataLoss = "DataLoss"
)

// The reasons of the conditions, by type. The list is closed: a program may rely on it.
const (
	// ReasonAccepted is the reason of Accepted=True.
	ReasonAccepted = "Accepted"
	// ReasonInvalidSpec: a field other than an option is wrong; the message names it.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonInvalidOptions: an option is unknown, missing, ill-typed or out of range, or a
	// secret stands in plain text; the message names it.
	ReasonInvalidOptions = "InvalidOptions"
	// ReasonClassNotFound: no driver has the class of the source or of a destination.
	ReasonClassNotFound = "ClassNotFound"
	// ReasonNeedsForward: a LogSource in a namespace may not run a class of placement Node,
	// because its credentials would come to the agents; a ClusterLogSource may.
	ReasonNeedsForward = "NeedsForward"
	// ReasonReplicasNotAllowed: spec.collector.replicas is more than 1, but the class is not
	// of placement Scaled.
	ReasonReplicasNotAllowed = "ReplicasNotAllowed"
	// ReasonNotAllowed: the class may not stand where the spec puts it, such as stdout on
	// the agents.
	ReasonNotAllowed = "NotAllowed"

	// ReasonResolved is the reason of ResolvedRefs=True.
	ReasonResolved = "Resolved"
	// ReasonSecretNotFound: a Secret, or a key of it, is missing.
	ReasonSecretNotFound = "SecretNotFound"

	// ReasonProgrammed is the reason of Programmed=True.
	ReasonProgrammed = "Programmed"
	// ReasonRollingOut: some collectors do not run this generation yet.
	ReasonRollingOut = "RollingOut"
	// ReasonPlanRejected: a collector has refused the plan; the message says why.
	ReasonPlanRejected = "PlanRejected"
	// ReasonNoCollectors: no collector is there: no node matches, or the pods cannot start.
	ReasonNoCollectors = "NoCollectors"
	// ReasonApplyFailed: the apiserver refused a child; the message says which and why.
	ReasonApplyFailed = "ApplyFailed"
	// ReasonConflict: an object of the name that a child needs belongs to somebody else.
	ReasonConflict = "Conflict"

	// ReasonConnected is the reason of Connected=True.
	ReasonConnected = "Connected"
	// ReasonOpening: the source has not been opened yet.
	ReasonOpening = "Opening"
	// ReasonReopening: the source lost its connection, or could not be opened, and is tried
	// again every timeReopen.
	ReasonReopening = "Reopening"
	// ReasonFailed: the source or a destination has given up; the message says why.
	ReasonFailed = "Failed"
	// ReasonNoReport: no collector has answered the manager.
	ReasonNoReport = "NoReport"

	// ReasonReady is the reason of Ready=True. Ready=False carries the reason of the first
	// condition that is not met.
	ReasonReady = "Ready"
	// ReasonPaused: spec.paused stops the source on purpose.
	ReasonPaused = "Paused"
	// ReasonPending: nothing is known yet.
	ReasonPending = "Pending"

	// ReasonWindowFull: the window of the source is full, because a destination is slow.
	ReasonWindowFull = "WindowFull"

	// ReasonLost: messages or bytes were dropped, rejected or gone before they could be read.
	ReasonLost = "Lost"
	// ReasonAcknowledged: what was lost has been acknowledged by the annotation.
	ReasonAcknowledged = "Acknowledged"
)

// AnnotationAcknowledgeLoss clears the condition DataLoss for what was lost up to its
// value, a time in RFC 3339.
const AnnotationAcknowledgeLoss = "logsource.dev/acknowledge-loss"
