package httppush_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/drivertest"
	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/drivers/httppush"
)

func hello(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%d hello", i+1)
	}
	return all
}

// pusher posts the messages in one request as soon as the source listens. The poster of the
// contract acks nothing, so that the answer comes when the source is stopped.
func pusher(t *testing.T, messages []string) drivertest.Setup {
	port := freePort(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		pushOnce(ctx, fmt.Sprintf("http://127.0.0.1:%d/", port), strings.Join(messages, "\n"))
	}()
	t.Cleanup(func() { cancel(); <-done })
	return drivertest.Setup{Options: fmt.Sprintf(`{"port": %d, "insecure": true}`, port)}
}

func pushOnce(ctx context.Context, url, body string) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
		if err != nil {
			panic(err)
		}
		if answer, err := client.Do(request); err == nil {
			_ = answer.Body.Close()
			return
		}
		<-tick.C
	}
}

func TestContract(t *testing.T) {
	drivertest.CheckSource(t, drivertest.SourceHarness{
		Driver: httppush.Driver,
		Start:  func(t *testing.T) drivertest.Setup { return pusher(t, hello(25)) },
		Want:   hello(25),
		Refused: map[string]string{
			`{}`:                                          "insecure: true",
			`{"username": "u"}`:                           "password",
			`{"username": "a:b"}`:                         "password",
			`{"insecure": true, "username": "u"}`:         "insecure",
			`{"insecure": true, "port": 8686}`:            "8686",
			`{"insecure": true, "port": 0}`:               "port",
			`{"insecure": true, "port": 65536}`:           "port",
			`{"insecure": true, "path": "logs"}`:          "path",
			`{"insecure": true, "format": "xml"}`:         "format",
			`{"insecure": true, "messageField": ""}`:      "messageField",
			`{"insecure": true, "timeField": "message"}`:  "timeField",
			`{"insecure": true, "timeField": "severity"}`: "severityField",
			`{"insecure": true, "maxBody": "1"}`:          "maxBody",
			`{"insecure": true, "maxBody": "1Gi"}`:        "maxBody",
			`{"insecure": true, "maxMessageBytes": "1"}`:  "maxMessageBytes",
			`{"insecure": true, "maxRequests": 0}`:        "maxRequests",
			`{"insecure": true, "ackTimeout": "0s"}`:      "ackTimeout",
			`{"insecure": true, "readTimeout": "0s"}`:     "readTimeout",
			`{"insecure": true, "idleTimeout": "0s"}`:     "idleTimeout",
			`{"insecure": true, "idleTimeout": "soon"}`:   "duration",
		},
	})
}

// Secrets that do not belong together are refused before anything is opened.
func TestSecretsThatDoNotBelongTogether(t *testing.T) {
	f := func(options string, secrets map[string]string, want string) {
		t.Helper()
		_, err := drivertest.New[collector.Source](t, httppush.Driver, drivertest.Setup{Options: options, Secrets: secrets}, drivertest.NewRecorder())
		if got := fmt.Sprint(err); !strings.Contains(got, want) {
			t.Errorf("%s with %v: %s, want an error that names %q", options, secrets, got, want)
		}
	}
	f(`{"insecure": true}`, map[string]string{"token": "t"}, "insecure")
	f(`{"insecure": true}`, map[string]string{"tlsCert": "c"}, "tlsKey")
	f(`{"username": "u"}`, map[string]string{"token": "t"}, "token excludes")
	f(`{"username": "u:v"}`, map[string]string{"password": "p"}, "colon")
	f(``, map[string]string{"password": "p"}, "username")
	f(``, map[string]string{"clientCA": "c"}, "tlsCert")
}

