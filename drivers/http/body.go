package http

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// A coding compresses bodies, with one encoder and one buffer for all of them.
type coding struct {
	name   string // of the Content-Encoding; "" for none
	encode func(text []byte) []byte
	close  func()
}

// codings are the values of option compression.
var codings = map[string]func() (*coding, error){"none": identity, "gzip": newGzip, "zstd": newZstd}

func identity() (*coding, error) {
	return &coding{"", func(text []byte) []byte { return text }, func() {}}, nil
}

func newGzip() (*coding, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	encode := func(text []byte) []byte {
		out.Reset()
		w.Reset(&out)
		mustWrite(w.Write(text))
		mustWrite(0, w.Close())
		return out.Bytes()
	}
	return &coding{"gzip", encode, func() {}}, nil
}

// mustWrite holds that memory takes every byte.
func mustWrite(_ int, err error) {
	if err != nil {
		panic(fmt.Sprintf("BUG: compress into memory: %v", err))
	}
}

func newZstd() (*coding, error) {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20))
	if err != nil {
		return nil, err
	}
	var out []byte
	encode := func(text []byte) []byte {
		out = w.EncodeAll(text, out[:0])
		return out
	}
	return &coding{"zstd", encode, func() { _ = w.Close() }}, nil // memory only: nothing to flush
}

// A body lends its data to the transport and knows when the transport is done with it.
type body struct {
	data    []byte
	readers sync.WaitGroup
}

func newBody(data []byte) *body { return &body{data: data} }

func (b *body) open() io.ReadCloser {
	b.readers.Add(1)
	return &bodyReader{owner: b}
}

// reopen is http.Request.GetBody: the transport asks for it when a kept connection turns
// out to be closed before anything was sent.
func (b *body) reopen() (io.ReadCloser, error) { return b.open(), nil }

// wait returns once every reader is closed; http.RoundTripper promises to close them.
func (b *body) wait() { b.readers.Wait() }

// A bodyReader reads nothing more once Close has returned: HTTP/2 closes a body while
// another goroutine reads it.
type bodyReader struct {
	owner *body

	mu     sync.Mutex // protects following
	offset int
	closed bool
}

func (r *bodyReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	if r.offset == len(r.owner.data) {
		return 0, io.EOF
	}
	n := copy(p, r.owner.data[r.offset:])
	r.offset += n
	return n, nil
}

func (r *bodyReader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.closed = true
		r.owner.readers.Done()
	}
	return nil
}
