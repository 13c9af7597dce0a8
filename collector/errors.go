package collector

import (
	"errors"
	"fmt"
	"time"
)

// What a Fetcher or a Destination may answer; the loops act on these, text is for people.
var (
	// ErrTryAgain: no message this time, fetch again at once. syslog-ng: FETCH_TRY_AGAIN.
	ErrTryAgain = errors.New("try again")
	// ErrNoData: nothing to fetch now, wait fetchNoDataDelay. syslog-ng: FETCH_NO_DATA.
	ErrNoData = errors.New("no data")
	// ErrNotConnected: wait timeReopen, then Open. A fetcher is not closed before, a
	// destination is. syslog-ng: FETCH_NOT_CONNECTED.
	ErrNotConnected = errors.New("not connected")
	// ErrSuspended: a Suspender posted while suspended; the batch was dropped and counted.
	ErrSuspended = errors.New("incorrectly suspended source, dropping message")
)

// A Rejection names one record that a destination did not take.
type Rejection struct {
	Batch, Record int // indexes into the slice given to Write and into that batch
	Err           error
}

// A PartialError says which records of a request were not taken; all others were. A
// rejection whose error is Permanent is counted as rejected, any other is written again.
type PartialError struct {
	Rejected []Rejection
	Err      error // what the request as a whole answered; may be nil
}

// Error says how many were not taken, and the first reason.
func (e *PartialError) Error() string {
	if len(e.Rejected) == 0 {
		return fmt.Sprintf("no record was rejected: %v", e.Err)
	}
	return fmt.Sprintf("%d records not taken, first: %v", len(e.Rejected), e.Rejected[0].Err)
}

// Unwrap gives the answer to the request as a whole.
func (e *PartialError) Unwrap() error { return e.Err }

// AppendRejections adds the records lo to hi (hi not included) of a request, counted
// through all of its batches, as not taken because of err.
func AppendRejections(rejected []Rejection, bs []*Batch, lo, hi int, err error) []Rejection {
	first := 0
	for i, b := range bs {
		for r := max(lo-first, 0); r < min(hi-first, b.Len()); r++ {
			rejected = append(rejected, Rejection{Batch: i, Record: r, Err: err})
		}
		first += b.Len()
	}
	return rejected
}

type permanentError struct{ error }

func (p permanentError) Unwrap() error { return p.error }

// Permanent marks an error that no retry will cure: what was being written is counted as
// rejected and given up.
func Permanent(err error) error { return permanentError{err} }

// IsPermanent says whether err, or an error it wraps, is Permanent.
func IsPermanent(err error) bool {
	var p permanentError
	return errors.As(err, &p)
}

type retryAfterError struct {
	error
	wait time.Duration
}

func (r retryAfterError) Unwrap() error { return r.error }

// RetryAfter marks an error after which the other side asked for that much patience.
func RetryAfter(wait time.Duration, err error) error { return retryAfterError{err, wait} }

// retryWait returns the wait an error asks for, 0 when it asks for none.
func retryWait(err error) time.Duration {
	var r retryAfterError
	if errors.As(err, &r) {
		return r.wait
	}
	return 0
}
