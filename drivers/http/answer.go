package http

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/logsource/operator/collector"
)

// An answer is what became of one request. A nil err means that all of it was taken.
type answer struct {
	err error
	// divide says that smaller requests may fare better: the request is too large, or a
	// record in it is refused. A single record cannot be divided: it is rejected.
	divide bool
}

// reopen is an error after which the destination is closed and opened again.
type reopen struct{ error }

func (r reopen) Unwrap() error        { return r.error }
func (r reopen) Is(target error) bool { return target == collector.ErrNotConnected }

// judge turns a status into what is done about it. Only statuses that speak about the
// content reject records; whatever an administrator can mend is retried, for ever.
func (d *destination) judge(r *http.Response) answer {
	says := fmt.Errorf("%s answers %s%s", d.url.Host, r.Status, d.excerpt(r))
	switch code := r.StatusCode; {
	case code >= 200 && code < 300:
		return answer{}
	case code >= 300 && code < 400:
		return answer{err: fmt.Errorf("%w; redirects are not followed: set option url to the final address", says)}
	case code == http.StatusRequestEntityTooLarge, code == http.StatusBadRequest, code == http.StatusConflict, code == http.StatusUnprocessableEntity:
		return answer{err: says, divide: true}
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return answer{err: reopen{fmt.Errorf("%w; check secretOptions token, or username and password", says)}}
	case code == http.StatusNotFound, code == http.StatusMethodNotAllowed:
		return answer{err: fmt.Errorf("%w; check options url and method", says)}
	case code == http.StatusUnsupportedMediaType:
		return answer{err: fmt.Errorf("%w; check options compression, format and headers", says)}
	}
	if wait := retryAfter(r.Header.Get("Retry-After"), time.Now()); wait > 0 {
		return answer{err: collector.RetryAfter(wait, says)}
	}
	return answer{err: says}
}

// excerptBytes bounds how much of an answer stands in an error.
const excerptBytes = 200

// excerpt is the beginning of what the server says about its refusal, on one line and
// without the credentials, which some servers echo.
func (d *destination) excerpt(r *http.Response) string {
	if r.StatusCode < 400 {
		return ""
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, excerptBytes))
	if err != nil || len(text) == 0 {
		return ""
	}
	s := strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return ' '
	}, string(text))
	if d.secret != "" {
		_, credential, _ := strings.Cut(d.secret, " ")
		s = strings.ReplaceAll(s, credential, "***")
	}
	return ": " + strings.TrimSpace(s)
}

// retryAfterMax bounds the patience that a server can ask for.
const retryAfterMax = 5 * time.Minute

// retryAfter reads seconds or a date (RFC 9110 §10.2.3), 0 when there is no sense in it.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseInt(header, 10, 64); err == nil {
		return time.Duration(max(0, min(seconds, int64(retryAfterMax/time.Second)))) * time.Second
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return max(0, min(at.Sub(now), retryAfterMax))
}

// requestsMax bounds the requests of one Write, so that a server that refuses everything
// is not asked once per record without a pause. What is left is written again.
const requestsMax = 128

// A writing is one call of Write: it divides the records until each is taken, rejected or
// kept for later.
type writing struct {
	d        *destination
	bs       []*collector.Batch
	requests int

	rejected []collector.Rejection
	failed   int   // records that are to be written again
	err      error // the answer that stopped the writing
	refusal  error // the last answer that rejected a record
}

// deliver sends the records lo to hi, in halves where that is what the server needs. Once
// a request fails in a way that only time cures, no more are made.
func (w *writing) deliver(ctx context.Context, lo, hi int) {
	if lo == hi {
		return
	}
	if w.err == nil && w.requests >= requestsMax {
		w.err = fmt.Errorf("%d requests were not enough to find every refused record: %w", requestsMax, w.refusal)
	}
	if w.err != nil {
		w.keep(lo, hi)
		return
	}
	w.requests++
	a := w.d.send(ctx, lo, hi)
	switch {
	case a.err == nil:
	case !a.divide:
		w.err = a.err
		w.keep(lo, hi)
	case hi-lo == 1:
		w.refusal = a.err
		w.rejected = collector.AppendRejections(w.rejected, w.bs, lo, hi, collector.Permanent(a.err))
	default:
		w.refusal = a.err
		middle := lo + (hi-lo)/2
		w.deliver(ctx, lo, middle)
		w.deliver(ctx, middle, hi)
	}
}

func (w *writing) keep(lo, hi int) {
	w.failed += hi - lo
	w.rejected = collector.AppendRejections(w.rejected, w.bs, lo, hi, w.err)
}

// result is what Write answers. A request that failed as a whole needs no list.
func (w *writing) result() error {
	switch all := len(w.d.ends) - 1; {
	case len(w.rejected) == 0:
		return nil
	case w.failed == all:
		return w.err
	case all == 1:
		return collector.Permanent(w.refusal)
	case w.err != nil:
		return &collector.PartialError{Rejected: w.rejected, Err: w.err}
	}
	return &collector.PartialError{Rejected: w.rejected, Err: w.refusal}
}
