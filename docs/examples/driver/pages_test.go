package driver_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A fence is a block of a page. Its mark is what follows the language: file=PATH, a whole
// file of this folder, or from=PATH, a part of a file of the repository.
type fence struct {
	line       int
	lang, mark string
	text       string
}

func readFences(t *testing.T, page string) (fences []fence) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var open *fence
	for i, line := range strings.Split(string(text), "\n") {
		rest, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && open == nil:
			open = &fence{line: i + 1}
			open.lang, open.mark, _ = strings.Cut(rest, " ")
		case isFence:
			fences, open = append(fences, *open), nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	if open != nil {
		t.Fatalf("%s:%d: the block has no end", page, open.line)
	}
	return fences
}

// The code that a page shows is the code that is compiled and tested.
func TestPagesShowTheFiles(t *testing.T) {
	shown := map[string]bool{}
	for _, page := range []string{"../../write-a-driver.md", "../../lifecycle.md"} {
		for _, f := range readFences(t, page) {
			kind, path, _ := strings.Cut(f.mark, "=")
			switch kind {
			case "file":
				shown[path] = true
				if want := read(t, path); f.text != want {
					t.Errorf("%s:%d: differs from docs/examples/driver/%s: copy the file into the block", page, f.line, path)
				}
			case "from":
				if !contains(read(t, filepath.Join("../../..", path)), f.text) {
					t.Errorf("%s:%d: this is not in %s: copy that part anew", page, f.line, path)
				}
			case "":
				if f.lang == "go" {
					t.Errorf("%s:%d: Go code without a file: mark the block file=PATH or from=PATH", page, f.line)
				}
			default:
				t.Errorf("%s:%d: the mark %q is neither file=PATH nor from=PATH", page, f.line, f.mark)
			}
		}
	}
	for _, file := range ownFiles(t) {
		if !shown[file] {
			t.Errorf("docs/write-a-driver.md does not show %s", file)
		}
	}
}

// contains says whether file has part in it, with or without the marks of its comments.
func contains(file, part string) bool {
	bare := regexp.MustCompile(`(?m)^//[ \t]?`).ReplaceAllString(file, "")
	return strings.Contains(file, part) || strings.Contains(bare, part)
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// ownFiles are the files that the page shows whole: all of the code but the tests and what
// is generated.
func ownFiles(t *testing.T) (files []string) {
	t.Helper()
	for _, pattern := range []string{"*.yaml", "Dockerfile", "cmd/*/*.go", "drivers/*.go", "drivers/*/*.go"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	files = slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, "_test.go") })
	if len(files) < 10 {
		t.Fatalf("%q are too few files", files)
	}
	return files
}

// A link of the pages leads to a file that is there.
func TestLinksOfThePages(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for _, page := range []string{"../../write-a-driver.md", "../../lifecycle.md", "../../architecture.md"} {
		for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
			}
		}
	}
}
