package containerlogs

import (
	"bytes"
	"context"
	"slices"
	"sync"

	"github.com/logsource/operator/collector"
)

// A source is one log path's instance of the class. What it knows of the node lives only
// as long as Run; what must outlive it is in the bookmarks.
type source struct {
	options Options
	env     collector.Env

	mu    sync.Mutex // protects acked
	acked map[string][]byte
}

// Run reads until ctx ends.
func (s *source) Run(ctx context.Context, out collector.Poster) error {
	t, err := newTail(s, out)
	if err != nil {
		return err
	}
	defer t.close()
	return t.run(ctx)
}

// Commit notes which positions are safe, so that the bookmark of a container that is gone
// is deleted only when everything read of it has been delivered.
func (s *source) Commit(key string, bookmark []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, ok := s.acked[key]
	if ok {
		s.acked[key] = append(old[:0], bookmark...)
		return nil
	}
	s.acked[key] = slices.Clone(bookmark)
	return nil
}

// settled says whether posted, the last position posted under key, is safe; nothing
// posted is safe. It forgets the key then.
func (s *source) settled(key string, posted []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(posted) > 0 && !bytes.Equal(s.acked[key], posted) {
		return false
	}
	delete(s.acked, key)
	return true
}
