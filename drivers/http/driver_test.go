package http_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/drivertest"
	"github.com/logsource/operator/collector/netpolicy"
	driver "github.com/logsource/operator/drivers/http"
)

// target takes raw lines and remembers them.
type target struct {
	server  *httptest.Server
	options string

	mu       sync.Mutex // protects following
	got      []string
	requests int
	down     bool
	bad      func(string) bool
	hangs    chan struct{}
	hung     bool
	limit    int // of a body, in bytes; 0 means none
}

func startTarget(t *testing.T, options string) *target {
	s := &target{options: options}
	s.server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.server.EnableHTTP2 = strings.Contains(options, "PUT")
	s.server.StartTLS()
	t.Cleanup(s.server.Close)
	return s
}

func (s *target) Setup() drivertest.Setup {
	return drivertest.Setup{
		Options: fmt.Sprintf(`{"url": %q, "format": "raw"%s}`, s.server.URL+"/ingest", s.options),
		Secrets: map[string]string{"ca": caOf(s.server), "token": "opensesame\n"},
	}
}

func caOf(s *httptest.Server) string { return pemOf("CERTIFICATE", s.Certificate().Raw) }

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func (s *target) Received(*testing.T) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.got...)
}

func (s *target) Down() { s.setDown(true) }
func (s *target) Up()   { s.setDown(false) }

func (s *target) setDown(down bool) {
	s.mu.Lock()
	s.down = down
	s.mu.Unlock()
	if down {
		s.server.CloseClientConnections()
	}
}

func (s *target) Refuse(bad func(string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bad = bad
}

func (s *target) Hang() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hangs = make(chan struct{})
	return s.hangs
}

func (s *target) Resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hangs = nil
}

func (s *target) serve(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer opensesame" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	lines, size := read(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	switch {
	case s.down:
		panic(http.ErrAbortHandler)
	case s.hangs != nil:
		s.hang(r)
	case s.limit > 0 && size > s.limit:
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	case s.refuses(lines):
		http.Error(w, "there is poison in it", http.StatusBadRequest)
	default:
		s.got = append(s.got, lines...)
	}
}

func (s *target) hang(r *http.Request) {
	if !s.hung {
		close(s.hangs)
		s.hung = true
	}
	<-r.Context().Done()
}

func (s *target) refuses(lines []string) bool {
	for _, l := range lines {
		if s.bad != nil && s.bad(l) {
			return true
		}
	}
	return false
}