func TestSecretsThatAreWrongAreErrorsOfInit(t *testing.T) {
	f := func(options string, secrets map[string]string, want string) {
		t.Helper()
		s, err := drivertest.New[collector.Source](t, httppush.Driver, drivertest.Setup{Options: options, Secrets: secrets}, drivertest.NewRecorder())
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(s.(collector.Initer).Init(t.Context())); !strings.Contains(got, want) {
			t.Errorf("%v: init says %s, want %q", secrets, got, want)
		}
		s.(collector.Deiniter).Deinit()
	}
	cert, key := certificate(t, "server", nil)
	f(``, map[string]string{"token": " \n"}, "token: the secret is empty")
	f(``, map[string]string{"token": "a\nb"}, "more than one line")
	f(`{"username": "u"}`, map[string]string{"password": ""}, "password: the secret is empty")
	f(`{"insecure": true}`, map[string]string{"tlsCert": cert, "tlsKey": cert}, "tlsCert and tlsKey")
	f(``, map[string]string{"tlsCert": cert, "tlsKey": key, "clientCA": ""}, "clientCA")
}

func TestPortInUseIsAnErrorOfInit(t *testing.T) {
	setup := drivertest.Setup{Options: fmt.Sprintf(`{"port": %d, "insecure": true}`, freePort(t))}
	first := drivertest.MustNew[collector.Source](t, httppush.Driver, setup, drivertest.NewRecorder())
	second, err := drivertest.New[collector.Source](t, httppush.Driver, setup, drivertest.NewRecorder())
	if err != nil {
		t.Fatal(err)
	}
	err = second.(collector.Initer).Init(t.Context())
	if got := fmt.Sprint(err); !strings.Contains(got, "option port") || !strings.Contains(got, "in use") {
		t.Errorf("init says %q", got)
	}
	first.(collector.Deiniter).Deinit()
	if err := second.(collector.Initer).Init(t.Context()); err != nil {
		t.Errorf("the port is free again, but init says %v", err)
	}
	second.(collector.Deiniter).Deinit()
}

const ndjson = "Content-Type: application/x-ndjson"

