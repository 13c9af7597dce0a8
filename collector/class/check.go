package class

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Problem is one thing that is wrong with the options of a source or a destination. It
// never holds a value: what was put into the wrong option may be a secret.
type Problem struct {
	// Option is the name of the option, empty when it is about something else.
	Option string
	// Field is where it stands: options.url or secretOptions[token].
	Field string
	// Message says what is wrong and what to do about it.
	Message string
}

// Check says everything that is wrong with the options of one source or destination, in
// the words of the admission policy. Numbers in options are json.Number; secretOptions
// are the names of the options that are set from Secrets.
func (c *Class) Check(options map[string]any, secretOptions []string) []Problem {
	var problems []Problem
	for _, name := range sorted(options) {
		if c.Option(name) == nil {
			problems = append(problems, inOptions(name, c.unknown(name)))
		}
	}
	for i := range c.Options {
		o := &c.Options[i]
		if message := c.checkOption(o, options, secretOptions); message != "" {
			problems = append(problems, inOptions(o.Name, message))
		}
	}
	for _, name := range secretOptions {
		if message := c.checkSecret(name, options); message != "" {
			problems = append(problems, Problem{name, "secretOptions[" + name + "]", message})
		}
	}
	return problems
}

// Default returns the options with the class's defaults for what is not set.
func (c *Class) Default(options map[string]any) map[string]any {
	out := make(map[string]any, len(c.Options))
	for i := range c.Options {
		if o := &c.Options[i]; len(o.Default) > 0 {
			out[o.Name] = o.Default
		}
	}
	for name, v := range options {
		out[name] = v
	}
	return out
}

func inOptions(name, message string) Problem { return Problem{name, "options." + name, message} }

func sorted(m map[string]any) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (c *Class) unknown(name string) string {
	message := fmt.Sprintf("class %s has no such option; it has: %s", c.Name, c.optionNames())
	if near := c.nearest(name); near != "" {
		message += fmt.Sprintf("; did you mean %q?", near)
	}
	return message
}

func (c *Class) optionNames() string {
	if len(c.Options) == 0 {
		return "none"
	}
	names := make([]string, len(c.Options))
	for i := range c.Options {
		names[i] = c.Options[i].Name
	}
	return strings.Join(names, ", ")
}

func (c *Class) checkOption(o *Option, options map[string]any, secretOptions []string) string {
	v, given := options[o.Name]
	switch {
	case given && o.Secret:
		return "is secret: set it through secretOptions, not in plain text"
	case given:
		return o.check(v)
	case o.Required && o.Secret && !slices.Contains(secretOptions, o.Name):
		return fmt.Sprintf("is required by class %s: set it through secretOptions", c.Name)
	case o.Required && !o.Secret:
		return "is required by class " + c.Name
	}
	return ""
}

func (c *Class) checkSecret(name string, options map[string]any) string {
	o := c.Option(name)
	if o == nil {
		return c.unknown(name)
	}
	if !o.Secret {
		return "is not secret: set it in options"
	}
	if _, twice := options[name]; twice {
		return "is set twice: remove it from options"
	}
	return ""
}

// check says what is wrong with a value, "" if nothing is. The admission policy says the
// same in CEL.
func (o *Option) check(v any) string {
	switch o.Type {
	case Int:
		return o.checkInt(v)
	case Bool:
		return want(isA[bool](v), "must be true or false")
	case Duration:
		return o.checkDuration(v)
	case Quantity:
		return o.checkBytes(v)
	case URL:
		return o.checkString(v, isURL, "must be a URL such as http://host:8080/path")
	case StringList:
		return o.checkList(v)
	case StringMap:
		return o.checkMap(v)
	}
	return o.checkString(v, func(string) bool { return true }, "must be a string")
}

func want(ok bool, message string) string {
	if ok {
		return ""
	}
	return message
}

func isA[T any](v any) bool {
	_, ok := v.(T)
	return ok
}

func (o *Option) checkInt(v any) string {
	n, ok := v.(json.Number)
	i, err := strconv.ParseInt(string(n), 10, 64)
	if !ok || err != nil {
		return "must be a whole number, without quotes"
	}
	return o.checkRange(i)
}

