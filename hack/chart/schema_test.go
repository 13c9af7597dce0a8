package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestValuesSchema(t *testing.T) {
	schema, err := valuesSchema([]byte(`# A heading of the file, no description.

# How many
# there are.
# @schema {minimum: 0}
count: 1
# A group.
group:
  # Is it on?
  on: true
# Anything.
# @schema {additionalProperties: true}
open: {}
# A list.
list: []
`))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(schema, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"global": map[string]any{"type": "object"},
		"count":  map[string]any{"type": "integer", "description": "How many there are.", "minimum": 0.0},
		"group": map[string]any{
			"type": "object", "description": "A group.", "additionalProperties": false,
			"properties": map[string]any{"on": map[string]any{"type": "boolean", "description": "Is it on?"}},
		},
		"open": map[string]any{"type": "object", "description": "Anything.", "additionalProperties": true},
		"list": map[string]any{"type": "array", "description": "A list."},
	}
	if diff := cmp.Diff(want, got["properties"]); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got["additionalProperties"] != false {
		t.Error("the schema takes values that the chart does not have")
	}
}

func TestAValueWithoutCommentIsRefused(t *testing.T) {
	_, err := valuesSchema([]byte("# Fine.\na: 1\nb:\n  # Fine.\n  c: 1\n"))
	if err == nil || !strings.Contains(err.Error(), "3: b: has no comment") {
		t.Errorf("error is %v", err)
	}
}
