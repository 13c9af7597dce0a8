package httppush_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/logsource/operator/collector/plan"
)

// statusOf leaves out what people read.
var statusOf = cmpopts.IgnoreUnexported(reply{})

func (r *rig) expect(t *testing.T, what string, got, want reply) {
	t.Helper()
	if diff := cmp.Diff(want, got, statusOf); diff != "" {
		t.Errorf("%s (-want +got):\n%s%s", what, diff, got.text)
	}
}

// answered says whether the answer is there already.
func answered(c <-chan reply) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

var (
	isAccepted = reply{Status: http.StatusNoContent}
	isBusy     = reply{Status: http.StatusTooManyRequests, RetryAfter: "1"}
	isLater    = reply{Status: http.StatusServiceUnavailable, RetryAfter: "5"}
)

// window is a plan with so little room.
func window(messages int) func(*plan.Plan) {
	return func(p *plan.Plan) { p.Source.Window.Messages = messages }
}

func TestNoAnswerBeforeEveryBatchIsAcked(t *testing.T) {
	r := start(t, ``, nil, nil)
	r.sink.hold()
	answer := r.later(strings.Repeat("x\n", 5000)) // three batches
	r.awaitAccepted(5000)
	if answered(answer) {
		t.Fatal("the answer came before the ack")
	}
	r.sink.release()
	r.expect(t, "after the ack", <-answer, isAccepted)
	if n := len(r.sink.bodies()); n != 5000 {
		t.Errorf("%d messages delivered", n)
	}
}

func TestAtLevelFastTheQueueIsEnough(t *testing.T) {
	r := start(t, ``, nil, func(p *plan.Plan) { p.Level = plan.Fast })
	r.sink.hold()
	r.expect(t, "queued", r.post("a\nb"), isAccepted)
	r.sink.release()
}

func TestAnAckThatDoesNotComeInTime(t *testing.T) {
	r := start(t, `, "ackTimeout": "20ms"`, nil, nil)
	r.sink.hold()
	r.expect(t, "held", r.post("a"), isLater)
	if got := r.event("ack_timeout"); got != "1" {
		t.Errorf("ack_timeout counted %s times", got)
	}
	r.sink.release()
	r.expect(t, "sent again", r.post("a"), isAccepted)
	if diff := cmp.Diff([]string{"a", "a"}, r.sink.bodies()); diff != "" {
		t.Errorf("a duplicate, no loss (-want +got):\n%s", diff)
	}
}

