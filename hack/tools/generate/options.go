package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/tools/go/packages"
	apiext "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/controller-tools/pkg/crd"
	crdmarkers "sigs.k8s.io/controller-tools/pkg/crd/markers"
	"sigs.k8s.io/controller-tools/pkg/loader"
	"sigs.k8s.io/controller-tools/pkg/markers"
)

// An option is class.Option as JSON, in the same order.
type option struct {
	Name            string          `json:"name"`
	Type            string          `json:"type"`
	Description     string          `json:"description"`
	Required        bool            `json:"required,omitempty"`
	Secret          bool            `json:"secret,omitempty"`
	Default         json.RawMessage `json:"default,omitempty"`
	Enum            []string        `json:"enum,omitempty"`
	Pattern         string          `json:"pattern,omitempty"`
	Minimum         *int64          `json:"minimum,omitempty"`
	Maximum         *int64          `json:"maximum,omitempty"`
	MinimumDuration string          `json:"minimumDuration,omitempty"`
}

// The markers of our own, for what kubebuilder's cannot say of these types:
// +logsource:minimumDuration=100ms, +logsource:minimumBytes=1024.
const (
	minimumDuration = "logsource:minimumDuration"
	minimumBytes    = "logsource:minimumBytes"
	maximumBytes    = "logsource:maximumBytes"
)

// driverFolders are where drivers are: those of the project, those of docs/write-a-driver.md.
var driverFolders = []string{"drivers/*/driver.go", "docs/examples/driver/drivers/*/driver.go"}

// writeOptions writes options.json, and the option table of the README, of every driver: a
// folder with a driver.go, whose package has an Options struct.
func writeOptions() error {
	for _, pattern := range driverFolders {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		for i := range files {
			files[i] = filepath.Dir(files[i])
		}
		if err := writeDrivers(files); err != nil {
			return err
		}
	}
	return nil
}

func writeDrivers(folders []string) error {
	for _, dir := range folders {
		if err := writeDriver(filepath.Clean(dir)); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
	}
	return nil
}

func writeDriver(dir string) error {
	target := filepath.Join(dir, "options.json")
	fmt.Println("generate:", target)
	if _, err := os.Stat(target); os.IsNotExist(err) {
		// The driver embeds the file, so a new driver does not load without it.
		if err := os.WriteFile(target, []byte("[]\n"), 0o644); err != nil {
			return err
		}
	}
	options, err := readOptions("./" + dir)
	if err != nil {
		return err
	}
	text, err := encode(options)
	if err != nil {
		return err
	}
	if err := os.WriteFile(target, text, 0o644); err != nil {
		return err
	}
	return writeTable(filepath.Join(dir, "README.md"), options)
}

// encode writes one option per line, so that a change is one line of a diff.
func encode(options []option) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString("[")
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	for i, o := range options {
		if i > 0 {
			out.Truncate(out.Len() - 1)
			out.WriteString(",")
		}
		out.WriteString("\n  ")
		if err := enc.Encode(o); err != nil {
			return nil, err
		}
	}
	out.WriteString("]\n")
	return out.Bytes(), nil
}

// readOptions describes the fields of the package's Options struct, in their order.
func readOptions(pkg string) ([]option, error) {
	roots, err := loader.LoadRoots(pkg)
	if err != nil {
		return nil, err
	}
	reg := &markers.Registry{}
	if err := crdmarkers.Register(reg); err != nil {
		return nil, err
	}
	for name, example := range map[string]any{minimumDuration: "", minimumBytes: 0, maximumBytes: 0} {
		if err := reg.Define(name, markers.DescribesField, example); err != nil {
			return nil, err
		}
	}
	p := &crd.Parser{Collector: &markers.Collector{Registry: reg}, Checker: &loader.TypeChecker{}}
	crd.AddKnownTypes(p)
	id := crd.TypeIdent{Package: roots[0], Name: "Options"}
	p.NeedPackage(roots[0])
	p.NeedFlattenedSchemaFor(id)
	if loader.PrintErrors(roots, packages.TypeError) { // imports are not loaded whole, so types miss
		return nil, fmt.Errorf("the package has errors, see above")
	}
	info, schema := p.Types[id], p.FlattenedSchemata[id]
	if info == nil {
		return nil, fmt.Errorf("the package declares no type Options")
	}
	options := []option{}
	for _, f := range info.Fields {
		o, err := describe(f, schema)
		if err != nil {
			return nil, fmt.Errorf("option %s: %w", f.Name, err)
		}
		options = append(options, o)
	}
	return options, nil
}

func describe(f markers.FieldInfo, schema apiext.JSONSchemaProps) (option, error) {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	prop, ok := schema.Properties[name]
	if !ok || name == "" {
		return option{}, fmt.Errorf("needs a json tag")
	}
	o := option{Name: name, Description: strings.Join(strings.Fields(f.Doc), " ")}
	if o.Description == "" {
		return option{}, fmt.Errorf("needs a doc comment: it is the description that users read")
	}
	if o.Type = typeOf(prop); o.Type == "" {
		return option{}, fmt.Errorf("has a type that no option may have; use string, int, int64, bool, []string, map[string]string, collector.Duration, collector.Bytes or collector.Secret")
	}
	o.Secret = prop.Format == "secret"
	if prop.Default != nil {
		o.Default = prop.Default.Raw
	}
	o.Required = o.Default == nil && contains(schema.Required, name)
	o.limit(prop)
	if prop.Items != nil {
		o.limit(*prop.Items.Schema)
	}
	return o, o.mark(f.Markers)
}

// mark takes over what our own markers say, and refuses them where they say nothing.
func (o *option) mark(all markers.MarkerValues) error {
	if v, ok := all.Get(minimumDuration).(string); ok {
		if o.MinimumDuration = v; o.Type != "duration" {
			return fmt.Errorf("%s is for a collector.Duration", minimumDuration)
		}
	}
	for name, bound := range map[string]**int64{minimumBytes: &o.Minimum, maximumBytes: &o.Maximum} {
		v, ok := all.Get(name).(int)
		if !ok {
			continue
		}
		if o.Type != "quantity" {
			return fmt.Errorf("%s is for a collector.Bytes", name)
		}
		n := int64(v)
		*bound = &n
	}
	return nil
}

// limit takes over what bounds the value, or every item of a list.
func (o *option) limit(prop apiext.JSONSchemaProps) {
	for _, e := range prop.Enum {
		var s string
		if json.Unmarshal(e.Raw, &s) == nil {
			o.Enum = append(o.Enum, s)
		}
	}
	if prop.Pattern != "" && prop.Format != "quantity" {
		o.Pattern = prop.Pattern
	}
	if o.Type == "int" {
		o.Minimum, o.Maximum = integer(prop.Minimum), integer(prop.Maximum)
	}
}

func integer(f *float64) *int64 {
	if f == nil {
		return nil
	}
	i := int64(*f)
	return &i
}

func typeOf(p apiext.JSONSchemaProps) string {
	switch p.Format {
	case "duration", "quantity":
		return p.Format
	case "uri":
		return "url"
	}
	switch {
	case p.Type == "string":
		return "string"
	case p.Type == "integer":
		return "int"
	case p.Type == "boolean":
		return "bool"
	case p.Type == "array" && p.Items.Schema.Type == "string":
		return "stringList"
	case p.Type == "object" && p.AdditionalProperties != nil && p.AdditionalProperties.Schema.Type == "string":
		return "stringMap"
	}
	return ""
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}
