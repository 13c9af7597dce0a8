package httppush

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"
)

// This file is the way of one request: let in or not, read whole, posted batch by batch,
// answered when all batches are acked.

// ServeHTTP implements http.Handler.
func (v *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(v.opts.ReadTimeout.D())) // also of a body that nobody reads
	a := v.refusal(r)
	if a.status == 0 {
		a = v.take(control, r)
	} else {
		a.hangUp = r.ContentLength != 0
	}
	if a.event != "" {
		v.env.Count(a.event, 1)
	}
	a.write(w)
}

// refusal is the answer to a request that is not let in: a glance at its headers is all
// that it costs. One that is let in has entered requests.
func (v *service) refusal(r *http.Request) answer {
	switch {
	case r.URL.Path != v.opts.Path:
		return answer{status: http.StatusNotFound, text: "messages are taken at " + v.opts.Path}
	case r.Method != http.MethodPost:
		return notPost
	}
	if a := v.stranger(r); a.status != 0 {
		return a
	}
	if _, known := codings[coding(r)]; !known {
		return unknownCoding
	}
	if r.ContentLength > int64(v.opts.MaxBody) {
		return bodyTooLarge
	}
	return v.enter()
}

func (v *service) enter() answer {
	if v.stopping.Err() == nil && v.gate.suspended() != nil {
		return suspended
	}
	switch ok, closed := v.requests.enter(); {
	case closed:
		return stopping
	case !ok:
		return busy
	}
	return answer{}
}

// stranger is the answer to somebody without the right credentials.
func (v *service) stranger(r *http.Request) answer {
	ok, err := v.keeper.admits(r.Header.Get("Authorization"))
	switch {
	case err != nil:
		v.trouble(err)
		return noSecret
	case !ok:
		return v.challenge()
	}
	return answer{}
}

func (v *service) challenge() answer {
	a := unauthorized
	a.header = [2]string{"WWW-Authenticate", "Bearer"}
	if v.opts.Username != "" {
		a.header[1] = `Basic realm="logs", charset="UTF-8"`
	}
	return a
}

func coding(r *http.Request) string {
	return strings.ToLower(strings.Join(r.Header["Content-Encoding"], ","))
}

// take is the answer to a request that is let in.
func (v *service) take(control *http.ResponseController, r *http.Request) answer {
	defer v.requests.leave()
	received := time.Now().UnixNano()
	b := newBody(&v.memory, int(v.opts.MaxBody))
	defer b.free()
	if a := v.read(control, r, b); a.status != 0 {
		return a
	}
	ctx, cancel := context.WithTimeout(r.Context(), v.opts.AckTimeout.D())
	defer cancel()
	m := newMessages(b.text(), v.isJSON(r), v.fields)
	defer m.free()
	if m.longest() > int(v.opts.MaxMessageBytes) {
		return messageTooLarge
	}
	m.begin(received, []byte(r.RemoteAddr))
	all := newAck()
	err := v.post(ctx, m, all)
	b.free() // the batches have copies of it; what follows may take long
	if err == nil {
		err = all.wait(ctx)
	}
	return v.judge(r, err)
}

// read leaves the body, decompressed, in to.
func (v *service) read(control *http.ResponseController, r *http.Request, to *body) answer {
	coding := coding(r)
	if codings[coding] == nil {
		return v.receive(control, r, to)
	}
	sent := newBody(&v.memory, int(v.opts.MaxBody))
	defer sent.free()
	if a := v.receive(control, r, sent); a.status != 0 {
		return a
	}
	return v.unread(v.inflaters.inflate(r.Context(), coding, sent, to))
}

// receive reads what the client sends, until the time for it is over or request_exit.
func (v *service) receive(control *http.ResponseController, r *http.Request, to *body) answer {
	release := context.AfterFunc(v.stopping, func() { _ = control.SetReadDeadline(time.Unix(1, 0)) })
	err := to.readFrom(r.Body)
	release()
	if err == nil {
		_ = control.SetReadDeadline(time.Time{}) // the wait for the ack has a time of its own
		return answer{}
	}
	a := v.unread(err)
	a.hangUp = true
	return a
}

// unread is the answer to a body that could not be read; nothing of it is posted.
func (v *service) unread(err error) answer {
	switch bad, isBad := errors.AsType[undecodable](err); {
	case err == nil:
		return answer{}
	case v.stopping.Err() != nil:
		return stopping
	case errors.Is(err, errTooLarge):
		return bodyTooLarge
	case errors.Is(err, errNoMemory):
		return noMemory
	case errors.Is(err, os.ErrDeadlineExceeded):
		return slowBody
	case isBad:
		return answer{status: http.StatusBadRequest, event: "undecodable", text: fmt.Sprintf("the body is not what its Content-Encoding says: %v; nothing of it was taken", bad)}
	}
	return brokenBody
}

// isJSON says whether the messages are JSON, as option format says.
func (v *service) isJSON(r *http.Request) bool {
	if v.opts.Format != "auto" {
		return v.opts.Format == "json"
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && (jsonTypes[kind] || strings.HasSuffix(kind, "+json"))
}

var jsonTypes = map[string]bool{
	"application/json": true, "application/x-ndjson": true, "application/ndjson": true,
	"application/jsonl": true, "application/x-jsonlines": true, "application/json-lines": true,
}

// post hands over all messages, in batches as large as the window allows.
func (v *service) post(ctx context.Context, m *messages, all *ack) error {
	defer v.countOddities(m)
	for m.more {
		if err := v.postBatch(ctx, m, all); err != nil {
			return err
		}
	}
	return nil
}

func (v *service) postBatch(ctx context.Context, m *messages, all *ack) error {
	if err := v.gate.enter(ctx, v.stopping); err != nil {
		return err
	}
	defer v.gate.leave()
	b := v.out.Batch(v.stream)
	for m.more && b.AppendFrom(&m.record) {
		m.advance()
	}
	all.expect()
	b.SetAcked(all)
	b.SetUrgent() // the client waits
	return v.out.Post(v.stopping, b)
}

func (v *service) countOddities(m *messages) {
	if m.malformed > 0 {
		v.env.Count("malformed", m.malformed)
	}
	if m.badTimes > 0 {
		v.env.Count("bad_time", m.badTimes)
	}
}

// judge is the answer once the messages are acked, or not.
func (v *service) judge(r *http.Request, err error) answer {
	switch {
	case err == nil:
		return accepted
	case v.stopping.Err() != nil:
		return stopping
	case r.Context().Err() != nil:
		return clientGone
	case errors.Is(err, context.DeadlineExceeded):
		return notAcked
	}
	return notPosted
}
