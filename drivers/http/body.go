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

// A body lends its data to the transport, which may go on reading after it has answered,
// and does not close every reader that it asks for. release ends the loan.
type body struct {
	size int64

	mu   sync.Mutex // protects data
	data []byte     // nil once released
}

func newBody(data []byte) *body { return &body{size: int64(len(data)), data: data} }

// open is http.Request.GetBody as well: the transport asks for a second reader when a kept
// connection turns out to be closed.
func (b *body) open() (io.ReadCloser, error) { return &bodyReader{body: b}, nil }

// release returns once nobody reads the data any more and nobody ever will.
func (b *body) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.data = nil
}

type bodyReader struct {
	body   *body
	offset int
}

func (r *bodyReader) Read(p []byte) (int, error) {
	r.body.mu.Lock()
	defer r.body.mu.Unlock()
	if int64(r.offset) == r.body.size {
		return 0, io.EOF
	}
	if r.body.data == nil {
		return 0, http.ErrBodyReadAfterClose
	}
	n := copy(p, r.body.data[r.offset:])
	r.offset += n
	return n, nil
}

func (r *bodyReader) Close() error { return nil }
