package redis

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/jsonlines"
)

//go:embed options.json
var options []byte

// Driver is the redis class.
var Driver = collector.NewDestination(class.Class{
	Name:        "redis",
	Description: "Appends messages to a list of a Redis server, one command per request.",
}, options, newDestination)

// destination writes a request as one RPUSH, which the server takes whole or not at all.
type destination struct {
	opts   Options
	env    collector.Env
	render func(dst []byte, b *collector.Batch, i int) []byte

	conn *conn // nil while closed

	args    []byte // the messages of the request, as arguments; reused
	line    []byte // one of them
	count   int    // how many there are
	refused []collector.Rejection
}

func newDestination(o Options, env collector.Env) (collector.Destination, error) {
	render, err := jsonlines.Format(o.Format)
	if err != nil {
		return nil, err
	}
	if _, _, err := net.SplitHostPort(o.Address); err != nil {
		return nil, fmt.Errorf("option address is %q: set host and port, such as redis.shop.svc:6379", o.Address)
	}
	switch {
	case o.Key == "":
		return nil, errors.New("option key is empty: set the name of the list")
	case o.MaxMessage < 1024:
		return nil, fmt.Errorf("option maxMessage is %d: the minimum is 1024", o.MaxMessage)
	case o.Timeout.D() <= 0:
		return nil, fmt.Errorf("option timeout is %s: set a positive duration such as 10s", o.Timeout.D())
	}
	return &destination{opts: o, env: env, render: render}, nil
}

// Open connects and logs in. The password is read anew, so that a rotated one is used.
func (d *destination) Open(ctx context.Context) error {
	c, err := dial(ctx, d.opts.Address)
	if err != nil {
		return err
	}
	if d.opts.Password.Set() {
		if err := d.logIn(ctx, c); err != nil {
			return errors.Join(err, c.Close())
		}
	}
	d.conn = c
	return nil
}

func (d *destination) logIn(ctx context.Context, c *conn) error {
	password, err := d.opts.Password.Reveal()
	if err != nil {
		return err
	}
	answer, err := c.do(ctx, d.opts.Timeout.D(), 2, appendArg(appendArg(nil, []byte("AUTH")), bytes.TrimSpace(password)))
	if err != nil {
		return err
	}
	if word, isError := errorWord(answer); isError { // the answer itself might repeat what was sent
		return fmt.Errorf("%s refuses the login with %s: check secretOptions password", d.opts.Address, word)
	}
	return nil
}

// Write sends one request and waits for its answer.
func (d *destination) Write(ctx context.Context, bs []*collector.Batch) error {
	d.compose(bs)
	if d.count > 0 {
		answer, err := d.conn.do(ctx, d.opts.Timeout.D(), 2+d.count, d.args)
		if err != nil { // whether the server has taken it is not known: connect again, write again
			return fmt.Errorf("%w: %w", err, collector.ErrNotConnected)
		}
		if err := d.judge(answer); err != nil {
			return err
		}
	}
	if len(d.refused) > 0 {
		return &collector.PartialError{Rejected: d.refused}
	}
	return nil
}

// compose renders the command and notes the messages that are too large for it.
func (d *destination) compose(bs []*collector.Batch) {
	d.args = appendArg(appendArg(d.args[:0], []byte("RPUSH")), []byte(d.opts.Key))
	d.count, d.refused = 0, nil
	for i, b := range bs {
		for j := range b.Len() {
			d.line = d.render(d.line[:0], b, j)
			line := d.line[:len(d.line)-1] // without the newline
			if len(line) > int(d.opts.MaxMessage) {
				d.refused = append(d.refused, collector.Rejection{Batch: i, Record: j, Err: errTooLarge})
				continue
			}
			d.args = appendArg(d.args, line)
			d.count++
		}
	}
}

// errTooLarge is permanent: no retry makes a message smaller.
var errTooLarge = collector.Permanent(errors.New("the message is larger than option maxMessage"))

// judge turns an answer into the loop's words.
func (d *destination) judge(answer string) error {
	word, isError := errorWord(answer)
	if !isError {
		return nil
	}
	err := fmt.Errorf("%s answers %q", d.opts.Address, strings.TrimPrefix(answer, "-"))
	switch word {
	case "LOADING": // it reads its dump
		return collector.RetryAfter(5*time.Second, err)
	case "NOAUTH", "READONLY": // another password, another primary
		return fmt.Errorf("%w: %w", err, collector.ErrNotConnected)
	case "WRONGTYPE":
		return fmt.Errorf("%w: set option key to a list", err)
	}
	return err // wait, write again
}

// Close ends the connection.
func (d *destination) Close() error {
	if d.conn == nil {
		return nil
	}
	c := d.conn
	d.conn = nil
	return c.Close()
}
