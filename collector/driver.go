package collector

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"

	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/plan"
)

// A Fetcher is asked for messages. Open, Fetch and Close are never called concurrently;
// the loop that calls them is fetch.go, its rules are the table in doc.go.
type Fetcher interface {
	// Open connects to the origin. An error is retried every timeReopen, for ever.
	Open(ctx context.Context) error
	// Fetch appends messages to b and returns nil, or says why it has none: ErrTryAgain,
	// ErrNoData, ErrNotConnected or any other error. What is already in b is delivered
	// whatever the error is, as with io.Reader. ctx ends at request_exit.
	Fetch(ctx context.Context, b *Batch) error
	// Close ends the connection. It is called once more at the end, also when Open never
	// succeeded.
	Close() error
}

// A Source posts messages of its own accord until ctx ends. Returning earlier, with or
// without an error, is a restart or the end, as onRunExit says.
type Source interface {
	Run(ctx context.Context, out Poster) error
}

// A Poster takes a Source's batches. Its methods may be called from several goroutines.
type Poster interface {
	// Batch lends an empty batch with room for what the window allows now (at least one
	// message). It must be given back through Post, also when it stayed empty.
	Batch(s *Stream) *Batch
	// Post queues the batch and takes it from the caller. While the window is full it
	// blocks, unless the source is a Suspender. A non-nil error means that its messages
	// were not accepted: ctx ended first, or the source posted while suspended
	// (ErrSuspended). Either way the batch is no longer the caller's.
	Post(ctx context.Context, b *Batch) error
}

// A Destination takes messages. Open, Write and Close are never called concurrently.
type Destination interface {
	Open(ctx context.Context) error
	// Write delivers one request's worth of batches, or says what became of it: nil (all
	// taken), *PartialError (some records were not), Permanent(err) (never will be),
	// RetryAfter(d, err), ErrNotConnected (close, wait, open, write again) or any other
	// error (wait, write again). The batches are read-only and valid during the call.
	Write(ctx context.Context, bs []*Batch) error
	Close() error
}

// Optional behaviour of a Fetcher, Source or Destination, found by type assertion.
type (
	// An Initer is called once before anything else; an error stops the log path.
	Initer interface {
		Init(ctx context.Context) error
	}
	// A Deiniter is called once when everything else has ended, not after an Init that
	// failed: that has cleaned up after itself.
	Deiniter interface{ Deinit() }
	// A Finalizer is called last: after Deinit or a failed Init, and when a changed plan
	// replaces the instance, after the Init of the new one. syslog-ng: finalize. Sources
	// only.
	Finalizer interface{ Finalize() }
	// A Suspender is told inside Post that the window is full, and from another goroutine
	// that it is open again. Posting in between drops the batch, counted. Suspend must not
	// wait for another Post.
	Suspender interface {
		Suspend()
		Wakeup()
	}
	// An Exiter is told from another goroutine to return from a call that ignores ctx. It is
	// called once, after Init has succeeded; Deinit comes after it has returned.
	Exiter interface{ RequestExit() }
	// A Committer is told the bookmark of every batch, in order, after its ack and fsync.
	// The bytes are valid during the call.
	Committer interface {
		Commit(key string, bookmark []byte) error
	}
)

// Env is what the collector lends to one instance of a driver.
type Env struct {
	// LogSource is the object this instance runs for.
	LogSource plan.LogSource
	// Log carries the log path's name; per-message trouble goes to Count, not to the log.
	Log *slog.Logger
	// Count adds to the counter logsource_events_total{reason}. The reason is a fixed word
	// of the driver, never data.
	Count func(reason string, n int)
	// Lost books what the origin no longer had when it could be read.
	Lost func(reason string, messages, bytes int64)
	// Bookmarks holds the positions saved by earlier lives of this source.
	Bookmarks Bookmarks
	// Common are the attributes that every message of this LogSource carries: its name and
	// its tags. A driver puts them into each of its streams.
	Common []Attr
	// Flags are the runtime switches, those of the class. Message is spec.source.message;
	// all of it but TimeZone is applied by the collector when a record is appended.
	Flags   []string
	Message plan.Message
	// Persist keeps what the source wants to remember across restarts.
	Persist Persist
	// Level is what an ack means, plan.Fast or plan.EndToEnd.
	Level string
	// Select and StartAt are the spec fields of that name (placement Node).
	Select  *plan.Select
	StartAt string
	// Node is where this collector runs.
	Node Node
	// OutputDir is the only directory that destinations may write files beneath
	// (--output-dir); empty where this collector has none.
	OutputDir string
}

// Persist is a durable store of typed values under the persistName of a source, shared
// with nobody. syslog-ng: Persist. Its methods may be called from any goroutine from Init
// to Deinit. A value that Set has returned for survives a kill and a power loss.
type Persist interface {
	// Get returns the value, false when there is none.
	Get(key string) (Value, bool)
	// Set stores the value; it returns after the fsync, which it shares with others.
	Set(key string, v Value) error
	// Delete forgets the key, if it is there.
	Delete(key string) error
	// Keys lists the keys, sorted.
	Keys() []string
}

