package httppoll

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/httpclient"
	"github.com/logsource/operator/collector/netpolicy"
)

//go:embed options.json
var options []byte

// Driver is the http-poll class.
var Driver = collector.NewFetcher(class.Class{
	Name:        "http-poll",
	Placement:   class.Single,
	Description: "Asks a URL for messages, one per answer or one per line.",
	Footprint:   class.Footprint{State: true},
}, options, newFetcher)

// fetcher holds one answer at a time: what the batch had no room for waits in rest, and
// no further poll is made before that is taken.
type fetcher struct {
	opts    Options
	env     collector.Env
	url     *url.URL
	headers http.Header
	creds   httpclient.Credentials
	tls     httpclient.TLS
	stream  *collector.Stream

	client *http.Client // nil while closed
	auth   string       // the Authorization header, read at Open
	next   time.Time    // when the interval allows the next poll

	body   []byte // the last answer, reused
	rest   []byte // the part of body that is not in a batch yet
	polled time.Time
	etag   string // of the last answer that was taken whole
}

func newFetcher(o Options, env collector.Env) (collector.Fetcher, error) {
	u, err := httpclient.URL("url", o.URL)
	if err != nil {
		return nil, err
	}
	headers, err := httpclient.Headers(o.Headers)
	if err != nil {
		return nil, err
	}
	creds := httpclient.Credentials{Username: o.Username, Password: o.Password, Token: o.Token}
	if err := errors.Join(o.check(), creds.Check()); err != nil {
		return nil, err
	}
	return &fetcher{
		opts: o, env: env, url: u, headers: headers, creds: creds,
		tls:    httpclient.TLS{CA: o.CA, InsecureSkipVerify: o.InsecureSkipVerify},
		stream: &collector.Stream{Attrs: env.Common},
	}, nil
}

// check says again what the schema says, for plans that no apiserver has seen.
func (o Options) check() error {
	switch {
	case o.Method != http.MethodGet && o.Method != http.MethodPost:
		return fmt.Errorf("option method is %q: use GET or POST", o.Method)
	case o.Body != "" && o.Method != http.MethodPost:
		return errors.New("option body is set: set method to POST")
	case o.Interval.D() < 100*time.Millisecond:
		return fmt.Errorf("option interval is %s: the minimum is 100ms", o.Interval.D())
	case o.Timeout.D() <= 0:
		return fmt.Errorf("option timeout is %s: set a positive duration such as 10s", o.Timeout.D())
	case o.Split != "none" && o.Split != "lines":
		return fmt.Errorf("option split is %q: use none or lines", o.Split)
	case o.MaxBody < 1:
		return errors.New("option maxBody is 0: set a number of bytes such as 1Mi")
	}
	return nil
}

// Open reads the secrets anew. The first poll comes at once: after an error it is
// timeReopen that paces, not the interval.
func (f *fetcher) Open(context.Context) error {
	transport, err := f.tls.Transport()
	if err != nil {
		return err
	}
	if f.auth, err = f.creds.Reveal(); err != nil {
		return err
	}
	f.client = &http.Client{Transport: transport, CheckRedirect: f.checkRedirect}
	f.next = time.Time{}
	if f.etag == "" {
		f.etag = f.savedETag()
	}
	return nil
}

// Fetch waits until the interval has passed and polls once.
func (f *fetcher) Fetch(ctx context.Context, b *collector.Batch) error {
	b.SetStream(f.stream)
	if len(f.rest) == 0 {
		if err := f.wait(ctx); err != nil {
			return err
		}
		if err := f.poll(ctx); err != nil {
			return err
		}
	}
	f.take(b)
	if b.Len() == 0 {
		return collector.ErrNoData
	}
	return nil
}

func (f *fetcher) wait(ctx context.Context) error {
	timer := time.NewTimer(time.Until(f.next))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// poll leaves the answer in rest.
func (f *fetcher) poll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, f.opts.Timeout.D())
	defer cancel()
	f.polled = time.Now()
	f.next = f.polled.Add(f.opts.Interval.D())
	request, err := f.request(ctx)
	if err != nil {
		return err
	}
	answer, err := f.client.Do(request)
	if err != nil {
		if errors.Is(err, netpolicy.ErrRefused) {
			f.env.Count("address_refused", 1)
		}
		return err // any error of the connection: Close, wait, Open
	}
	defer httpclient.Discard(answer)
	if err := f.judge(answer); err != nil {
		return err
	}
	return f.read(answer)
}

