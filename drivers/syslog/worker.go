package syslog

import (
	"runtime"
	"time"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/msgformat"
)

// bufferMin is the least that one read of a connection may bring.
const bufferMin = 64 << 10

// A worker is what it takes to read messages: memory and a parser. Whoever has it does not
// wait for a peer, so a few are enough for any number of connections.
type worker struct {
	buf    []byte
	parser *msgformat.Parser
	record collector.Record

	malformed, cut int // not counted yet
}

// hireWorkers makes as many as can run at once, and one more for whoever was interrupted.
func (s *source) hireWorkers() error {
	n := runtime.GOMAXPROCS(0) + 1
	s.workers = make(chan *worker, n)
	for range n {
		w, err := s.newWorker(max(bufferMin, int(s.opts.MaxMessageBytes)+msgformat.MaxHead))
		if err != nil {
			return err
		}
		s.workers <- w
	}
	return nil
}

func (s *source) newWorker(buffer int) (*worker, error) {
	p, err := msgformat.New(s.env.Flags, s.env.Message.TimeZone, nil)
	if err != nil {
		return nil, err
	}
	return &worker{buf: make([]byte, buffer), parser: p}, nil
}

// deliver adds one message to the batch. One that is not syslog is delivered as it is.
func (s *source) deliver(w *worker, message, addr []byte, now time.Time) {
	if w.parser.Parse(message, &w.record) != nil {
		w.malformed++
	}
	w.record.Received, w.record.Addr = now.UnixNano(), addr
	s.batch.add(&w.record)
}

// settle counts what the worker has noted.
func (w *worker) settle(env *collector.Env) {
	if w.malformed > 0 {
		env.Count("malformed", w.malformed)
	}
	if w.cut > 0 {
		env.Count("message_cut", w.cut)
	}
	w.malformed, w.cut = 0, 0
}
