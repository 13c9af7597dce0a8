package httppush

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A member is one of an object, as the oracle and the scanner see it.
type member struct{ Name, Value string }

// oracleObject takes an object apart with encoding/json: slow, allocating and obvious.
func oracleObject(line []byte) (members []member, ok bool) {
	if !json.Valid(line) {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(line))
	if brace, err := d.Token(); err != nil || brace != json.Delim('{') {
		return nil, false
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, false
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, false
		}
		value := string(raw)
		if raw[0] == '"' && json.Unmarshal(raw, &value) != nil {
			return nil, false
		}
		members = append(members, member{name.(string), value})
	}
	return members, true
}

// valid has what encoding/json makes of bytes that are not UTF-8; the scanner keeps them.
func valid(s []byte) string { return string([]rune(string(s))) }

// scanObject is the same by the scanner. No member has a meaning.
func scanObject(line []byte) (members []member, ok bool) {
	e := event{fields: &fields{}}
	if !e.read(line) {
		return nil, false
	}
	for _, p := range e.pairs {
		members = append(members, member{valid(p.Name), valid(p.Value)})
	}
	return members, true
}

func checkObject(t *testing.T, line []byte) {
	t.Helper()
	want, wantOK := oracleObject(line)
	got, ok := scanObject(line)
	if len(want) > maxMembers {
		wantOK, want = false, nil
	}
	if ok != wantOK {
		t.Fatalf("%.200q: the scanner says %v, encoding/json says %v", line, ok, wantOK)
	}
	for i := range want { // values that are no strings are raw in both, invalid UTF-8 too
		want[i].Value = valid([]byte(want[i].Value))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%.200q: members (-encoding/json +scanner):\n%s", line, diff)
	}
}

var objects = []string{
	`{}`, `{"a":1}`, ` { "a" : "b" , "c" : [ 1 , { "d" : null } ] } `, `{"a":{"b":{}},"c":[[],[]]}`,
	`{"a":"\u00e9\n\"\\\/\b\f\r\t"}`, `{"\u0061\ud83d\ude00":"\ud83d\ude00"}`, `{"a":"\ud800","b":"\udc00\ud800x"}`,
	`{"a":"\ud800\u0041"}`, `{"a":"\ud800\u12"}`, "{\"a\":\"\xff\xc3\"}", "{\"a\":\"\x1f\"}", "{\"a\":\"\x7f\u2028\"}",
	`{"a":-0.5e+10,"b":0,"c":1E9,"d":10.25}`, `{"a":01}`, `{"a":-}`, `{"a":1.}`, `{"a":.5}`, `{"a":1e}`, `{"a":+1}`,
	`{"a":true,"b":false,"c":null}`, `{"a":tru}`, `{"a":nul}`, `{"a":True}`, `{"a":NaN}`,
	`{"a":1,}`, `{,"a":1}`, `{"a" 1}`, `{"a":}`, `{"a"}`, `{a:1}`, `{"a":1 "b":2}`, `{"a":[1,]}`, `{"a":[,1]}`, `{"a":[1 2]}`,
	`{"a":{"b":1,}}`, `{"a":{b:1}}`, `{"a":[}`, `{"a":{]}`, `{"a":1}}`, `{"a":1}x`, `{"a":1}{"b":2}`, `{"a":"`, `{"a":"\`, `{"a":"\u1`,
	`{"a":"\x"}`, `{"a":"b\u00zz"}`, `{"a":1`, `{`, ``, ` `, `[]`, `"a"`, `1`, `null`, `{"a":1,"a":2}`, `{"":""}`, "{\"a\":1\x00}", "{\"a\"\f:1}",
	`{"long":"` + strings.Repeat("x", 7) + `\n` + strings.Repeat("y", 17) + `"}`,
}

func TestObjects(t *testing.T) {
	for _, o := range objects {
		checkObject(t, []byte(o))
		for i := range o { // cut short at every byte
			checkObject(t, []byte(o[:i]))
		}
	}
}

// Every byte, at every place of the eight that are looked at together.
func TestEveryByteOfAString(t *testing.T) {
	for c := range 256 {
		for at := range 10 {
			line := []byte(`{"a":"0123456789abcdef"}`)
			line[len(`{"a":"`)+at] = byte(c)
			checkObject(t, line)
		}
	}
}

func TestBoundsOfAnObject(t *testing.T) {
	f := func(depth int) {
		t.Helper()
		checkObject(t, []byte(`{"a":`+strings.Repeat("[", depth-1)+strings.Repeat("]", depth-1)+`}`))
		checkObject(t, []byte(strings.Repeat(`{"a":`, depth)+"1"+strings.Repeat("}", depth)))
	}
	f(maxDepth)
	f(maxDepth + 1)
	f(10 * maxDepth)
	many := func(n int) { t.Helper(); checkObject(t, []byte(`{`+strings.Repeat(`"":1,`, n-1)+`"":1}`)) }
	many(maxMembers)
	many(maxMembers + 1)
	many(10 * maxMembers)
}

func FuzzJSONLine(f *testing.F) {
	for _, o := range objects {
		f.Add([]byte(o))
	}
	f.Fuzz(func(t *testing.T, line []byte) { checkObject(t, line) })
}

// The form of a whole body, and the elements of an array, are those of encoding/json too.
func FuzzJSONBody(f *testing.F) {
	for _, o := range objects {
		f.Add([]byte(`[` + o + `,` + o + `]`))
		f.Add([]byte(o + "\n" + o))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m := newMessages(body, true, &fields{})
		defer m.free()
		if diff := cmp.Diff(oracleForm(body), m.form); diff != "" {
			t.Fatalf("%q: form (-want +got):\n%s", body, diff)
		}
		var elements []json.RawMessage
		if m.form != jsonArray || json.Unmarshal(body, &elements) != nil {
			return
		}
		for i, want := range elements {
			if got, ok := m.cut(); !ok || string(got) != string(want) {
				t.Fatalf("%q: element %d is %q, want %q", body, i, got, want)
			}
		}
		if more, ok := m.cut(); ok {
			t.Fatalf("%q: one element too many: %q", body, more)
		}
	})
}

func oracleForm(body []byte) form {
	switch text := bytes.TrimLeft(body, " \t\r\n"); {
	case !json.Valid(body):
		return jsonLines
	case text[0] == '[':
		return jsonArray
	case text[0] == '{':
		return jsonOne
	}
	return jsonLines
}

func TestReadingAllocatesNothing(t *testing.T) {
	line := []byte(`{"time":"2026-11-23T08:00:00.123+02:00","severity":"Error","message":"a \"quoted\" word","n":[1,2,{"x":null}],"k":"v"}`)
	e := event{fields: &fields{message: "message", time: "time", severity: "severity"}}
	e.read(line)
	if n := testing.AllocsPerRun(100, func() { e.read(line) }); n != 0 {
		t.Errorf("%v allocations per object, want 0", n)
	}
}
