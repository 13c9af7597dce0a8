// Package class describes what a driver is, without its code: the words that the
// manager, the planner, the admission policy, the documentation and the collector
// share. A Class is generated from the driver's typed options (make generate) and
// becomes the DriverClass object of the same class.
package class

import (
	"encoding/json"
	"sort"
)

// Role says on which end of a log path a class stands.
type Role string

const (
	Source      Role = "Source"
	Destination Role = "Destination"
)

// Lifecycle is how the collector drives a source: a Fetcher is asked for messages,
// a PostingSource posts of its own accord (syslog-ng: python-fetcher and python).
type Lifecycle string

const (
	Fetcher       Lifecycle = "Fetcher"
	PostingSource Lifecycle = "Source"
)

// Placement is where the collectors of a source class run.
type Placement string

const (
	Node   Placement = "Node"   // one collector per node: the agents
	Single Placement = "Single" // exactly one tenant collector
	Scaled Placement = "Scaled" // any number of equal tenant collectors
)

// Type is the type of an option's value. The admission policy knows the same list.
type Type string

const (
	String     Type = "string"
	Int        Type = "int"
	Bool       Type = "bool"
	Duration   Type = "duration" // Go syntax: 250ms, 10s, 1h30m
	Quantity   Type = "quantity" // bytes: 65536, 64Ki, 10M
	URL        Type = "url"
	StringList Type = "stringList"
	StringMap  Type = "stringMap"
)

// An Option is one setting of a class.
type Option struct {
	Name        string `json:"name"`
	Type        Type   `json:"type"`
	Description string `json:"description"`
	Required    bool   `json:"required,omitempty"`
	// Secret options are set through secretOptions only, never in plain text.
	Secret  bool            `json:"secret,omitempty"`
	Default json.RawMessage `json:"default,omitempty"`
	Enum    []string        `json:"enum,omitempty"`
	// Pattern is an RE2 expression; it applies to strings and to every item of a list.
	Pattern string `json:"pattern,omitempty"`
	// Minimum and Maximum bound an int, or a quantity in bytes.
	Minimum *int64 `json:"minimum,omitempty"`
	Maximum *int64 `json:"maximum,omitempty"`
	// MinimumDuration bounds a duration from below, in Go syntax.
	MinimumDuration string `json:"minimumDuration,omitempty"`
}

// A Footprint is what a class needs of its pod. The planner turns it into volumes,
// ports and rights; nothing in the controllers knows a class by name.
type Footprint struct {
	// State says that the class keeps bookmarks or files across restarts.
	State bool `json:"state,omitempty"`
	// NodeLogs says that the class reads /var/log/pods of its node.
	NodeLogs bool `json:"nodeLogs,omitempty"`
	// ReadsPods says that the class watches the pods of its node.
	ReadsPods bool `json:"readsPods,omitempty"`
	// LocalOnly says that the class makes sense on a laptop or in a tenant collector
	// only: it is refused on agents (stdout would feed the agents their own output).
	LocalOnly bool `json:"localOnly,omitempty"`
	// Ports are where the class listens. The planner makes container ports and a Service of
	// those whose option is set.
	Ports []Port `json:"ports,omitempty"`
}

// A Port is where a class listens, when its option of type int is not 0.
type Port struct {
	Name     string `json:"name"`     // of the container's and the Service's port
	Protocol string `json:"protocol"` // TCP or UDP
	// Option names the option that holds the port number in the pod.
	Option string `json:"option"`
	// Service is the port of the Service unless spec.collector.service says otherwise.
	Service int32 `json:"service"`
}

// A Class is one driver's description.
type Class struct {
	Name        string    `json:"class"`
	Role        Role      `json:"role"`
	Lifecycle   Lifecycle `json:"lifecycle,omitempty"`
	Placement   Placement `json:"placement,omitempty"`
	Description string    `json:"description"`
	Footprint   Footprint `json:"footprint,omitzero"`
	// Flags are the runtime switches a source class takes, in syslog-ng's names.
	Flags   []string `json:"flags,omitempty"`
	Options []Option `json:"options,omitempty"`
}

// ObjectName is the name of the DriverClass object: class and role, because one class
// name may stand on both ends (file, syslog).
func (c *Class) ObjectName() string { return ObjectName(c.Role, c.Name) }

// ObjectName is the name of the DriverClass object of a class: "http.destination".
func ObjectName(r Role, name string) string {
	if r == Destination {
		return name + ".destination"
	}
	return name + ".source"
}

// Option returns the option of that name, nil when the class has none.
func (c *Class) Option(name string) *Option {
	for i := range c.Options {
		if c.Options[i].Name == name {
			return &c.Options[i]
		}
	}
	return nil
}

// A Catalog is a set of classes by role and name. The zero value is empty.
type Catalog struct{ byName map[string]*Class }

// NewCatalog makes a catalog; of two classes with the same role and name the first stays.
func NewCatalog(classes ...*Class) Catalog {
	c := Catalog{byName: make(map[string]*Class, len(classes))}
	for _, k := range classes {
		if _, ok := c.byName[k.ObjectName()]; !ok {
			c.byName[k.ObjectName()] = k
		}
	}
	return c
}

// Get returns the class, nil when the catalog has none of that role and name.
func (c Catalog) Get(r Role, name string) *Class { return c.byName[ObjectName(r, name)] }

// Names lists the classes of a role, sorted.
func (c Catalog) Names(r Role) []string {
	var names []string
	for _, k := range c.byName {
		if k.Role == r {
			names = append(names, k.Name)
		}
	}
	sort.Strings(names)
	return names
}

// All lists every class, sorted by object name.
func (c Catalog) All() []*Class {
	all := make([]*Class, 0, len(c.byName))
	for _, k := range c.byName {
		all = append(all, k)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].ObjectName() < all[j].ObjectName() })
	return all
}
