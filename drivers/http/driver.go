package http

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/httpclient"
	"github.com/logsource/operator/collector/jsonlines"
	"github.com/logsource/operator/collector/netpolicy"
)

//go:embed options.json
var options []byte

// Driver is the http class.
var Driver = collector.NewDestination(class.Class{
	Name:        "http",
	Description: "Posts messages as JSON lines or raw lines over HTTP.",
}, options, newDestination)

type destination struct {
	opts    Options
	env     collector.Env
	url     *url.URL
	headers http.Header // without credentials; those are added at Open
	creds   httpclient.Credentials
	tls     httpclient.TLS
	render  func(dst []byte, b *collector.Batch, i int) []byte

	client *http.Client // nil while closed
	opened time.Time    // when its connections were new
	secret string       // the Authorization header
	coding *coding      // compression

	text []byte // the request being written, before compression, reused
	ends []int  // where its lines end
}

func newDestination(o Options, env collector.Env) (collector.Destination, error) {
	u, err := httpclient.URL("url", o.URL)
	if err != nil {
		return nil, err
	}
	headers, err := httpclient.Headers(o.Headers)
	if err != nil {
		return nil, err
	}
	render, err := jsonlines.Format(o.Format)
	if err != nil {
		return nil, err
	}
	d := &destination{
		opts: o, env: env, url: u, headers: headers, render: render,
		creds: httpclient.Credentials{Username: o.Username, Password: o.Password, Token: o.Token},
		tls:   httpclient.TLS{CA: o.CA, ClientCert: o.ClientCert, ClientKey: o.ClientKey, ServerName: o.ServerName, InsecureSkipVerify: o.InsecureSkipVerify},
	}
	if err := errors.Join(o.check(), d.creds.Check(), d.tls.Check()); err != nil {
		return nil, err
	}
	return d, nil
}

// check says again what the schema says, for plans that no apiserver has seen.
func (o Options) check() error {
	switch {
	case o.Method != http.MethodPost && o.Method != http.MethodPut:
		return fmt.Errorf("option method is %q: use POST or PUT", o.Method)
	case codings[o.Compression] == nil:
		return fmt.Errorf("option compression is %q: use none, gzip or zstd", o.Compression)
	case o.Timeout.D() <= 0:
		return fmt.Errorf("option timeout is %s: set a positive duration such as 30s", o.Timeout.D())
	case o.MaxConnectionAge.D() < time.Second:
		return fmt.Errorf("option maxConnectionAge is %s: the minimum is 1s", o.MaxConnectionAge.D())
	}
	return nil
}

// Open reads the secrets anew. Nothing is connected before there is something to send.
func (d *destination) Open(context.Context) error {
	transport, err := d.tls.Transport()
	if err != nil {
		return err
	}
	if d.secret, err = d.creds.Reveal(); err != nil {
		return err
	}
	if d.coding, err = codings[d.opts.Compression](); err != nil {
		return err
	}
	d.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	d.opened = time.Now()
	return nil
}

// Write renders the batches and sends them as one request, or as several where the server
// wants smaller ones or refuses single records.
func (d *destination) Write(ctx context.Context, bs []*collector.Batch) error {
	d.text, d.ends = d.text[:0], append(d.ends[:0], 0)
	for _, b := range bs {
		for i := range b.Len() {
			d.text = d.render(d.text, b, i)
			d.ends = append(d.ends, len(d.text))
		}
	}
	d.renew()
	w := writing{d: d, bs: bs}
	w.deliver(ctx, 0, len(d.ends)-1)
	return w.result()
}

// renew drops connections that are too old. Between two writes all of them are idle.
func (d *destination) renew() {
	if time.Since(d.opened) > d.opts.MaxConnectionAge.D() {
		d.client.CloseIdleConnections()
		d.opened = time.Now()
	}
}

// send makes one request of the records lo to hi and judges the answer.
func (d *destination) send(ctx context.Context, lo, hi int) answer {
	ctx, cancel := context.WithTimeout(ctx, d.opts.Timeout.D())
	body := newBody(d.coding.encode(d.text[d.ends[lo]:d.ends[hi]]))
	defer body.release() // the next request writes over what it lends
	defer cancel()
	request, err := d.request(ctx, body)
	if err != nil {
		return answer{err: err}
	}
	response, err := d.client.Do(request)
	if err != nil {
		return d.unreachable(err)
	}
	defer httpclient.Discard(response)
	return d.judge(response)
}

func (d *destination) request(ctx context.Context, b *body) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, d.opts.Method, d.opts.URL, nil)
	if err != nil {
		return nil, err
	}
	r.GetBody, r.ContentLength = b.open, b.size
	if r.Body, err = b.open(); err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", contentTypes[d.opts.Format])
	for name, values := range d.headers {
		r.Header[name] = values
	}
	if d.coding.name != "" {
		r.Header.Set("Content-Encoding", d.coding.name)
	}
	if d.secret != "" {
		r.Header.Set("Authorization", d.secret)
	}
	return r, nil
}

var contentTypes = map[string]string{"json": "application/x-ndjson", "raw": "text/plain; charset=utf-8"}

// unreachable is the answer of a server that gave none. Opening anew reads certificates
// and secrets again, which may be what is wrong.
func (d *destination) unreachable(err error) answer {
	if errors.Is(err, netpolicy.ErrRefused) {
		d.env.Count("address_refused", 1)
	}
	return answer{err: reopen{err}}
}

// Close ends the connections.
func (d *destination) Close() error {
	if d.client != nil {
		d.client.CloseIdleConnections()
		d.coding.close()
		d.client = nil
	}
	return nil
}
