package kubeapi

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"sync"
	"time"
)

// settle is how long changes are left to gather before they are handed over together.
const settle = 50 * time.Millisecond

type configMap struct {
	partial
	Data map[string]string `json:"data"`
}

// WatchConfigMaps calls apply with all ConfigMaps of the namespace that the selector
// takes, name → data: once after the first list, and after every change, changes that
// come together in one call. The maps are apply's to read for ever, not to write. It
// returns when ctx has ended; apply is never called after that, nor twice at a time.
func (c *Client) WatchConfigMaps(ctx context.Context, namespace, labelSelector string, apply func(all map[string]map[string]string)) {
	var (
		mu      sync.Mutex
		all     = map[string]map[string]string{}
		changed = make(chan struct{}, 1)
	)
	change := func(f func()) {
		mu.Lock()
		f()
		mu.Unlock()
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	var done sync.WaitGroup
	defer done.Wait()
	done.Go(func() {
		run(ctx, reflection[configMap]{
			client: c, path: "/api/v1/namespaces/" + url.PathEscape(namespace) + "/configmaps",
			query: url.Values{"labelSelector": {labelSelector}}, accept: json1,
			replace: func(list []configMap) {
				change(func() {
					clear(all)
					for _, m := range list {
						all[m.Metadata.Name] = m.Data
					}
				})
			},
			put:    func(m configMap) { change(func() { all[m.Metadata.Name] = m.Data }) },
			remove: func(m configMap) { change(func() { delete(all, m.Metadata.Name) }) },
		})
	})
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		if !pause(ctx, settle) {
			return
		}
		mu.Lock()
		now := maps.Clone(all)
		mu.Unlock()
		apply(now)
	}
}

const (
	// secretFor is how long a Secret is taken from memory.
	secretFor = 10 * time.Second
	// secretStale is how long a Secret is still good when the apiserver does not answer.
	secretStale = 10 * time.Minute
	// maxSecrets bounds the memory.
	maxSecrets = 256
)

type cachedSecret struct {
	data map[string][]byte
	read time.Time
}

// Secret returns a Secret's data, at most 10 s old, or up to 10 min old while the
// apiserver does not answer. The map is not the caller's to write.
func (c *Client) Secret(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	key := namespace + "/" + name
	c.mu.Lock()
	cached := c.secrets[key]
	c.mu.Unlock()
	if cached != nil && time.Since(cached.read) < secretFor {
		return cached.data, nil
	}
	var s struct {
		Data map[string][]byte `json:"data"`
	}
	err := c.getJSON(ctx, "/api/v1/namespaces/"+url.PathEscape(namespace)+"/secrets/"+url.PathEscape(name), &s)
	if err != nil {
		return c.staleSecret(key, cached, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.secrets) >= maxSecrets {
		clear(c.secrets)
	}
	c.secrets[key] = &cachedSecret{s.Data, time.Now()}
	return s.Data, nil
}

// staleSecret decides what an error means: an apiserver that answers "no" is believed.
func (c *Client) staleSecret(key string, cached *cachedSecret, err error) (map[string][]byte, error) {
	if cached != nil && time.Since(cached.read) < secretStale && !isRefusal(err) {
		return cached.data, nil
	}
	c.mu.Lock()
	delete(c.secrets, key)
	c.mu.Unlock()
	return nil, fmt.Errorf("secret %s: %w", key, err)
}
