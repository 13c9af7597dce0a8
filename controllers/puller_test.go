package controllers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A collector may run a tenant's code: nothing that it answers may hurt the manager.
func TestPull(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		err    string
	}{
		{"a report", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"version":"v1","logPaths":[{"uid":"u1"}]}`)
		}, ""},
		{"an error", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) }, "answers 503"},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
		}, "answers 302"},
		{"not JSON", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `hello`) }, "invalid character"},
		{"too much", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat(" ", maxReportSize), "{}") }, "larger than 1 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := httptest.NewServer(c.answer)
			defer srv.Close()
			var asked string
			dial := func(ctx context.Context, network, address string) (net.Conn, error) {
				asked = address
				return new(net.Dialer).DialContext(ctx, network, srv.Listener.Addr().String())
			}
			rep, err := pull(t.Context(), newHTTPClient(&http.Transport{DialContext: dial, DisableKeepAlives: true}), "fd00::7")
			if asked != "[fd00::7]:8686" {
				t.Errorf("asked %s, want the pod's address and the report port", asked)
			}
			switch {
			case c.err == "" && (err != nil || len(rep.LogPaths) != 1):
				t.Errorf("got %+v, %v", rep, err)
			case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
				t.Errorf("error is %v, want %q", err, c.err)
			}
		})
	}
}

// podList is a cache with these pods.
type podList struct {
	client.Reader
	pods []corev1.Pod
}

func (p podList) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	list.(*corev1.PodList).Items = p.pods
	return nil
}

func somePods(n int) podList {
	var out podList
	for i := range n {
		out.pods = append(out.pods, corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprint("p", i), UID: types.UID(fmt.Sprint("pod", i)),
				Labels: map[string]string{LabelCollector: CollectorTenant, LabelUID: "u1"}},
			Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: fmt.Sprint("10.0.0.", i)},
		})
	}
	return out
}

// asks is a transport that counts, and does what answer says.
type asks struct {
	mu            sync.Mutex
	at            []time.Time
	now, together int
	answer        func(*http.Request) error
}

func (a *asks) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	a.at = append(a.at, time.Now())
	a.now++
	a.together = max(a.together, a.now)
	a.mu.Unlock()
	err := a.answer(r)
	a.mu.Lock()
	a.now--
	a.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(`{"logPaths":[{"uid":"u1","generation":1,"state":"Idle"}]}`))}, nil
}

// runPuller runs a puller over the pods for some (fake) time and returns what it asked.
func runPuller(t *testing.T, pods podList, hot bool, d time.Duration, answer func(*http.Request) error) *asks {
	t.Helper()
	a := &asks{answer: answer}
	f := newFleet()
	f.sources["u1"] = &tracked{request: request{kindLogSource, "shop", "hello"}, namespace: "shop", hot: hot}
	p := &puller{pods: pods, fleet: f, client: newHTTPClient(a), enqueue: func(request) {}, now: time.Now, log: logr.Discard()}
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := p.Start(ctx); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestPullerKeepsItsPace(t *testing.T) {
	fine := func(*http.Request) error { return nil }
	dead := func(*http.Request) error { return errors.New("connection refused") }
	for _, c := range []struct {
		name     string
		hot      bool
		answer   func(*http.Request) error
		min, max int // questions in ten minutes
	}{
		{"every 10 s", false, fine, 45, 80},
		{"every 2 s while it is not programmed", true, fine, 200, 400},
		{"at least once a minute when it does not answer", false, dead, 8, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := runPuller(t, somePods(1), c.hot, 10*time.Minute, c.answer)
				if n := len(a.at); n < c.min || n > c.max {
					t.Errorf("asked %d times in ten minutes, want %d to %d", n, c.min, c.max)
				}
			})
		})
	}
}

// Hundreds of pods that hang do not become hundreds of open questions.
func TestPullerBoundsQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(r *http.Request) error { <-r.Context().Done(); return r.Context().Err() }
		a := runPuller(t, somePods(200), false, time.Minute, hang)
		if a.together != pullAtOnce {
			t.Errorf("%d questions at once, want %d", a.together, pullAtOnce)
		}
		if a.now != 0 {
			t.Errorf("Start returned with %d questions open", a.now)
		}
		if len(a.at) < 200 {
			t.Errorf("only %d of 200 pods were asked within a minute", len(a.at))
		}
	})
}
