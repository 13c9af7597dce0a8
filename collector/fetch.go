package collector

import (
	"errors"
	"time"

	"github.com/logsource/operator/collector/report"
)

// runFetcher is the fetcher loop: the table in doc.go, row by row.
func (r *sourceRunner) runFetcher(f Fetcher) {
	defer deinitDriver(f)
	if err := initDriver(r.stopping, f); err != nil {
		r.set(report.Failed, "init: "+firstLine(err))
		<-r.stopping.Done()
		return
	}
	defer r.useCommitter(f)()
	defer r.closeFetcher(f) // once more, also when it was never opened
	for r.openFetcher(f) {
		if !r.fetchUntilReopen(f) {
			return
		}
	}
}

// openFetcher opens for ever, every timeReopen; false when the stop comes first.
func (r *sourceRunner) openFetcher(f Fetcher) bool {
	for r.stopping.Err() == nil {
		r.mu.Lock()
		if r.state != report.Reopening { // keep the reason on display while retrying
			r.state = report.Opening
		}
		r.mu.Unlock()
		err := guard(func() error { return f.Open(r.stopping) })
		if err == nil {
			return true
		}
		if !r.waitToReopen("open: " + firstLine(err)) {
			return false
		}
	}
	return false
}

// fetchUntilReopen fetches until the connection has to be opened again (true) or the
// source stops (false).
func (r *sourceRunner) fetchUntilReopen(f Fetcher) bool {
	for r.stopping.Err() == nil {
		n, err := r.fetchOnce(f)
		if err == nil && n == 0 {
			err = errors.New("fetch succeeded without a message")
		}
		r.note(err)
		switch {
		case err == nil:
			r.set(report.Fetching, "")
		case errors.Is(err, ErrTryAgain):
			r.path.events.add("try_again", 1)
			continue
		case errors.Is(err, ErrNoData):
			r.set(report.Idle, "")
			if !sleep(r.stopping, r.spec.FetchNoDataDelay.D()) {
				return false
			}
			continue
		case errors.Is(err, ErrNotConnected):
			return r.waitToReopen(firstLine(err))
		default:
			if r.stopping.Err() != nil {
				return false // the error of a fetch that was asked to end
			}
			r.closeFetcher(f)
			return r.waitToReopen(firstLine(err))
		}
		// only after a success: the first fetch is not gated by the window
		if r.path.window.awaitOpen(r.stopping) != nil {
			return false
		}
	}
	return false
}

// fetchOnce lends a batch to one Fetch and queues what came of it, also when the stop
// arrived meanwhile: a running fetch's result still counts.
func (r *sourceRunner) fetchOnce(f Fetcher) (messages int, err error) {
	b := r.lend(r.own)
	err = guard(func() error { return f.Fetch(r.stopping, b) })
	messages = b.Len()
	if postErr := r.path.post(r.stopping, b, true); postErr != nil {
		return messages, postErr
	}
	return messages, err
}

// note keeps the result of a fetch for the status, in the seed's words.
func (r *sourceRunner) note(err error) {
	result := "Error"
	switch {
	case err == nil:
		result = "Success"
	case errors.Is(err, ErrTryAgain):
		result = "TryAgain"
	case errors.Is(err, ErrNoData):
		result = "NoData"
	case errors.Is(err, ErrNotConnected):
		result = "NotConnected"
	}
	r.mu.Lock()
	r.result, r.resultAt = result, time.Now()
	r.mu.Unlock()
}

// waitToReopen shows why and waits timeReopen; false when the stop comes first.
func (r *sourceRunner) waitToReopen(why string) bool {
	r.path.events.add("reopen", 1)
	r.set(report.Reopening, why)
	return sleep(r.stopping, r.spec.TimeReopen.D())
}

func (r *sourceRunner) closeFetcher(f Fetcher) {
	if err := guard(f.Close); err != nil {
		r.log.Warn("source did not close cleanly", "error", err)
	}
}
