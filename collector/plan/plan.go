// Package plan is the document the manager writes and the collector runs: one LogSource
// resolved against the driver catalog. It has no Kubernetes types and carries no
// authority: the collector validates it again before it runs it.
//
// In a cluster a plan is one ConfigMap per LogSource, key "plan.json"; on a laptop
// `collector run -f` makes it in memory with the same planner.
package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// Version is the version of the document this program writes and reads.
const Version = 1

// Key is the name of the plan in its ConfigMap.
const Key = "plan.json"

// Defaults of the fields a LogSource may leave out (DESIGN §4).
const (
	DefaultTimeReopen     = Duration(time.Second) // what syslog-ng really does: lifecycle.md §0.1
	DefaultWindowMessages = 8192
	DefaultWindowBytes    = 8 << 20
	DefaultBatchMessages  = 2048
	DefaultBatchBytes     = 1 << 20
	DefaultBatchTimeout   = Duration(250 * time.Millisecond)
	DefaultQueueBytes     = 64 << 20
	DefaultRetryInitial   = Duration(500 * time.Millisecond)
	DefaultRetryMax       = Duration(30 * time.Second)
	DefaultShutdownGrace  = Duration(30 * time.Second)
)

// A Plan is what one collector runs for one LogSource. All defaults are filled in.
type Plan struct {
	Version   int       `json:"version"`
	LogSource LogSource `json:"logSource"`
	// Paused stops the source on purpose; queues still drain.
	Paused        bool          `json:"paused,omitempty"`
	Source        Source        `json:"source"`
	Select        *Select       `json:"select,omitempty"`
	Destinations  []Destination `json:"destinations"`
	ShutdownGrace Duration      `json:"shutdownGrace"`
	// Level is what an ack means: Fast or EndToEnd; empty means EndToEnd.
	Level string `json:"level,omitempty"`
}

// Levels of delivery: what it takes until a message counts as acked.
const (
	Fast     = "Fast"     // it is in the queue of every destination, in memory
	EndToEnd = "EndToEnd" // every required destination has confirmed it
)

// LogSource names the object the plan was made from.
type LogSource struct {
	Kind       string `json:"kind"` // LogSource or ClusterLogSource
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
	Generation int64  `json:"generation"`
}

// String is namespace/name, or the name alone for a ClusterLogSource.
func (l LogSource) String() string {
	if l.Namespace == "" {
		return l.Name
	}
	return l.Namespace + "/" + l.Name
}

// A Source is the origin of the messages.
type Source struct {
	Class         string          `json:"class"`
	Options       json.RawMessage `json:"options,omitempty"` // an object, defaults filled in
	SecretOptions []SecretOption  `json:"secretOptions,omitempty"`
	Flags         []string        `json:"flags,omitempty"`
	TimeReopen    Duration        `json:"timeReopen"`
	// FetchNoDataDelay is the wait after "no data".
	FetchNoDataDelay Duration `json:"fetchNoDataDelay"`
	OnRunExit        string   `json:"onRunExit,omitempty"` // Restart (default) or Stop
	Window           Window   `json:"window"`
	PersistName      string   `json:"persistName"`
	StartAt          string   `json:"startAt,omitempty"` // Beginning or End
	Message          Message  `json:"message,omitzero"`
}

// Message is what is done to every message of a source. syslog-ng: default-facility,
// default-severity, keep-hostname, host-override, program-override, tags, time-zone.
type Message struct {
	// DefaultPriority is the PRI of messages that have none, 0 to 191.
	DefaultPriority *int `json:"defaultPriority,omitempty"`
	// KeepHostname keeps the host that a message names; otherwise it is that of the peer.
	KeepHostname    bool     `json:"keepHostname,omitempty"`
	HostOverride    string   `json:"hostOverride,omitempty"`
	ProgramOverride string   `json:"programOverride,omitempty"`
	Tags            []string `json:"tags,omitempty"`
	// TimeZone is that of stamps which name none: an IANA name or an offset such as
	// +02:00; empty means UTC.
	TimeZone string `json:"timeZone,omitempty"`
}

// A SecretOption fills an option from a key of a Secret. The collector finds the value
// under its secrets directory or, on agents, through the API; the plan never holds it.
type SecretOption struct {
	Option string `json:"option"`
	Name   string `json:"name"`
	Key    string `json:"key"`
}

