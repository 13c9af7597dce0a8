package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	"go.yaml.in/yaml/v3"
)

// valuesSchema makes the JSON schema of a values.yaml: types from the values, descriptions
// from the comments, and what a line "@schema {...}" adds. A mapping takes no other keys
// than it has, so that a typing error is refused, unless its @schema says what it takes.
func valuesSchema(values []byte) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(values, &doc); err != nil {
		return nil, err
	}
	root, err := object(doc.Content[0])
	if err != nil {
		return nil, err
	}
	root["$schema"] = "http://json-schema.org/draft-07/schema#"
	root["title"] = "Values of the logsource chart"
	// Helm adds it to the values of every subchart.
	root["properties"].(map[string]any)["global"] = map[string]any{"type": "object"}
	out, err := json.MarshalIndent(root, "", "  ")
	return append(out, '\n'), err
}

func object(n *yaml.Node) (map[string]any, error) {
	properties := map[string]any{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		p, err := property(key.HeadComment, value)
		if err != nil {
			return nil, fmt.Errorf("%d: %s: %w", key.Line, key.Value, err)
		}
		properties[key.Value] = p
	}
	return map[string]any{"type": "object", "properties": properties, "additionalProperties": false}, nil
}

func property(comment string, value *yaml.Node) (map[string]any, error) {
	description, extra, err := readComment(comment)
	if err != nil {
		return nil, err
	}
	p := map[string]any{"type": typeOf(value)}
	if _, open := extra["additionalProperties"]; value.Kind == yaml.MappingNode && !open {
		if p, err = object(value); err != nil {
			return nil, err
		}
	}
	p["description"] = description
	maps.Copy(p, extra)
	return p, nil
}

// readComment splits the comment of a value into its description and its @schema.
func readComment(comment string) (description string, extra map[string]any, err error) {
	paragraphs := strings.Split(comment, "\n\n")
	var words []string
	for line := range strings.Lines(paragraphs[len(paragraphs)-1]) {
		line = strings.TrimSpace(strings.TrimLeft(line, "# "))
		if schema, ok := strings.CutPrefix(line, "@schema "); ok {
			if err := yaml.Unmarshal([]byte(schema), &extra); err != nil {
				return "", nil, fmt.Errorf("@schema: %w", err)
			}
			continue
		}
		words = append(words, line)
	}
	if len(words) == 0 || words[0] == "" {
		return "", nil, errors.New("has no comment: say what the value does")
	}
	return strings.Join(words, " "), extra, nil
}

func typeOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "object"
	case n.Kind == yaml.SequenceNode:
		return "array"
	case n.Tag == "!!bool":
		return "boolean"
	case n.Tag == "!!int":
		return "integer"
	}
	return "string"
}
