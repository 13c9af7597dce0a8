// Command chart writes what the Helm chart holds of other files: values.schema.json from
// values.yaml and its comments, and the manager's role. hack/generate.sh runs it at the
// root of the repository; what comes of the drivers is written by hack/objects.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const chart = "charts/logsource"

func main() {
	if err := errors.Join(writeSchema(), copyRole()); err != nil {
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

// copyRole: a chart can only hold files of its own.
func copyRole() error {
	role, err := os.ReadFile("config/rbac/role.yaml")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(chart, "files", "manager-role.yaml"), role, 0o644)
}
