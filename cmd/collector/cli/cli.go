// Package cli is the collector program around the engine: its commands, flags, files and
// signals. Main is given the drivers, so that a program with further drivers is one line.
package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/logsource/operator/collector"
)

// Version is set by the build.
var Version = "dev"

const usage = `Usage:
  collector run -f FILE...      run the LogSources of these files here, until Ctrl-C
  collector check -f FILE...    say what is wrong with them, with file and line; exit code 1 if anything is
  collector drivers [CLASS]     list the classes, or one class with its options
  collector version

In a cluster the manager starts it as
  collector run --plans-dir DIR          (tenant collector: the plans mounted there)
  collector run --node-plans             (agent: the plans in its own namespace)

'collector run -h' lists the flags.
`

// A program is one invocation: where it writes and which drivers it has.
type program struct {
	registry       collector.Registry
	stdout, stderr io.Writer
}

// Main runs the command line and returns the exit code.
func Main(args []string, registry collector.Registry) int {
	return program{registry, os.Stdout, os.Stderr}.main(args)
}

func (p program) main(args []string) int {
	if len(args) == 0 {
		fmt.Fprint(p.stderr, usage)
		return 2
	}
	switch args[0] {
	case "run":
		return p.exitCode(p.run(args[1:]))
	case "check":
		return p.exitCode(p.check(args[1:]))
	case "drivers":
		return p.exitCode(p.drivers(args[1:]))
	case "version", "--version":
		fmt.Fprintln(p.stdout, "collector", Version)
		return 0
	case "help", "-h", "--help":
		fmt.Fprint(p.stdout, usage)
		return 0
	}
	fmt.Fprintf(p.stderr, "collector: no command %q\n\n%s", args[0], usage)
	return 2
}

// errReported is an error that has already been shown.
var errReported = errors.New("reported")

func (p program) exitCode(err error) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case !errors.Is(err, errReported):
		fmt.Fprintln(p.stderr, "collector:", err)
	}
	return 1
}

// fileList is a flag that may be given several times.
type fileList []string

func (f *fileList) String() string     { return fmt.Sprint(*f) }
func (f *fileList) Set(v string) error { *f = append(*f, v); return nil }
