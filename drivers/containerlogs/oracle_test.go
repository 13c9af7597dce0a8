package containerlogs

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/logsource/operator/hack/soak"
)

// A history is one container with what it has said, by stream: the oracle.
type history struct {
	*kubelet
	name string
	said [2][]string // completed messages
	open [2]string   // pieces so far
	has  [2]bool     // a message is open
}

// say writes a message, or a piece of one, on a stream.
func (h *history) say(r *rand.Rand, stream int) {
	name := []string{"stdout", "stderr"}[stream]
	body := ""
	if !h.has[stream] {
		body = fmt.Sprintf("%s/%d/%d|", h.name, stream, len(h.said[stream]))
	}
	switch n := r.IntN(100); {
	case n < 80:
		body += strings.Repeat("x", r.IntN(200))
	case n < 99:
		body += strings.Repeat("y", r.IntN(16<<10))
	default:
		body += strings.Repeat("z", r.IntN(400<<10))
	}
	h.open[stream] += body
	if r.IntN(4) == 0 {
		h.has[stream] = true
		h.line(name, "P", body)
		return
	}
	h.line(name, "F", body)
	h.finish(stream)
}

func (h *history) finish(stream int) {
	h.said[stream] = append(h.said[stream], h.open[stream])
	h.open[stream], h.has[stream] = "", false
}

// restartContainer ends the run: messages that are open stay without an end.
func (h *history) restartContainer() {
	h.again()
	for s := range h.has {
		if h.has[s] {
			h.finish(s)
		}
	}
}

// TestRandomSchedules lets containers write, rotate and restart at random under a
// collector that is killed or not, and compares with what was said.
func TestRandomSchedules(t *testing.T) {
	figures := soak.NewFigures(t)
	for i := range 4 * soak.Scale(t) {
		for _, kills := range []bool{false, true} {
			t.Run(fmt.Sprintf("seed=%d,kills=%v", i, kills), func(t *testing.T) {
				t.Parallel()
				randomSchedule(t, figures, uint64(i), kills)
			})
		}
	}
}

func randomSchedule(t *testing.T, figures *soak.Figures, seed uint64, kills bool) {
	figures.Add("schedules", 1)
	r := rand.New(rand.NewPCG(seed, 1))
	w := newWorld(t)
	w.window = 1 + r.IntN(8)
	w.messages, w.bytes = 1+r.IntN(50), 1+r.IntN(64<<10)
	var hs []*history
	for i := range 1 + r.IntN(3) {
		name := fmt.Sprintf("c%d", i)
		hs = append(hs, &history{kubelet: w.container("shop", "web", "uid-"+name, name), name: name})
	}
	w.start()
	for range 200 {
		h := hs[r.IntN(len(hs))]
		switch n := r.IntN(100); {
		case n < 85:
			for range r.IntN(20) {
				h.say(r, r.IntN(2))
			}
		case n < 93:
			h.rotate()
			figures.Add("rotations", 1)
		case n < 95:
			h.restartContainer()
			figures.Add("container restarts", 1)
		case n < 97:
			w.settle(hs) // otherwise everything would be read at the end
		case kills:
			w.kill()
			w.start()
			figures.Add("kills of the collector", 1)
		}
	}
	for _, h := range hs {
		for s := range h.has {
			if h.has[s] {
				h.line([]string{"stdout", "stderr"}[s], "F", "")
				h.finish(s)
			}
		}
	}
	w.settle(hs)
	w.kill()
	w.compare(hs, kills, figures)
}

// settle waits until everything that was said has arrived at least once.
func (w *world) settle(hs []*history) {
	w.t.Helper()
	w.until("everything that was said", func() bool {
		got := w.byStream()
		for _, h := range hs {
			for s, said := range h.said {
				if len(said) > 0 && !slices.Contains(got[h.name][s], said[len(said)-1]) {
					return false
				}
			}
		}
		return true
	})
}

func (w *world) byStream() map[string]*[2][]string {
	got := map[string]*[2][]string{}
	for _, d := range w.delivered {
		name := attr(d.stream, "container")
		if got[name] == nil {
			got[name] = &[2][]string{}
		}
		s := d.variant % int(variants)
		got[name][s] = append(got[name][s], d.body)
	}
	for _, name := range []string{"c0", "c1", "c2"} {
		if got[name] == nil {
			got[name] = &[2][]string{}
		}
	}
	return got
}

// compare checks every stream: each message once and in order; after kills messages may
// come again, but then from an earlier one on in order.
func (w *world) compare(hs []*history, kills bool, figures *soak.Figures) {
	w.t.Helper()
	again := 0
	for _, h := range hs {
		for s, said := range h.said {
			got := w.byStream()[h.name][s]
			if !kills && !slices.Equal(got, said) {
				w.t.Fatalf("lost %v, counts %v; %s/%d: %d messages delivered, %d said; first difference at %d:\ngot  %q\nwant %q", w.lost, w.counts, h.name, s, len(got), len(said), difference(got, said), around(got, difference(got, said)), around(said, difference(got, said)))
			}
			n, err := inOrder(got, said)
			if err != nil {
				w.t.Fatalf("%s/%d: %v", h.name, s, err)
			}
			again += n
		}
	}
	if len(w.lost) > 0 || w.counts["malformed"] > 0 || w.counts["truncated"] > 0 {
		w.t.Errorf("lost %v, counts %v: want no loss", w.lost, w.counts)
	}
	figures.Add("messages delivered", len(w.delivered))
	figures.Add("of them again", again)
}

func difference(a, b []string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// inOrder walks through said: a message that is delivered is the next one, or one that
// was delivered before, from where the walk goes on.
func inOrder(got, said []string) (again int, err error) {
	at := map[string]int{}
	for i, s := range said {
		at[s] = i
	}
	next, most := 0, 0
	for _, g := range got {
		i, ok := at[g]
		switch {
		case !ok:
			return 0, fmt.Errorf("delivered what nobody said: %q", short([]string{g}))
		case i > next && i > most:
			return 0, fmt.Errorf("message %d came after %d", i, most-1)
		case i < most:
			again++
		}
		next = i + 1
		most = max(most, next)
	}
	if most != len(said) {
		return 0, fmt.Errorf("%d of %d messages delivered", most, len(said))
	}
	return again, nil
}

func around(all []string, i int) (some []string) {
	for _, s := range all[max(0, i-2):min(len(all), i+12)] {
		some = append(some, s[:min(len(s), 16)])
	}
	return some
}
