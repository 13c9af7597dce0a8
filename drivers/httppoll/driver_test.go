package httppoll_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/drivertest"
	"github.com/logsource/operator/collector/netpolicy"
	"github.com/logsource/operator/drivers/httppoll"
)

// origin answers each poll with the messages offered since the last one, as lines, or with
// one message.
type origin struct {
	server *httptest.Server
	lines  bool

	mu      sync.Mutex // protects following
	offered []string
	down    bool
	hangs   chan struct{}
	hung    bool
}

func startOrigin(t *testing.T, lines bool) *origin {
	o := &origin{lines: lines}
	o.server = httptest.NewTLSServer(http.HandlerFunc(o.serve))
	t.Cleanup(o.server.Close)
	return o
}

func (o *origin) Setup() drivertest.Setup {
	split := "none"
	if o.lines {
		split = "lines"
	}
	return drivertest.Setup{
		Options: fmt.Sprintf(`{"url": %q, "interval": "100ms", "split": %q}`, o.server.URL+"/log", split),
		Secrets: map[string]string{"ca": caOf(o.server), "token": "opensesame\n"},
	}
}

func caOf(s *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}

func (o *origin) Offer(messages ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.offered = append(o.offered, messages...)
}

func (o *origin) Down() { o.setDown(true) }
func (o *origin) Up()   { o.setDown(false) }

func (o *origin) setDown(down bool) {
	o.mu.Lock()
	o.down = down
	o.mu.Unlock()
	if down {
		o.server.CloseClientConnections()
	}
}

func (o *origin) Hang() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hangs = make(chan struct{})
	return o.hangs
}

func (o *origin) serve(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer opensesame" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.down {
		panic(http.ErrAbortHandler)
	}
	if o.hangs != nil {
		o.hang(r)
		return
	}
	o.answer(w)
}

func (o *origin) hang(r *http.Request) {
	if !o.hung {
		close(o.hangs)
		o.hung = true
	}
	<-r.Context().Done()
}

func (o *origin) answer(w http.ResponseWriter) {
	if len(o.offered) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	n := len(o.offered)
	if !o.lines {
		n = 1
	}
	_, _ = w.Write([]byte(strings.Join(o.offered[:n], "\r\n")))
	o.offered = o.offered[n:]
}

var refused = map[string]string{
	`{}`:                                                     "url",
	`{"url": "ftp://host/x"}`:                                "ftp",
	`{"url": "http://user:pass@host/"}`:                      "secretOptions",
	`{"url": "http:///path"}`:                                "url",
	`{"url": "http://h", "method": "DELETE"}`:                "method",
	`{"url": "http://h", "body": "x"}`:                       "method",
	`{"url": "http://h", "interval": "1ms"}`:                 "interval",
	`{"url": "http://h", "timeout": "0s"}`:                   "timeout",
	`{"url": "http://h", "timeout": "soon"}`:                 "duration",
	`{"url": "http://h", "split": "words"}`:                  "split",
	`{"url": "http://h", "maxBody": 0}`:                      "maxBody",
	`{"url": "http://h", "maxBody": "1 apple"}`:              "bytes",
	`{"url": "http://h", "username": "a:b"}`:                 "colon",
	`{"url": "http://h", "headers": {"authorization": "x"}}`: "secretOptions",
	`{"url": "http://h", "headers": {"a b": "x"}}`:           "headers",
	`{"url": "http://h", "headers": {"a": "x\ny"}}`:          "headers",
}

func TestContract(t *testing.T) {
	t.Run("lines", func(t *testing.T) {
		drivertest.CheckFetcher(t, drivertest.FetcherHarness{
			Driver: httppoll.Driver, Refused: refused,
			Start: func(t *testing.T) drivertest.Origin { return startOrigin(t, true) },
		})
	})
	t.Run("one message per answer", func(t *testing.T) {
		drivertest.CheckFetcher(t, drivertest.FetcherHarness{
			Driver: httppoll.Driver, Messages: 5,
			Start: func(t *testing.T) drivertest.Origin { return startOrigin(t, false) },
		})
	})
}

// poll makes a fetcher of a server that answers with handler, opens it and fetches once.
type poll struct {
	t        *testing.T
	recorder *drivertest.Recorder
	fetcher  collector.Fetcher
}

