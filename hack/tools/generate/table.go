package main

import (
	"fmt"
	"os"
	"strings"
)

// The table stands between these two lines of a driver's README.
const (
	tableBegin = "<!-- options -->"
	tableEnd   = "<!-- /options -->"
)

// writeTable replaces the option table of a README.
func writeTable(path string, options []option) error {
	old, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return fmt.Errorf("has no README.md: write it, with a line %s and a line %s", tableBegin, tableEnd)
	}
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(old), tableBegin+"\n")
	if !ok {
		return fmt.Errorf("README.md has no line %s", tableBegin)
	}
	_, after, ok := strings.Cut(rest, tableEnd)
	if !ok {
		return fmt.Errorf("README.md has no line %s after %s", tableEnd, tableBegin)
	}
	text := before + tableBegin + "\n" + table(options) + tableEnd + after
	return os.WriteFile(path, []byte(text), 0o644)
}

func table(options []option) string {
	if len(options) == 0 {
		return "This class has no options.\n"
	}
	var b strings.Builder
	b.WriteString("| option | type | default | meaning |\n|---|---|---|---|\n")
	for _, o := range options {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", o.Name, o.kind(), o.fallback(), cell(o.Description+o.bounds()))
	}
	return b.String()
}

func (o option) kind() string {
	if o.Secret {
		return "secret"
	}
	return o.Type
}

func (o option) fallback() string {
	switch {
	case o.Required:
		return "**required**"
	case o.Default != nil:
		return "`" + string(o.Default) + "`"
	}
	return ""
}

// bounds says in words what the value is held to.
func (o option) bounds() string {
	var b strings.Builder
	if len(o.Enum) > 0 {
		fmt.Fprintf(&b, " One of `%s`.", strings.Join(o.Enum, "`, `"))
	}
	if o.Pattern != "" {
		fmt.Fprintf(&b, " Pattern `%s`.", o.Pattern)
	}
	if o.Minimum != nil {
		fmt.Fprintf(&b, " At least %d.", *o.Minimum)
	}
	if o.Maximum != nil {
		fmt.Fprintf(&b, " At most %d.", *o.Maximum)
	}
	if o.MinimumDuration != "" {
		fmt.Fprintf(&b, " At least %s.", o.MinimumDuration)
	}
	return b.String()
}

// cell keeps a text inside one cell of a table.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s)
}
