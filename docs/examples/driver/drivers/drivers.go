// Package drivers lists the classes of an own collector: ours, then those of the project.
package drivers

import (
	"slices"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/docs/examples/driver/drivers/heartbeat"
	"github.com/logsource/operator/docs/examples/driver/drivers/redis"
	"github.com/logsource/operator/docs/examples/driver/drivers/spool"
	"github.com/logsource/operator/drivers"
)

// Own are the classes of this folder.
var Own = collector.Registry{
	heartbeat.Driver,
	spool.Driver,
	redis.Driver,
}

// All is every class of the collector.
var All = slices.Concat(Own, drivers.All)