func newPoll(t *testing.T, handler http.HandlerFunc, options string, secrets map[string]string) *poll {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return openPoll(t, server.URL, options, secrets, drivertest.NewRecorder())
}

func openPoll(t *testing.T, url, options string, secrets map[string]string, r *drivertest.Recorder) *poll {
	t.Helper()
	s := drivertest.Setup{Options: fmt.Sprintf(`{"url": %q, "interval": "100ms"%s}`, url, options), Secrets: secrets}
	p := &poll{t: t, recorder: r, fetcher: drivertest.MustNew[collector.Fetcher](t, httppoll.Driver, s, r)}
	if err := p.fetcher.Open(t.Context()); err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := p.fetcher.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return p
}

func (p *poll) fetch(maxMessages int) ([]string, error) {
	b := collector.NewBatch(nil, maxMessages, 1<<20)
	err := p.fetcher.Fetch(p.t.Context(), b)
	var got []string
	for i := range b.Len() {
		got = append(got, string(b.Body(i)))
	}
	return got, err
}

func TestWhatAnAnswerMeans(t *testing.T) {
	f := func(name string, handler http.HandlerFunc, want []string, wantErr string) {
		t.Helper()
		got, err := newPoll(t, handler, `, "maxBody": "1Ki"`, nil).fetch(10)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: messages (-want +got):\n%s", name, diff)
		}
		if fmt.Sprint(err) == "<nil>" && wantErr == "" {
			return
		}
		if err == nil || wantErr == "" || !strings.Contains(err.Error(), wantErr) {
			t.Errorf("%s: error %v, want one that contains %q", name, err, wantErr)
		}
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	body := func(n int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte("x"), n)) }
	}
	f("a body", body(5), []string{"xxxxx"}, "")
	f("a body as large as allowed", body(1024), []string{strings.Repeat("x", 1024)}, "")
	f("a body too large", body(1025), nil, "maxBody")
	f("an empty body", body(0), nil, collector.ErrNoData.Error())
	f("no content", status(204), nil, collector.ErrNoData.Error())
	f("not modified", status(304), nil, collector.ErrNoData.Error())
	f("unauthorized", status(401), nil, "secretOptions")
	f("forbidden", status(403), nil, "secretOptions")
	f("not found", status(404), nil, "url")
	f("unavailable", status(503), nil, "503")
	f("cut short", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("half a line"))
	}, nil, "unexpected EOF")
}

func TestRequest(t *testing.T) {
	p := newPoll(t, func(w http.ResponseWriter, r *http.Request) {
		body := new(bytes.Buffer)
		_, _ = body.ReadFrom(r.Body)
		user, password, _ := r.BasicAuth()
		fmt.Fprintf(w, "%s %s %s %s:%s", r.Method, body, r.Header.Get("X-Tenant"), user, password)
	}, `, "method": "POST", "body": "ask", "headers": {"x-tenant": "shop"}, "username": "me"`, map[string]string{"password": "p w\n"})
	got, err := p.fetch(1)
	if err != nil || len(got) != 1 || got[0] != "POST ask shop me:p w" {
		t.Errorf("the server saw %q, %v", got, err)
	}
}

func TestRestOfAnAnswerIsBookedAtStop(t *testing.T) {
	p := newPoll(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("a\n\nb\nc\n"))
	}, `, "split": "lines"`, nil)
	if got, err := p.fetch(1); err != nil || len(got) != 1 {
		t.Fatalf("fetch: %q, %v", got, err)
	}
	if err := p.fetcher.Close(); err != nil {
		t.Fatal(err)
	}
	if n := p.recorder.Lost("stopped_within_answer"); n != 2 {
		t.Errorf("%d messages are booked as lost, want 2", n)
	}
}