// Window bounds what a source may have on the way.
type Window struct {
	Messages int   `json:"messages"`
	Bytes    int64 `json:"bytes"`
}

// Select says which containers of a node a source of placement Node reads.
type Select struct {
	// Namespaces is the exact set to read; nil means every namespace.
	Namespaces []string `json:"namespaces,omitempty"`
	// NamespaceSelector, on a ClusterLogSource, selects namespaces by their labels.
	NamespaceSelector *Selector `json:"namespaceSelector,omitempty"`
	PodSelector       *Selector `json:"podSelector,omitempty"`
	// Include and Exclude are container name patterns (path.Match syntax).
	Include []string `json:"include,omitempty"`
	Exclude []string `json:"exclude,omitempty"`
	// ExcludeAnnotation, when a pod carries it with the value "true", opts the pod out.
	ExcludeAnnotation string `json:"excludeAnnotation,omitempty"`
	// IncludeCollectors lets the source read tenant collectors; never the agent itself.
	IncludeCollectors bool `json:"includeCollectors,omitempty"`
	// Since skips what is older, counted back from first contact.
	Since Duration `json:"since,omitempty"`
}

// A Selector is a Kubernetes label selector.
type Selector struct {
	MatchLabels      map[string]string `json:"matchLabels,omitempty"`
	MatchExpressions []Requirement     `json:"matchExpressions,omitempty"`
}

// A Requirement is one expression of a Selector; Operator is In, NotIn, Exists or DoesNotExist.
type Requirement struct {
	Key      string   `json:"key"`
	Operator string   `json:"operator"`
	Values   []string `json:"values,omitempty"`
}

// A Destination takes the messages.
type Destination struct {
	Name          string          `json:"name"`
	Class         string          `json:"class"`
	Options       json.RawMessage `json:"options,omitempty"`
	SecretOptions []SecretOption  `json:"secretOptions,omitempty"`
	// Required destinations must ack before the bookmark moves.
	Required bool   `json:"required"`
	OnFull   string `json:"onFull"` // Suspend, DropOldest, DropNewest
	Queue    Queue  `json:"queue"`
	Batch    Batch  `json:"batch"`
	Retry    Retry  `json:"retry"`
}

// What happens when a destination's queue is full.
const (
	Suspend    = "Suspend"
	DropOldest = "DropOldest"
	DropNewest = "DropNewest"
)

// Queue bounds what waits for a destination that drops when full; one that suspends is
// bounded by the source's window.
type Queue struct {
	Bytes int64 `json:"bytes"`
}

// Batch cuts one request. Timeout is how long a destination waits for more once it has
// something; it never waits while a source is suspended.
type Batch struct {
	Messages int      `json:"messages"`
	Bytes    int64    `json:"bytes"`
	Timeout  Duration `json:"timeout"`
}

// Retry is the back-off between attempts: doubling from Initial to Max, full jitter.
type Retry struct {
	Initial Duration `json:"initial"`
	Max     Duration `json:"max"`
}

// Decode reads a plan strictly: an unknown field or version is an error, so that an old
// collector never runs half of a newer plan.
func Decode(data []byte) (*Plan, error) {
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	if head.Version != Version {
		return nil, fmt.Errorf("plan has version %d, this collector reads version %d: run the manager and the collectors from one release", head.Version, Version)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var p Plan
	if err := d.Decode(&p); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("plan: trailing data")
	}
	return &p, nil
}

// Encode writes the plan with a fixed key order, so that equal plans are equal bytes.
func (p *Plan) Encode() ([]byte, error) { return json.MarshalIndent(p, "", "  ") }

// Duration is a time.Duration that is written in Go syntax.
//
// +kubebuilder:validation:Type=string
// +kubebuilder:validation:Format=duration
type Duration time.Duration

// D is the duration as the standard library knows it.
func (d Duration) D() time.Duration { return time.Duration(d) }

// MarshalJSON writes "1m30s".
func (d Duration) MarshalJSON() ([]byte, error) {
	return strconv.AppendQuote(nil, time.Duration(d).String()), nil
}

// UnmarshalJSON reads "1m30s".
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return errors.New("duration is not a string such as 10s")
	}
	v, err := time.ParseDuration(s)
	*d = Duration(v)
	return err
}
