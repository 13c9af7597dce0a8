package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
)

// A Report is what GET /report answers.
type Report struct {
	Requests int `json:"requests"`
	Refused  int `json:"refused"` // requests answered with the status of PUT /status
	Messages int `json:"messages"`
	Bytes    int `json:"bytes"` // of request bodies, decompressed
	// Polled is the number of lines that GET /poll gave.
	Polled int `json:"polled"`
	// Malformed counts lines that are no JSON object with a message.
	Malformed int                `json:"malformed"`
	Writers   map[string]*Writer `json:"writers"`
	// Others counts the messages that no writer wrote, by namespace/pod.
	Others map[string]int `json:"others"`
	// Paths counts the messages by the path they were posted to, under /ingest/.
	Paths map[string]int `json:"paths"`
}

// A Writer is what has come of one writer.
type Writer struct {
	Distinct   int `json:"distinct"`   // line numbers seen
	Last       int `json:"last"`       // the largest of them
	Duplicates int `json:"duplicates"` // whole lines seen again
	Broken     int `json:"broken"`     // lines that are not what was written
	// Metadata counts the messages by the attributes that came with them.
	Metadata map[string]int `json:"metadata"`
	// Streams counts the messages by stdout and stderr.
	Streams map[string]int `json:"streams"`

	seen map[int]bool
}

// A server is the far end of the tests: destination and origin in one.
type server struct {
	mu     sync.Mutex
	report Report
	status int // what /ingest answers; 200 takes
}

func newServer() *server {
	return &server{report: Report{Writers: map[string]*Writer{}, Others: map[string]int{}, Paths: map[string]int{}}, status: http.StatusOK}
}

func serve(ctx context.Context, listen string) error {
	server := &http.Server{Addr: listen, Handler: newServer().handler(), ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /ingest/{path}", s.ingest)
	mux.HandleFunc("GET /poll", s.poll)
	mux.HandleFunc("GET /report", s.tell)
	mux.HandleFunc("PUT /status/{code}", s.setStatus)
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	return mux
}

// ingest takes a request whole or not at all.
func (s *server) ingest(w http.ResponseWriter, r *http.Request) {
	body, err := readBody(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.status != http.StatusOK {
		s.report.Refused++
		http.Error(w, "told to refuse", s.status)
		return
	}
	s.report.Requests++
	s.report.Bytes += len(body)
	for len(body) > 0 {
		n, text, err := bufio.ScanLines(body, true)
		if err != nil || n == 0 {
			break
		}
		s.take(text)
		s.report.Paths[r.PathValue("path")]++
		body = body[n:]
	}
}

func readBody(r *http.Request) ([]byte, error) {
	var in io.Reader = r.Body
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "":
	case "gzip":
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, err
		}
		in = z
	case "zstd":
		z, err := zstd.NewReader(r.Body, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		in = z
	default:
		return nil, fmt.Errorf("content encoding %q", encoding)
	}
	return io.ReadAll(io.LimitReader(in, 64<<20))
}

// A message is what the collector makes of a line.
type message struct {
	Message    *string         `json:"message"`
	Stream     string          `json:"stream"`
	Kubernetes json.RawMessage `json:"kubernetes"`
}

func (s *server) take(text []byte) {
	var m message
	if json.Unmarshal(text, &m) != nil || m.Message == nil {
		s.report.Malformed++
		return
	}
	s.report.Messages++
	name, seq, ours, whole := parseLine(*m.Message)
	if !ours {
		s.report.Others[podOf(m.Kubernetes)]++
		return
	}
	w := s.writer(name)
	w.Metadata[string(m.Kubernetes)]++
	w.Streams[m.Stream]++
	switch {
	case !whole:
		w.Broken++
	case w.seen[seq]:
		w.Duplicates++
	default:
		w.seen[seq] = true
		w.Distinct++
		w.Last = max(w.Last, seq)
	}
}

func podOf(metadata json.RawMessage) string {
	var k struct{ Namespace, Pod string }
	if json.Unmarshal(metadata, &k) != nil {
		return ""
	}
	return k.Namespace + "/" + k.Pod
}

func (s *server) writer(name string) *Writer {
	w := s.report.Writers[name]
	if w == nil {
		w = &Writer{Metadata: map[string]int{}, Streams: map[string]int{}, seen: map[int]bool{}}
		s.report.Writers[name] = w
	}
	return w
}

// poll gives the next lines of the writer "poll", ?lines=N of them, one unless told.
func (s *server) poll(w http.ResponseWriter, r *http.Request) {
	lines := 1
	if given := r.FormValue("lines"); given != "" {
		n, err := strconv.Atoi(given)
		if err != nil || n < 1 || n > 10000 {
			http.Error(w, "lines must be from 1 to 10000", http.StatusBadRequest)
			return
		}
		lines = n
	}
	s.mu.Lock()
	first := s.report.Polled + 1
	s.report.Polled += lines
	s.mu.Unlock()
	for seq := first; seq < first+lines; seq++ {
		fmt.Fprintln(w, line("poll", seq, shortLine))
	}
}

func (s *server) tell(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s.report) // the client has gone: nothing to tell
}

// setStatus makes /ingest answer with a status; 200 takes again.
func (s *server) setStatus(w http.ResponseWriter, r *http.Request) {
	code, err := strconv.Atoi(r.PathValue("code"))
	if err != nil || code < 200 || code > 599 {
		http.Error(w, "no status "+r.PathValue("code"), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = code
}
