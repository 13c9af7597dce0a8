// Command chart writes what the Helm chart holds of other files: values.schema.json from
// values.yaml and its comments, the CRDs, the classes, the admission policy and the
// manager's role from config/. `make generate` runs it at the root of the repository.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

const chart = "charts/logsource"

func main() {
	if err := errors.Join(writeSchema(), copyConfig()); err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

func writeSchema() error {
	values, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		return err
	}
	schema, err := valuesSchema(values)
	if err != nil {
		return fmt.Errorf("%s/values.yaml: %w", chart, err)
	}
	return os.WriteFile(filepath.Join(chart, "values.schema.json"), schema, 0o644)
}

// copyConfig copies what kustomize and Helm share. CRDs stay one file each, as Helm wants
// them; the rest is one file each, which the templates emit as it is: it may hold {{.
func copyConfig() error {
	crds, err := manifests("config/crd")
	if err != nil {
		return err
	}
	for _, name := range crds {
		if err := concatenate(filepath.Join(chart, "crds", filepath.Base(name)), name); err != nil {
			return err
		}
	}
	for _, c := range []struct{ from, to string }{
		{"config/driverclasses", "driverclasses.yaml"},
		{"config/policy", "policy.yaml"},
		{"config/rbac/role.yaml", "manager-role.yaml"},
	} {
		names, err := manifests(c.from)
		if err != nil {
			return err
		}
		if err := concatenate(filepath.Join(chart, "files", c.to), names...); err != nil {
			return err
		}
	}
	return nil
}

// manifests lists a file, or the manifests of a kustomize directory in order of name.
func manifests(path string) ([]string, error) {
	if strings.HasSuffix(path, ".yaml") {
		return []string{path}, nil
	}
	all, err := filepath.Glob(filepath.Join(path, "*.yaml"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range all {
		if filepath.Base(name) != "kustomization.yaml" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s holds no manifest", path)
	}
	sort.Strings(names)
	return names, nil
}

func concatenate(target string, names ...string) error {
	var docs []string
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		docs = append(docs, strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(string(content)), "---")))
	}
	return os.WriteFile(target, []byte(strings.Join(docs, "\n---\n")+"\n"), 0o644)
}
