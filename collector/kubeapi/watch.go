package kubeapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"strconv"
	"time"
)

const (
	pageSize = "500"
	// maxEvent bounds one event of a watch. etcd's objects are smaller than 2 MiB.
	maxEvent = 8 << 20
	// watchFor is how long the apiserver is asked to keep a watch open; up to twice that.
	watchFor = 5 * time.Minute
	// watchGrace is what it may take longer before the connection is held to be dead.
	watchGrace = 30 * time.Second

	backoffMin = 250 * time.Millisecond
	backoffMax = 30 * time.Second
)

// meta is the part of metadata that collectors use.
type meta struct {
	Name              string            `json:"name"`
	Namespace         string            `json:"namespace"`
	UID               string            `json:"uid"`
	ResourceVersion   string            `json:"resourceVersion"`
	CreationTimestamp time.Time         `json:"creationTimestamp"`
	Labels            map[string]string `json:"labels"`
	Annotations       map[string]string `json:"annotations"`
	OwnerReferences   []owner           `json:"ownerReferences"`
}

type owner struct {
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	Controller bool   `json:"controller"`
}

// An object is a decoded object; every type a watch is of embeds partial.
type object interface{ metadata() *meta }

// partial is PartialObjectMetadata.
type partial struct {
	Metadata meta `json:"metadata"`
}

func (p *partial) metadata() *meta { return &p.Metadata }

// A reflection keeps a copy of a collection current. Its functions are called by one
// goroutine, in the order of the changes.
type reflection[T any] struct {
	client *Client
	path   string
	query  url.Values // fieldSelector, labelSelector
	accept string

	replace func(all []T) // after every list
	put     func(T)       // added or modified
	remove  func(T)

	heard bool // the watch has said something: the apiserver is well
}

// run lists and watches until ctx ends.
func run[T any, O interface {
	*T
	object
}](ctx context.Context, r reflection[T]) {
	wait := backoffMin
	version := ""
	for ctx.Err() == nil {
		began := time.Now()
		var err error
		if version == "" {
			version, err = list[T](ctx, &r)
		}
		if err == nil {
			version, err = watch[T, O](ctx, &r, version)
		}
		if r.heard {
			r.heard, wait = false, backoffMin
		}
		if err == nil && time.Since(began) > time.Second {
			continue // the usual end of a watch
		}
		if ctx.Err() == nil && err != nil && !isExpired(err) {
			r.client.log.Warn("the apiserver did not answer, trying again", "path", r.path, "error", err)
		}
		if !pause(ctx, max(jitter(wait), retryAfter(err))) {
			return
		}
		wait = min(2*wait, backoffMax)
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// jitter keeps a thousand agents from coming back in the same moment.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2) }

func retryAfter(err error) time.Duration {
	var s *statusError
	if errors.As(err, &s) {
		return s.retryAfter
	}
	return 0
}

// list reads the whole collection, page by page, and returns its resource version.
func list[T any](ctx context.Context, r *reflection[T]) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var all []T
	query := clone(r.query)
	query.Set("limit", pageSize)
	for {
		version, next, err := page(ctx, r, query, &all)
		if err != nil {
			return "", err
		}
		if next == "" {
			r.replace(all)
			return version, nil
		}
		query.Set("continue", next)
	}
}

func clone(q url.Values) url.Values {
	c := url.Values{}
	for k, v := range q {
		c[k] = v
	}
	return c
}

// page reads one page, item by item.
func page[T any](ctx context.Context, r *reflection[T], query url.Values, all *[]T) (version, next string, err error) {
	body, err := r.client.get(ctx, r.path, query, listAccept(r.accept))
	if err != nil {
		return "", "", err
	}
	defer body.Close()
	d := json.NewDecoder(io.LimitReader(body, maxPage))
	var head struct {
		ResourceVersion string `json:"resourceVersion"`
		Continue        string `json:"continue"`
	}
	err = eachField(d, func(name string) error {
		switch name {
		case "metadata":
			return d.Decode(&head)
		case "items":
			return eachItem(d, all)
		}
		var skipped json.RawMessage
		return d.Decode(&skipped)
	})
	if err != nil {
		return "", "", fmt.Errorf("GET %s: %w", r.path, err)
	}
	if head.ResourceVersion == "" {
		return "", "", fmt.Errorf("GET %s: the list has no resourceVersion", r.path)
	}
	return head.ResourceVersion, head.Continue, nil
}

func listAccept(accept string) string {
	if accept == metadataOnly {
		return "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
	}
	return accept
}

// eachField walks an object; field decodes the value.
func eachField(d *json.Decoder, field func(name string) error) error {
	if err := delim(d, '{'); err != nil {
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		if err := field(name.(string)); err != nil { // the key of an object is a string
			return err
		}
	}
	return delim(d, '}')
}

// eachItem appends the items of an array; null is an empty one.
func eachItem[T any](d *json.Decoder, all *[]T) error {
	t, err := d.Token()
	if err != nil || t == nil {
		return err
	}
	if t != json.Delim('[') {
		return fmt.Errorf("items is %v, want an array", t)
	}
	for d.More() {
		var item T
		if err := d.Decode(&item); err != nil {
			return err
		}
		*all = append(*all, item)
	}
	return delim(d, ']')
}

func delim(d *json.Decoder, want json.Delim) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	if t != want {
		return fmt.Errorf("found %v, want %v", t, want)
	}
	return nil
}

// watch follows the collection from version on. It returns the version to go on from,
// empty when the collection must be listed anew.
func watch[T any, O interface {
	*T
	object
}](ctx context.Context, r *reflection[T], version string) (string, error) {
	open := watchFor + rand.N(watchFor)
	ctx, cancel := context.WithTimeout(ctx, open+watchGrace)
	defer cancel()
	query := clone(r.query)
	query.Set("watch", "1")
	query.Set("allowWatchBookmarks", "true")
	query.Set("resourceVersion", version)
	query.Set("timeoutSeconds", strconv.Itoa(int(open.Seconds())))
	body, err := r.client.get(ctx, r.path, query, r.accept)
	if isExpired(err) {
		return "", err
	}
	if err != nil {
		return version, err
	}
	defer body.Close()
	limit := &io.LimitedReader{R: body}
	d := json.NewDecoder(limit)
	for {
		limit.N = maxEvent
		var e event
		if err := d.Decode(&e); err != nil {
			return version, watchEnd(limit, err)
		}
		if e.Type == "ERROR" {
			return "", e.error(r.path)
		}
		r.heard = true
		var o T
		if err := json.Unmarshal(e.Object, &o); err != nil {
			return "", fmt.Errorf("watch %s: %w", r.path, err)
		}
		apply(r, e.Type, o)
		version = O(&o).metadata().ResourceVersion
	}
}

func apply[T any](r *reflection[T], kind string, o T) {
	switch kind {
	case "ADDED", "MODIFIED":
		r.put(o)
	case "DELETED":
		r.remove(o)
	}
}

// watchEnd judges how a stream ended; a connection that is cut is no error, one that
// sends what we do not take is.
func watchEnd(limit *io.LimitedReader, err error) error {
	if limit.N <= 0 {
		return fmt.Errorf("an event is larger than %d bytes", maxEvent)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

type event struct {
	Type   string          `json:"type"`
	Object json.RawMessage `json:"object"`
}

func (e *event) error(path string) error {
	s := statusError{path: path}
	var status struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	if err := json.NewDecoder(bytes.NewReader(e.Object)).Decode(&status); err != nil {
		return fmt.Errorf("watch %s: %w", path, err)
	}
	s.code, s.message = status.Code, status.Message
	return &s
}
