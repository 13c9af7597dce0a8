// Package charts holds the Helm chart; its tests render it with the real Helm.
package charts

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write the golden files")

// helm and kubectl are the programs, built from source the first time.
var helm, kubectl string

func TestMain(m *testing.M) {
	flag.Parse()
	build := exec.Command("../hack/cluster/build.sh", "helm", "kubectl")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build helm and kubectl:", err)
		os.Exit(1)
	}
	bin, err := exec.Command("bash", "-c", ". ../hack/cluster/lib.sh; echo -n $BIN").Output()
	if err != nil {
		fmt.Fprintln(os.Stderr, "hack/cluster/lib.sh:", err)
		os.Exit(1)
	}
	helm, kubectl = filepath.Join(string(bin), "helm"), filepath.Join(string(bin), "kubectl")
	os.Exit(m.Run())
}

// inputs reads what only helm and kubectl read otherwise: go test has to know that a result
// is old when a template has changed.
var inputs = sync.OnceValue(func() error { return errors.Join(readAll("logsource"), readAll("../config")) })

func readAll(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			_, err = os.ReadFile(path)
		}
		return err
	})
}

// template renders the chart with the values of a file, "" for the defaults.
func template(t *testing.T, args ...string) (string, error) {
	t.Helper()
	if err := inputs(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), helm, append([]string{"template", "logsource", "logsource", "--namespace", "logsource"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%w: %s", err, &errs)
	}
	return out.String(), nil
}

// The goldens leave out what is copied from config/ and has goldens or generators there.
func TestTemplate(t *testing.T) {
	for _, name := range []string{"default", "everything-set", "no-agents"} {
		t.Run(name, func(t *testing.T) {
			got, err := template(t, "--values", filepath.Join("testdata", name+".values.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			got = without(got, "logsource/templates/driverclasses.yaml", "logsource/templates/policy.yaml")
			golden := filepath.Join("testdata", name+".golden.yaml")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("render differs from %s (-want +got), go test ./charts -update writes it:\n%s", golden, diff)
			}
		})
	}
}

// without removes the documents of some templates.
func without(rendered string, templates ...string) string {
	var kept []string
	for doc := range strings.SplitSeq(rendered, "---\n") {
		source, _, _ := strings.Cut(doc, "\n")
		drop := false
		for _, name := range templates {
			drop = drop || source == "# Source: "+name
		}
		if !drop {
			kept = append(kept, doc)
		}
	}
	return strings.Join(kept, "---\n")
}

func TestWrongValuesAreRefused(t *testing.T) {
	for _, c := range []struct{ set, says string }{
		{"agent.enabled=false", "agent"},
		{"agents.tolerationz=x", "tolerationz"},
		{"manager.replicas=many", "replicas"},
		{"image.pullPolicy=Sometimes", "pullPolicy"},
		{"image.digest=sha256:12", "digest"},
		{"metrics.podMonitor.interval=often", "interval"},
		{"agents.namespace=logsource", "agents.namespace must differ from the namespace of the release"},
	} {
		t.Run(c.set, func(t *testing.T) {
			_, err := template(t, "--set", c.set)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error is %v, want one that says %q", err, c.says)
			}
		})
	}
}

func TestLint(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), helm, "lint", "--strict", "logsource").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// An object is what the tests below look at of every rendered object.
type object struct {
	Kind     string
	Metadata struct {
		Name, Namespace string
		Labels          map[string]string
	}
	Rules []struct{ Resources, Verbs []string }
}

func objects(t *testing.T, args ...string) []object {
	t.Helper()
	rendered, err := template(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	var all []object
	for d := yaml.NewDecoder(strings.NewReader(rendered)); ; {
		var o object
		if d.Decode(&o) != nil {
			return all
		}
		if o.Kind != "" {
			all = append(all, o)
		}
	}
}

func TestEveryObjectIsPartOfLogsource(t *testing.T) {
	all := objects(t, "--set", "metrics.service.enabled=true,metrics.podMonitor.enabled=true")
	if len(all) < 20 {
		t.Fatalf("only %d objects rendered", len(all))
	}
	for _, o := range all {
		if o.Metadata.Labels["app.kubernetes.io/part-of"] != "logsource" {
			t.Errorf("%s %s lacks the label app.kubernetes.io/part-of: logsource", o.Kind, o.Metadata.Name)
		}
	}
}

// The manager can never read a tenant's Secret: no role but the agents' own, in their own
// namespace, names Secrets.
func TestOnlyTheAgentsReadSecretsAndOnlyInTheirNamespace(t *testing.T) {
	found := false
	for _, o := range objects(t) {
		for _, rule := range o.Rules {
			for _, resource := range rule.Resources {
				switch {
				case resource == "*":
					t.Errorf("%s %s names every resource", o.Kind, o.Metadata.Name)
				case resource != "secrets":
				case o.Kind == "Role" && o.Metadata.Namespace == "logsource-nodes":
					found = true
				default:
					t.Errorf("%s %s/%s names secrets", o.Kind, o.Metadata.Namespace, o.Metadata.Name)
				}
			}
		}
	}
	if !found {
		t.Error("the agents have no Role that reads Secrets")
	}
}

// manifests decodes documents into values without what only Helm adds, by kind, namespace
// and name. CRDs, hooks and the release's own namespace are left out: Helm has no template
// for them.
func manifests(t *testing.T, text string) map[string]any {
	t.Helper()
	all := map[string]any{}
	for d := yaml.NewDecoder(strings.NewReader(text)); ; {
		var doc map[string]any
		if err := d.Decode(&doc); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		meta, _ := doc["metadata"].(map[string]any)
		annotations, _ := meta["annotations"].(map[string]any)
		key := fmt.Sprintf("%v %v/%v", doc["kind"], meta["namespace"], meta["name"])
		if doc == nil || doc["kind"] == "CustomResourceDefinition" || annotations["helm.sh/hook"] != nil || key == "Namespace <nil>/logsource" {
			continue
		}
		dropHelms(doc)
		all[key] = doc
	}
}

func dropHelms(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, label := range []string{"helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/version"} {
			delete(v, label)
		}
		for _, child := range v {
			dropHelms(child)
		}
	case []any:
		for _, child := range v {
			dropHelms(child)
		}
	}
}

func TestKustomizeInstallsTheSame(t *testing.T) {
	rendered, err := template(t)
	if err != nil {
		t.Fatal(err)
	}
	built, err := exec.CommandContext(t.Context(), kubectl, "kustomize", "../config/default").Output()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(manifests(t, rendered), manifests(t, string(built))); diff != "" {
		t.Errorf("config/default differs from the chart (-chart +config):\n%s", diff)
	}
}
