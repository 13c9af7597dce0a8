package drivers_test

import (
	"os"
	"strings"
	"testing"

	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/drivers"
)

// TestEveryFolderIsRegistered finds the driver that was written and never listed.
func TestEveryFolderIsRegistered(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, d := range drivers.All {
		if names[d.Class.ObjectName()] {
			t.Errorf("class %s is listed twice", d.Class.ObjectName())
		}
		names[d.Class.ObjectName()] = true
		names[strings.ReplaceAll(d.Class.Name, "-", "")] = true
	}
	for _, e := range entries {
		if e.IsDir() && !names[e.Name()] {
			t.Errorf("folder %s has no line in drivers.go", e.Name())
		}
	}
}

func TestDescriptions(t *testing.T) {
	for _, d := range drivers.All {
		c := d.Class
		if len(c.Description) < 20 || !strings.HasSuffix(c.Description, ".") {
			t.Errorf("class %s: description %q is not a sentence", c.Name, c.Description)
		}
		if (c.Role == class.Source) != (c.Placement != "") {
			t.Errorf("class %s: role %s with placement %q", c.Name, c.Role, c.Placement)
		}
		for _, o := range c.Options {
			if o.Description == "" {
				t.Errorf("class %s: option %s has no description", c.Name, o.Name)
			}
			if o.Secret && o.Default != nil {
				t.Errorf("class %s: option %s is secret and has a default", c.Name, o.Name)
			}
		}
	}
}

// TestNoPathOnNodes: where the logs of a node are is for the installation to say.
func TestNoPathOnNodes(t *testing.T) {
	for _, d := range drivers.All {
		for _, o := range d.Class.Options {
			name := strings.ToLower(o.Name)
			if d.Class.Placement == class.Node && (strings.Contains(name, "path") || strings.Contains(name, "dir") || strings.Contains(name, "file")) {
				t.Errorf("class %s of placement Node has option %s", d.Class.Name, o.Name)
			}
		}
	}
}
