// Package drivers lists the driver classes that the programs are built with: one line per
// class. An own collector lists its own next to these:
//
//	var all = append(drivers.All, mydriver.Driver)
package drivers

import (
	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/drivers/containerlogs"
	"github.com/logsource/operator/drivers/file"
	"github.com/logsource/operator/drivers/generate"
	"github.com/logsource/operator/drivers/http"
	"github.com/logsource/operator/drivers/httppoll"
	"github.com/logsource/operator/drivers/httppush"
	"github.com/logsource/operator/drivers/stdout"
	"github.com/logsource/operator/drivers/syslog"
)

// All is every class of this module.
var All = collector.Registry{
	containerlogs.Driver,
	generate.Driver,
	httppoll.Driver,
	httppush.Driver,
	syslog.Driver,
	file.Driver,
	http.Driver,
	stdout.Driver,
}
