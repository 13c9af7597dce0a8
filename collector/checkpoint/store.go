// Package checkpoint keeps bookmarks on disk: small values by namespace and key, in one
// journal per directory. A value is told as saved only after fsync; one fsync covers all
// that arrived while the one before it ran. A journal that cannot be read is set aside,
// counted, and never stops the start: the source then begins anew, which costs
// duplicates, not messages.
//
// The journal is a header and records: length (4 bytes), CRC32C of the payload (4 bytes),
// payload. A payload defines an id for a namespace and key, sets the value of an id, or
// deletes it. When it has grown to four times what it holds it is written anew beside and
// renamed over the old one.
package checkpoint

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// commitInterval is the shortest time from one fsync to the next while nobody waits for it
// (Hurry): it bounds the cost of a busy collector to 100 fsyncs a second.
const commitInterval = 10 * time.Millisecond

// retryInterval is the wait after a failed write.
const retryInterval = time.Second

// A Saver is told, in order, that its value is on disk.
type Saver interface{ Saved() }

// Store is the positions of one collector. Its methods may be called from any goroutine.
type Store struct {
	dir  string // "" keeps everything in memory
	log  *slog.Logger
	lock *os.File

	mu         sync.Mutex // protects what follows
	namespaces map[string]*Namespace
	nextID     uint64
	pending    []byte  // records not yet written
	waiting    []Saver // told after the next fsync
	idle       sync.Cond
	busy       bool
	counts     Counts

	file   *journal // used by the loop only, once it runs
	kick   chan struct{}
	hurry  atomic.Int32  // sources that wait for their window
	hasten chan struct{} // capacity 1: hurry began
	closed chan struct{}
	done   chan struct{}
}

// Counts is what the store did, for the metrics.
type Counts struct {
	Fsyncs      int64 // group commits
	WriteErrors int64
	Corrupt     int64 // journals set aside at start
	TornBytes   int64 // bytes of an unfinished last record cut off at start
}

// A Namespace is the positions of one source.
type Namespace struct {
	store  *Store
	name   string
	values map[string]*entry // protected by store.mu
}

type entry struct {
	id    uint64
	value []byte
}

// Open opens or makes the store in dir and owns it with a lock until Close. An empty dir
// keeps the positions in memory only.
func Open(dir string, log *slog.Logger) (*Store, error) {
	s := &Store{
		dir: dir, log: log, namespaces: map[string]*Namespace{},
		kick: make(chan struct{}, 1), hasten: make(chan struct{}, 1), closed: make(chan struct{}), done: make(chan struct{}),
	}
	s.idle.L = &s.mu
	if dir != "" {
		if err := s.openDir(); err != nil {
			return nil, err
		}
	}
	go s.run()
	return s, nil
}

func (s *Store) openDir() error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(s.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return fmt.Errorf("%s is in use by another collector: %w", s.dir, err)
	}
	s.lock = lock
	if err := s.load(); err != nil {
		lock.Close()
		return err
	}
	return nil
}

// load reads the journal that is there and begins a new one with what it held.
func (s *Store) load() error {
	path := filepath.Join(s.dir, "positions")
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.log.Error("cannot read the positions", "file", path, "error", err)
	}
	if len(data) > 0 || err != nil && !errors.Is(err, os.ErrNotExist) {
		s.replay(path, data)
	}
	s.pending = nil // what replaying defined is in the snapshot
	s.file, err = rewrite(s.dir, s.snapshotLocked())
	if err != nil {
		return fmt.Errorf("write positions: %w", err)
	}
	return nil
}

// replay takes over what the journal says up to the first damage. A last record that was
// cut off by a crash is normal; anything else sets the file aside.
func (s *Store) replay(path string, data []byte) {
	torn, err := decode(data, s.replayRecord)
	switch {
	case err != nil:
		s.counts.Corrupt++
		aside := fmt.Sprintf("%s.corrupt-%d", path, time.Now().UnixNano())
		if renameErr := os.Rename(path, aside); renameErr != nil {
			aside = renameErr.Error()
		}
		s.log.Error("the positions file is damaged; what could be read is kept, the rest begins anew", "error", err, "setAside", aside)
	case torn > 0:
		s.counts.TornBytes += int64(torn)
		s.log.Info("cut an unfinished record off the positions file", "bytes", torn)
	}
}

func (s *Store) replayRecord(r rec) {
	switch r.op {
	case opSet:
		s.namespaceLocked(r.namespace).entryLocked(r.key).value = append([]byte(nil), r.value...)
	case opDelete:
		delete(s.namespaceLocked(r.namespace).values, r.key)
	}
}

// Namespace returns the positions of one source, empty when it is new.
func (s *Store) Namespace(name string) *Namespace {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.namespaceLocked(name)
}

func (s *Store) namespaceLocked(name string) *Namespace {
	n := s.namespaces[name]
	if n == nil {
		n = &Namespace{store: s, name: name, values: map[string]*entry{}}
		s.namespaces[name] = n
	}
	return n
}

