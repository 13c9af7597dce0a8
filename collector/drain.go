package collector

import "context"

// This file is the end of a destination that is no longer in the plan: nothing new comes,
// what it had taken is delivered, for at most shutdownGrace, and the rest is counted.

// A draining is a removed destination on its way out.
type draining struct {
	*output
	cancel context.CancelFunc
	done   chan struct{}
}

// drain lets o deliver what it has in the background.
func (l *logPath) drain(o *output) {
	ctx, cancel := context.WithTimeout(l.env.hard, l.current().ShutdownGrace.D())
	d := &draining{output: o, cancel: cancel, done: make(chan struct{})}
	l.mu.Lock()
	l.draining = append(l.draining, d)
	l.mu.Unlock()
	o.queue.close(true)
	go func() {
		defer close(d.done)
		defer cancel()
		o.writer.finish(ctx)
		l.endDrain(d)
	}()
}

// endDrain drops what is left, counted, unless the destination has come back.
func (l *logPath) endDrain(d *draining) {
	if !l.forgetDraining(d) {
		return
	}
	lost := d.queue.drain()
	n := messagesOf(lost) // before settled: the batches are not ours after that
	for _, b := range lost {
		l.settled(d.queue, b)
	}
	if n > 0 {
		l.drops.add("destination_removed", int(n))
		l.log.Error("destination was removed and did not take what it had in its queue; it is counted as dropped", "destination", d.spec.Name, "messages", n)
	}
}

// forgetDraining says whether d was still draining.
func (l *logPath) forgetDraining(d *draining) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, o := range l.draining {
		if o == d {
			l.draining = append(l.draining[:i:i], l.draining[i+1:]...)
			return true
		}
	}
	return false
}

// undrain takes the output of that name back, with its queue, nil when none is draining.
func (l *logPath) undrain(name string) *output {
	l.mu.Lock()
	var found *draining
	for _, d := range l.draining {
		if d.spec.Name == name {
			found = d
		}
	}
	l.mu.Unlock()
	if found == nil || !l.forgetDraining(found) {
		return nil
	}
	found.cancel()
	<-found.done
	found.queue.close(false)
	return found.output
}

// awaitDrained waits for every removed destination to end, each at most as long as ctx.
func (l *logPath) awaitDrained(ctx context.Context) {
	l.mu.Lock()
	all := append([]*draining(nil), l.draining...)
	l.mu.Unlock()
	for _, d := range all {
		select {
		case <-d.done:
		case <-ctx.Done():
			d.cancel()
			<-d.done
		}
	}
}
