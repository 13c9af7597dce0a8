package collector

import (
	"errors"
	"time"

	"github.com/logsource/operator/collector/report"
)

// runFetcher is the fetcher loop: the table in doc.go, row by row.
func (r *sourceRunner) runFetcher(f Fetcher) {
	defer r.deinit(f)
	commit, stopCommitter := r.useCommitter(f)
	defer stopCommitter()
	defer r.closeFetcher(f) // once more, also when it was never opened
	for first := true; r.openFetcher(f); first = false {
		if !first && !r.awaitWindow() { // only the first fetch is not gated by the window
			return
		}
		if !r.fetchUntilReopen(f, commit) {
			return
		}
	}
}

// awaitWindow waits after a reopen; what is shown meanwhile is Suspended, not Reopening.
func (r *sourceRunner) awaitWindow() bool {
	if !r.path.window.isOpen() {
		r.setState(report.Fetching)
	}
	return r.path.window.awaitOpen(r.stopping) == nil
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
func (r *sourceRunner) fetchUntilReopen(f Fetcher, c *committer) bool {
	var spin spin
	for r.stopping.Err() == nil {
		n, err := r.fetchOnce(f, c)
		if err == nil && n == 0 {
			err = errors.New("fetch succeeded without a message")
		}
		r.note(err)
		switch {
		case err == nil:
			r.set(report.Fetching, "")
		case errors.Is(err, ErrTryAgain):
			r.path.events.add("try_again", 1)
			if spin.again() {
				r.set(report.Fetching, spins)
			}
			continue
		case errors.Is(err, ErrNoData):
			spin.end()
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
		spin.end()
		if r.path.window.awaitOpen(r.stopping) != nil {
			return false
		}
	}
	return false
}

// fetchOnce lends a batch to one Fetch and queues what came of it, also when the stop
// arrived meanwhile: a running fetch's result still counts.
func (r *sourceRunner) fetchOnce(f Fetcher, c *committer) (messages int, err error) {
	b := r.lend(r.own, c)
	err = guard(func() error { return f.Fetch(r.stopping, b) })
	messages = b.Len()
	if r.leftBehind.Load() {
		return messages, r.drop(b, "left_behind", errLeftBehind)
	}
	if postErr := r.path.post(r.stopping, b, orOverrun); postErr != nil {
		return messages, postErr
	}
	return messages, err
}

// spins is shown of a fetcher that answers TRY_AGAIN and nothing else for a second.
const spins = "fetch answers TRY_AGAIN without a pause and spins: answer NO_DATA to wait for fetchNoDataDelay"

// A spin is a row of TRY_AGAIN answers.
type spin struct {
	row   int
	since time.Time
}

// again counts one more and says, once a second, that the row is long.
func (s *spin) again() bool {
	if s.row++; s.row == 1 {
		s.since = time.Now()
	}
	if s.row%128 != 0 || time.Since(s.since) < time.Second { // the clock is not read every time
		return false
	}
	s.since = time.Now()
	return true
}

func (s *spin) end() { s.row = 0 }

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
