package class_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector/class"
)

func ptr(i int64) *int64 { return &i }

// every has an option of every type and bound.
var every = &class.Class{
	Name: "every",
	Role: class.Source,
	Options: []class.Option{
		{Name: "url", Type: class.URL, Required: true},
		{Name: "method", Type: class.String, Enum: []string{"GET", "POST"}, Default: json.RawMessage(`"GET"`)},
		{Name: "path", Type: class.String, Pattern: "^/"},
		{Name: "pageSize", Type: class.Int, Minimum: ptr(1), Maximum: ptr(1000), Default: json.RawMessage(`100`)},
		{Name: "follow", Type: class.Bool},
		{Name: "timeout", Type: class.Duration, MinimumDuration: "100ms"},
		{Name: "maxBody", Type: class.Quantity, Minimum: ptr(1024), Maximum: ptr(1 << 30)},
		{Name: "hosts", Type: class.StringList, Pattern: "^[a-z]+$"},
		{Name: "headers", Type: class.StringMap},
		{Name: "token", Type: class.String, Secret: true},
	},
}

func decode(t *testing.T, doc string) map[string]any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(doc))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestCheck(t *testing.T) {
	const names = "url, method, path, pageSize, follow, timeout, maxBody, hosts, headers, token"
	f := func(options string, secrets []string, want ...class.Problem) {
		t.Helper()
		doc := strings.Replace(options, "{", `{"url": "http://h",`, 1)
		got := every.Check(decode(t, strings.Replace(doc, ",}", "}", 1)), secrets)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s %v: (-want +got)\n%s", options, secrets, diff)
		}
	}
	bad := func(option, value, message string) {
		t.Helper()
		f(`{"`+option+`":`+value+`}`, nil, class.Problem{option, "options." + option, message})
	}
	good := func(option, value string) {
		t.Helper()
		f(`{"`+option+`":`+value+`}`, nil)
	}
	f(`{}`, nil)
	f(`{}`, []string{"token"})

	bad("tiemout", `"1s"`, `class every has no such option; it has: `+names+`; did you mean "timeout"?`)
	bad("zzz", `1`, `class every has no such option; it has: `+names)
	bad("url", `"not a url"`, "must be a URL such as http://host:8080/path")
	bad("url", `"/path"`, "must be a URL such as http://host:8080/path")
	bad("url", `7`, "must be a URL such as http://host:8080/path")
	bad("path", `"x"`, "must match ^/")
	bad("path", `null`, "must be a string")
	bad("method", `"PUT"`, "must be one of GET, POST")
	bad("pageSize", `"5"`, "must be a whole number, without quotes")
	bad("pageSize", `5.5`, "must be a whole number, without quotes")
	bad("pageSize", `0`, "must be at least 1")
	bad("pageSize", `1001`, "must be at most 1000")
	bad("follow", `"yes"`, "must be true or false")
	bad("timeout", `"15 seconds"`, "must be a duration such as 250ms, 10s or 1h30m")
	bad("timeout", `15`, "must be a duration such as 250ms, 10s or 1h30m")
	bad("timeout", `"99ms"`, "must be at least 100ms")
	bad("maxBody", `"8Mx"`, "must be a number of bytes such as 65536, 64Ki or 10M")
	bad("maxBody", `-1`, "must be a number of bytes such as 65536, 64Ki or 10M")
	bad("maxBody", `1023`, "must be at least 1024")
	bad("maxBody", `"1k"`, "must be at least 1024")
	bad("maxBody", `"1025Mi"`, "must be at most 1073741824")
	bad("hosts", `"a"`, "must be a list of strings")
	bad("hosts", `["a", 1]`, "must be a list of strings")
	bad("hosts", `["a", "B"]`, "every item must match ^[a-z]+$")
	bad("headers", `{"a": 1}`, "must be a map of strings")
	bad("headers", `["a"]`, "must be a map of strings")
	bad("token", `"hunter2"`, "is secret: set it through secretOptions, not in plain text")

	good("pageSize", "1000")
	good("timeout", `"1m0.5s"`)
	good("maxBody", "65536")
	good("maxBody", `"64Ki"`)
	good("maxBody", `"1Gi"`)
	good("hosts", `[]`)
	good("headers", `{"a": "b"}`)

	f(`{}`, []string{"url"},
		class.Problem{"url", "secretOptions[url]", "is not secret: set it in options"})
	f(`{}`, []string{"tokn"},
		class.Problem{"tokn", "secretOptions[tokn]", `class every has no such option; it has: ` + names + `; did you mean "token"?`})
	f(`{"token": "x"}`, []string{"token"},
		class.Problem{"token", "options.token", "is secret: set it through secretOptions, not in plain text"},
		class.Problem{"token", "secretOptions[token]", "is set twice: remove it from options"})
}

func TestCheckMissing(t *testing.T) {
	needy := &class.Class{Name: "needy", Options: []class.Option{
		{Name: "url", Type: class.URL, Required: true},
		{Name: "token", Type: class.String, Secret: true, Required: true},
	}}
	got := needy.Check(nil, nil)
	want := []class.Problem{
		{"url", "options.url", "is required by class needy"},
		{"token", "options.token", "is required by class needy: set it through secretOptions"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := needy.Check(decode(t, `{"url": "http://h"}`), []string{"token"}); got != nil {
		t.Errorf("got %v, want none", got)
	}
}

func TestDefault(t *testing.T) {
	got := every.Default(decode(t, `{"url": "http://h", "pageSize": 7}`))
	raw, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"method":"GET","pageSize":7,"url":"http://h"}`; string(raw) != want {
		t.Errorf("got %s, want %s", raw, want)
	}
}
