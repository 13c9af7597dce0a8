package class

import (
	"fmt"
	"slices"
	"strings"
)

// NoParse is the flag that takes a message as it is. syslog-ng: flags(no-parse).
const NoParse = "no-parse"

// TakenFlags are the flags that a LogSource of this class may set. A class that lists none
// takes no-parse alone, which does nothing there: nothing is parsed.
func (c *Class) TakenFlags() []string {
	if len(c.Flags) == 0 {
		return []string{NoParse}
	}
	return c.Flags
}

// contradictions are flags of which a source may have one at most. The CRDs have a rule for
// each pair, in the same words.
var contradictions = [][2]string{{"no-hostname", "expect-hostname"}, {"store-legacy-msghdr", "dont-store-legacy-msghdr"}}

// CheckFlags says everything that is wrong with the flags of a source, in the words of the
// admission policy. The Option of its problems is empty.
func (c *Class) CheckFlags(flags []string) []Problem {
	var problems []Problem
	taken := c.TakenFlags()
	for i, flag := range flags {
		at := fmt.Sprintf("flags[%d]", i)
		if !slices.Contains(taken, flag) {
			problems = append(problems, Problem{Field: at, Message: fmt.Sprintf("class %s does not take %s; it takes: %s", c.Name, flag, strings.Join(taken, ", "))})
		}
		if slices.Contains(flags[:i], flag) {
			problems = append(problems, Problem{Field: at, Message: flag + " is given twice: remove one"})
		}
	}
	for _, pair := range contradictions {
		if slices.Contains(flags, pair[0]) && slices.Contains(flags, pair[1]) {
			problems = append(problems, Problem{Field: "flags", Message: pair[0] + " and " + pair[1] + " contradict each other: keep one of them"})
		}
	}
	return problems
}
