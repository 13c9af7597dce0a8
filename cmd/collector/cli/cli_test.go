package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/drivers"
)

// output is a writer that a test may read while a program writes.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// invoke runs one command line to its end.
func invoke(args ...string) (code int, stdout, stderr string) {
	var out, err output
	code = program{drivers.All, &out, &err}.main(args)
	return code, out.String(), err.String()
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const documents = "../../../test/admission/testdata"

// Every document that the apiserver refuses is refused here, with file, line and the same
// words; the first line of each says which.
func TestCheckRefusesWhatTheAPIServerRefuses(t *testing.T) {
	files, err := filepath.Glob(documents + "/wrong/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d wrong documents, %v; want at least 20", len(files), err)
	}
	place := regexp.MustCompile(`\.yaml:\d+: `)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want, _, _ := strings.Cut(strings.TrimPrefix(string(data), "# want: "), "\n")
			code, _, stderr := invoke("check", "-f", file)
			if code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			if !strings.Contains(stderr, want) {
				t.Errorf("says\n%swant %q in it", stderr, want)
			}
			for line := range strings.Lines(stderr) {
				if !place.MatchString(line) {
					t.Errorf("no file and line in %q", line)
				}
			}
		})
	}
}

func TestCheckAcceptsGoodDocuments(t *testing.T) {
	files, err := filepath.Glob(documents + "/good/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d good documents, %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		code, _, stderr := invoke("check", "-f", file)
		if unknown := strings.Contains(string(data), "# unknown class"); unknown != (code == 1) {
			t.Errorf("%s: exit code %d: %s", file, code, stderr)
		}
	}
}

func TestSamplesAreRight(t *testing.T) {
	for _, args := range [][]string{{"-f", "../../../config/samples"}, {"-local", "-f", "../../../config/samples/local"}} {
		if code, _, stderr := invoke(append([]string{"check"}, args...)...); code != 0 {
			t.Errorf("check %v: %s", args, stderr)
		}
	}
}

// The place of an error is the line of the field, also in the second document of a file.
func TestCheckNamesTheLine(t *testing.T) {
	file := write(t, "two.yaml", `apiVersion: logsource.dev/v1alpha1
kind: LogSource
metadata: {name: a}
spec:
  source: {class: generate}
  destinations: [{name: out, class: stdout}]
---
apiVersion: logsource.dev/v1alpha1
kind: LogSource
metadata: {name: b}
spec:
  source:
    class: generate
    options:
      count: many
  destinations:
  - name: out
    class: http
    options:
      url: "http://x"
      compression: fast
`)
	code, _, stderr := invoke("check", "-f", file)
	for _, want := range []string{":15: spec.source.options.count", ":21: spec.destinations[0].options.compression"} {
		if code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("exit code %d, says\n%swant %q", code, stderr, want)
		}
	}
}

func TestCheckOtherTrouble(t *testing.T) {
	cases := []struct{ name, text, want string }{
		{"not YAML", "a: [", "did not find expected"},
		{"a list", "- a\n", "must be a mapping"},
		{"a key twice", "apiVersion: logsource.dev/v1alpha1\nkind: LogSource\nkind: LogSource\n", `the key "kind" is given twice`},
		{"nothing for a collector", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n", "no LogSource or ClusterLogSource"},
		{"the same object twice", strings.Repeat("---\napiVersion: logsource.dev/v1alpha1\nkind: LogSource\nmetadata: {name: a}\nspec: {source: {class: generate}, destinations: [{name: out, class: stdout}]}\n", 2), "is given twice"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			code, _, stderr := invoke("check", "-f", write(t, "f.yaml", c.text))
			if code != 1 || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d, says %q, want %q", code, stderr, c.want)
			}
		})
	}
}

