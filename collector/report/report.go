// Package report is what a collector says of itself at GET /status: small, JSON, without
// options, secrets or messages. The manager pulls it into the LogSource's status.
package report

import "time"

// Port is where every collector serves /healthz, /readyz, /metrics and /status.
const Port = 8686

// A Collector is the report of one process.
type Collector struct {
	Version  string    `json:"version"`
	Started  time.Time `json:"started"`
	Node     string    `json:"node,omitempty"`
	Pod      string    `json:"pod,omitempty"`
	LogPaths []LogPath `json:"logPaths"`
	// Refused lists plans that this collector does not run, and why.
	Refused []Refused `json:"refused,omitempty"`
}

// Refused is a plan that could not be run.
type Refused struct {
	UID        string `json:"uid"`
	Generation int64  `json:"generation"`
	Error      string `json:"error"`
}

// States of a source, from best to worst. The order is that of the worst-of summary.
const (
	Fetching  = "Fetching"
	Idle      = "Idle"
	Paused    = "Paused"
	Stopping  = "Stopping"
	Opening   = "Opening"
	Suspended = "Suspended"
	Reopening = "Reopening"
	Failed    = "Failed"
)

// States of a destination.
const (
	DestinationOpening    = "Opening"
	DestinationDelivering = "Delivering"
	DestinationIdle       = "Idle"
	DestinationRetrying   = "Retrying"
	DestinationFailed     = "Failed"
)

// A LogPath is one LogSource as this collector runs it.
type LogPath struct {
	UID        string `json:"uid"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
	Generation int64  `json:"generation"` // of the plan that runs

	State   string `json:"state"`
	Message string `json:"message,omitempty"` // why, when the state is not a good one

	LastFetch     string    `json:"lastFetch,omitempty"` // Success, NoData, TryAgain, NotConnected, Error
	LastFetchTime time.Time `json:"lastFetchTime,omitzero"`

	Window         int64     `json:"window"`
	InUse          int64     `json:"inUse"`
	WindowBytes    int64     `json:"windowBytes"`
	InUseBytes     int64     `json:"inUseBytes"`
	SuspendedSince time.Time `json:"suspendedSince,omitzero"`
	SuspendedBy    []string  `json:"suspendedBy,omitempty"`

	Accepted      int64     `json:"accepted"`
	AcceptedBytes int64     `json:"acceptedBytes"`
	OldestUnacked time.Time `json:"oldestUnacked,omitzero"`

	// Gaps is what the origin no longer had when it could be read.
	GapMessages int64            `json:"gapMessages,omitempty"`
	GapBytes    int64            `json:"gapBytes,omitempty"`
	SourceDrops map[string]int64 `json:"sourceDrops,omitempty"` // before acceptance, by reason

	// Unresolved names the keys of Secrets ("name/key") that the log path refers to and this
	// collector cannot read.
	Unresolved []string `json:"unresolved,omitempty"`

	Destinations []Destination `json:"destinations"`
}

// A Destination is the ledger of one (log path, destination):
// Accepted = Delivered + Dropped + Rejected + Queued + InFlight, at every report.
type Destination struct {
	Name     string `json:"name"`
	Class    string `json:"class"`
	Required bool   `json:"required"`
	State    string `json:"state"`

	LastError     string    `json:"lastError,omitempty"`
	LastErrorTime time.Time `json:"lastErrorTime,omitzero"`
	LastAckTime   time.Time `json:"lastAckTime,omitzero"`

	Accepted       int64            `json:"accepted"`
	Delivered      int64            `json:"delivered"`
	DeliveredBytes int64            `json:"deliveredBytes"`
	Dropped        map[string]int64 `json:"dropped,omitempty"`  // by reason
	Rejected       map[string]int64 `json:"rejected,omitempty"` // by reason
	Queued         int64            `json:"queued"`
	InFlight       int64            `json:"inFlight"`
	Retries        int64            `json:"retries"`
}
