package file

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/jsonlines"
)

//go:embed options.json
var options []byte

// Driver is the file class.
var Driver = collector.NewDestination(class.Class{
	Name:        "file",
	Description: "Appends messages to a file beneath the collector's output directory.",
	Footprint:   class.Footprint{State: true, LocalOnly: true},
}, options, newDestination)

// destination writes a request whole or not at all: what a failed write left behind is
// cut off before the next one, so that no line is ever torn or half written twice.
type destination struct {
	opts   Options
	env    collector.Env
	render func(dst []byte, b *collector.Batch, i int) []byte

	log  *appendFile // nil while closed
	text []byte      // the request being written, reused
}

func newDestination(o Options, env collector.Env) (collector.Destination, error) {
	render, err := jsonlines.Format(o.Format)
	switch {
	case err != nil:
		return nil, err
	case o.Path == "":
		return nil, errors.New("option path is required: set it to a file name such as messages.log")
	case !filepath.IsLocal(o.Path):
		return nil, fmt.Errorf("option path is %q: it must be relative to the output directory and stay within", o.Path)
	case o.MaxFiles < 1:
		return nil, fmt.Errorf("option maxFiles is %d: keep at least 1", o.MaxFiles)
	case env.OutputDir == "":
		return nil, errors.New("this collector has no output directory: start it with --output-dir DIR, or use another destination class")
	}
	o.Path = filepath.Clean(o.Path)
	return &destination{opts: o, env: env, render: render}, nil
}

// Open opens or makes the file, and removes a last line that a crash has torn.
func (d *destination) Open(context.Context) error {
	log, err := openAppendFile(d.env.OutputDir, d.opts.Path)
	if err != nil {
		return err
	}
	cut, err := log.cutTornLine()
	if err != nil {
		return errors.Join(err, log.close())
	}
	if cut > 0 {
		d.env.Count("torn_line_removed", 1)
	}
	d.log = log
	return nil
}

// Write appends one request and, with option sync, waits for the disk. After an error the
// file is opened anew: the kernel may have forgotten pages that it could not write.
func (d *destination) Write(_ context.Context, bs []*collector.Batch) error {
	d.text = d.text[:0]
	for _, b := range bs {
		for i := range b.Len() {
			d.text = d.render(d.text, b, i)
		}
	}
	if err := d.write(); err != nil {
		return fmt.Errorf("%w: %w", err, collector.ErrNotConnected)
	}
	return nil
}

func (d *destination) write() error {
	size, err := d.log.current()
	if err != nil {
		return err
	}
	if limit := int64(d.opts.MaxSize); limit > 0 && size > 0 && size+int64(len(d.text)) > limit {
		if err := d.log.rotate(d.opts.MaxFiles); err != nil {
			return err
		}
		size = 0
	}
	return d.log.append(size, d.text, d.opts.Sync)
}

// Close closes the file.
func (d *destination) Close() error {
	if d.log == nil {
		return nil
	}
	log := d.log
	d.log = nil
	return log.close()
}