// tagged serves one document with an ETag.
func tagged(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("ETag", `"v1"`)
	if r.Header.Get("If-None-Match") == `"v1"` {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write([]byte("one\ntwo"))
}

func TestSameAnswerIsNotDeliveredTwice(t *testing.T) {
	p := newPoll(t, tagged, "", nil)
	if got, err := p.fetch(10); err != nil || len(got) != 1 {
		t.Fatalf("first fetch: %q, %v", got, err)
	}
	if got, err := p.fetch(10); !errors.Is(err, collector.ErrNoData) || len(got) != 0 {
		t.Errorf("second fetch: %q, %v, want no data", got, err)
	}
}

func TestSavedETag(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(tagged))
	t.Cleanup(server.Close)
	f := func(name, url, saved string, want int) {
		t.Helper()
		r := drivertest.NewRecorder()
		r.Save("etag", saved)
		got, err := openPoll(t, url, `, "split": "lines"`, nil, r).fetch(10)
		if len(got) != want || (err == nil) != (want > 0) {
			t.Errorf("%s: %q, %v, want %d messages", name, got, err, want)
		}
	}
	f("of this url", server.URL+"/a", server.URL+"/a\n\"v1\"", 0)
	f("of another url", server.URL+"/b", server.URL+"/a\n\"v1\"", 2)
	f("damaged", server.URL+"/a", "\x00", 2)
}

func TestRedirects(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("other:" + r.Header.Get("Authorization")))
	}))
	t.Cleanup(other.Close)
	hop := 0
	handler := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/other":
			http.Redirect(w, r, other.URL, http.StatusFound)
		case "/same":
			http.Redirect(w, r, "/end", http.StatusFound)
		case "/loop":
			hop++
			http.Redirect(w, r, "/loop", http.StatusFound)
		default:
			_, _ = w.Write([]byte("end:" + r.Header.Get("Authorization")))
		}
	}
	server := httptest.NewServer(http.HandlerFunc(handler))
	t.Cleanup(server.Close)
	f := func(name, path string, secrets map[string]string, want, wantErr string) {
		t.Helper()
		got, err := openPoll(t, server.URL+path, "", secrets, drivertest.NewRecorder()).fetch(1)
		if strings.Join(got, "") != want || (wantErr != "" && (err == nil || !strings.Contains(err.Error(), wantErr))) {
			t.Errorf("%s: %q, %v; want %q, %q", name, got, err, want, wantErr)
		}
	}
	token := map[string]string{"token": "t"}
	f("same host", "/same", token, "end:Bearer t", "")
	f("other host without credentials", "/other", nil, "other:", "")
	f("other host with credentials", "/other", token, "", "option url")
	f("loop", "/loop", nil, "", "redirects")
	if hop != 6 {
		t.Errorf("%d requests of a redirect loop, want 6", hop)
	}
}

func TestLinkLocalIsRefused(t *testing.T) {
	p := openPoll(t, "http://169.254.169.254/latest/meta-data", "", nil, drivertest.NewRecorder())
	if _, err := p.fetch(1); !errors.Is(err, netpolicy.ErrRefused) {
		t.Errorf("fetch: %v, want ErrRefused", err)
	}
	if n := p.recorder.Count("address_refused"); n != 1 {
		t.Errorf("%d refusals counted, want 1", n)
	}
	redirected := newPoll(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
	}, "", nil)
	if _, err := redirected.fetch(1); !errors.Is(err, netpolicy.ErrRefused) {
		t.Errorf("fetch through a redirect: %v, want ErrRefused", err)
	}
}

// TestInterval needs no server: time stands still unless everybody waits.
func TestInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		setup := drivertest.Setup{Options: `{"url": "http://169.254.0.1/", "interval": "7s"}`}
		f := drivertest.MustNew[collector.Fetcher](t, httppoll.Driver, setup, drivertest.NewRecorder())
		b := collector.NewBatch(nil, 1, 1)
		start := time.Now()
		elapsed := func(what string, want time.Duration) {
			t.Helper()
			if err := f.Fetch(t.Context(), b); !errors.Is(err, netpolicy.ErrRefused) {
				t.Fatalf("fetch: %v", err)
			}
			if got := time.Since(start); got != want {
				t.Errorf("%s after %s, want %s", what, got, want)
			}
		}
		open := func() {
			if err := f.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		open()
		elapsed("the first poll", 0)
		elapsed("the second poll", 7*time.Second)
		open()
		elapsed("the first poll after Open", 7*time.Second)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := f.Fetch(ctx, b); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a wait whose context ends: %v", err)
		}
		if got := time.Since(start); got != 8*time.Second {
			t.Errorf("the wait took until %s, want 8s", got)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
}
