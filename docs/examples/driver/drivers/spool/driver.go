package spool

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/class"
)

//go:embed options.json
var options []byte

// Driver is the spool class.
var Driver = collector.NewFetcher(class.Class{
	Name:        "spool",
	Placement:   class.Single,
	Description: "Reads the lines of files that are left in a directory, and removes the files once delivered.",
	Footprint:   class.Footprint{State: true},
}, options, newFetcher)

// fetcher holds one file at a time in memory. A file has a bookmark of its own, under its
// name: how many of its bytes are delivered.
type fetcher struct {
	opts   Options
	env    collector.Env
	stream *collector.Stream
	offset offsets
	large  map[string]bool // files larger than maxFile, counted already

	root  *os.Root // nil while closed
	names []string // files of the last listing that are still to be read

	name  string // the file being read
	start int64  // how many of its bytes had been posted before
	body  []byte // all that follows
	rest  []byte // the part of body that is not in a batch yet
	value []byte // scratch
}

func newFetcher(o Options, env collector.Env) (collector.Fetcher, error) {
	switch {
	case o.Directory == "":
		return nil, errors.New("option directory is required: set it to the directory that others leave files in")
	case o.MaxFile < 1024:
		return nil, fmt.Errorf("option maxFile is %d: the minimum is 1024", o.MaxFile)
	}
	return &fetcher{
		opts: o, env: env, stream: &collector.Stream{Attrs: env.Common},
		offset: offsets{read: map[string]int64{}}, large: map[string]bool{},
	}, nil
}

// Open opens the directory, and forgets the bookmarks of files that are gone.
func (f *fetcher) Open(context.Context) error {
	root, err := os.OpenRoot(f.opts.Directory)
	if err != nil {
		return fmt.Errorf("option directory: %w", err)
	}
	f.root = root
	for _, name := range f.env.Bookmarks.Keys() {
		if _, err := root.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			f.env.Bookmarks.Delete(name)
		}
	}
	return nil
}

// Fetch fills the batch from the file at hand, or from the next one.
func (f *fetcher) Fetch(_ context.Context, b *collector.Batch) error {
	b.SetStream(f.stream)
	if len(f.rest) == 0 {
		if err := f.next(); err != nil {
			return err
		}
	}
	f.take(b)
	if b.Len() == 0 { // only empty lines: the bookmark alone is posted
		return collector.ErrTryAgain
	}
	return nil
}

// take moves lines into the batch as long as it has room for them. All of them are of one
// file, so that one bookmark says where the batch ends.
func (f *fetcher) take(b *collector.Batch) {
	now := time.Now()
	for len(f.rest) > 0 {
		line, rest, _ := bytes.Cut(f.rest, []byte{'\n'})
		if len(line) > 0 && !b.Append(now, line) {
			break // no room: the line is offered again with the next batch
		}
		f.rest = rest
	}
	read := f.start + int64(len(f.body)-len(f.rest))
	f.offset.set(f.name, read)
	f.value = strconv.AppendInt(f.value[:0], read, 10)
	b.SetBookmark(f.name, f.value)
}

// next reads the next file that has something new; ErrNoData when there is none.
func (f *fetcher) next() error {
	if len(f.names) == 0 {
		if err := f.list(); err != nil {
			return err
		}
	}
	for len(f.names) > 0 {
		f.name, f.names = f.names[0], f.names[1:]
		switch err := f.load(); {
		case errors.Is(err, fs.ErrNotExist):
			f.env.Count("file_vanished", 1)
		case err != nil:
			return err // Close, wait timeReopen, Open: the listing is made anew
		case len(f.rest) > 0:
			return nil
		}
	}
	return collector.ErrNoData
}

// list notes the regular files in the order of their names. A name that begins with a dot
// is that of a file still being written.
func (f *fetcher) list() error {
	entries, err := fs.ReadDir(f.root.FS(), ".")
	if err != nil {
		return fmt.Errorf("option directory: %w", err)
	}
	for _, e := range entries {
		if e.Type().IsRegular() && !strings.HasPrefix(e.Name(), ".") {
			f.names = append(f.names, e.Name())
		}
	}
	return nil
}

// load leaves in rest what of the file has not been posted yet.
func (f *fetcher) load() error {
	file, err := f.root.Open(f.name)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	if size > int64(f.opts.MaxFile) {
		f.tooLarge()
		return nil
	}
	if f.start = f.posted(size); f.start >= size {
		return nil
	}
	buf := bytes.NewBuffer(f.body[:0])
	_, err = buf.ReadFrom(io.NewSectionReader(file, f.start, size-f.start))
	f.body = buf.Bytes()
	f.rest = f.body
	return err
}

func (f *fetcher) tooLarge() {
	if f.large[f.name] {
		return
	}
	f.large[f.name] = true
	f.env.Count("file_too_large", 1)
	f.env.Log.Warn("file is larger than option maxFile and passed over", "file", f.name)
}

// posted is how many bytes of the file at hand have been posted, by this instance or, says
// the bookmark, by one before it.
func (f *fetcher) posted(size int64) int64 {
	if read, known := f.offset.get(f.name); known {
		return read
	}
	saved, _ := f.env.Bookmarks.Load(f.name)
	read, _ := strconv.ParseInt(string(saved), 10, 64) // what cannot be read is 0: repeats, never loss
	f.offset.found(f.name, max(0, read), size)
	return max(0, read)
}

// Close forgets the file at hand; what of it is not posted is read again.
func (f *fetcher) Close() error {
	f.names, f.rest = nil, nil
	if f.root == nil {
		return nil
	}
	root := f.root
	f.root = nil
	return root.Close()
}