func (o *Option) checkRange(i int64) string {
	if o.Minimum != nil && i < *o.Minimum {
		return fmt.Sprintf("must be at least %d", *o.Minimum)
	}
	if o.Maximum != nil && i > *o.Maximum {
		return fmt.Sprintf("must be at most %d", *o.Maximum)
	}
	return ""
}

// The syntax of durations and byte counts, bounded so that no value overflows. The
// admission policy holds values to the same expressions.
const (
	DurationPattern = `^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$`
	QuantityPattern = `^([0-9]{1,18}|[0-9]{1,15}(k|Ki)|[0-9]{1,12}(M|Mi)|[0-9]{1,9}(G|Gi)|[0-9]{1,6}(T|Ti))$`
	// DurationMax is how many characters a duration may have.
	DurationMax = 16
)

var (
	durationSyntax = regexp.MustCompile(DurationPattern)
	quantitySyntax = regexp.MustCompile(QuantityPattern)
)

func (o *Option) checkDuration(v any) string {
	s, ok := v.(string)
	if !ok || len(s) > DurationMax || !durationSyntax.MatchString(s) {
		return "must be a duration such as 250ms, 10s or 1h30m"
	}
	if o.MinimumDuration == "" {
		return ""
	}
	d, err := time.ParseDuration(s)
	least, leastErr := time.ParseDuration(o.MinimumDuration)
	return want(err == nil && leastErr == nil && d >= least, "must be at least "+o.MinimumDuration)
}

// checkBytes takes a number as well as a quantity.
func (o *Option) checkBytes(v any) string {
	var s string
	switch v := v.(type) {
	case json.Number:
		s = string(v)
	case string:
		s = v
	}
	if !quantitySyntax.MatchString(s) {
		return "must be a number of bytes such as 65536, 64Ki or 10M"
	}
	return o.checkRange(bytesOf(s))
}

var units = map[string]int64{"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}

// bytesOf reads what matches QuantityPattern, which leaves no room for an overflow.
func bytesOf(s string) int64 {
	digits := strings.TrimRight(s, "kKMGTi")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		panic("BUG: QuantityPattern takes " + s)
	}
	return n * units[s[len(digits):]]
}

func isURL(s string) bool {
	u, err := url.ParseRequestURI(s)
	return err == nil && u.Scheme != "" && u.Host != ""
}

func (o *Option) checkString(v any, ok func(string) bool, message string) string {
	s, isString := v.(string)
	if !isString || !ok(s) {
		return message
	}
	return o.checkText(s)
}

func (o *Option) checkList(v any) string {
	list, ok := v.([]any)
	if !ok || slices.ContainsFunc(list, func(e any) bool { return !isA[string](e) }) {
		return "must be a list of strings"
	}
	for _, e := range list {
		if message := o.checkText(e.(string)); message != "" {
			return "every item " + message
		}
	}
	return ""
}

func (o *Option) checkMap(v any) string {
	m, ok := v.(map[string]any)
	for _, e := range m {
		ok = ok && isA[string](e)
	}
	return want(ok, "must be a map of strings")
}

// checkText holds a string, or an item of a list, to the enum and the pattern.
func (o *Option) checkText(s string) string {
	if len(o.Enum) > 0 && !slices.Contains(o.Enum, s) {
		return "must be one of " + strings.Join(o.Enum, ", ")
	}
	if o.Pattern == "" {
		return ""
	}
	re, err := regexp.Compile(o.Pattern)
	return want(err == nil && re.MatchString(s), "must match "+o.Pattern)
}

// nearest returns the option that a misspelt name most likely means, "" if none is near.
func (c *Class) nearest(name string) string {
	best, least := "", 1+min(len(name)-1, max(2, len(name)/3))
	for i := range c.Options {
		d := distance(strings.ToLower(name), strings.ToLower(c.Options[i].Name))
		if d < least {
			best, least = c.Options[i].Name, d
		}
	}
	return best
}

// distance counts the edits (insert, delete, replace) from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			edit := diagonal
			if a[i] != b[j] {
				edit++
			}
			diagonal = row[j+1]
			row[j+1] = min(edit, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
