// Command testsummary reads `go test -json`, prints a line for every package and the output
// of what failed, and closes with the sum. It ends with 1 when anything failed.
//
//	go test -race -json ./... | testsummary
//
// Lines with "figure: " are always shown. With -v it prints everything that the tests say,
// as they say it.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// An event is one line of `go test -json` (go doc test2json).
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Elapsed    float64
	Output     string
}

func main() {
	begun := time.Now()
	verbose := flag.Bool("v", false, "print everything that the tests say")
	flag.Parse()
	s, err := summarize(os.Stdin, os.Stdout, *verbose)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testsummary:", err)
		os.Exit(1)
	}
	fmt.Printf("%d packages in %s\n", s.packages, time.Since(begun).Round(time.Second))
	fmt.Printf("tests: %d passed, %d failed, %d skipped\n", s.passed, s.failed, s.skipped)
	if s.failed > 0 || s.packages == 0 {
		os.Exit(1)
	}
}

// A summary counts. A package that failed without a failed test (it did not build, or its
// process ended) counts as one failure.
type summary struct {
	packages, passed, failed, skipped int

	verbose       bool
	output        map[string][]string // of what runs, by package and test
	failedTests   map[string]int      // by package
	failedOutputs []string
}

func summarize(in io.Reader, out io.Writer, verbose bool) (*summary, error) {
	s := &summary{verbose: verbose, output: map[string][]string{}, failedTests: map[string]int{}}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			s.line(line, out)
		}
		if err == io.EOF {
			s.close(out)
			return s, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (s *summary) line(line []byte, out io.Writer) {
	var e event
	if json.Unmarshal(line, &e) != nil { // go's own words, such as a module error
		_, _ = out.Write(line)
		return
	}
	key := e.Package + " " + e.Test
	switch {
	case e.Action == "build-output":
		_, _ = io.WriteString(out, e.Output)
	case e.Action == "output" && e.Test != "" && (s.verbose || strings.Contains(e.Output, "figure: ")):
		_, _ = io.WriteString(out, e.Output)
	case e.Action == "output":
		s.output[key] = append(s.output[key], e.Output)
	case e.Test != "":
		s.test(e, key)
	default:
		s.pkg(e, key, out)
	}
}

func (s *summary) test(e event, key string) {
	switch e.Action {
	case "pass":
		s.passed++
	case "skip":
		s.skipped++
	case "fail":
		s.failed++
		s.failedTests[e.Package]++
		s.failedOutputs = append(s.failedOutputs, e.Package+" "+e.Test+"\n"+strings.Join(s.output[key], ""))
	default:
		return
	}
	delete(s.output, key)
}

func (s *summary) pkg(e event, key string, out io.Writer) {
	switch e.Action {
	case "pass":
		s.packages++
		fmt.Fprintf(out, "ok  \t%s\t%.1fs\n", e.Package, e.Elapsed)
	case "skip":
		fmt.Fprintf(out, "-   \t%s\tno tests\n", e.Package)
	case "fail":
		s.packages++
		fmt.Fprintf(out, "FAIL\t%s\t%.1fs\n", e.Package, e.Elapsed)
		if s.failedTests[e.Package] == 0 {
			s.failed++
			s.failedOutputs = append(s.failedOutputs, e.Package+"\n"+s.unfinished(e.Package))
		}
	}
}

// unfinished is what a package said outside of tests, or in tests that did not end: a
// panic, a race, a timeout.
func (s *summary) unfinished(pkg string) string {
	var b strings.Builder
	for key, lines := range s.output {
		if strings.HasPrefix(key, pkg+" ") {
			b.WriteString(strings.Join(lines, ""))
		}
	}
	return b.String()
}

func (s *summary) close(out io.Writer) {
	if len(s.failedOutputs) > 0 {
		fmt.Fprintf(out, "\nWhat failed, and what it said:\n\n%s\n", strings.Join(s.failedOutputs, "\n"))
	}
}
