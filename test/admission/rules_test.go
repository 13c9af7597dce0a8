package admission_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/logsource/operator/collector/class"
)

// documents splits a YAML file.
func documents(data []byte) [][]byte { return bytes.Split(data, []byte("\n---\n")) }

// testClass is a class of testdata/classes.yaml.
func testClass(t *testing.T, name string) *class.Class {
	t.Helper()
	data, err := os.ReadFile("testdata/classes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range documents(data) {
		var obj struct {
			Metadata struct{ Name string }
			Spec     class.Class
		}
		if err := yaml.Unmarshal(doc, &obj); err != nil {
			t.Fatal(err)
		}
		if obj.Metadata.Name == name {
			return &obj.Spec
		}
	}
	t.Fatalf("testdata/classes.yaml has no %s", name)
	return nil
}

// The policy in the cluster and class.Check in the programs say the same in the same
// words, for every type and every bound.
func TestPolicySaysWhatCheckSays(t *testing.T) {
	k := testClass(t, "every.source")
	f := func(options string, secrets ...string) {
		t.Helper()
		problems := k.Check(decode(t, options), secrets)
		err := dryRun(t.Context(), withSecrets(logSource("every", plain(t, options)), secrets))
		if len(problems) == 0 {
			if err != nil {
				t.Errorf("%s: Check is content, the policy is not: %v", options, err)
			}
			return
		}
		if err == nil {
			t.Errorf("%s: Check says %v, the policy takes it", options, problems)
			return
		}
		for _, p := range problems {
			message, _, _ := strings.Cut(p.Message, "; did you mean")
			if want := "spec.source." + p.Field + ": " + message; !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the policy says\n%v\nwithout\n%s", options, err, want)
			}
		}
	}
	with := func(option, value string) {
		t.Helper()
		f(`{"url":"http://h","` + option + `":` + value + `}`)
	}
	f(`{}`)
	f(`{"url":"http://h"}`)
	f(`{"url":"http://h"}`, "token")
	f(`{"url":"http://h"}`, "tokn")
	f(`{"url":"http://h"}`, "path")
	f(`{"url":"http://h","token":"x"}`, "token")
	for _, v := range []string{`"not a url"`, `"/path"`, `"http://"`, `"mailto:a@b"`, `7`, `null`, `"https://h:1/p?q=1"`} {
		f(`{"url":` + v + `}`)
	}
	with("urll", `"x"`)
	for option, values := range map[string][]string{
		"method":   {`"GET"`, `"PUT"`, `1`},
		"path":     {`"/x"`, `"x"`, `true`},
		"pageSize": {`1`, `1000`, `0`, `1001`, `"5"`, `5.5`, `true`},
		"follow":   {`true`, `"yes"`, `1`},
		"timeout":  {`"100ms"`, `"99ms"`, `"1m0.5s"`, `"15 seconds"`, `15`, `""`, `"1234567890h"`, `"1h1h1h1h1h1h1h1h1h"`},
		"maxBody":  {`0`, `65536`, `-1`, `"64Ki"`, `1023`, `1024`, `"1k"`, `"2k"`, `"1Gi"`, `"1025Mi"`, `"8Mx"`, `"1.5M"`, `"-1"`, `1e30`, `"999999Ti"`, `"1000000Ti"`},
		"hosts":    {`[]`, `["a"]`, `["a","B"]`, `["a",1]`, `"a"`, `{}`},
		"levels":   {`["info","error"]`, `["info","debug"]`},
		"headers":  {`{}`, `{"a":"b"}`, `{"a":1}`, `["a"]`, `"a"`},
		"token":    {`"hunter2"`},
	} {
		for _, v := range values {
			with(option, v)
		}
	}
	f(`{"zzz":1,"pageSize":"5","token":"x"}`, "nosuch") // several at once
}

