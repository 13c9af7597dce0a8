package cli

import (
	"errors"
	"flag"
	"fmt"
)

// check says everything that is wrong with the files: the rules of the CRDs, of the
// admission policy and of the manager.
func (p program) check(args []string) error {
	flags := flag.NewFlagSet("collector check", flag.ContinueOnError)
	flags.SetOutput(p.stderr)
	var files fileList
	flags.Var(&files, "f", "`FILE` or directory with LogSource documents; - is standard input; may be repeated")
	local := flags.Bool("local", false, "check for 'collector run -f' instead of a cluster: stdout and Node classes are allowed anywhere")
	if err := flags.Parse(args); err != nil {
		return err
	}
	files = append(files, flags.Args()...)
	if len(files) == 0 {
		return errors.New("check: give the files with -f")
	}
	sources, err := readSources(files, p.registry.Catalog(), *local)
	if err != nil {
		return err
	}
	for _, f := range sources.findings {
		fmt.Fprintln(p.stderr, f)
	}
	if len(sources.findings) > 0 {
		return errReported
	}
	if len(sources.plans) == 0 {
		return errors.New("check: no LogSource or ClusterLogSource in these files")
	}
	fmt.Fprintf(p.stdout, "%d LogSources are right\n", len(sources.plans))
	return nil
}
