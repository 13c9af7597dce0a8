package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A document is one YAML document of a file, with the place of every field.
type document struct {
	file string
	node *yaml.Node
	body map[string]any // numbers are json.Number
	json []byte
}

// kind is apiVersion's group and kind: "logsource.dev/LogSource", "/Secret".
func (d *document) kind() string {
	version, _ := d.body["apiVersion"].(string)
	kind, _ := d.body["kind"].(string)
	group, _, found := strings.Cut(version, "/")
	if !found {
		group = ""
	}
	return group + "/" + kind
}

// line is where the field is, or the nearest thing around it that is there. path is a
// field path such as spec.destinations[0].options.url.
func (d *document) line(path string) int {
	node := d.node
	for _, step := range steps(path) {
		next := child(node, step)
		if next == nil {
			break
		}
		node = next
	}
	return node.Line
}

// steps splits a.b[0].c[key] into a, b, 0, c, key.
func steps(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' || r == '"' })
}

// child finds a mapping's value, a sequence's index, or the item of a list whose name (or
// option) is step. A mapping's value is placed at its key.
func child(node *yaml.Node, step string) *yaml.Node {
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == step {
				value := *node.Content[i+1]
				value.Line = node.Content[i].Line
				return &value
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(step); err == nil && i < len(node.Content) {
			return node.Content[i]
		}
		for _, item := range node.Content {
			for _, key := range []string{"name", "option"} {
				if v := child(item, key); v != nil && v.Value == step {
					return item
				}
			}
		}
	}
	return nil
}

// readDocuments reads every document of the files; a directory stands for its .yaml,
// .yml and .json files; - is standard input.
func readDocuments(paths []string) ([]*document, error) {
	var docs []*document
	files, err := listFiles(paths)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		data, err := readFile(file)
		if err != nil {
			return nil, err
		}
		more, err := parseDocuments(file, data)
		if err != nil {
			return nil, err
		}
		docs = append(docs, more...)
	}
	return docs, nil
}

func listFiles(paths []string) ([]string, error) {
	var files []string
	for _, path := range paths {
		if path == "-" {
			files = append(files, path)
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			files = append(files, path)
			continue
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if !e.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(e.Name())) {
				files = append(files, filepath.Join(path, e.Name()))
			}
		}
	}
	if len(files) == 0 {
		return nil, errors.New("no files: give at least one with -f")
	}
	return files, nil
}

func readFile(file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(file)
}

func parseDocuments(file string, data []byte) ([]*document, error) {
	var docs []*document
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var root yaml.Node
		err := decoder.Decode(&root)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if len(root.Content) == 0 || root.Content[0].Tag == "!!null" {
			continue
		}
		doc, err := newDocument(file, root.Content[0])
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, root.Content[0].Line, err)
		}
		docs = append(docs, doc)
	}
}

func newDocument(file string, node *yaml.Node) (*document, error) {
	if err := refuseDuplicates(node); err != nil {
		return nil, err
	}
	var body any
	if err := node.Decode(&body); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	doc := &document{file: file, node: node, json: raw}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&doc.body); err != nil {
		return nil, errors.New("a document must be a mapping with apiVersion and kind")
	}
	return doc, nil
}

// refuseDuplicates says what a YAML decoder may pass over: a key given twice.
func refuseDuplicates(node *yaml.Node) error {
	if node.Kind == yaml.MappingNode {
		seen := map[string]bool{}
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := node.Content[i]
			if seen[key.Value] {
				return fmt.Errorf("line %d: the key %q is given twice", key.Line, key.Value)
			}
			seen[key.Value] = true
		}
	}
	for _, c := range node.Content {
		if err := refuseDuplicates(c); err != nil {
			return err
		}
	}
	return nil
}
