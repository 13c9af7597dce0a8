package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/logsource/operator/collector/class"
)

// drivers lists the classes, or one of them with its options.
func (p program) drivers(args []string) error {
	catalog := p.registry.Catalog()
	if len(args) == 0 {
		return p.listClasses(catalog)
	}
	found := false
	for _, c := range catalog.All() {
		if c.Name != args[0] && c.ObjectName() != args[0] {
			continue
		}
		if found {
			fmt.Fprintln(p.stdout)
		}
		found = true
		p.describeClass(c)
	}
	if !found {
		return fmt.Errorf("no class %q; 'collector drivers' lists them", args[0])
	}
	return nil
}

func (p program) listClasses(catalog class.Catalog) error {
	table := tabwriter.NewWriter(p.stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "CLASS\tROLE\tLIFECYCLE\tPLACEMENT\tDESCRIPTION")
	for _, c := range catalog.All() {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", c.Name, c.Role, c.Lifecycle, c.Placement, c.Description)
	}
	return table.Flush()
}

func (p program) describeClass(c *class.Class) {
	fmt.Fprintf(p.stdout, "%s (%s)\n%s\n", c.Name, strings.ToLower(string(c.Role)), c.Description)
	p.describeSource(c)
	for i := range c.Options {
		o := &c.Options[i]
		fmt.Fprintf(p.stdout, "\n  %s  %s%s\n", o.Name, o.Type, traits(o))
		for _, line := range wrap(o.Description, 88) {
			fmt.Fprintf(p.stdout, "      %s\n", line)
		}
	}
}

// describeSource says what only a source has: its flags, and where it listens.
func (p program) describeSource(c *class.Class) {
	if c.Role != class.Source {
		return
	}
	for i, line := range wrap(strings.Join(c.TakenFlags(), " "), 88) {
		fmt.Fprintf(p.stdout, "%s%s\n", []string{"\n  flags  ", "         "}[min(i, 1)], line)
	}
	for _, port := range c.Footprint.Ports {
		fmt.Fprintf(p.stdout, "  port %s  %s, at options.%s (0 is off), port %d of the Service\n", port.Name, port.Protocol, port.Option, port.Service)
	}
}

// traits says in brackets what an option's value may be.
func traits(o *class.Option) string {
	var t []string
	if o.Required {
		t = append(t, "required")
	}
	if o.Secret {
		t = append(t, "set through secretOptions")
	}
	if len(o.Default) > 0 {
		t = append(t, "default "+string(o.Default))
	}
	if len(o.Enum) > 0 {
		t = append(t, "one of "+strings.Join(o.Enum, ", "))
	}
	if o.Minimum != nil {
		t = append(t, fmt.Sprint("at least ", *o.Minimum))
	}
	if o.MinimumDuration != "" {
		t = append(t, "at least "+o.MinimumDuration)
	}
	if o.Maximum != nil {
		t = append(t, fmt.Sprint("at most ", *o.Maximum))
	}
	if len(t) == 0 {
		return ""
	}
	return "  (" + strings.Join(t, "; ") + ")"
}

func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
