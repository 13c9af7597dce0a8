package collector

// OnAck is what SetAcked or an AckTracker has set, for tests that ack without an engine.
func (b *Batch) OnAck() Acked { return b.onAck }
