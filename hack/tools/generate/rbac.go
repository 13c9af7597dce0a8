package main

import (
	"fmt"

	"sigs.k8s.io/controller-tools/pkg/genall"
	"sigs.k8s.io/controller-tools/pkg/rbac"
)

const rbacDir = "config/rbac"

// writeRights writes role.yaml: the rights of the manager, from the markers beside the code
// that needs them.
func writeRights() error {
	fmt.Println("generate:", rbacDir+"/role.yaml")
	var rights genall.Generator = rbac.Generator{RoleName: "logsource-manager"}
	rt, err := genall.Generators{&rights}.ForRoots("./controllers")
	if err != nil {
		return err
	}
	rt.OutputRules = genall.OutputRules{Default: genall.OutputToDirectory(rbacDir)}
	if rt.Run() {
		return fmt.Errorf("controllers has errors, see above")
	}
	return nil
}
