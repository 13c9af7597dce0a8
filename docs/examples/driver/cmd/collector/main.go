// Command collector is the collector with three more classes.
package main

import (
	"os"
	_ "time/tzdata" // the image has no zone database, and a LogSource may name a time zone

	"github.com/logsource/operator/cmd/collector/cli"
	"github.com/logsource/operator/docs/examples/driver/drivers"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], drivers.All))
}
