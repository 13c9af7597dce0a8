package collector_test

import (
	"context"
	"math"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector"
)

// lend gives the Persist of a source to a test: a source that does nothing else.
func lend(t *testing.T, b *bench, persistName string) collector.Persist {
	t.Helper()
	given := make(chan collector.Persist, 1)
	b.sourceFrom = func(env collector.Env) collector.Source {
		given <- env.Persist
		return posts(func(context.Context, collector.Poster) {})
	}
	b.sink("out")
	p := b.plan("post", to("out"))
	p.Source.PersistName = persistName
	b.apply(p)
	return <-given
}

// Values come back with their types after the process has been killed, under their own
// persistName only.
func TestPersistSurvivesAKill(t *testing.T) {
	dir := t.TempDir()
	b := &bench{t: t, sinks: map[string]*sink{}, store: openStore(t, dir)}
	b.restart()
	p := lend(t, b, "one")
	values := map[string]collector.Value{
		"s": collector.StringValue("grüß\x00e"), "b": collector.BytesValue([]byte{0, 255}), "empty": collector.StringValue(""),
		"max": collector.IntValue(math.MaxInt64), "min": collector.IntValue(math.MinInt64),
	}
	for k, v := range values {
		if err := p.Set(k, v); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Set("gone", collector.IntValue(1)); err != nil {
		t.Fatal(err)
	}
	if err := p.Delete("gone"); err != nil {
		t.Fatal(err)
	}
	// what is on the disk now, before anything is closed, is what a kill leaves
	left := t.TempDir()
	if err := os.CopyFS(left, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	kill(t, b)

	dir = left
	b.store = openStore(t, dir)
	b.restart()
	p = lend(t, b, "one")
	if diff := cmp.Diff([]string{"b", "empty", "max", "min", "s"}, p.Keys()); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	for k, want := range values {
		if got, ok := p.Get(k); !ok || got != want {
			t.Errorf("%s is %v (there: %v), want %v", k, got, ok, want)
		}
	}
	kill(t, b)

	b.store = openStore(t, dir)
	b.restart()
	if keys := lend(t, b, "two").Keys(); len(keys) != 0 {
		t.Errorf("another persistName has keys %v", keys)
	}
	b.stop()
}

// kill ends the engine without a drain.
func kill(t *testing.T, b *bench) {
	t.Helper()
	hard, cut := context.WithCancel(t.Context())
	cut()
	b.engine.Stop(hard)
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestPersistTypes(t *testing.T) {
	v := collector.StringValue("x")
	if s, ok := v.AsString(); s != "x" || !ok {
		t.Errorf("string is %q, %v", s, ok)
	}
	if _, ok := v.AsInt(); ok {
		t.Error("a string is an int")
	}
	if _, ok := v.AsBytes(); ok {
		t.Error("a string is bytes")
	}
	b := newBench(t)
	if err := lend(t, b, "one").Set("k", collector.Value{}); err == nil {
		t.Error("an empty value was stored")
	}
	b.stop()
}

// The positions and the values of a LogSource that is gone are forgotten.
func TestPersistIsForgottenWithItsLogSource(t *testing.T) {
	b := newBench(t)
	if err := lend(t, b, "one").Set("k", collector.IntValue(1)); err != nil {
		t.Fatal(err)
	}
	b.engine.Apply(nil)
	b.engine.Wait()
	if keys := lend(t, b, "one").Keys(); len(keys) != 0 {
		t.Errorf("keys %v of a LogSource that was deleted", keys)
	}
	b.stop()
}
