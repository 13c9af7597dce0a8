package httppush

import (
	"io"
	"net/http"
	"strconv"
	"time"
)

// An answer is what a client is told. The zero value tells nothing yet.
type answer struct {
	status int
	text   string // for people
	event  string // to count, if any
	retry  time.Duration
	header [2]string // one more, if any
	// hangUp ends the connection: what is left of the body must not be taken for a request.
	// The answer does not wait for it then.
	hangUp bool
}

const (
	// retryBusy is when a client should come back that was not let in: windows open again
	// within milliseconds while destinations take messages.
	retryBusy = time.Second
	// retryLater is the same for one whose messages were not acked in time.
	retryLater = 5 * time.Second
)

var (
	accepted = answer{status: http.StatusNoContent}

	unauthorized = answer{status: http.StatusUnauthorized, event: "unauthorized", text: "wrong or no credentials: see the secretOptions of the LogSource"}
	noSecret     = answer{status: http.StatusServiceUnavailable, retry: retryLater, text: "the collector cannot read the secret it checks credentials with: see its log"}

	notPost = answer{status: http.StatusMethodNotAllowed, header: [2]string{"Allow", http.MethodPost}, text: "this takes log messages: send them with POST, as JSON lines or plain lines"}

	suspended = answer{status: http.StatusTooManyRequests, event: "refused_suspended", retry: retryBusy, text: "suspended: the destinations have yet to take earlier messages; send this again"}
	busy      = answer{status: http.StatusTooManyRequests, event: "refused_busy", retry: retryBusy, text: "too many requests are in work: send this again; see option maxRequests"}
	noMemory  = answer{status: http.StatusTooManyRequests, event: "refused_busy", retry: retryBusy, text: "too many bodies are in work: send this again; see option maxBody"}

	stopping   = answer{status: http.StatusServiceUnavailable, event: "stopping", retry: retryLater, text: "the collector is being stopped or changed: send this again"}
	notAcked   = answer{status: http.StatusServiceUnavailable, event: "ack_timeout", retry: retryLater, text: "the destinations have not confirmed the messages in time: send them again"}
	notPosted  = answer{status: http.StatusServiceUnavailable, event: "not_accepted", retry: retryLater, text: "the collector did not accept the messages: send them again"}
	clientGone = answer{status: http.StatusServiceUnavailable, event: "client_gone", retry: retryLater, text: "the connection ended before the ack"}

	bodyTooLarge    = answer{status: http.StatusRequestEntityTooLarge, event: "body_too_large", text: "the body is larger than option maxBody, as sent or decompressed: send it in parts; nothing of it was taken"}
	messageTooLarge = answer{status: http.StatusRequestEntityTooLarge, event: "message_too_large", text: "a message is larger than option maxMessageBytes: nothing of the body was taken"}
	unknownCoding   = answer{status: http.StatusUnsupportedMediaType, event: "unsupported_encoding", header: [2]string{"Accept-Encoding", "gzip, zstd, identity"}, text: "this Content-Encoding is not understood: use gzip, zstd or none"}
	slowBody        = answer{status: http.StatusRequestTimeout, event: "body_timeout", text: "the body did not arrive within option readTimeout: nothing of it was taken"}
	brokenBody      = answer{status: http.StatusBadRequest, event: "body_incomplete", text: "the body ended early: nothing of it was taken"}
)

// answerTimeout is how long a client may take to read the few bytes of an answer.
const answerTimeout = 10 * time.Second

func (a answer) write(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTimeout)) // of a connection that is closed
	h := w.Header()
	if a.header[0] != "" {
		h.Set(a.header[0], a.header[1])
	}
	if a.hangUp {
		h.Set("Connection", "close")
	}
	if a.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int(a.retry/time.Second)))
	}
	if a.text == "" {
		w.WriteHeader(a.status)
		return
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.text+"\n") // a client that has gone needs no answer
}