// Forget deletes every namespace that keep does not want.
func (s *Store) Forget(keep func(name string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, n := range s.namespaces {
		if keep(name) {
			continue
		}
		for key := range n.values {
			n.deleteLocked(key)
		}
		delete(s.namespaces, name)
	}
	s.signal()
}

// Load returns a copy of the value of key.
func (n *Namespace) Load(key string) ([]byte, bool) {
	n.store.mu.Lock()
	defer n.store.mu.Unlock()
	e, ok := n.values[key]
	if !ok {
		return nil, false
	}
	return append([]byte(nil), e.value...), true
}

// Keys lists the keys.
func (n *Namespace) Keys() []string {
	n.store.mu.Lock()
	defer n.store.mu.Unlock()
	keys := make([]string, 0, len(n.values))
	for k := range n.values {
		keys = append(keys, k)
	}
	return keys
}

// Put sets the value of key, which is copied, and tells w once it is on disk. The caller
// is not delayed by the disk.
func (n *Namespace) Put(key string, value []byte, w Saver) {
	s := n.store
	s.mu.Lock()
	e := n.entryLocked(key)
	e.value = append(e.value[:0], value...)
	if s.dir != "" {
		s.pending = appendSet(s.pending, e.id, value)
	}
	s.waiting = append(s.waiting, w)
	s.busy = true
	s.mu.Unlock()
	s.signal()
}

// Delete forgets key.
func (n *Namespace) Delete(key string) { n.delete(key) }

// DeleteThen forgets key and tells w once that is on disk.
func (n *Namespace) DeleteThen(key string, w Saver) { n.delete(key, w) }

func (n *Namespace) delete(key string, w ...Saver) {
	s := n.store
	s.mu.Lock()
	n.deleteLocked(key)
	s.waiting = append(s.waiting, w...)
	s.busy = s.busy || len(w) > 0
	s.mu.Unlock()
	s.signal()
}

func (n *Namespace) deleteLocked(key string) {
	e, ok := n.values[key]
	if !ok {
		return
	}
	delete(n.values, key)
	if n.store.dir != "" {
		n.store.pending = appendDelete(n.store.pending, e.id)
		n.store.busy = true
	}
}

func (n *Namespace) entryLocked(key string) *entry {
	e, ok := n.values[key]
	if !ok {
		n.store.nextID++
		e = &entry{id: n.store.nextID}
		n.values[key] = e
		if n.store.dir != "" {
			n.store.pending = appendDefine(n.store.pending, e.id, n.name, key)
		}
	}
	return e
}

// Hurry says that a source waits for its window (true), or no longer does: positions are
// then committed one after the other, without a pause. Calls must come in pairs.
func (s *Store) Hurry(on bool) {
	if !on {
		s.hurry.Add(-1)
		return
	}
	s.hurry.Add(1)
	select {
	case s.hasten <- struct{}{}:
	default:
	}
}

// Counts returns what the store did so far.
func (s *Store) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// Flush waits until everything put before is on disk. It does not wait for a disk that
// refuses writes.
func (s *Store) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	errorsBefore := s.counts.WriteErrors
	for s.busy && s.counts.WriteErrors == errorsBefore {
		s.idle.Wait()
	}
}

// Close writes what is left and gives the directory up.
func (s *Store) Close() error {
	s.Flush()
	close(s.closed)
	<-s.done
	var err error
	if s.file != nil {
		err = s.file.close()
	}
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}

func (s *Store) signal() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// run commits whenever something is pending.
func (s *Store) run() {
	defer close(s.done)
	var records []byte
	var savers []Saver
	timer := time.NewTimer(commitInterval)
	defer timer.Stop()
	for {
		select {
		case <-s.closed:
			return
		case <-s.kick:
		}
		records, savers = s.swap(records[:0], savers[:0])
		for !s.write(records) {
			if !s.pause(timer, retryInterval) {
				return
			}
			// a failed write may have left half a record: begin a whole new file,
			// which holds these records' values too
			records = nil
		}
		for i, w := range savers {
			w.Saved()
			savers[i] = nil
		}
		s.endCommit()
		if s.dir != "" && s.hurry.Load() == 0 && !s.pause(timer, commitInterval) {
			return
		}
	}
}

// swap takes what is pending and leaves the given empty slices in its place.
func (s *Store) swap(records []byte, savers []Saver) ([]byte, []Saver) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, w := s.pending, s.waiting
	s.pending, s.waiting = records, savers
	return r, w
}

func (s *Store) endCommit() {
	s.mu.Lock()
	s.busy = len(s.pending) > 0 || len(s.waiting) > 0
	s.idle.Broadcast()
	s.mu.Unlock()
}

// write appends records and fsyncs, or begins a new file when the old one has grown too
// large or failed.
func (s *Store) write(records []byte) bool {
	if s.dir == "" || (len(records) == 0 && s.file != nil) {
		return true
	}
	err := s.append(records)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.counts.Fsyncs++
		return true
	}
	s.counts.WriteErrors++
	s.idle.Broadcast()
	s.log.Error("cannot save positions; sources wait once their windows are full", "error", err)
	return false
}

func (s *Store) append(records []byte) error {
	if s.file != nil && !s.file.overgrown() {
		err := s.file.append(records)
		if err != nil {
			s.file.close()
			s.file = nil
		}
		return err
	}
	s.mu.Lock()
	snapshot := s.snapshotLocked()
	s.mu.Unlock()
	if s.file != nil {
		s.file.close()
	}
	file, err := rewrite(s.dir, snapshot)
	s.file = file
	return err
}

// snapshotLocked is a journal that holds the present values only. Records pending at the
// same time are part of it and may be appended again without harm.
func (s *Store) snapshotLocked() []byte {
	var buf []byte
	for _, n := range s.namespaces {
		for key, e := range n.values {
			buf = appendDefine(buf, e.id, n.name, key)
			buf = appendSet(buf, e.id, e.value)
		}
	}
	return buf
}

func (s *Store) pause(t *time.Timer, d time.Duration) bool {
	t.Reset(d)
	select {
	case <-s.closed:
		return false
	case <-s.hasten:
	case <-t.C:
	}
	return true
}
