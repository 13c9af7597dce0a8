// Command collector runs LogSources: on a laptop from files, in a cluster from the plans
// that the manager writes. A collector with drivers of your own is this file with one
// more import and one more entry in the list.
package main

import (
	"os"
	_ "time/tzdata" // the image has no zone database, and a LogSource may name a time zone

	"github.com/logsource/operator/cmd/collector/cli"
	"github.com/logsource/operator/drivers"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], drivers.All))
}