func TestWhileSuspendedNothingIsTaken(t *testing.T) {
	r := start(t, ``, nil, window(3))
	r.sink.hold()
	first := r.later("1\n2\n3") // fills the window
	r.awaitAccepted(3)
	eventually(t, "429", func() bool { return r.post("x").Status == http.StatusTooManyRequests })
	r.expect(t, "suspended", r.post("x"), isBusy)
	r.sink.release()
	r.expect(t, "the one that filled the window", <-first, isAccepted)
	eventually(t, "wakeup", func() bool { return r.post("4").Status == http.StatusNoContent })
	if diff := cmp.Diff([]string{"1", "2", "3", "4"}, r.sink.bodies()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if d := r.drops(); len(d) > 0 {
		t.Errorf("the source posted while suspended: %v", d)
	}
}

// The answer comes before the body: this client never sends it.
func TestWhileSuspendedNoBodyIsRead(t *testing.T) {
	r := start(t, ``, nil, window(1))
	r.sink.hold()
	first := r.later("1")
	r.awaitAccepted(1)
	eventually(t, "429", func() bool { return r.post("x").Status == http.StatusTooManyRequests })
	c := r.dial(t, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n")
	r.expect(t, "without a body", c.read(t), isBusy)
	r.sink.release()
	<-first
}

// One request fills the window again and again: each time it waits for Wakeup and goes on,
// and what it posts never exceeds the window.
func TestARequestInTheMiddleOfASuspension(t *testing.T) {
	r := start(t, ``, nil, window(3))
	r.sink.hold()
	answer := r.later(strings.Join(hello(10), "\n"))
	r.awaitAccepted(3)
	eventually(t, "429", func() bool { return r.post("x").Status == http.StatusTooManyRequests })
	if got := r.accepted(); got != 3 || answered(answer) {
		t.Fatalf("%d messages accepted while the window has room for 3", got)
	}
	r.sink.release()
	r.expect(t, "the whole request", <-answer, isAccepted)
	if diff := cmp.Diff(hello(10), r.sink.bodies()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if d := r.drops(); len(d) > 0 {
		t.Errorf("the source posted while suspended: %v", d)
	}
}

func TestASuspensionThatOutlastsTheAckTimeout(t *testing.T) {
	r := start(t, `, "ackTimeout": "50ms"`, nil, window(3))
	r.sink.hold()
	r.expect(t, "in the middle", r.post(strings.Join(hello(10), "\n")), isLater)
	if got := r.accepted(); got != 3 {
		t.Errorf("%d messages accepted while the window has room for 3", got)
	}
	r.sink.release()
	if d := r.drops(); len(d) > 0 {
		t.Errorf("the source posted while suspended: %v", d)
	}
}

func TestWhenStoppedRequestsGetTheirAckOrAreToldToComeBack(t *testing.T) {
	stop := func(r *rig) <-chan struct{} {
		done := make(chan struct{})
		go func() { defer close(done); r.engine.Stop(context.Background()) }()
		return done
	}
	closed := func(r *rig) bool {
		_, err := r.send(t.Context(), http.MethodPost, "/", strings.NewReader("x"))
		return err != nil
	}
	t.Run("the ack comes within the grace", func(t *testing.T) {
		r := start(t, ``, nil, nil)
		r.sink.hold()
		answer := r.later("a")
		r.awaitAccepted(1)
		stopped := stop(r)
		eventually(t, "the port to be closed", func() bool { return closed(r) })
		r.sink.release()
		r.expect(t, "acked", <-answer, isAccepted)
		<-stopped
	})
	t.Run("the ack does not come", func(t *testing.T) {
		r := start(t, ``, nil, nil)
		r.sink.hold()
		answer := r.later("a")
		r.awaitAccepted(1)
		stopped := stop(r)
		r.expect(t, "not acked", <-answer, isLater)
		r.sink.release()
		<-stopped
	})
	t.Run("the body is not there yet", func(t *testing.T) {
		r := start(t, `, "maxRequests": 1`, nil, nil)
		c := r.dial(t, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
		eventually(t, "the request to take the only place", func() bool { return r.post("").Status == http.StatusTooManyRequests })
		stopped := stop(r)
		r.expect(t, "half a body", c.read(t), isLater)
		<-stopped
	})
	t.Run("suspended in the middle", func(t *testing.T) {
		r := start(t, ``, nil, window(2))
		r.sink.hold()
		answer := r.later("1\n2\n3\n4")
		r.awaitAccepted(2)
		stopped := stop(r)
		r.expect(t, "suspended", <-answer, isLater)
		r.sink.release()
		<-stopped
		if d := r.drops(); len(d) > 0 || r.accepted() != 2 {
			t.Errorf("%d accepted, dropped %v", r.accepted(), d)
		}
	})
}

// A changed plan stops the source and starts another one on the same port.
func TestAnEditKeepsThePort(t *testing.T) {
	r := start(t, ``, nil, nil)
	r.expect(t, "before", r.post("a"), isAccepted)
	p := r.newPlan(`, "path": "/new"`)
	p.LogSource.Generation = 2
	r.apply(p)
	r.client.CloseIdleConnections() // those of the old instance: it has closed them, which the client may not have seen
	got, err := r.send(t.Context(), http.MethodPost, "/new", strings.NewReader("b"))
	if err != nil {
		t.Fatal(err)
	}
	r.expect(t, "after", got, isAccepted)
	if diff := cmp.Diff([]string{"a", "b"}, r.sink.bodies()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAClientThatGoesAwayFreesItsPlace(t *testing.T) {
	r := start(t, `, "maxRequests": 1`, nil, nil)
	r.sink.hold()
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := r.send(ctx, http.MethodPost, "/", strings.NewReader("a"))
		gone <- err
	}()
	r.awaitAccepted(1)
	r.expect(t, "no place", r.post("b"), isBusy)
	cancel()
	<-gone
	eventually(t, "client_gone to be counted", func() bool { return r.event("client_gone") == "1" })
	r.sink.release()
	r.expect(t, "a place", r.post("c"), isAccepted)
	if diff := cmp.Diff([]string{"a", "c"}, r.sink.bodies()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Many clients at once through a small window: whatever was answered 2xx is there, all is
// there in the end, and nothing was posted while suspended.
func TestManyClients(t *testing.T) {
	const clients, each = 16, 30
	r := start(t, ``, nil, window(50))
	var wait sync.WaitGroup
	for c := range clients {
		wait.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(c)))
			for n := range each {
				r.insist(c, n, 1+random.IntN(40))
			}
		})
	}
	wait.Wait()
	got := r.sink.bodies()
	slices.Sort(got)
	got = slices.Compact(got) // what was answered 503 may be there twice
	if len(got) != r.sent(clients, each) {
		t.Errorf("%d different messages delivered, want %d", len(got), r.sent(clients, each))
	}
	if d := r.drops(); len(d) > 0 {
		t.Errorf("the source posted while suspended: %v", d)
	}
}

// insist sends n messages, again and again until they are acked. What is acked was
// delivered before.
func (r *rig) insist(client, request, n int) {
	var body strings.Builder
	for i := range n {
		fmt.Fprintf(&body, "%d/%d/%d\n", client, request, i)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for r.post(body.String()).Status != http.StatusNoContent {
		<-tick.C
	}
	last := fmt.Sprintf("%d/%d/%d", client, request, n-1)
	if !slices.Contains(r.sink.bodies(), last) {
		r.t.Errorf("%s was answered 204 before it was delivered", last)
	}
}

// sent is how many messages the clients of TestManyClients make.
func (r *rig) sent(clients, each int) (n int) {
	for c := range clients {
		random := rand.New(rand.NewPCG(1, uint64(c)))
		for range each {
			n += 1 + random.IntN(40)
		}
	}
	return n
}
