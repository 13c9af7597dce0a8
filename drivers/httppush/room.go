package httppush

import "sync"

// A room counts the requests in work.
type room struct {
	mu     sync.Mutex // protects following
	most   int
	inside int
	closed bool
	empty  chan struct{} // closed once the room is closed and nobody is inside
}

func newRoom(most int) *room { return &room{most: most, empty: make(chan struct{})} }

// enter says whether the request may come in; then it must leave.
func (r *room) enter() (ok, closed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.inside >= r.most {
		return false, r.closed
	}
	r.inside++
	return true, false
}

func (r *room) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inside--
	if r.closed && r.inside == 0 {
		close(r.empty)
	}
}

// close lets nobody in any more. Called once.
func (r *room) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.inside == 0 {
		close(r.empty)
	}
}
