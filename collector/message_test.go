package collector_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/plan"
)

// shownThrough is the record as a destination sees it under these settings.
func shownThrough(t *testing.T, m plan.Message, r collector.Record) shown {
	t.Helper()
	b := newBench(t)
	got := make(chan shown, 1)
	b.sink("out").answer = func(bs []*collector.Batch) error { got <- show(bs[0], 0); return nil }
	b.source = posts(func(ctx context.Context, out collector.Poster) {
		batch := out.Batch(nil)
		batch.AppendRecord(r)
		batch.SetUrgent()
		_ = out.Post(ctx, batch)
	})
	p := b.plan("post", to("out"))
	p.Source.Message = m
	b.apply(p)
	defer b.stop()
	select {
	case s := <-got:
		return s
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was delivered in 10s")
	}
	return shown{}
}

func TestMessageSettings(t *testing.T) {
	f := func(what string, m plan.Message, r collector.Record, want shown) {
		t.Helper()
		r.Body, want.Body = []byte("x"), "x"
		if diff := cmp.Diff(want, shownThrough(t, m, r)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	notice := 13
	peer := []byte("10.1.2.3:514")
	f("a plain message stays plain", plan.Message{}, collector.Record{}, shown{PRI: -1})
	f("the default priority", plan.Message{DefaultPriority: &notice}, collector.Record{}, shown{PRI: 13})
	f("is for messages without one", plan.Message{DefaultPriority: &notice}, collector.Record{Priority: collector.NewPriority(0)}, shown{PRI: 0})
	f("the host is the peer's", plan.Message{}, collector.Record{Host: []byte("web-1"), Addr: peer},
		shown{PRI: -1, Host: "10.1.2.3", Addr: "10.1.2.3:514"})
	f("unless it is kept", plan.Message{KeepHostname: true}, collector.Record{Host: []byte("web-1"), Addr: peer},
		shown{PRI: -1, Host: "web-1", Addr: "10.1.2.3:514"})
	f("and there is one", plan.Message{KeepHostname: true}, collector.Record{Addr: []byte("[fe80::1]:514")},
		shown{PRI: -1, Host: "fe80::1", Addr: "[fe80::1]:514"})
	f("a host that no peer is known for is kept", plan.Message{}, collector.Record{Host: []byte("web-1")}, shown{PRI: -1, Host: "web-1"})
	f("overrides", plan.Message{HostOverride: "h", ProgramOverride: "p"}, collector.Record{Host: []byte("web-1"), Addr: peer},
		shown{PRI: -1, Host: "h", Program: "p", Addr: "10.1.2.3:514"})
	f("overrides of a plain message", plan.Message{HostOverride: "h"}, collector.Record{}, shown{PRI: -1, Host: "h"})
}

// Tags stand in every message of the source, in the stream that the collector lends and in
// those that a driver makes from Env.Common.
func TestTagsAreInTheStream(t *testing.T) {
	b := newBench(t)
	got := make(chan []collector.Attr, 1)
	b.sink("out").answer = func(bs []*collector.Batch) error { got <- bs[0].Stream().Attrs; return nil }
	var common []collector.Attr
	b.sourceFrom = func(env collector.Env) collector.Source {
		common = env.Common
		return posts(func(ctx context.Context, out collector.Poster) {
			batch := out.Batch(nil)
			batch.Append(time.Now(), []byte("x"))
			_ = out.Post(ctx, batch)
		})
	}
	p := b.plan("post", to("out"))
	p.Source.Message.Tags = []string{"edge", "lab"}
	b.apply(p)
	want := []collector.Attr{{Name: "logsource", Value: "test/src"}, {Name: "tags", List: []string{"edge", "lab"}}}
	if diff := cmp.Diff(want, <-got); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, common); diff != "" {
		t.Errorf("Env.Common (-want +got):\n%s", diff)
	}
	b.stop()
}