func TestWhatABodyIs(t *testing.T) {
	f := func(name, options, body, contentType string, want ...message) {
		t.Helper()
		r := start(t, options, nil, nil)
		before := time.Now().UnixNano()
		if got := r.post(body, "Content-Type: "+contentType); got.Status != http.StatusNoContent {
			t.Fatalf("%s: answer %+v", name, got)
		}
		got := r.sink.got
		for i := range got {
			if got[i].UnixNano == r.sink.received[i] { // without a time of its own
				got[i].UnixNano = 0
			}
			if n := r.sink.received[i]; n < before || n > time.Now().UnixNano() {
				t.Errorf("%s: message %d arrived at %d, which is not now", name, i, n)
			}
			if !strings.HasPrefix(r.sink.addrs[i], "127.0.0.1:") {
				t.Errorf("%s: message %d came from %q", name, i, r.sink.addrs[i])
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	text := func(s string) message { return message{Body: s} }
	at := time.Date(2026, 11, 23, 8, 0, 0, 5e8, time.UTC).UnixNano()
	const jsonType = "application/json; charset=utf-8"

	f("lines", ``, "a\n\nb\r\n {\"x\":1}", "text/plain", text("a"), text("b"), text(` {"x":1}`))
	f("lines of curl -d", ``, "a", "application/x-www-form-urlencoded", text("a"))
	f("lines by option", `, "format": "lines"`, "{}\n", jsonType, text("{}"))
	f("no body", ``, "", "text/plain")
	f("only line ends", ``, "\n\r\n\n", jsonType)
	f("a byte order mark", ``, "\xef\xbb\xbf{\"message\":\"a\"}", jsonType, text("a"))
	f("objects, one per line", ``, "{\"message\":\"a\",\"k\":\"v\",\"n\":1.50}\r\n  \n{\"message\":\"b\"}\n", "application/x-ndjson",
		message{Body: "a", Pairs: []string{"k=v", "n=1.50"}}, text("b"))
	f("json by option", `, "format": "json"`, `{"message":"a"}`, "text/plain", text("a"))
	f("json by suffix", ``, `{"message":"a"}`, "application/vnd.log+json", text("a"))
	f("one object over several lines", ``, "\n{\n \"message\":\n \"a\",\n \"o\": {\"x\": [1,\n2]}\n}\n", jsonType,
		message{Body: "a", Pairs: []string{"o={\"x\": [1,\n2]}"}})
	f("an array", ``, ` [ {"message":"a"} , 1, "s", [{"message":"b"}],{"message":"c"}] `, jsonType,
		text("a"), text("1"), text(`"s"`), text(`[{"message":"b"}]`), text("c"))
	f("an empty array", ``, `[ ]`, jsonType)
	f("a broken array", ``, "[{\"message\":\"a\"},\n{\"message\":", jsonType, text(`[{"message":"a"},`), text(`{"message":`))
	f("what is no object", ``, "{\"message\":\"a\"}\nplain\n{\"message\":\"b\"", "application/x-ndjson",
		text("a"), text("plain"), text(`{"message":"b"`))
	f("an object without the text", ``, `{"msg":"a"}`+"\n"+`{"message":null}`, "application/x-ndjson",
		message{Body: `{"msg":"a"}`, Pairs: []string{"msg=a"}}, text(`{"message":null}`))
	f("a text that is no string", ``, `{"message":{"a": 1}}`, jsonType, text(`{"a": 1}`))
	f("an empty text", ``, `{"message":""}`, jsonType, text(""))
	f("escapes", ``, `{"message":"a\tb\u00e9\ud83d\ude00","\u006b":"\""}`, jsonType, message{Body: "a\tbé😀", Pairs: []string{`k="`}})
	f("time and severity", ``, `{"time":"2026-11-23T10:00:00.5+02:00","severity":"Error","message":"a"}`, jsonType,
		message{Body: "a", UnixNano: at, Severity: "err", Facility: "user"})
	f("numbers", ``, `{"time":1795420800500,"severity":7,"message":"a"}`, jsonType,
		message{Body: "a", UnixNano: at, Severity: "debug", Facility: "user"})
	f("times and severities that are none", ``, `{"time":"yesterday","severity":"loud","message":"a"}`+"\n"+`{"time":null,"severity":8,"message":"b"}`, "application/jsonl",
		message{Body: "a", Pairs: []string{"time=yesterday", "severity=loud"}}, message{Body: "b", Pairs: []string{"severity=8"}})
	f("other members", `, "messageField": "msg", "timeField": "ts", "severityField": "level"`, `{"ts":1795420800.5,"level":"warn","msg":"a","time":"t"}`, jsonType,
		message{Body: "a", UnixNano: at, Severity: "warning", Facility: "user", Pairs: []string{"time=t"}})
	f("no member for time and severity", `, "timeField": "", "severityField": ""`, `{"time":1,"":"e","message":"a"}`, jsonType,
		message{Body: "a", Pairs: []string{"time=1", "=e"}})
}

func TestFacilityIsThatOfTheLogSource(t *testing.T) {
	r := start(t, ``, nil, func(p *plan.Plan) { p.Source.Message.DefaultPriority = new(17<<3 | 5) })
	r.post(`{"message":"a","severity":"alert"}`+"\n"+`{"message":"b"}`, ndjson)
	var got []string
	for _, m := range r.sink.got {
		got = append(got, m.Facility+"."+m.Severity)
	}
	if diff := cmp.Diff([]string{"local1.alert", "local1.notice"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOdditiesAreCounted(t *testing.T) {
	r := start(t, ``, nil, nil)
	r.post("x\ny\n{\"time\":\"z\"}\n{}", ndjson)
	got := map[string]string{"malformed": r.event("malformed"), "bad_time": r.event("bad_time")}
	if diff := cmp.Diff(map[string]string{"malformed": "2", "bad_time": "1"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What is refused is refused exactly so, with a reason that is counted, and nothing of it
// is posted.
func TestRefusals(t *testing.T) {
	r := start(t, `, "path": "/in", "maxBody": "4Ki", "maxMessageBytes": "1Ki"`, map[string]string{"token": "opensesame\n"}, nil)
	const auth = "Authorization: Bearer opensesame"
	long := strings.Repeat("x", 1025)
	f := func(method, path, body string, headers []string, status int, event, hint string) {
		t.Helper()
		before := r.event(event)
		got, err := r.send(t.Context(), method, path, strings.NewReader(body), headers...)
		if err != nil {
			t.Fatal(err)
		}
		if got.Status != status || !strings.Contains(got.text, hint) {
			t.Errorf("%s %s %v: %d %q, want %d with %q", method, path, headers, got.Status, got.text, status, hint)
		}
		if event != "" && r.event(event) == before {
			t.Errorf("%s %s %v: event %s was not counted", method, path, headers, event)
		}
	}
	f("POST", "/", "a", []string{auth}, 404, "", "/in")
	f("GET", "/", "", nil, 404, "", "/in")
	f("GET", "/in", "", []string{auth}, 405, "", "POST")
	f("PUT", "/in", "a", []string{auth}, 405, "", "POST")
	f("POST", "/in", "a", nil, 401, "unauthorized", "secretOptions")
	f("POST", "/in", "a", []string{"Authorization: Bearer opensesam"}, 401, "unauthorized", "")
	f("POST", "/in", "a", []string{"Authorization: Bearer OPENSESAME"}, 401, "unauthorized", "")
	f("POST", "/in", "a", []string{"Authorization: Basic opensesame"}, 401, "unauthorized", "")
	f("POST", "/in", "a", []string{auth, "Content-Encoding: br"}, 415, "unsupported_encoding", "gzip, zstd")
	f("POST", "/in", "a", []string{auth, "Content-Encoding: gzip, gzip"}, 415, "unsupported_encoding", "")
	f("POST", "/in", "a", []string{auth, "Content-Encoding: gzip"}, 400, "undecodable", "gzip")
	f("POST", "/in", "a", []string{auth, "Content-Encoding: zstd"}, 400, "undecodable", "zstd")
	f("POST", "/in", strings.Repeat("x\n", 2049), []string{auth}, 413, "body_too_large", "maxBody")
	f("POST", "/in", "ok\n"+long, []string{auth}, 413, "message_too_large", "maxMessageBytes")
	f("POST", "/in", `[{"message":"ok"}, "`+long+`"]`, []string{auth, "Content-Type: application/json"}, 413, "message_too_large", "maxMessageBytes")
	if got := r.accepted(); got != 0 {
		t.Errorf("%d messages of refused requests were accepted", got)
	}
	f("POST", "/in", strings.Repeat("x\n", 2048), []string{"Authorization: bEARER  opensesame"}, 204, "", "")
	f("POST", "/in", long[1:], []string{auth}, 204, "", "")
}

func TestHeadersOfRefusals(t *testing.T) {
	r := start(t, `, "username": "u"`, map[string]string{"password": "p"}, nil)
	f := func(method string, headers []string, name, want string) {
		t.Helper()
		got, err := r.send(t.Context(), method, "/", strings.NewReader("a"), headers...)
		if err != nil {
			t.Fatal(err)
		}
		if v := got.header.Get(name); v != want {
			t.Errorf("%s of %d is %q, want %q", name, got.Status, v, want)
		}
	}
	const auth = "Authorization: Basic dTpw" // u:p
	f("POST", nil, "WWW-Authenticate", `Basic realm="logs", charset="UTF-8"`)
	f("PUT", []string{auth}, "Allow", "POST")
	f("POST", []string{auth, "Content-Encoding: br"}, "Accept-Encoding", "gzip, zstd, identity")
	if got := r.post("a", auth); got.Status != http.StatusNoContent {
		t.Errorf("with the right credentials: %+v", got)
	}
}

// A chunked body says nothing of its length.
func TestChunkedBodies(t *testing.T) {
	r := start(t, `, "maxBody": "64Ki"`, nil, nil)
	f := func(lines, status int) {
		t.Helper()
		body := io.MultiReader(strings.NewReader(strings.Repeat("x\n", lines))) // of unknown length
		got, err := r.send(t.Context(), http.MethodPost, "/", body)
		if err != nil || got.Status != status {
			t.Errorf("%d lines: %+v, %v, want %d", lines, got, err, status)
		}
	}
	f(32<<10, http.StatusNoContent)
	f(32<<10+1, http.StatusRequestEntityTooLarge)
	f(10, http.StatusNoContent)
	if got, want := r.accepted(), int64(32<<10+10); got != want {
		t.Errorf("%d messages accepted, want %d", got, want)
	}
}
