package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/klauspost/compress/zstd"
)

// A message as the collector would post it.
func jsonLine(text, stream string) string {
	b, err := json.Marshal(map[string]any{"message": text, "stream": stream, "kubernetes": map[string]string{"namespace": "n", "pod": "p"}})
	if err != nil {
		panic(err)
	}
	return string(b) + "\n"
}

func do(t *testing.T, method, url, encoding string, body io.Reader) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Encoding", encoding)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func report(t *testing.T, url string) Report {
	t.Helper()
	var r Report
	if err := json.NewDecoder(do(t, "GET", url+"/report", "", nil).Body).Decode(&r); err != nil {
		t.Fatal(err)
	}
	return r
}

// What the writer writes, the server knows again; what was lost, doubled, cut or foreign it
// tells. The whole oracle rests on this.
func TestTheServerSeesEveryFault(t *testing.T) {
	var stdout, stderr bytes.Buffer
	w := writer{stdout: &stdout, stderr: &stderr, name: "w", lines: 6, rate: 1000, longEvery: 3}
	if err := w.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	out, errs := strings.Split(strings.TrimSpace(stdout.String()), "\n"), strings.Split(strings.TrimSpace(stderr.String()), "\n")
	if len(out) != 3 || len(errs) != 3 { // 2, 4 and long 6; 1, long 3 and 5
		t.Fatalf("%d lines on stdout, %d on stderr", len(out), len(errs))
	}
	if len(out[2]) != longLine || len(errs[1]) != longLine {
		t.Errorf("lines 6 and 3 have %d and %d bytes, want %d", len(out[2]), len(errs[1]), longLine)
	}
	s := httptest.NewServer(newServer().handler())
	defer s.Close()
	body := jsonLine(out[0], "stdout") + jsonLine(out[0], "stdout") + // doubled
		jsonLine(errs[1][:16<<10], "stderr") + // cut
		jsonLine(errs[0], "stderr") + jsonLine("somebody else's", "stdout") + "no json\n"
	for encoding, compress := range map[string]func(io.Writer) io.WriteCloser{
		"gzip": func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"zstd": func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z },
	} {
		var packed bytes.Buffer
		z := compress(&packed)
		if _, err := io.WriteString(z, jsonLine(out[2], "stdout")); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		if resp := do(t, "POST", s.URL+"/ingest/x", encoding, &packed); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", encoding, resp.Status)
		}
	}
	do(t, "PUT", s.URL+"/status/503", "", nil)
	if resp := do(t, "POST", s.URL+"/ingest/x", "", strings.NewReader(body)); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("told to refuse, it answers %s", resp.Status)
	}
	do(t, "PUT", s.URL+"/status/200", "", nil)
	do(t, "POST", s.URL+"/ingest/x", "", strings.NewReader(body))
	want := Report{
		Requests: 3, Refused: 1, Messages: 7, Malformed: 1, Others: map[string]int{"n/p": 1}, Paths: map[string]int{"x": 8},
		Writers: map[string]*Writer{"w": {
			Distinct: 3, Last: 6, Duplicates: 2, Broken: 1,
			Metadata: map[string]int{`{"namespace":"n","pod":"p"}`: 6}, Streams: map[string]int{"stdout": 4, "stderr": 2},
		}},
	}
	if diff := cmp.Diff(want, report(t, s.URL), cmpopts.IgnoreUnexported(Writer{}), cmpopts.IgnoreFields(Report{}, "Bytes")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestPollGivesEveryNumberOnce(t *testing.T) {
	s := httptest.NewServer(newServer().handler())
	defer s.Close()
	var got []int
	for _, query := range []string{"", "?lines=3", ""} {
		b, err := io.ReadAll(do(t, "GET", s.URL+"/poll"+query, "", nil).Body)
		if err != nil {
			t.Fatal(err)
		}
		for text := range strings.Lines(string(b)) {
			name, seq, ours, whole := parseLine(strings.TrimSuffix(text, "\n"))
			if name != "poll" || !ours || !whole {
				t.Errorf("not a line of the server: %q", text)
			}
			got = append(got, seq)
		}
	}
	if want := "[1 2 3 4 5]"; fmt.Sprint(got) != want {
		t.Errorf("numbers %v, want %s", got, want)
	}
	if r := report(t, s.URL); r.Polled != 5 {
		t.Errorf("polled is %d, want 5", r.Polled)
	}
}