// Bookmarks are the saved positions of one source, by the key of Batch.SetBookmark.
type Bookmarks interface {
	Load(key string) ([]byte, bool)
	// Delete forgets a key whose origin is gone for good.
	Delete(key string)
	Keys() []string
}

// Node is what a source of placement Node may see of its node. On a laptop Pods is nil
// and LogDir is --node-logs.
type Node struct {
	Name string
	// LogDir is the kubelet's log directory, /var/log/pods in a cluster.
	LogDir string
	// Self names the collector's own pod by UID; its logs are never read.
	SelfUID string
	Pods    PodCache
}

// A PodCache knows the pods of this node, from a watch shared by every log path.
type PodCache interface {
	// Pod returns what is known of the pod, nil when it has not been seen (yet).
	Pod(uid string) *Pod
	// Namespace returns a namespace's labels, false when it has not been seen.
	Namespace(name string) (labels map[string]string, ok bool)
	// Pods ranges over every pod known now.
	All() iter.Seq[*Pod]
	// Changed returns a channel that is closed at the next change of the cache.
	Changed() <-chan struct{}
	// Synced says that the first list has arrived.
	Synced() bool
}

// Pod is a pod's metadata. It is immutable: a change makes a new one.
type Pod struct {
	Namespace, Name, UID, Node string
	Labels, Annotations        map[string]string
	OwnerKind, OwnerName       string // the workload: a ReplicaSet's Deployment, not the ReplicaSet
}

// A Driver is the code of one class.
type Driver struct {
	Class *class.Class
	build func(options []byte, secrets Secrets, env Env) (any, error)
}

// Secrets returns the value of a Secret's key. It is asked again at every Reveal, so that
// a rotated Secret is seen at the next Open.
type Secrets func(name, key string) ([]byte, error)

// NewFetcher declares a fetcher class with options of type O. defs is the generated
// options.json of the driver's folder.
func NewFetcher[O any](c class.Class, defs []byte, build func(O, Env) (Fetcher, error)) Driver {
	c.Role, c.Lifecycle = class.Source, class.Fetcher
	return newDriver(c, defs, build)
}

// NewSource declares a class that posts messages of its own accord.
func NewSource[O any](c class.Class, defs []byte, build func(O, Env) (Source, error)) Driver {
	c.Role, c.Lifecycle = class.Source, class.PostingSource
	return newDriver(c, defs, build)
}

// NewDestination declares a destination class.
func NewDestination[O any](c class.Class, defs []byte, build func(O, Env) (Destination, error)) Driver {
	c.Role = class.Destination
	return newDriver(c, defs, build)
}

func newDriver[O, D any](c class.Class, defs []byte, build func(O, Env) (D, error)) Driver {
	if err := json.Unmarshal(defs, &c.Options); err != nil {
		panic(fmt.Sprintf("BUG: options.json of class %s: %v; run make generate", c.Name, err))
	}
	defaults := defaultOptions(c.Options)
	return Driver{Class: &c, build: func(options []byte, secrets Secrets, env Env) (any, error) {
		var o O
		if err := decodeOptions(defaults, &o); err != nil {
			return nil, fmt.Errorf("BUG: defaults of class %s: %w; run make generate", c.Name, err)
		}
		if err := decodeOptions(options, &o); err != nil {
			return nil, fmt.Errorf("options of class %s: %w", c.Name, err)
		}
		bindSecrets(&o, secrets)
		return build(o, env)
	}}
}

// New makes one instance of the class: a Fetcher, Source or Destination as Class says.
// Options are decoded strictly over the defaults of the class; secretOptions become
// Secret fields that read through secrets.
func (d Driver) New(options json.RawMessage, secretOptions []plan.SecretOption, secrets Secrets, env Env) (any, error) {
	options, err := withSecrets(options, secretOptions)
	if err != nil {
		return nil, fmt.Errorf("options of class %s: %w", d.Class.Name, err)
	}
	return d.build(options, secrets, env)
}

// defaultOptions is the options object of a LogSource that sets none.
func defaultOptions(options []class.Option) []byte {
	m := map[string]json.RawMessage{}
	for _, o := range options {
		if o.Default != nil {
			m[o.Name] = o.Default
		}
	}
	doc, err := json.Marshal(m)
	if err != nil {
		panic("BUG: default is not JSON: " + err.Error())
	}
	return doc
}

func decodeOptions(raw []byte, into any) error {
	if len(raw) == 0 {
		raw = []byte("{}")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// A Registry is the drivers a collector was built with.
type Registry []Driver

// Catalog lists the classes of the registry.
func (r Registry) Catalog() class.Catalog {
	classes := make([]*class.Class, len(r))
	for i, d := range r {
		classes[i] = d.Class
	}
	return class.NewCatalog(classes...)
}

// find returns the driver of that role and class.
func (r Registry) find(role class.Role, name string) (Driver, error) {
	for _, d := range r {
		if d.Class.Role == role && d.Class.Name == name {
			return d, nil
		}
	}
	return Driver{}, fmt.Errorf("no %s class %q in this collector; it has %v", role, name, r.Catalog().Names(role))
}
