package class

import "encoding/json"

// A Listener is a port of a class that an option has switched on.
type Listener struct {
	Port
	// Number is the port number in the pod, above 0. It is as the option says: Check and the
	// planner say when it is no port number.
	Number int64
}

// Listeners returns the ports that are on: those whose option is above 0. The options are
// those of a plan, with the defaults filled in. An option that is no number is off; Check
// says so.
func (c *Class) Listeners(options json.RawMessage) []Listener {
	values := map[string]json.RawMessage{}
	if len(options) > 0 && json.Unmarshal(options, &values) != nil {
		return nil
	}
	var out []Listener
	for _, p := range c.Footprint.Ports {
		var n int64
		if json.Unmarshal(values[p.Option], &n) == nil && n > 0 {
			out = append(out, Listener{p, n})
		}
	}
	return out
}
