// Package containerlogs is the source class container-logs: the logs of the containers
// of one node, as the kubelet keeps them under /var/log/pods.
//
// It promises every line of every selected container, once and in order per container,
// across partial lines, rotation, compression, container restarts and pod deletion, as
// long as the node still had the line when it could be read; what was gone by then is
// booked as lost. It must never follow a link out of the log directory, never block on a
// file that is not a regular one, and never read the logs of its own pod.
package containerlogs

import (
	_ "embed"
	"errors"
	"fmt"
	"path"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/class"
)

//go:embed options.json
var options []byte

// Driver is the container-logs class.
var Driver = collector.NewSource(class.Class{
	Name:        "container-logs",
	Placement:   class.Node,
	Description: "The logs of the containers of every node, with the metadata of their pods. Which containers: spec.select.",
	Footprint:   class.Footprint{State: true, NodeLogs: true, ReadsPods: true},
}, options, newSource)

// Options configures the container-logs source. Which containers it reads is not an
// option but spec.select.
type Options struct {
	// MaxRecordBytes is the largest message delivered as one record, partial lines joined.
	// A longer one is cut into records of this size, marked partial=true and counted.
	// +logsource:minimumBytes=1024
	// +kubebuilder:default="1Mi"
	// +optional
	MaxRecordBytes collector.Bytes `json:"maxRecordBytes,omitempty"`
}

const (
	defaultMaxRecord = 1 << 20
	minMaxRecord     = 1 << 10
)

func newSource(o Options, env collector.Env) (collector.Source, error) {
	if o.MaxRecordBytes == 0 {
		o.MaxRecordBytes = defaultMaxRecord
	}
	if o.MaxRecordBytes < minMaxRecord {
		return nil, fmt.Errorf("maxRecordBytes is %d: set at least 1Ki", o.MaxRecordBytes)
	}
	if env.Node.LogDir == "" {
		return nil, errors.New("this collector sees no container logs: run it on a node, or give the directory with --node-logs")
	}
	if err := checkSelect(env); err != nil {
		return nil, err
	}
	return &source{options: o, env: env, acked: map[string][]byte{}}, nil
}

// checkSelect refuses what could only be found out too late, when lines are read.
func checkSelect(env collector.Env) error {
	if env.Select == nil {
		return nil
	}
	if env.Node.Pods == nil && (env.Select.PodSelector != nil || env.Select.NamespaceSelector != nil) {
		return errors.New("select.podSelector and select.namespaceSelector need the cluster's pods, which this collector does not see: select by namespaces or container names")
	}
	for _, p := range append(append([]string(nil), env.Select.Include...), env.Select.Exclude...) {
		if _, err := path.Match(p, ""); err != nil {
			return fmt.Errorf("select.containers: %q is not a pattern of a name with * and ?: %w", p, err)
		}
	}
	return nil
}