func TestDrivers(t *testing.T) {
	code, stdout, _ := invoke("drivers")
	for _, d := range drivers.All {
		if code != 0 || !strings.Contains(stdout, d.Class.Name) {
			t.Errorf("drivers does not list %s:\n%s", d.Class.Name, stdout)
		}
	}
	code, stdout, _ = invoke("drivers", "http")
	if code != 0 || !strings.Contains(stdout, "compression") || !strings.Contains(stdout, "one of none") {
		t.Errorf("drivers http: exit code %d\n%s", code, stdout)
	}
	if _, stdout, _ := invoke("drivers", "http-poll"); !strings.Contains(stdout, "\n  flags  no-parse\n") {
		t.Errorf("drivers http-poll does not say which flags it takes:\n%s", stdout)
	}
	if code, _, stderr := invoke("drivers", "nope"); code != 1 || !strings.Contains(stderr, `no class "nope"`) {
		t.Errorf("drivers nope: exit code %d, %q", code, stderr)
	}
}

// A class says which flags it takes, and where it listens.
func TestDriversOfAListener(t *testing.T) {
	var out bytes.Buffer
	k := class.Class{Name: "listen", Role: class.Source, Description: "Listens.", Flags: []string{"no-parse", "no-header"},
		Footprint: class.Footprint{Ports: []class.Port{{Name: "tcp", Protocol: "TCP", Option: "tcpPort", Service: 601}}}}
	program{stdout: &out}.describeClass(&k)
	const want = `listen (source)
Listens.

  flags  no-parse no-header
  port tcp  TCP, at options.tcpPort (0 is off), port 601 of the Service
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUsage(t *testing.T) {
	cases := []struct {
		args []string
		code int
		want string
	}{
		{nil, 2, "Usage:"},
		{[]string{"rnu"}, 2, `no command "rnu"`},
		{[]string{"run"}, 1, "exactly one of -f, --plans-dir, --node-plans"},
		{[]string{"run", "-f", "a", "--node-plans"}, 1, "exactly one of"},
		{[]string{"run", "--plans-dir", "x", "--count", "3"}, 1, "--count is for -f"},
		{[]string{"check"}, 1, "give the files with -f"},
		{[]string{"check", "-f", "/no/such/file"}, 1, "no such file"},
	}
	t.Setenv("POD_NAMESPACE", "")
	for _, c := range cases {
		code, _, stderr := invoke(c.args...)
		if code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("collector %v: exit code %d, says %q; want %d and %q", c.args, code, stderr, c.code, c.want)
		}
	}
	if code, stdout, _ := invoke("help"); code != 0 || !strings.Contains(stdout, "Usage:") {
		t.Errorf("help: %d %q", code, stdout)
	}
}

// run -f ends by itself with --count, shows the ledger, and writes what it was asked to.
func TestRunCount(t *testing.T) {
	dir := t.TempDir()
	file := write(t, "a.yaml", `apiVersion: logsource.dev/v1alpha1
kind: LogSource
metadata: {name: a}
spec:
  source:
    class: generate
    options: {rate: 10000, count: 500, numbered: true, message: hello}
  destinations:
  - name: disk
    class: file
    options: {path: out.log, format: raw}
`)
	code, _, stderr := invoke("run", "-f", file, "--output-dir", dir, "--count", "500", "--timeout", "30s")
	if code != 0 || !strings.Contains(stderr, "Everything that was accepted was delivered") {
		t.Fatalf("exit code %d:\n%s", code, stderr)
	}
	data, err := os.ReadFile(filepath.Join(dir, "out.log"))
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(data, []byte("\n")); n != 500 {
		t.Errorf("%d lines, want 500", n)
	}
}

// A run whose destination never comes up gives up with exit code 1 and says what is left.
func TestRunCountGivesUp(t *testing.T) {
	file := write(t, "a.yaml", `apiVersion: logsource.dev/v1alpha1
kind: LogSource
metadata: {name: a}
spec:
  source: {class: generate, options: {interval: 10ms}}
  destinations:
  - {name: far, class: http, options: {url: "http://127.0.0.1:1/"}}
  collector: {shutdownGrace: 100ms}
`)
	code, _, stderr := invoke("run", "-f", file, "--count", "5", "--timeout", "1s")
	if code != 1 || !strings.Contains(stderr, "delivered 5 messages within 1s") || !strings.Contains(stderr, "Not everything was delivered") {
		t.Errorf("exit code %d:\n%s", code, stderr)
	}
}
