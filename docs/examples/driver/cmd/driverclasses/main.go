// Command driverclasses prints the DriverClass objects of our classes:
//
//	go run ./cmd/driverclasses | kubectl apply -f -
package main

import (
	"fmt"
	"os"

	"sigs.k8s.io/yaml"

	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/docs/examples/driver/drivers"
)

func main() {
	for _, k := range drivers.Own.Catalog().All() {
		text, err := yaml.Marshal(object(k))
		if err != nil {
			fmt.Fprintln(os.Stderr, "driverclasses:", err)
			os.Exit(1)
		}
		fmt.Printf("---\n%s", text)
	}
}

// object is the DriverClass of a class. Its spec is the class's own JSON.
func object(k *class.Class) map[string]any {
	return map[string]any{
		"apiVersion": "logsource.dev/v1alpha1",
		"kind":       "DriverClass",
		"metadata":   map[string]any{"name": k.ObjectName()},
		"spec":       k,
	}
}
