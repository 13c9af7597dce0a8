package walls

import (
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/logsource/operator/"

// A wall forbids the packages that match from, with everything they import, to contain a
// package that begins with one of not.
type wall struct {
	from   string
	not    []string
	reason string
}

var walls = []wall{
	{"./cmd/collector/...", []string{"k8s.io/client-go", "sigs.k8s.io/controller-runtime", "k8s.io/apiserver", "k8s.io/apiextensions-apiserver"},
		"they cost 13 to 18 MB resident in every collector, and are a toolbox for the whole cluster on every node"},
	{"./collector/...", []string{"k8s.io/", "sigs.k8s.io/", module + "api/", module + "controllers", module + "drivers", module + "cmd/"},
		"the SDK is what a driver imports: it must not know Kubernetes' types, nor any driver"},
	{"./drivers/...", []string{"k8s.io/", "sigs.k8s.io/", module + "api/", module + "controllers", module + "cmd/"},
		"a driver runs on a laptop too"},
	{"./docs/examples/driver/drivers/heartbeat", []string{"k8s.io/", "sigs.k8s.io/", module + "api/", module + "controllers", module + "drivers", module + "cmd/"},
		"the drivers of docs/write-a-driver.md are held to what every driver is"},
	{"./docs/examples/driver/drivers/spool", []string{"k8s.io/", "sigs.k8s.io/", module + "api/", module + "controllers", module + "drivers", module + "cmd/"},
		"the drivers of docs/write-a-driver.md are held to what every driver is"},
	{"./docs/examples/driver/drivers/redis", []string{"k8s.io/", "sigs.k8s.io/", module + "api/", module + "controllers", module + "drivers", module + "cmd/"},
		"the drivers of docs/write-a-driver.md are held to what every driver is"},
	{"./docs/examples/driver/cmd/collector", []string{"k8s.io/client-go", "sigs.k8s.io/controller-runtime", "k8s.io/apiserver", "k8s.io/apiextensions-apiserver"},
		"a collector with drivers of its own costs no more than ours"},
	{"./api/...", []string{module + "collector", module + "controllers", module + "drivers", "k8s.io/client-go", "sigs.k8s.io/controller-runtime"},
		"others import the API types without the operator"},
	{"./controllers/...", []string{module + "drivers", module + "cmd/"},
		"the controllers are handed a catalog: nothing in them knows a class by name"},
	{"./controllers/planner/...", []string{"sigs.k8s.io/controller-runtime", "k8s.io/client-go"},
		"the collector plans a file with no cluster"},
}

func TestWalls(t *testing.T) {
	for _, w := range walls {
		t.Run(w.from, func(t *testing.T) {
			for _, pkg := range list(t, w.from) {
				for _, no := range w.not {
					if strings.HasPrefix(pkg, no) {
						t.Errorf("%s reaches %s: %s", w.from, pkg, w.reason)
					}
				}
			}
		})
	}
}

// No driver imports another: each is one folder that may be taken out.
func TestDriversStandAlone(t *testing.T) {
	for _, driver := range list(t, "./drivers/...") {
		name, isDriver := strings.CutPrefix(driver, module+"drivers/")
		if !isDriver {
			continue
		}
		for _, pkg := range list(t, "./drivers/"+name) {
			if strings.HasPrefix(pkg, module+"drivers/") && pkg != driver {
				t.Errorf("driver %s imports %s", name, pkg)
			}
		}
	}
}

func list(t *testing.T, pattern string) []string {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", pattern)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %s: %v", pattern, err)
	}
	return strings.Fields(string(out))
}
