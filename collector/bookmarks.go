package collector

import (
	"sync"

	"github.com/logsource/operator/collector/checkpoint"
)

// bookmarks are the positions of one source: on disk what is acked, in memory also what
// is posted, so that an instance that replaces another in this process does not read
// again what is still on its way.
type bookmarks struct {
	name  string
	disk  *checkpoint.Namespace
	saved func(*Batch)

	mu     sync.Mutex
	latest map[string][]byte // the newest posted value per key
}

func newBookmarks(disk *checkpoint.Namespace, name string, saved func(*Batch)) *bookmarks {
	return &bookmarks{name: name, disk: disk, saved: saved, latest: map[string][]byte{}}
}

// Load returns the newest position under key.
func (m *bookmarks) Load(key string) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.latest[key]; ok {
		return append([]byte(nil), v...), true
	}
	return m.disk.Load(key)
}

// Delete forgets a key.
func (m *bookmarks) Delete(key string) {
	m.mu.Lock()
	delete(m.latest, key)
	m.mu.Unlock()
	m.disk.Delete(key)
}

// Keys lists the saved keys and those posted in this life.
func (m *bookmarks) Keys() []string {
	keys := m.disk.Keys()
	seen := make(map[string]bool, len(keys))
	for _, k := range keys {
		seen[k] = true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for k := range m.latest {
		if !seen[k] {
			keys = append(keys, k)
		}
	}
	return keys
}

// posted notes where the source stands after b.
func (m *bookmarks) posted(b *Batch) {
	if b.bookmarkKey == "" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.latest[b.bookmarkKey]; ok && cap(v) >= len(b.bookmark) {
		m.latest[b.bookmarkKey] = append(v[:0], b.bookmark...)
		return
	}
	m.latest[b.bookmarkKey] = append(make([]byte, 0, 2*len(b.bookmark)), b.bookmark...)
}

// save writes the bookmark of an acked batch; the batch is finished once it is fsynced.
func (m *bookmarks) save(b *Batch) {
	m.disk.Put(b.bookmarkKey, b.bookmark, (*savedBatch)(b))
}

// savedBatch is a Batch as the checkpoint store sees it: something to tell.
type savedBatch Batch

// Saved is called by the store, in order, after the fsync.
func (s *savedBatch) Saved() {
	b := (*Batch)(s)
	if b.commit == nil || !b.commit.push(b) {
		b.marks.saved(b)
	}
}

// A committer tells a driver its saved bookmarks, in order, from a goroutine of its own,
// so that a slow driver delays nobody else.
type committer struct {
	driver Committer
	failed func(error)

	mu      sync.Mutex
	some    sync.Cond
	pending []*Batch
	closed  bool
	done    chan struct{}
}

func startCommitter(driver Committer, failed func(error)) *committer {
	c := &committer{driver: driver, failed: failed, done: make(chan struct{})}
	c.some.L = &c.mu
	go c.run()
	return c
}

// push takes the batch, false once the instance has ended: its bookmark is saved, and
// there is nobody to tell.
func (c *committer) push(b *Batch) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.pending = append(c.pending, b)
	c.some.Signal()
	return true
}

// stop tells what is pending and ends the goroutine.
func (c *committer) stop() {
	c.mu.Lock()
	c.closed = true
	c.some.Signal()
	c.mu.Unlock()
	<-c.done
}

func (c *committer) run() {
	defer close(c.done)
	for {
		c.mu.Lock()
		for len(c.pending) == 0 && !c.closed {
			c.some.Wait()
		}
		batches := c.pending
		c.pending = nil
		c.mu.Unlock()
		if len(batches) == 0 {
			return
		}
		for _, b := range batches {
			if err := guard(func() error { return c.driver.Commit(b.bookmarkKey, b.bookmark) }); err != nil {
				c.failed(err)
			}
			b.marks.saved(b)
		}
	}
}
