package file

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// An appendFile is a file of whole lines beneath a directory that its path cannot leave,
// not even through a symbolic link. One process and one destination write it at a time.
type appendFile struct {
	root *os.Root
	path string
	file *os.File
}

func openAppendFile(dir, path string) (*appendFile, error) {
	root, err := openRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("output directory: %w", err)
	}
	a := &appendFile{root: root, path: path}
	if err := a.open(); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return a, nil
}

// openRoot makes the directory when it is not there yet.
func openRoot(dir string) (*os.Root, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	return os.OpenRoot(dir)
}

func (a *appendFile) open() error {
	if err := a.root.MkdirAll(filepath.Dir(a.path), 0o750); err != nil {
		return err
	}
	f, err := a.root.OpenFile(a.path, os.O_RDWR|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, 0o640)
	if err != nil {
		return err
	}
	if err := a.claim(f); err != nil {
		return errors.Join(err, f.Close())
	}
	a.file = f
	return nil
}

// claim locks the file, so that two destinations do not cut off each other's lines, and
// makes its name durable.
func (a *appendFile) claim(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("option path: %s is not a regular file", a.path)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("option path: another destination writes %s: %w", a.path, err)
	}
	return a.syncDir()
}

// syncDir makes created and renamed names durable.
func (a *appendFile) syncDir() error {
	dir, err := a.root.Open(filepath.Dir(a.path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// errGone says that somebody renamed or removed the file, as logrotate does.
var errGone = errors.New("the file was renamed or removed")

// current is the size of the file, as long as it is still the one of that name.
func (a *appendFile) current() (int64, error) {
	open, err := a.file.Stat()
	if err != nil {
		return 0, err
	}
	named, err := a.root.Stat(a.path)
	if err != nil || !os.SameFile(open, named) {
		return 0, fmt.Errorf("%s: %w", a.path, errGone)
	}
	return open.Size(), nil
}

// append writes text behind the first size bytes, whole or not at all.
func (a *appendFile) append(size int64, text []byte, sync bool) error {
	_, err := a.file.Write(text)
	if err == nil && sync {
		err = a.file.Sync()
	}
	if err == nil {
		return nil
	}
	return errors.Join(err, a.file.Truncate(size))
}

// rotate renames path to path.1, path.1 to path.2 and so on; the oldest is overwritten.
func (a *appendFile) rotate(keep int) error {
	if err := a.file.Sync(); err != nil {
		return err
	}
	for n := keep - 1; n >= 0; n-- {
		err := a.root.Rename(a.numbered(n), a.numbered(n+1))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	full := a.file
	if err := a.open(); err != nil {
		return err
	}
	return full.Close()
}

func (a *appendFile) numbered(n int) string {
	if n == 0 {
		return a.path
	}
	return a.path + "." + strconv.Itoa(n)
}

// cutTornLine removes what follows the last newline: a line that was never whole was never
// acked, and comes again. It returns how many bytes that were.
func (a *appendFile) cutTornLine() (int64, error) {
	info, err := a.file.Stat()
	if err != nil {
		return 0, err
	}
	end, err := a.lastLineEnd(info.Size())
	if err != nil || end == info.Size() {
		return 0, err
	}
	return info.Size() - end, a.file.Truncate(end)
}

// lastLineEnd is the offset behind the last newline before size.
func (a *appendFile) lastLineEnd(size int64) (int64, error) {
	block := make([]byte, 64<<10)
	for size > 0 {
		start := max(0, size-int64(len(block)))
		n, err := a.file.ReadAt(block[:size-start], start)
		if err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(block[:n], '\n'); i >= 0 {
			return start + int64(i) + 1, nil
		}
		size = start
	}
	return 0, nil
}

func (a *appendFile) close() error {
	return errors.Join(a.file.Close(), a.root.Close())
}