// What the policy says of flags and of a Service.
func TestPolicySaysWhatTheClassTakes(t *testing.T) {
	listening, every := testClass(t, "listening.source"), testClass(t, "every.source")
	f := func(k *class.Class, flags ...string) {
		t.Helper()
		obj := logSource(k.Name, map[string]any{})
		if k == every {
			obj = logSource(k.Name, map[string]any{"url": "http://h"})
		}
		list := make([]any, len(flags))
		for i := range flags {
			list[i] = flags[i]
		}
		if err := unstructured.SetNestedSlice(obj.Object, list, "spec", "source", "flags"); err != nil {
			t.Fatal(err)
		}
		refused(t, obj, k.CheckFlags(flags))
	}
	f(every)
	f(every, "no-parse")
	f(every, "no-header")
	f(every, "no-parse", "no-header", "store-raw-message")
	f(listening, "no-parse", "no-header", "no-hostname")
	f(listening, "no-hostname", "validate-utf8")
	f(listening, "no-hostname", "expect-hostname")

	service := func(k *class.Class, options map[string]any, problems ...class.Problem) {
		t.Helper()
		obj := logSource(k.Name, options)
		if err := unstructured.SetNestedMap(obj.Object, map[string]any{"type": "NodePort"}, "spec", "collector", "service"); err != nil {
			t.Fatal(err)
		}
		refused(t, obj, problems)
	}
	service(listening, nil)
	service(every, map[string]any{"url": "http://h"}, class.Problem{Field: "service", Message: "class every does not listen: remove it"})
}

// refused asks for every problem in what the apiserver says, and for none when there is none.
func refused(t *testing.T, obj *unstructured.Unstructured, problems []class.Problem) {
	t.Helper()
	err := dryRun(t.Context(), obj)
	if (err != nil) != (len(problems) > 0) {
		t.Errorf("the apiserver says %v, want %v", err, problems)
		return
	}
	for _, p := range problems {
		if !strings.Contains(err.Error(), "."+p.Field+": ") || !strings.Contains(err.Error(), p.Message) {
			t.Errorf("the apiserver says\n%v\nwithout %s: %s", err, p.Field, p.Message)
		}
	}
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

func plain(t *testing.T, doc string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := yaml.Unmarshal([]byte(doc), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func withSecrets(obj *unstructured.Unstructured, names []string) *unstructured.Unstructured {
	var list []any
	for _, name := range names {
		list = append(list, map[string]any{"option": name, "secretKeyRef": map[string]any{"name": "s", "key": "k"}})
	}
	if list != nil {
		obj.Object["spec"].(map[string]any)["source"].(map[string]any)["secretOptions"] = list
	}
	return obj
}

// The largest LogSource the schema takes, of the largest class, stays within the cost that
// the apiserver allows an expression: what is good is taken, what is wrong is named.
func TestLargestLogSource(t *testing.T) {
	flags := []any{"no-parse", "check-hostname", "syslog-protocol", "assume-utf8", "validate-utf8", "sanitize-utf8", "no-multi-line",
		"store-legacy-msghdr", "store-raw-message", "expect-hostname", "guess-timezone", "no-header", "no-rfc3164-fallback"}
	classes := wide(2, 64)
	classes[0].Object["spec"].(map[string]any)["flags"] = flags
	for i, k := range classes {
		name := []string{"largest-source", "largest"}[i]
		role, _, _ := unstructured.NestedString(k.Object, "spec", "role")
		k.SetName(name + "." + strings.ToLower(role))
		k.Object["spec"].(map[string]any)["class"] = name
		create(t, k)
	}
	obj := largeLogSource(16, 64)
	spec := obj.Object["spec"].(map[string]any)
	spec["source"].(map[string]any)["class"] = "largest-source"
	for _, d := range spec["destinations"].([]any) {
		d.(map[string]any)["class"] = "largest"
	}
	spec["source"].(map[string]any)["flags"] = flags
	wrong := obj.DeepCopy()
	for _, d := range wrong.Object["spec"].(map[string]any)["destinations"].([]any) {
		d.(map[string]any)["options"].(map[string]any)["option62"] = "no"
	}
	want := "spec.destinations[d0].options.option62: must be true or false"
	eventually(t, "a wrong one is refused by name", func() bool {
		err := dryRun(t.Context(), wrong)
		return err != nil && strings.Contains(err.Error(), want)
	})
	if err := dryRun(t.Context(), obj); err != nil {
		t.Errorf("the largest good LogSource is refused: %v", err)
	}
}