func (f *fetcher) request(ctx context.Context) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, f.opts.Method, f.opts.URL, strings.NewReader(f.opts.Body))
	if err != nil {
		return nil, err
	}
	r.Header = f.headers.Clone()
	if f.auth != "" {
		r.Header.Set("Authorization", f.auth)
	}
	if f.etag != "" {
		r.Header.Set("If-None-Match", f.etag)
	}
	return r, nil
}

// judge turns the status of an answer into the loop's words.
func (f *fetcher) judge(answer *http.Response) error {
	switch code := answer.StatusCode; {
	case code == http.StatusNoContent, code == http.StatusNotModified:
		return collector.ErrNoData
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return fmt.Errorf("%s answers %s: check secretOptions token, or username and password", f.url.Host, answer.Status)
	default:
		return fmt.Errorf("%s answers %s to %s: check option url", f.url.Host, answer.Status, f.opts.Method)
	}
}

func (f *fetcher) read(answer *http.Response) error {
	buf := bytes.NewBuffer(f.body[:0])
	n, err := buf.ReadFrom(io.LimitReader(answer.Body, int64(f.opts.MaxBody)+1))
	f.body = buf.Bytes()
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", f.url.Host, err)
	}
	if n > int64(f.opts.MaxBody) {
		f.env.Count("body_too_large", 1)
		return fmt.Errorf("the answer of %s is larger than %d bytes: raise option maxBody", f.url.Host, f.opts.MaxBody)
	}
	f.rest, f.etag = f.body, ""
	if f.opts.Method == http.MethodGet {
		f.etag = answer.Header.Get("ETag")
	}
	return nil
}

// take moves as much of the answer into the batch as it has room for.
func (f *fetcher) take(b *collector.Batch) {
	for len(f.rest) > 0 {
		message, rest := f.cut()
		if len(message) > 0 && !b.Append(f.polled, message) {
			return
		}
		f.rest = rest
	}
	if b.Len() > 0 && f.etag != "" {
		b.SetBookmark(bookmark, []byte(f.opts.URL+"\n"+f.etag))
	}
}

func (f *fetcher) cut() (message, rest []byte) {
	if f.opts.Split == "none" {
		return f.rest, nil
	}
	line, rest, _ := bytes.Cut(f.rest, []byte{'\n'})
	return bytes.TrimSuffix(line, []byte{'\r'}), rest
}

// bookmark is the key of the entity tag of the last answer that every destination has, with
// its URL: after a restart the same answer is not delivered again.
const bookmark = "etag"

func (f *fetcher) savedETag() string {
	if f.env.Bookmarks == nil {
		return ""
	}
	saved, _ := f.env.Bookmarks.Load(bookmark)
	polled, etag, _ := strings.Cut(string(saved), "\n")
	if polled != f.opts.URL {
		return ""
	}
	return etag
}

// maxRedirects is how many redirects one poll follows.
const maxRedirects = 5

// checkRedirect keeps credentials where the option url sent them.
func (f *fetcher) checkRedirect(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects: set option url to the final address", maxRedirects)
	}
	if f.creds.Set() && (r.URL.Scheme != f.url.Scheme || r.URL.Host != f.url.Host) {
		return errors.New("a redirect to another scheme or host is not followed with credentials: set option url to the final address")
	}
	return nil
}

// Close ends the connections. It is only ever called with a rest when the collector
// stops: the rest of the answer is lost, and booked.
func (f *fetcher) Close() error {
	if f.client != nil {
		f.client.CloseIdleConnections()
		f.client = nil
	}
	f.bookRest()
	return nil
}

func (f *fetcher) bookRest() {
	var messages, size int64
	for len(f.rest) > 0 {
		message, rest := f.cut()
		if len(message) > 0 {
			messages, size = messages+1, size+int64(len(message))
		}
		f.rest = rest
	}
	if messages > 0 {
		f.env.Lost("stopped_within_answer", messages, size)
		f.etag = ""
	}
}