// read decodes the body of a request; what cannot be decoded is one strange line.
func read(r *http.Request) (lines []string, size int) {
	body := io.Reader(r.Body)
	switch r.Header.Get("Content-Encoding") {
	case "gzip":
		g, err := gzip.NewReader(r.Body)
		if err != nil {
			return []string{err.Error()}, 0
		}
		body = g
	case "zstd":
		z, err := zstd.NewReader(r.Body, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return []string{err.Error()}, 0
		}
		defer z.Close()
		body = z
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return []string{err.Error()}, 0
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"), len(text)
}

var refused = map[string]string{
	`{}`:                                                           "url",
	`{"url": "gopher://h"}`:                                        "gopher",
	`{"url": "http://u:p@h"}`:                                      "secretOptions",
	`{"url": "http://h", "method": "GET"}`:                         "method",
	`{"url": "http://h", "format": "xml"}`:                         "format",
	`{"url": "http://h", "compression": "lzma"}`:                   "compression",
	`{"url": "http://h", "timeout": "-1s"}`:                        "timeout",
	`{"url": "http://h", "maxConnectionAge": ""}`:                  "duration",
	`{"url": "http://h", "headers": {"Authorization": "Basic x"}}`: "secretOptions",
}

func TestContract(t *testing.T) {
	for name, options := range map[string]string{
		"plain":       ``,
		"gzip":        `, "compression": "gzip"`,
		"zstd, HTTP2": `, "compression": "zstd", "method": "PUT"`,
	} {
		t.Run(name, func(t *testing.T) {
			drivertest.CheckDestination(t, drivertest.DestinationHarness{
				Driver: driver.Driver, Refused: refused,
				Start: func(t *testing.T) drivertest.Target { return startTarget(t, options) },
			})
		})
	}
}

// open makes a destination, opens it, and closes it with the test.
func open(t testing.TB, s drivertest.Setup) (collector.Destination, *drivertest.Recorder) {
	t.Helper()
	r := drivertest.NewRecorder()
	d := drivertest.MustNew[collector.Destination](t, driver.Driver, s, r)
	if err := d.Open(t.Context()); err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d, r
}

// answering is a plain server that answers every request alike.
func answering(t testing.TB, handler http.HandlerFunc) drivertest.Setup {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return drivertest.Setup{Options: fmt.Sprintf(`{"url": %q}`, server.URL)}
}

func TestJSONLines(t *testing.T) {
	var got []map[string]any
	var kind string
	d, _ := open(t, answering(t, func(_ http.ResponseWriter, r *http.Request) {
		kind = r.Header.Get("Content-Type")
		for dec := json.NewDecoder(r.Body); dec.More(); {
			var m map[string]any
			if err := dec.Decode(&m); err != nil {
				t.Errorf("line %d: %v", len(got), err)
				return
			}
			delete(m, "time")
			got = append(got, m)
		}
	}))
	if err := d.Write(t.Context(), drivertest.Batches([]string{"a", "b\n\xff"}, []string{`"c"`})); err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{
		{"message": "a", "stream": "0"}, {"message": "b\n\uFFFD", "stream": "0"}, {"message": `"c"`, "stream": "1"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if kind != "application/x-ndjson" {
		t.Errorf("Content-Type %q", kind)
	}
}

// kind says what the destination loop would do about an error.
func kind(err error) string {
	var partial *collector.PartialError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &partial):
		return "partial"
	case collector.IsPermanent(err):
		return "permanent"
	case errors.Is(err, collector.ErrNotConnected):
		return "reopen"
	}
	return "retry"
}

func TestWhatAnAnswerMeans(t *testing.T) {
	f := func(status, records int, want, wantText string) {
		t.Helper()
		d, _ := open(t, answering(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		}))
		err := d.Write(t.Context(), drivertest.Batches(make([]string, records)))
		if kind(err) != want || !strings.Contains(fmt.Sprint(err), wantText) {
			t.Errorf("%d for %d records: %s, %v; want %s that says %q", status, records, kind(err), err, want, wantText)
		}
	}
	f(200, 2, "ok", "")
	f(202, 2, "ok", "")
	f(204, 2, "ok", "")
	f(301, 2, "retry", "option url")
	f(307, 2, "retry", "option url")
	f(400, 1, "permanent", "400")
	f(400, 2, "partial", "400")
	f(401, 1, "reopen", "secretOptions")
	f(403, 2, "reopen", "secretOptions")
	f(404, 1, "retry", "url")
	f(405, 1, "retry", "method")
	f(408, 1, "retry", "408")
	f(413, 1, "permanent", "413")
	f(415, 1, "retry", "compression")
	f(422, 1, "permanent", "422")
	f(425, 1, "retry", "425")
	f(429, 2, "retry", "429")
	f(500, 2, "retry", "500")
	f(503, 1, "retry", "503")
}

func TestErrorsQuoteTheServerButNoCredential(t *testing.T) {
	s := answering(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(500)
		fmt.Fprintf(w, "you sent\n%s%s", r.Header.Get("Authorization"), strings.Repeat("x", 10_000))
	})
	s.Secrets = map[string]string{"token": "opensesame"}
	d, _ := open(t, s)
	err := d.Write(t.Context(), drivertest.Batches([]string{"a"}))
	if err == nil || !strings.Contains(err.Error(), "you sent Bearer ***x") || len(err.Error()) > 400 {
		t.Errorf("error %v", err)
	}
}

