package main

import (
	"strings"
	"testing"
)

func TestSummarize(t *testing.T) {
	var out strings.Builder
	s, err := summarize(strings.NewReader(`
{"Action":"output","Package":"good","Test":"TestA","Output":"chatter of a test that passed\n"}
{"Action":"output","Package":"good","Test":"TestA","Output":"    a_test.go:1: figure: 5 kills\\n"}
{"Action":"pass","Package":"good","Test":"TestA","Elapsed":0.1}
{"Action":"skip","Package":"good","Test":"TestB"}
{"Action":"pass","Package":"good","Elapsed":0.5}
{"Action":"output","Package":"bad","Test":"TestC","Output":"want 1, got 2\n"}
{"Action":"fail","Package":"bad","Test":"TestC"}
{"Action":"fail","Package":"bad","Elapsed":1}
{"Action":"output","Package":"crashed","Test":"TestD","Output":"panic: boom\n"}
{"Action":"fail","Package":"crashed","Elapsed":1}
{"ImportPath":"broken","Action":"build-output","Output":"x.go:1: undefined: y\n"}
{"ImportPath":"broken","Action":"build-fail"}
{"Action":"fail","Package":"broken","Elapsed":0}
{"Action":"skip","Package":"empty"}
`), &out, false)
	if err != nil {
		t.Fatal(err)
	}
	if s.packages != 4 || s.passed != 1 || s.failed != 3 || s.skipped != 1 {
		t.Errorf("%d packages, %d passed, %d failed, %d skipped; want 4, 1, 3, 1", s.packages, s.passed, s.failed, s.skipped)
	}
	for _, want := range []string{"ok  \tgood\t0.5s", "FAIL\tbad\t1.0s", "bad TestC\nwant 1, got 2", "crashed\npanic: boom", "undefined: y", "figure: 5 kills", "-   \tempty"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "chatter") {
		t.Error("the output of a test that passed is shown")
	}
}
