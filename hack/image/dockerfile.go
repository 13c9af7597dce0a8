package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// A stage is what the final stage of a Dockerfile says.
type stage struct {
	Copies     []copyInstruction
	User       string
	WorkingDir string
	Entrypoint []string
	Cmd        []string
	Env        []string
	Labels     map[string]string
	Ports      map[string]struct{}
}

// A copyInstruction is one COPY. From is the name of an earlier stage, "" for the context.
type copyInstruction struct {
	From    string
	Sources []string
	Target  string
}

// An instruction is one logical line of a Dockerfile, its continuations joined.
type instruction struct {
	line int
	word string // upper case
	rest string
}

var directive = regexp.MustCompile(`^#\s*escape\s*=`)

func instructions(text string) ([]instruction, error) {
	var all []instruction
	open := false // the line before ended with a backslash
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if directive.MatchString(line) {
			return nil, fmt.Errorf("%d: the escape directive is not understood", i+1)
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue // a comment may stand between continued lines
		}
		body, continued := strings.CutSuffix(line, `\`)
		if open {
			last := &all[len(all)-1]
			last.rest = strings.TrimSpace(last.rest + " " + strings.TrimSpace(body))
		} else {
			word, rest, _ := strings.Cut(body, " ")
			all = append(all, instruction{i + 1, strings.ToUpper(word), strings.TrimSpace(rest)})
		}
		open = continued
	}
	return all, nil
}

// parseFinalStage reads the last stage of a Dockerfile; errors start with the line number.
// Earlier stages are not read: what they make comes from the -from directories.
func parseFinalStage(text string, buildArgs map[string]string) (*stage, error) {
	all, err := instructions(text)
	if err != nil {
		return nil, err
	}
	final := -1
	for i, in := range all {
		if in.word == "FROM" {
			final = i
		}
	}
	if final < 0 {
		return nil, errors.New("1: no FROM")
	}
	if from := all[final]; from.rest != "scratch" && !strings.HasPrefix(from.rest, "scratch ") {
		return nil, fmt.Errorf("%d: the final stage starts FROM %s; only scratch can be built without a registry", from.line, from.rest)
	}
	s := &stage{Labels: map[string]string{}, Ports: map[string]struct{}{}}
	args := map[string]string{}
	for _, in := range all[final+1:] {
		if err := s.take(in, args, buildArgs); err != nil {
			return nil, fmt.Errorf("%d: %s: %w", in.line, in.word, err)
		}
	}
	return s, nil
}

// take adds one instruction. args are the ARGs declared so far.
func (s *stage) take(in instruction, args, buildArgs map[string]string) (err error) {
	expand := func(text string) string { return os.Expand(text, func(name string) string { return args[name] }) }
	switch in.word {
	case "ARG":
		name, value, _ := strings.Cut(in.rest, "=")
		if given, ok := buildArgs[name]; ok {
			value = given
		}
		args[name] = expand(strings.Trim(value, `"`))
	case "COPY":
		return s.takeCopy(expand(in.rest))
	case "USER":
		s.User = expand(in.rest)
	case "WORKDIR":
		s.WorkingDir = expand(in.rest)
	case "ENTRYPOINT":
		s.Entrypoint, err = execForm(in.rest)
	case "CMD":
		s.Cmd, err = execForm(in.rest)
	case "EXPOSE":
		for _, port := range strings.Fields(expand(in.rest)) {
			s.Ports[withProtocol(port)] = struct{}{}
		}
	case "LABEL":
		return eachPair(in.rest, func(name, value string) { s.Labels[expand(name)] = expand(value) })
	case "ENV":
		return eachPair(in.rest, func(name, value string) { s.Env = append(s.Env, name+"="+expand(value)) })
	default:
		return errors.New("this instruction needs docker; a final stage of this image only copies files and sets metadata")
	}
	return err
}

func (s *stage) takeCopy(rest string) error {
	var c copyInstruction
	words := strings.Fields(rest)
	for len(words) > 0 && strings.HasPrefix(words[0], "--") {
		name, value, _ := strings.Cut(words[0], "=")
		if name != "--from" {
			return fmt.Errorf("the option %s is not understood", name)
		}
		c.From, words = value, words[1:]
	}
	if len(words) < 2 {
		return errors.New("wants a source and a target")
	}
	c.Sources, c.Target = words[:len(words)-1], words[len(words)-1]
	if len(c.Sources) > 1 && !strings.HasSuffix(c.Target, "/") {
		return fmt.Errorf("several sources need a target that ends with /, not %s", c.Target)
	}
	s.Copies = append(s.Copies, c)
	return nil
}

// execForm reads ["program", "argument"]; there is no shell for the other form.
func execForm(rest string) ([]string, error) {
	var words []string
	if err := json.Unmarshal([]byte(rest), &words); err != nil {
		return nil, fmt.Errorf(`%s is not of the form ["program", "argument"], and the image has no shell for the other form`, rest)
	}
	return words, nil
}

func withProtocol(port string) string {
	if strings.Contains(port, "/") {
		return port
	}
	return port + "/tcp"
}

var pair = regexp.MustCompile(`^([^\s=]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)(?:\s+|$)`)

// eachPair calls f for every name=value and name="value with spaces".
func eachPair(rest string, f func(name, value string)) error {
	for rest != "" {
		m := pair.FindStringSubmatch(rest)
		if m == nil {
			return fmt.Errorf("%q is not name=value", rest)
		}
		value := m[2]
		if strings.HasPrefix(value, `"`) {
			value = strings.ReplaceAll(value[1:len(value)-1], `\"`, `"`)
		}
		f(m[1], value)
		rest = rest[len(m[0]):]
	}
	return nil
}
