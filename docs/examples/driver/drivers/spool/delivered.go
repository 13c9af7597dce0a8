package spool

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// offsets are how far each file has been read. Fetch and Commit run on two goroutines.
type offsets struct {
	mu   sync.Mutex
	read map[string]int64
	left []string // had nothing left to read at first sight
}

func (o *offsets) get(name string) (int64, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	read, known := o.read[name]
	return read, known
}

func (o *offsets) set(name string, read int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.read[name] = read
}

// found notes a file at first sight.
func (o *offsets) found(name string, read, size int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.read[name] = read
	if read >= size {
		o.left = append(o.left, name)
	}
}

// takeLeft returns the files that had nothing left, once.
func (o *offsets) takeLeft() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	left := o.left
	o.left = nil
	return left
}

func (o *offsets) forget(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.read, name)
}

// Commit is told the bookmark of every batch, in order, once every required destination has
// it and the bookmark is on disk. A file that is delivered whole is removed. So are files
// that an instance before this one has posted: bookmarks come in the order of posting, so
// theirs have come.
func (f *fetcher) Commit(name string, bookmark []byte) error {
	delivered, err := strconv.ParseInt(string(bookmark), 10, 64)
	if err != nil || f.opts.Keep {
		return err
	}
	var errs []error
	for _, earlier := range f.offset.takeLeft() {
		errs = append(errs, f.remove(earlier))
	}
	info, err := os.Lstat(f.path(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		errs = append(errs, err)
	case delivered >= info.Size():
		errs = append(errs, f.remove(name))
	}
	return errors.Join(errs...)
}

func (f *fetcher) remove(name string) error {
	if err := os.Remove(f.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f.env.Bookmarks.Delete(name)
	f.offset.forget(name)
	return nil
}

func (f *fetcher) path(name string) string { return filepath.Join(f.opts.Directory, name) }