func TestSplit(t *testing.T) {
	s := startTarget(t, "")
	s.limit = 1000
	d, _ := open(t, s.Setup())
	var messages []string
	for i := range 300 {
		messages = append(messages, fmt.Sprintf("message number %d", i))
	}
	messages[100] = strings.Repeat("x", 2000)
	err := d.Write(t.Context(), drivertest.Batches(messages[:50], messages[50:]))
	var partial *collector.PartialError
	if !errors.As(err, &partial) || len(partial.Rejected) != 1 {
		t.Fatalf("write: %v, want one rejection", err)
	}
	if r := partial.Rejected[0]; r.Batch != 1 || r.Record != 50 || !collector.IsPermanent(r.Err) {
		t.Errorf("rejected %+v, want record 50 of batch 1 for good", r)
	}
	want := append(append([]string(nil), messages[:100]...), messages[101:]...)
	if diff := cmp.Diff(want, s.Received(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if s.requests > 40 {
		t.Errorf("%d requests for 6 KB in pieces of 1 KB", s.requests)
	}
}

// TestPartsWithDifferentAnswers divides one request into k and lets each part be taken or
// put off, in every combination: what was taken is reported as taken, all else is not.
func TestPartsWithDifferentAnswers(t *testing.T) {
	const k = 6
	for pattern := range 1 << k {
		taken := map[string]bool{}
		d, _ := open(t, answering(t, func(w http.ResponseWriter, r *http.Request) {
			text, _ := io.ReadAll(r.Body)
			lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
			var m struct{ Message string }
			if err := json.Unmarshal(lines[0], &m); err != nil {
				t.Error(err)
			}
			switch {
			case len(lines) > 1:
				w.WriteHeader(http.StatusRequestEntityTooLarge)
			case pattern>>(m.Message[0]-'0')&1 == 1:
				w.Header().Set("Retry-After", "7")
				w.WriteHeader(http.StatusTooManyRequests)
			default:
				taken[m.Message] = true
			}
		}))
		bs := drivertest.Batches([]string{"0", "1", "2", "3"}, []string{"4", "5"})
		rejected := map[string]bool{}
		err := d.Write(t.Context(), bs)
		var partial *collector.PartialError
		switch {
		case errors.As(err, &partial):
			for _, r := range partial.Rejected {
				rejected[string(bs[r.Batch].Body(r.Record))] = true
				if collector.IsPermanent(r.Err) {
					t.Errorf("pattern %06b: %+v is given up", pattern, r)
				}
			}
		case err != nil:
			rejected = map[string]bool{"0": true, "1": true, "2": true, "3": true, "4": true, "5": true}
		}
		for _, m := range []string{"0", "1", "2", "3", "4", "5"} {
			if taken[m] == rejected[m] {
				t.Errorf("pattern %06b: message %s: server took it %v, reported as not taken %v", pattern, m, taken[m], rejected[m])
			}
		}
		if (pattern == 0) != (err == nil) {
			t.Errorf("pattern %06b: %v", pattern, err)
		}
	}
}

func TestServerThatRefusesEverything(t *testing.T) {
	s := startTarget(t, "")
	s.bad = func(string) bool { return true }
	d, _ := open(t, s.Setup())
	err := d.Write(t.Context(), drivertest.Batches(make([]string, 2000)))
	var partial *collector.PartialError
	if !errors.As(err, &partial) || len(partial.Rejected) != 2000 {
		t.Fatalf("write: %v", err)
	}
	given := 0
	for _, r := range partial.Rejected {
		if collector.IsPermanent(r.Err) {
			given++
		}
	}
	if s.requests > 128 || given == 0 || given == 2000 {
		t.Errorf("%d requests, %d given up; want at most 128 requests and the rest kept", s.requests, given)
	}
}

func TestSecretsAreReadAtOpen(t *testing.T) {
	s := startTarget(t, "")
	setup := s.Setup()
	setup.Secrets["token"] = "old"
	d, _ := open(t, setup)
	bs := drivertest.Batches([]string{"a"})
	if err := d.Write(t.Context(), bs); kind(err) != "reopen" {
		t.Fatalf("write with the wrong token: %v", err)
	}
	setup.Secrets["token"] = "opensesame"
	if err := errors.Join(d.Close(), d.Open(t.Context()), d.Write(t.Context(), bs)); err != nil {
		t.Errorf("after the rotation: %v", err)
	}
}

func TestBadSecrets(t *testing.T) {
	f := func(secrets map[string]string, want string) {
		t.Helper()
		s := drivertest.Setup{Options: `{"url": "https://127.0.0.1:1"}`, Secrets: secrets}
		d, err := drivertest.New[collector.Destination](t, driver.Driver, s, drivertest.NewRecorder())
		if err == nil {
			err = d.Open(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v, want one that names %q", secrets, err, want)
		}
		for _, v := range secrets {
			if v != "" && strings.Contains(fmt.Sprint(err), v) {
				t.Errorf("the error shows the secret: %v", err)
			}
		}
	}
	f(map[string]string{"ca": "no pem at all"}, "option ca")
	f(map[string]string{"token": ""}, "option token")
	f(map[string]string{"token": "first\nsecond"}, "option token")
	f(map[string]string{"token": "opensesame", "password": "swordfish"}, "token")
	f(map[string]string{"password": "swordfish"}, "username")
	f(map[string]string{"clientCert": "half"}, "clientKey")
	f(map[string]string{"clientCert": "neither", "clientKey": "one"}, "clientCert")
}

// identity makes a self-signed client certificate.
func identity(t *testing.T) (cert, key string, der []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "collector"}, NotAfter: time.Now().Add(time.Hour)}
	der, err = x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf("CERTIFICATE", der), pemOf("PRIVATE KEY", raw), der
}

func TestTLS(t *testing.T) {
	cert, key, der := identity(t)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !bytes.Equal(r.TLS.PeerCertificates[0].Raw, der) {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.Config.ErrorLog = nil
	server.StartTLS()
	t.Cleanup(server.Close)
	f := func(name, options string, secrets map[string]string, want string) {
		t.Helper()
		d, _ := open(t, drivertest.Setup{Options: fmt.Sprintf(`{"url": %q%s}`, server.URL, options), Secrets: secrets})
		if err := d.Write(t.Context(), drivertest.Batches([]string{"a"})); kind(err) != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	f("trusted both ways", ``, map[string]string{"ca": caOf(server), "clientCert": cert, "clientKey": key}, "ok")
	f("another name of the server", `, "serverName": "example.com"`, map[string]string{"ca": caOf(server), "clientCert": cert, "clientKey": key}, "ok")
	f("a wrong name of the server", `, "serverName": "example.org"`, map[string]string{"ca": caOf(server), "clientCert": cert, "clientKey": key}, "reopen")
	f("unknown authority", ``, map[string]string{"clientCert": cert, "clientKey": key}, "reopen")
	f("any authority", `, "insecureSkipVerify": true`, map[string]string{"clientCert": cert, "clientKey": key}, "ok")
	f("no client certificate", ``, map[string]string{"ca": caOf(server)}, "reopen")
}

func TestLinkLocalIsRefused(t *testing.T) {
	d, r := open(t, drivertest.Setup{Options: `{"url": "http://[::ffff:169.254.169.254]/"}`})
	err := d.Write(t.Context(), drivertest.Batches([]string{"a"}))
	if !errors.Is(err, netpolicy.ErrRefused) || r.Count("address_refused") != 1 {
		t.Errorf("write: %v, counted %d", err, r.Count("address_refused"))
	}
}

func TestTimeout(t *testing.T) {
	s := startTarget(t, `, "timeout": "50ms"`)
	hangs := s.Hang()
	d, _ := open(t, s.Setup())
	if err := d.Write(t.Context(), drivertest.Batches([]string{"a"})); kind(err) != "reopen" || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("write to a server that never answers: %v", err)
	}
	<-hangs
}

// TestAnswerBeforeTheBodyIsRead lets the server answer at once and close: the transport may
// still be reading the body, which the next request writes anew. The race detector watches.
func TestAnswerBeforeTheBodyIsRead(t *testing.T) {
	d, _ := open(t, answering(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }))
	bs := drivertest.Batches([]string{strings.Repeat("x", 4<<20)})
	for range 10 {
		if err := d.Write(t.Context(), bs); kind(err) != "retry" && kind(err) != "reopen" {
			t.Fatalf("write: %v", err)
		}
	}
}

// TestNoAllocationPerRecord compares requests of one and of 4000 records; the server of the
// test reads the larger one in more pieces.
func TestNoAllocationPerRecord(t *testing.T) {
	d, _ := open(t, answering(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	allocs := func(records int) float64 {
		bs := drivertest.Batches(make([]string, records))
		return testing.AllocsPerRun(20, func() {
			if err := d.Write(t.Context(), bs); err != nil {
				t.Fatal(err)
			}
		})
	}
	large := allocs(4000) // first: it grows the buffers
	if small := allocs(1); large-small > 100 {
		t.Errorf("%v allocations for one record, %v for 4000", small, large)
	}
}

// BenchmarkWrite counts what one request costs; nothing of it grows with the records.
func BenchmarkWrite(b *testing.B) {
	message := strings.Repeat("10.0.0.1 - - GET /index.html HTTP/1.1 200 2326 ", 4)
	for _, options := range []string{`none`, `gzip`, `zstd`} {
		for _, records := range []int{1, 4000} {
			b.Run(fmt.Sprintf("%s/%d", options, records), func(b *testing.B) {
				s := answering(b, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
				s.Options = strings.Replace(s.Options, "}", `, "compression": "`+options+`"}`, 1)
				d, _ := open(b, s)
				list := make([]string, records)
				for i := range list {
					list[i] = message
				}
				bs := drivertest.Batches(list)
				b.SetBytes(int64(records * len(message)))
				b.ReportAllocs()
				for b.Loop() {
					if err := d.Write(b.Context(), bs); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
