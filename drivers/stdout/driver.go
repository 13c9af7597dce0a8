package stdout

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/jsonlines"
)

//go:embed options.json
var options []byte

// Driver is the stdout class.
var Driver = collector.NewDestination(class.Class{
	Name:        "stdout",
	Description: "Prints messages to the collector's standard output.",
	Footprint:   class.Footprint{LocalOnly: true},
}, options, newDestination)

type destination struct {
	render func(dst []byte, b *collector.Batch, i int) []byte

	out  *os.File
	text []byte // the request being written, reused
	ends []int  // where its lines end
	torn torn
}

// torn is a line of which only the beginning went out, so that the next request can go on
// within it instead of leaving half a line.
type torn struct {
	line    []byte // empty when the last request ended with a whole line
	written int
}

func newDestination(o Options, _ collector.Env) (collector.Destination, error) {
	render, err := jsonlines.Format(o.Format)
	if err != nil {
		return nil, err
	}
	return &destination{render: render}, nil
}

// Open looks up standard output; there is nothing to connect to.
func (d *destination) Open(context.Context) error {
	d.out = os.Stdout
	return nil
}

// Write prints one request with one write, whole lines.
func (d *destination) Write(_ context.Context, bs []*collector.Batch) error {
	d.text, d.ends = d.text[:0], d.ends[:0]
	for _, b := range bs {
		for i := range b.Len() {
			d.text = d.render(d.text, b, i)
			d.ends = append(d.ends, len(d.text))
		}
	}
	skip, err := d.resume()
	if err != nil {
		return err
	}
	n, err := d.out.Write(d.text[skip:])
	if err == nil {
		return nil
	}
	return d.partial(bs, skip+n, err)
}

// resume says how much of the first line is out already, from a request that failed
// within it. When another line comes first now, it ends the torn one.
func (d *destination) resume() (int, error) {
	t := d.torn
	d.torn.line = t.line[:0]
	if len(t.line) == 0 {
		return 0, nil
	}
	if bytes.HasPrefix(d.text, t.line) {
		return t.written, nil
	}
	if _, err := d.out.Write([]byte{'\n'}); err != nil {
		d.torn = t
		return 0, fmt.Errorf("standard output: %w", err)
	}
	return 0, nil
}

// partial reports the lines that are not out whole, and remembers the one that is torn.
func (d *destination) partial(bs []*collector.Batch, written int, err error) error {
	whole, start := 0, 0
	for whole < len(d.ends) && d.ends[whole] <= written {
		start = d.ends[whole]
		whole++
	}
	if written > start {
		d.torn = torn{append(d.torn.line[:0], d.text[start:d.ends[whole]]...), written - start}
	}
	err = fmt.Errorf("standard output: %w", err)
	if whole == 0 {
		return err
	}
	return &collector.PartialError{Rejected: collector.AppendRejections(nil, bs, whole, len(d.ends), err), Err: err}
}

// Close leaves standard output open: it belongs to the process.
func (d *destination) Close() error {
	d.out = nil
	return nil
}
