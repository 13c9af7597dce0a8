// Command generate writes what is derived from Go types, and needs controller-tools to do
// so: deep copies, CRDs, the rights of the manager, and the options of every driver. Run it
// from the root of the repository; hack/generate.sh does, and then runs what needs the
// drivers themselves. With folders as arguments it writes the options of the drivers there
// and nothing else, which is for a repository that has only drivers.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/controller-tools/pkg/crd"
	"sigs.k8s.io/controller-tools/pkg/deepcopy"
	"sigs.k8s.io/controller-tools/pkg/genall"
)

const crdDir = "config/crd"

func main() {
	steps := []func() error{writeTypes, writeRights, writeOptions}
	if folders := os.Args[1:]; len(folders) > 0 {
		steps = []func() error{func() error { return writeDrivers(folders) }}
	}
	for _, step := range steps {
		if err := step(); err != nil {
			fmt.Fprintln(os.Stderr, "generate:", err)
			os.Exit(1)
		}
	}
}

// writeTypes writes the deep copies and the CRDs of the API.
func writeTypes() error {
	fmt.Println("generate: api/v1alpha1/zz_generated.deepcopy.go,", crdDir)
	var copies genall.Generator = deepcopy.Generator{}
	omit := true
	var crds genall.Generator = crd.Generator{OmitToolVersion: &omit}
	rt, err := genall.Generators{&copies, &crds}.ForRoots("./api/v1alpha1")
	if err != nil {
		return err
	}
	rt.OutputRules = genall.OutputRules{
		Default:     genall.OutputArtifacts{Config: genall.OutputToDirectory(crdDir)},
		ByGenerator: map[*genall.Generator]genall.OutputRule{},
	}
	if rt.Run() {
		return fmt.Errorf("api/v1alpha1 has errors, see above")
	}
	return trimCRDs()
}

// trimCRDs removes the separator before the only document of each file.
func trimCRDs() error {
	files, err := filepath.Glob(crdDir + "/logsource.dev_*.yaml")
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, bytes.TrimPrefix(text, []byte("---\n")), 0o644); err != nil {
			return err
		}
	}
	return nil
}
