package drivertest

import (
	"maps"
	"slices"
	"sync"

	"github.com/logsource/operator/collector"
)

// Persist is a collector.Persist in memory. The zero value is empty.
type Persist struct {
	mu     sync.Mutex
	values map[string]collector.Value
}

// Get implements collector.Persist.
func (p *Persist) Get(key string) (collector.Value, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v, ok := p.values[key]
	return v, ok
}

// Set implements collector.Persist.
func (p *Persist) Set(key string, v collector.Value) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.values == nil {
		p.values = map[string]collector.Value{}
	}
	p.values[key] = v
	return nil
}

// Delete implements collector.Persist.
func (p *Persist) Delete(key string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.values, key)
	return nil
}

// Keys implements collector.Persist.
func (p *Persist) Keys() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.values))
}
