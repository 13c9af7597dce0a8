// Command image builds the final stage of a Dockerfile without docker: a docker-archive
// tarball that `ctr images import`, `docker load` and `kind load image-archive` take.
//
//	image -f Dockerfile -t REPOSITORY:TAG -o OUT.tar [-arch amd64] [-context DIR] [-from STAGE=DIR] [-build-arg NAME=VALUE]
//
// The final stage must start FROM scratch, and may copy files and set metadata; it runs
// nothing. What it copies from an earlier stage is taken from the directory given for that
// stage by -from. Equal input gives equal bytes.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// pairs is a flag that may be given several times, each time NAME=VALUE.
type pairs map[string]string

func (p pairs) String() string { return "" }

func (p pairs) Set(s string) error {
	name, value, ok := strings.Cut(s, "=")
	if !ok {
		return fmt.Errorf("%q is not NAME=VALUE", s)
	}
	p[name] = value
	return nil
}

func run(args []string) error {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	file := flags.String("f", "Dockerfile", "Dockerfile to read")
	tag := flags.String("t", "", "name of the image, with its registry: a bare name would mean docker.io/library")
	out := flags.String("o", "image.tar", "tarball to write")
	arch := flags.String("arch", "amd64", "architecture of the copied programs")
	context := flags.String("context", ".", "build context")
	from, buildArgs := pairs{}, pairs{}
	flags.Var(from, "from", "STAGE=DIR: DIR holds the files of an earlier stage")
	flags.Var(buildArgs, "build-arg", "NAME=VALUE: value of an ARG")
	if err := flags.Parse(args); err != nil {
		return err
	}
	text, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	stage, err := parseFinalStage(string(text), buildArgs)
	if err != nil {
		return fmt.Errorf("%s:%w", *file, err)
	}
	layer, err := stage.layer(*context, from)
	if err != nil {
		return err
	}
	return writeArchive(*out, *tag, *arch, stage, layer)
}

// writeArchive writes beside the target and renames, so that the target is never half an image.
func writeArchive(out, tag, arch string, s *stage, layer []byte) error {
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(out), ".image-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := archive(f, tag, arch, s, layer); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), out)
}
