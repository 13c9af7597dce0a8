package kubeapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// An apiserver keeps collections with their history and serves list and watch as the
// real one does, as far as a client can see.
type apiserver struct {
	t   *testing.T
	url string

	mu        sync.Mutex
	version   int
	objects   map[string]map[string]any // collection + "/" + key → object
	history   []change
	compacted int           // events up to this version are gone
	news      chan struct{} // closed at the next change
	cut       chan struct{} // closed to drop every connection
	lists     int
	fail      int // answer that many requests with 500
	token     string
	queries   []string
}

type change struct {
	version int
	kind    string
	path    string
	object  map[string]any
}

func newAPIServer(t *testing.T) *apiserver {
	a := &apiserver{t: t, objects: map[string]map[string]any{}, news: make(chan struct{}), cut: make(chan struct{}), token: "secret"}
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	a.url = s.URL
	return a
}

func (a *apiserver) client() *Client {
	a.t.Helper()
	c, err := New(Config{URL: a.url, Token: "secret"})
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(c.Close)
	return c
}

func (a *apiserver) locked(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

// put creates or changes an object of a collection.
func (a *apiserver) put(path, name string, object map[string]any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.version++
	object = maps.Clone(object)
	md, _ := object["metadata"].(map[string]any)
	md = maps.Clone(md)
	if md == nil {
		md = map[string]any{}
	}
	md["name"], md["resourceVersion"] = name, strconv.Itoa(a.version)
	object["metadata"] = md
	kind := "MODIFIED"
	if a.objects[path+"/"+name] == nil {
		kind = "ADDED"
	}
	a.objects[path+"/"+name] = object
	a.history = append(a.history, change{a.version, kind, path, object})
	a.tellLocked()
}

func (a *apiserver) remove(path, name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.version++
	object := maps.Clone(a.objects[path+"/"+name])
	delete(a.objects, path+"/"+name)
	md := maps.Clone(object["metadata"].(map[string]any))
	md["resourceVersion"] = strconv.Itoa(a.version)
	object["metadata"] = md
	a.history = append(a.history, change{a.version, "DELETED", path, object})
	a.tellLocked()
}

func (a *apiserver) tellLocked() {
	close(a.news)
	a.news = make(chan struct{})
}

// drop cuts every connection.
func (a *apiserver) drop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.cut)
	a.cut = make(chan struct{})
}

// compact forgets history, so that old watches get 410.
func (a *apiserver) compact() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.compacted, a.history = a.version, nil
}

func (a *apiserver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.queries = append(a.queries, r.URL.RequestURI()+" "+r.Header.Get("Accept"))
	fail := a.fail > 0
	if fail {
		a.fail--
	}
	token := a.token
	a.mu.Unlock()
	switch {
	case fail:
		status(w, 500, "etcd is away")
	case r.Header.Get("Authorization") != "Bearer "+token:
		status(w, 401, "Unauthorized")
	case r.URL.Query().Get("watch") != "":
		a.watch(w, r)
	case strings.Contains(r.URL.Path, "/secrets/"):
		a.get(w, r)
	default:
		a.list(w, r)
	}
}

func status(w http.ResponseWriter, code int, message string) {
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"kind":"Status","code":%d,"message":%q}`, code, message)
}

func (a *apiserver) get(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	o := a.objects[r.URL.Path]
	if o == nil {
		status(w, 404, "not found")
		return
	}
	_ = json.NewEncoder(w).Encode(o)
}

func (a *apiserver) list(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lists++
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	from := r.URL.Query().Get("continue")
	if from == "expired" {
		status(w, 410, "the continue token is too old")
		return
	}
	items := []any{}
	md := map[string]any{"resourceVersion": strconv.Itoa(a.version)}
	for _, k := range slices.Sorted(maps.Keys(a.objects)) {
		if k <= from || !strings.HasPrefix(k, r.URL.Path+"/") {
			continue
		}
		items = append(items, a.objects[k])
		if len(items) == limit {
			md["continue"] = k
			break
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": "List", "apiVersion": "v1", "metadata": md, "items": items})
}

func (a *apiserver) watch(w http.ResponseWriter, r *http.Request) {
	from, err := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	a.mu.Lock()
	compacted, cut := a.compacted, a.cut
	a.mu.Unlock()
	if err != nil {
		status(w, 400, "bad resourceVersion")
		return
	}
	send := func(kind string, object any) {
		_ = json.NewEncoder(w).Encode(map[string]any{"type": kind, "object": object})
		w.(http.Flusher).Flush()
	}
	if from < compacted { // the real one answers 200 and an event
		send("ERROR", map[string]any{"kind": "Status", "code": 410, "message": "too old resource version"})
		return
	}
	w.(http.Flusher).Flush()
	for {
		a.mu.Lock()
		news, history := a.news, a.history
		a.mu.Unlock()
		for _, c := range history {
			if c.version > from && c.path == r.URL.Path {
				send(c.kind, c.object)
			}
			from = max(from, c.version)
		}
		send("BOOKMARK", map[string]any{"metadata": map[string]any{"resourceVersion": strconv.Itoa(from)}})
		select {
		case <-news:
		case <-cut:
			panic(http.ErrAbortHandler)
		case <-r.Context().Done():
			return
		}
	}
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited too long for %s", what)
		}
	}
}
