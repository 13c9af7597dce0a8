package httppush

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow is the largest window that a zstd body may ask for (RFC 9659 §3).
const maxWindow = 8 << 20

// maxInflaters bounds what decompressing takes: memory for that many windows. Bodies are
// decompressed when all of it is there, so that a slow client holds none.
const maxInflaters = 4

// An inflater decompresses one body at a time.
type inflater struct {
	in   bytes.Reader
	gzip *gzip.Reader  // nil until there was a gzip body
	zstd *zstd.Decoder // nil until there was a zstd body
}

// inflaters holds those that are not in use.
type inflaters chan *inflater

func newInflaters() inflaters {
	all := make(inflaters, min(runtime.GOMAXPROCS(0), maxInflaters))
	for range cap(all) {
		all <- &inflater{}
	}
	return all
}

// codings are the values of Content-Encoding that are understood. identity is none.
var codings = map[string]func(*inflater) (io.Reader, error){
	"": nil, "identity": nil, "gzip": (*inflater).openGzip, "x-gzip": (*inflater).openGzip, "zstd": (*inflater).openZstd,
}

// inflate decompresses from into to.
func (all inflaters) inflate(ctx context.Context, coding string, from, to *body) error {
	select {
	case f := <-all:
		defer func() { all <- f }()
		return f.inflate(coding, from, to)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *inflater) inflate(coding string, from, to *body) error {
	f.in.Reset(from.data)
	defer f.in.Reset(nil)
	r, err := codings[coding](f)
	if err == nil {
		err = to.readFrom(r)
	}
	if err == errTooLarge || err == errNoMemory {
		return err
	}
	if err != nil {
		return undecodable{fmt.Errorf("%s: %w", coding, err)}
	}
	return nil
}

// undecodable is the error of a body that is not what its Content-Encoding says.
type undecodable struct{ error }

func (f *inflater) openGzip() (r io.Reader, err error) {
	if f.gzip == nil {
		f.gzip, err = gzip.NewReader(&f.in)
		return f.gzip, err
	}
	return f.gzip, f.gzip.Reset(&f.in)
}

func (f *inflater) openZstd() (r io.Reader, err error) {
	if f.zstd == nil {
		f.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecodeBuffersBelow(0))
		if err != nil {
			return nil, err
		}
	}
	return f.zstd, f.zstd.Reset(&f.in)
}

// close ends the decoders once nobody decompresses any more.
func (all inflaters) close() {
	for range cap(all) {
		if f := <-all; f.zstd != nil {
			f.zstd.Close()
		}
	}
}
