package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// node checks the shape of v: its type, its bounds, and what is in it.
func (c *checker) node(n *node, path *field.Path, v any) {
	if !n.hasType(v) {
		c.add(field.TypeInvalid(path, typeName(v), fmt.Sprintf("%s in body must be of type %s: %q", path, n.typeWanted(), typeName(v))))
		return
	}
	c.enum(n, path, v)
	switch v := v.(type) {
	case map[string]any:
		c.object(n, path, v)
	case []any:
		c.list(n, path, v)
	case string:
		c.text(n, path, v)
	default:
		c.number(n, path, v)
	}
}

func (n *node) typeWanted() string {
	if n.IntOrString {
		return "integer or string"
	}
	return n.Type
}

func (n *node) hasType(v any) bool {
	name := typeName(v)
	if n.IntOrString {
		return name == "integer" || name == "string"
	}
	return n.Type == "" && v != nil || n.Type == name || n.Type == "number" && name == "integer"
}

// typeName is the type of a value in the words of OpenAPI.
func typeName(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case map[string]any:
		return "object"
	case []any:
		return "array"
	case string:
		return "string"
	case bool:
		return "boolean"
	default:
		if f, ok := float(v); ok && f == math.Trunc(f) {
			return "integer"
		}
		return "number"
	}
}

// float takes every type that a decoder gives a number.
func float(v any) (float64, bool) {
	switch v := v.(type) {
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	case float64:
		return v, true
	case int64:
		return float64(v), true
	case int:
		return float64(v), true
	}
	return 0, false
}

func (c *checker) enum(n *node, path *field.Path, v any) {
	if len(n.Enum) == 0 || slices.Contains(n.Enum, v) {
		return
	}
	c.add(field.NotSupported(path, v, texts(n.Enum)))
}

func texts(values []any) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = fmt.Sprint(v)
	}
	return out
}

func (c *checker) object(n *node, path *field.Path, v map[string]any) {
	if n.MaxProperties != nil && len(v) > *n.MaxProperties {
		c.add(field.TooMany(path, len(v), *n.MaxProperties))
	}
	for _, name := range n.Required {
		if _, ok := v[name]; !ok {
			c.add(field.Required(child(path, name), ""))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		p := n.property(name)
		switch {
		case p != nil && n.Additional != nil:
			c.node(p, path.Key(name), v[name])
		case p != nil:
			c.node(p, child(path, name), v[name])
		case !n.open(path):
			c.unknown(n, child(path, name), name)
		}
	}
}

// open says whether an object may hold fields that its schema does not list.
func (n *node) open(path *field.Path) bool {
	return n.PreserveUnknown || path.String() == "metadata"
}

func child(path *field.Path, name string) *field.Path {
	if path == nil {
		return field.NewPath(name)
	}
	return path.Child(name)
}

func (c *checker) unknown(n *node, path *field.Path, name string) {
	detail := fmt.Sprintf("unknown field %q", path)
	if near := n.nearest(name); near != "" {
		detail += fmt.Sprintf("; did you mean %q?", near)
	} else {
		detail += "; there are: " + strings.Join(slices.Sorted(maps.Keys(n.Properties)), ", ")
	}
	c.add(field.Forbidden(path, detail))
}

// nearest is a field of nearly that name: another case, or one letter more, less or
// changed, or two neighbours swapped.
func (n *node) nearest(name string) string {
	for _, known := range slices.Sorted(maps.Keys(n.Properties)) {
		if near(strings.ToLower(name), strings.ToLower(known)) {
			return known
		}
	}
	return ""
}

func near(a, b string) bool {
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	swapped := len(a) == 2 && len(b) == 2 && a[0] == b[1] && a[1] == b[0]
	return swapped || len(a) <= 1 && len(b) <= 1
}

func (c *checker) list(n *node, path *field.Path, v []any) {
	if n.MinItems != nil && len(v) < *n.MinItems {
		c.invalid(path, len(v), "should have at least %d items", *n.MinItems)
	}
	if n.MaxItems != nil && len(v) > *n.MaxItems {
		c.add(field.TooMany(path, len(v), *n.MaxItems))
	}
	for i, e := range v {
		if n.Items != nil {
			c.node(n.Items, path.Index(i), e)
		}
		if slices.ContainsFunc(v[:i], func(earlier any) bool { return n.same(earlier, e) }) {
			c.add(field.Duplicate(path.Index(i), n.key(e)))
		}
	}
}

// same says whether two items of a set, or of a map by key, are one.
func (n *node) same(a, b any) bool {
	if n.ListType != "set" && n.ListType != "map" {
		return false
	}
	return reflect.DeepEqual(n.key(a), n.key(b))
}

// key is what tells an item from its neighbours.
func (n *node) key(v any) any {
	m, ok := v.(map[string]any)
	if !ok || n.ListType != "map" {
		return v
	}
	key := map[string]any{}
	for _, name := range n.ListMapKeys {
		key[name] = m[name]
	}
	return key
}

func (c *checker) text(n *node, path *field.Path, v string) {
	length := utf8.RuneCountInString(v)
	if n.MinLength != nil && length < *n.MinLength {
		c.invalid(path, v, "should be at least %d chars long", *n.MinLength)
	}
	if n.MaxLength != nil && length > *n.MaxLength {
		c.add(field.TooLong(path, v, *n.MaxLength))
	}
	if n.Pattern != "" && !expression(n.Pattern).MatchString(v) {
		c.invalid(path, v, "should match '%s'", n.Pattern)
	}
}

var expressions sync.Map

// expression compiles a pattern of a CRD once; the apiserver has taken it already.
func expression(pattern string) *regexp.Regexp {
	if re, ok := expressions.Load(pattern); ok {
		return re.(*regexp.Regexp)
	}
	re := regexp.MustCompile(pattern)
	expressions.Store(pattern, re)
	return re
}

func (c *checker) number(n *node, path *field.Path, v any) {
	f, ok := float(v)
	if !ok {
		return
	}
	if n.Minimum != nil && f < *n.Minimum {
		c.invalid(path, v, "should be greater than or equal to %d", int64(*n.Minimum))
	}
	if n.Maximum != nil && f > *n.Maximum {
		c.invalid(path, v, "should be less than or equal to %d", int64(*n.Maximum))
	}
}
