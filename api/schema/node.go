package schema

import (
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"sigs.k8s.io/yaml"

	"github.com/logsource/operator/config/crd"
)

// A node is one level of an OpenAPI schema: the keywords that our CRDs use.
type node struct {
	Type        string           `json:"type,omitempty"`
	Description string           `json:"description,omitempty"`
	Format      string           `json:"format,omitempty"`
	Properties  map[string]*node `json:"properties,omitempty"`
	Additional  *node            `json:"additionalProperties,omitempty"`
	Items       *node            `json:"items,omitempty"`
	Required    []string         `json:"required,omitempty"`
	Default     any              `json:"default,omitempty"`
	Enum        []any            `json:"enum,omitempty"`
	AnyOf       []node           `json:"anyOf,omitempty"`

	Pattern       string   `json:"pattern,omitempty"`
	MinLength     *int     `json:"minLength,omitempty"`
	MaxLength     *int     `json:"maxLength,omitempty"`
	Minimum       *float64 `json:"minimum,omitempty"`
	Maximum       *float64 `json:"maximum,omitempty"`
	MinItems      *int     `json:"minItems,omitempty"`
	MaxItems      *int     `json:"maxItems,omitempty"`
	MaxProperties *int     `json:"maxProperties,omitempty"`

	IntOrString     bool     `json:"x-kubernetes-int-or-string,omitempty"`
	PreserveUnknown bool     `json:"x-kubernetes-preserve-unknown-fields,omitempty"`
	ListType        string   `json:"x-kubernetes-list-type,omitempty"`
	ListMapKeys     []string `json:"x-kubernetes-list-map-keys,omitempty"`
	MapType         string   `json:"x-kubernetes-map-type,omitempty"`
	Rules           []rule   `json:"x-kubernetes-validations,omitempty"`
}

// A rule is one CEL rule of a schema.
type rule struct {
	Rule    string `json:"rule"`
	Message string `json:"message"`
}

// A kind is what the CRD of one kind says.
type kind struct {
	apiVersion, name string
	namespaced       bool
	root             *node
}

// kinds reads the CRDs once; a broken one is a bug of the build, found by any test.
var kinds = sync.OnceValue(func() map[string]*kind {
	files, err := fs.Glob(crd.Files, "*.yaml")
	if err != nil {
		panic("BUG: " + err.Error())
	}
	all := map[string]*kind{}
	for _, file := range files {
		data, err := crd.Files.ReadFile(file)
		if err != nil {
			panic("BUG: " + err.Error())
		}
		k, err := parse(data)
		if err != nil {
			panic(fmt.Sprintf("BUG: %s: %v", file, err))
		}
		all[k.name] = k
	}
	return all
})

// parse reads a CRD, strictly below its schema.
func parse(data []byte) (*kind, error) {
	var doc struct {
		Spec struct {
			Group    string                `json:"group"`
			Names    struct{ Kind string } `json:"names"`
			Scope    string                `json:"scope"`
			Versions []struct {
				Name   string         `json:"name"`
				Schema map[string]any `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	version := doc.Spec.Versions[0]
	text, err := yaml.Marshal(version.Schema["openAPIV3Schema"])
	if err != nil {
		return nil, err
	}
	k := &kind{
		apiVersion: doc.Spec.Group + "/" + version.Name,
		name:       doc.Spec.Names.Kind,
		namespaced: strings.EqualFold(doc.Spec.Scope, "Namespaced"),
		root:       &node{},
	}
	return k, yaml.UnmarshalStrict(text, k.root)
}
