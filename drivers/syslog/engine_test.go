package syslog_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/checkpoint"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/drivers/syslog"
)

// slowStore is a destination that takes its time, so that the window is full most of the
// time.
type slowStore struct {
	mu   sync.Mutex // protects following
	seen map[string]int
}

func (*slowStore) Open(context.Context) error { return nil }
func (*slowStore) Close() error               { return nil }

func (s *slowStore) Write(ctx context.Context, bs []*collector.Batch) error {
	timer := time.NewTimer(time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range bs {
		for i := range b.Len() {
			s.seen[string(b.Body(i))]++
		}
	}
	return nil
}

func (s *slowStore) distinct() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

// In the collector itself, suspended and woken hundreds of times: every message once.
func TestInTheCollector(t *testing.T) {
	const connections, each = 8, 5000
	store := &slowStore{seen: map[string]int{}}
	port := freePort(t)
	engine := startEngine(t, store, document(t, options{"address": "127.0.0.1", "tcpPort": port}))
	l := &listener{t: t, ports: map[string]int{"tcp": port}}
	until(t, "a source that listens", func() bool {
		c, err := net.Dial("tcp", l.addr("tcp"))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	var sending sync.WaitGroup
	for i := range connections {
		c := l.dial("tcp")
		sending.Go(func() {
			if _, err := c.Write([]byte(lines(numbered(string(rune('a'+i)), each)...))); err != nil {
				t.Errorf("send: %v", err)
			}
		})
	}
	sending.Wait()
	until(t, "every message", func() bool { return store.distinct() == connections*each })
	for body, n := range store.seen {
		if n != 1 {
			t.Fatalf("%q was delivered %d times", body, n)
		}
	}
	if dropped := engine.Report().LogPaths[0].SourceDrops; len(dropped) > 0 {
		t.Errorf("dropped: %v", dropped)
	}
}

func startEngine(t *testing.T, store *slowStore, opts string) *collector.Engine {
	t.Helper()
	marks, err := checkpoint.Open(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	destination := collector.NewDestination(class.Class{Name: "slow"}, []byte(`[]`), func(struct{}, collector.Env) (collector.Destination, error) {
		return store, nil
	})
	engine := collector.NewEngine(collector.Options{
		Registry: collector.Registry{syslog.Driver, destination}, Store: marks, Log: slog.New(slog.DiscardHandler),
	})
	engine.Apply([]*plan.Plan{smallWindow(opts)})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		engine.Stop(ctx)
		if err := marks.Close(); err != nil {
			t.Error(err)
		}
	})
	return engine
}

// smallWindow is a plan whose window is full after 100 messages.
func smallWindow(opts string) *plan.Plan {
	return &plan.Plan{
		Version:   plan.Version,
		LogSource: plan.LogSource{Kind: "LogSource", Namespace: "test", Name: "src", UID: "u1", Generation: 1},
		Source: plan.Source{
			Class: "syslog", Options: json.RawMessage(opts), Flags: raw,
			TimeReopen: plan.Duration(time.Second), FetchNoDataDelay: plan.Duration(time.Second),
			OnRunExit: "Restart", Window: plan.Window{Messages: 100, Bytes: 1 << 20}, PersistName: "syslog",
		},
		Destinations: []plan.Destination{{
			Name: "slow", Class: "slow", Required: true, OnFull: plan.Suspend, Queue: plan.Queue{Bytes: 1 << 20},
			Batch: plan.Batch{Messages: 1000, Bytes: 1 << 20, Timeout: plan.Duration(time.Millisecond)},
			Retry: plan.Retry{Initial: plan.Duration(time.Second), Max: plan.Duration(time.Second)},
		}},
		ShutdownGrace: plan.Duration(20 * time.Second),
	}
}
