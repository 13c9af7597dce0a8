package collector

import (
	"maps"
	"sync"
)

// counters count by reason. The reasons are fixed words, so their number is bounded.
type counters struct {
	mu sync.Mutex
	n  map[string]int64
}

func newCounters() *counters { return &counters{n: map[string]int64{}} }

func (c *counters) add(reason string, n int) {
	c.mu.Lock()
	c.n[reason] += int64(n)
	c.mu.Unlock()
}

func (c *counters) snapshot() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.n)
}

// gaps count what the origin no longer had when it could be read, by reason.
type gaps struct {
	mu              sync.Mutex
	messages, bytes map[string]int64
}

func (g *gaps) add(reason string, messages, bytes int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.messages == nil {
		g.messages, g.bytes = map[string]int64{}, map[string]int64{}
	}
	g.messages[reason] += messages
	g.bytes[reason] += bytes
}

func (g *gaps) totals() (messages, bytes int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for reason := range g.messages {
		messages += g.messages[reason]
		bytes += g.bytes[reason]
	}
	return messages, bytes
}
