package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Check says everything that is wrong with a document of this API by itself, in the words
// of the apiserver: unknown and missing fields, types, bounds, duplicates and the rules
// that compare fields. The document is as encoding/json or sigs.k8s.io/yaml decode it; it
// is not changed.
func Check(doc map[string]any) field.ErrorList {
	k, err := kindOf(doc)
	if err != nil {
		return field.ErrorList{err}
	}
	filled := fill(k.root, doc)
	c := &checker{}
	c.meta(k, doc["metadata"])
	c.node(k.root, nil, filled)
	if len(c.errs) == 0 {
		c.rules(k.root, nil, filled) // as in the apiserver: rules see only what has the right shape
	}
	return c.errs
}

// Default returns the document with the defaults of its schema, as the apiserver stores it.
func Default(doc map[string]any) map[string]any {
	k, err := kindOf(doc)
	if err != nil {
		return doc
	}
	return fill(k.root, doc).(map[string]any)
}

func kindOf(doc map[string]any) (*kind, *field.Error) {
	name, _ := doc["kind"].(string)
	k := kinds()[name]
	if k == nil {
		return nil, field.NotSupported(field.NewPath("kind"), name, slices.Sorted(maps.Keys(kinds())))
	}
	if doc["apiVersion"] != k.apiVersion {
		return nil, field.NotSupported(field.NewPath("apiVersion"), doc["apiVersion"], []string{k.apiVersion})
	}
	return k, nil
}

// fill returns a copy of v with the defaults of n, from the outside in.
func fill(n *node, v any) any {
	switch v := v.(type) {
	case map[string]any:
		return fillMap(n, v)
	case []any:
		if n.Items == nil {
			return v
		}
		out := make([]any, len(v))
		for i := range v {
			out[i] = fill(n.Items, v[i])
		}
		return out
	}
	return v
}

func fillMap(n *node, v map[string]any) map[string]any {
	out := make(map[string]any, len(v))
	for name, e := range v {
		if p := n.property(name); p != nil {
			e = fill(p, e)
		}
		out[name] = e
	}
	for name, p := range n.Properties {
		if out[name] == nil && p.Default != nil {
			out[name] = fill(p, p.Default)
		}
	}
	return out
}

// property is the schema of a field, nil when there is none of that name.
func (n *node) property(name string) *node {
	if p, ok := n.Properties[name]; ok {
		return p
	}
	return n.Additional
}

// A checker gathers what is wrong.
type checker struct{ errs field.ErrorList }

func (c *checker) add(err *field.Error) { c.errs = append(c.errs, err) }

func (c *checker) invalid(path *field.Path, value any, format string, args ...any) {
	c.add(field.Invalid(path, value, path.String()+" in body "+fmt.Sprintf(format, args...)))
}

// meta checks the metadata, of which CRDs say nothing.
func (c *checker) meta(k *kind, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		c.add(field.Invalid(field.NewPath("metadata"), field.OmitValueType{}, err.Error()))
		return
	}
	var meta metav1.ObjectMeta
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&meta); err != nil {
		c.add(field.Invalid(field.NewPath("metadata"), field.OmitValueType{}, strings.TrimPrefix(err.Error(), "json: ")))
		return
	}
	if k.namespaced && meta.Namespace == "" {
		meta.Namespace = metav1.NamespaceDefault
	}
	c.errs = append(c.errs, validation.ValidateObjectMeta(&meta, k.namespaced, validation.NameIsDNSSubdomain, field.NewPath("metadata"))...)
}
