package collector

import "sync"

// A pool keeps the batches of one log path for reuse, with at most limit bytes of
// buffers; the busiest are reused first.
type pool struct {
	mu    sync.Mutex
	free  []*Batch
	bytes int64
	limit int64
}

func (p *pool) get() *Batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) == 0 {
		return &Batch{}
	}
	b := p.free[len(p.free)-1]
	p.free = p.free[:len(p.free)-1]
	p.bytes -= b.footprint()
	return b
}

func (p *pool) put(b *Batch) {
	b.reset(nil, 0, 0)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bytes+b.footprint() > p.limit {
		return
	}
	p.bytes += b.footprint()
	p.free = append(p.free, b)
}

func (p *pool) resize(limit int64) {
	p.mu.Lock()
	p.limit = limit
	p.mu.Unlock()
}

// footprint is what the batch holds in memory, with its records.
func (b *Batch) footprint() int64 {
	return int64(cap(b.buf)+cap(b.fields)) + 32*int64(cap(b.recs)) + 48*int64(cap(b.more)) + 256
}
