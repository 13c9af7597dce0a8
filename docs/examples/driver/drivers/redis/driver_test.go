package redis_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/drivertest"
	"github.com/logsource/operator/collector/netpolicy"
	"github.com/logsource/operator/docs/examples/driver/drivers/redis"
	"github.com/logsource/operator/docs/examples/driver/drivers/redis/redistest"
)

// target is a server whose list logs is looked at.
type target struct{ *redistest.Server }

func (r target) Setup() drivertest.Setup {
	return drivertest.Setup{
		Options: fmt.Sprintf(`{"address": %q, "format": "raw"}`, r.Addr()),
		Secrets: map[string]string{"password": "opensesame\n"},
	}
}

func (r target) Received(*testing.T) []string { return r.List("logs") }

func TestContract(t *testing.T) {
	drivertest.CheckDestination(t, drivertest.DestinationHarness{
		Driver: redis.Driver,
		Start:  func(t *testing.T) drivertest.Target { return target{redistest.Start(t, "opensesame")} },
		Refused: map[string]string{
			`{}`:                                  "address",
			`{"address": "redis"}`:                "address",
			`{"address": "r:1", "key": ""}`:       "key",
			`{"address": "r:1", "format": "x"}`:   "format",
			`{"address": "r:1", "maxMessage": 1}`: "maxMessage",
			`{"address": "r:1", "timeout": "0s"}`: "timeout",
		},
	})
}

func open(t *testing.T, address, options string, secrets map[string]string) (collector.Destination, error) {
	t.Helper()
	s := drivertest.Setup{Options: fmt.Sprintf(`{"address": %q%s}`, address, options), Secrets: secrets}
	d := drivertest.MustNew[collector.Destination](t, redis.Driver, s, drivertest.NewRecorder())
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d, d.Open(t.Context())
}

func TestAnswers(t *testing.T) {
	f := func(answer, wantErr string, reconnects bool) {
		t.Helper()
		s := redistest.Start(t, "")
		d, err := open(t, s.Addr(), "", nil)
		if err != nil {
			t.Fatal(err)
		}
		s.Answer(answer)
		err = d.Write(t.Context(), drivertest.Batches([]string{"a"}))
		if err == nil || !strings.Contains(err.Error(), wantErr) || collector.IsPermanent(err) {
			t.Errorf("%s: error %v, want one that names %q and is retried", answer, err, wantErr)
		}
		if errors.Is(err, collector.ErrNotConnected) != reconnects {
			t.Errorf("%s: error %v, want connected anew: %t", answer, err, reconnects)
		}
	}
	f("-OOM command not allowed when used memory > 'maxmemory'.", "OOM", false)
	f("-WRONGTYPE Operation against a key", "option key", false)
	f("-LOADING Redis is loading the dataset in memory", "LOADING", false)
	f("-READONLY You can't write against a read only replica.", "READONLY", true)
	f("-NOAUTH Authentication required.", "NOAUTH", true)
	f("HTTP/1.1 400 Bad Request", "does not answer as Redis", true)
	f(strings.Repeat("x", 10_000), "buffer full", true)
}

func TestLogin(t *testing.T) {
	s := redistest.Start(t, "right")
	if _, err := open(t, s.Addr(), "", map[string]string{"password": "right"}); err != nil {
		t.Errorf("the right password: %v", err)
	}
	_, err := open(t, s.Addr(), "", map[string]string{"password": "hunter2"})
	if err == nil || !strings.Contains(err.Error(), "secretOptions password") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the wrong password: %v, want an error that names the option and not the value", err)
	}
}

// A message that is too large is rejected alone; the others are written once.
func TestTooLargeIsRejectedAlone(t *testing.T) {
	s := redistest.Start(t, "")
	d, err := open(t, s.Addr(), `, "format": "raw", "maxMessage": "1Ki"`, nil)
	if err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("x", 1025)
	err = d.Write(t.Context(), drivertest.Batches([]string{"a", large}, []string{large, large[:1024]}))
	var partial *collector.PartialError
	if !errors.As(err, &partial) {
		t.Fatalf("write: %v, want a partial error", err)
	}
	var got [][2]int
	for _, r := range partial.Rejected {
		if !collector.IsPermanent(r.Err) {
			t.Errorf("%d/%d is to be written again: %v", r.Batch, r.Record, r.Err)
		}
		got = append(got, [2]int{r.Batch, r.Record})
	}
	if diff := cmp.Diff([][2]int{{0, 1}, {1, 0}}, got); diff != "" {
		t.Errorf("rejected (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a", large[:1024]}, s.List("logs")); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	if err := d.Write(t.Context(), drivertest.Batches([]string{large})); !errors.As(err, &partial) {
		t.Errorf("a request of nothing else: %v, want a partial error", err)
	}
}

func TestJSON(t *testing.T) {
	s := redistest.Start(t, "")
	d, err := open(t, s.Addr(), `, "key": "orders"`, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Write(t.Context(), drivertest.Batches([]string{"a\r\nb"})); err != nil {
		t.Fatal(err)
	}
	list := s.List("orders")
	if len(list) != 1 || !strings.HasSuffix(list[0], `"message":"a\r\nb","stream":"0"}`) {
		t.Errorf("the list holds %q", list)
	}
}

func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, address, "", nil); err == nil {
		t.Error("open without a server succeeded")
	}
	if _, err := open(t, "169.254.169.254:80", "", nil); !errors.Is(err, netpolicy.ErrRefused) {
		t.Errorf("open of a metadata address: %v, want ErrRefused", err)
	}
}
