package controllers

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/collector/class"
)

// A class that only the cluster knows is read whole from its DriverClass: nothing that the
// planner or the pods need is left out.
func TestClassOf(t *testing.T) {
	least, most := int64(1), int64(9)
	want := &class.Class{
		Name: "own", Role: class.Source, Lifecycle: class.PostingSource, Placement: class.Scaled, Description: "d",
		Footprint: class.Footprint{State: true, NodeLogs: true, ReadsPods: true, LocalOnly: true,
			Ports: []class.Port{{Name: "tcp", Protocol: "TCP", Option: "port", Service: 601}}},
		Flags: []string{"no-header", "no-parse"},
		Options: []class.Option{
			{Name: "port", Type: class.Int, Description: "d", Required: true, Default: json.RawMessage(`7`), Minimum: &least, Maximum: &most},
			{Name: "text", Type: class.String, Description: "d", Secret: true, Enum: []string{"a"}, Pattern: "^a", MinimumDuration: "1s"},
		},
	}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var spec v1alpha1.DriverClassSpec
	if err := d.Decode(&spec); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, classOf(&spec)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	bare := &class.Class{Name: "bare", Role: class.Destination}
	if diff := cmp.Diff(bare, classOf(&v1alpha1.DriverClassSpec{Class: "bare", Role: "Destination"})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
