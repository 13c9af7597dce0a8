package collector_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/collector/report"
)

// This file replays what Python classes under syslog-ng 3.38.1 were called with, recorded
// in testdata/conformance, against Go drivers that do what the classes did (they are in
// checklist_classes_test.go): the calls must come in the same order, on the worker or
// elsewhere, after the same waits, and the same messages must come out.

// tolerance is how far a wait may be from the recorded one.
const tolerance = 50 * time.Millisecond

// A recording is one run of syslog-ng.
type recording struct {
	Doc       string            `json:"doc"`
	Class     string            `json:"class"`
	Second    string            `json:"second"`   // of a second source
	Reloaded  string            `json:"reloaded"` // the class after a reload
	Window    int               `json:"window"`   // log-iw-size
	NoData    float64           `json:"noData"`   // fetch-no-data-delay, seconds
	Options   map[string]string `json:"options"`
	Flow      bool              `json:"flowControl"`
	Down      bool              `json:"sinkDown"`        // the destination is, at first
	Two       bool              `json:"twoDestinations"` // a file, and the one that is down
	Fetched   int               `json:"fetched"`         // messages that the last instance counted
	Output    *int              `json:"output"`          // messages that came out
	FirstOnes []string          `json:"outputFirst"`
	Exit      int               `json:"exit"` // 2: a driver did not start
	Events    []recorded        `json:"events"`

	unordered string // a call of the spine that is concurrent with the others here
}

// recorded is one call, or with Action something that was done to the daemon.
type recorded struct {
	T        float64  `json:"t"`
	Call     string   `json:"e"`
	Args     []string `json:"args"` // bookmarks
	Instance int      `json:"i"`
	Worker   bool     `json:"w"` // on the thread that opens, fetches and runs
	Action   string   `json:"a"`
}

func (e recorded) name() string {
	if len(e.Args) > 0 {
		return e.Call + " " + strings.Join(e.Args, ", ")
	}
	return e.Call
}

// place says which calls e is in one order with: those that syslog-ng makes on its main
// thread whatever the workers do, request_exit, which it makes while they work, those of the
// worker, and those of other threads.
func (e recorded) place() string {
	word, _, _ := strings.Cut(e.Call, " ")
	word, _, _ = strings.Cut(word, "->")
	switch {
	case slices.Contains([]string{"ctor", "init", "deinit", "finalize"}, word):
		return "spine"
	case word == "request_exit":
		return word
	case e.Worker:
		return "worker"
	}
	return "elsewhere"
}

func readRecording(t *testing.T, name string) *recording {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata/conformance", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var r recording
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return &r
}

// A difference is something that we do otherwise on purpose. change makes the recording
// what it would be if syslog-ng did as we do.
type difference struct {
	cases  string // names, or a prefix with *
	what   string
	why    string
	change func(*recording)
}

// differences is the whole list. The K numbers are those of the list of known problems of
// syslog-ng's Python sources.
var differences = []difference{{
	cases: "*",
	what:  "Init and Deinit are called by the goroutine that opens, fetches and runs; Finalize by whoever ends or replaces the source",
	why:   "an Init that waits for a slow origin must not hold up the others, and nothing in Go is bound to a main thread",
}, {
	cases: "*",
	what:  "request_exit comes at once; syslog-ng's main loop waits 100 ms after SIGTERM",
	why:   "a pod has only its grace period; the recorded stop is where syslog-ng's wait ends",
}, {
	cases: "*",
	what:  "the window is 8192 messages by default; the replays use the 100, or the log-iw-size, of the recording",
	why:   "100 messages on the way cost most of the throughput; the meaning of the window is the same",
}, {
	cases: "f08a_init_false f08b_init_none f08c_init_raises f09e_ctor_raises s10_only_suspend",
	what:  "a source that does not start is tried again with back-off, and is Failed with the reason; syslog-ng exits with 2",
	why:   "one bad LogSource must not end the collector of the others, and what is missing may come",
}, {
	cases: "f03_time_reopen_ignored",
	what:  "K1: timeReopen is honoured; the replay uses the 1s that syslog-ng uses whatever is written (TestF09_TimeReopenIsHonoured has the rest)",
	why:   "an option that is parsed and ignored is a trap",
}, {
	cases: "f02_statuses",
	what:  "records that are in the batch are delivered whatever the error is, so the replay appends none with NO_DATA and ERROR",
	why:   "as io.Reader: a poll that fails half way keeps the half it has",
}, {
	cases: "a*",
	what:  "callbacks of ack trackers come from a goroutine of their own",
	why:   "a slow callback must not hold up the destination that acks",
	change: func(r *recording) {
		for i, e := range r.Events {
			r.Events[i].Worker = e.Worker && !strings.HasPrefix(e.Call, "ack_cb")
		}
	},
}, {
	cases: "a09_pending_at_exit",
	what:  "K6: no callback for what is undelivered at the stop",
	why:   "a callback means delivered; the instant tracker of syslog-ng loses messages here",
	change: func(r *recording) {
		r.drop(func(e recorded) bool { return strings.HasPrefix(e.Call, "ack_cb") })
	},
}, {
	cases: "a03_batched a03c_batched_timeout0 a03e_batched_reload a09d_pending_at_exit_batched",
	what:  "K7: a batch of bookmarks is in the order of the acks, there is no empty list, and no call after Deinit",
	why:   "the reverse order and the empty lists are accidents of syslog-ng's list type and of its ending",
	change: func(r *recording) {
		r.drop(func(e recorded) bool { return strings.HasPrefix(e.Call, "ack_cb") && len(e.Args) == 0 })
		for i := range r.Events {
			slices.Reverse(r.Events[i].Args)
		}
	},
}, {
	cases: "s04_run_returns s04c_bg_thread_left",
	what:  "RequestExit of a source whose Run has returned is always called at the stop; syslog-ng calls it if some other worker is alive (s18)",
	why:   "a driver should not have to know what else runs in the process",
	change: func(r *recording) {
		r.insertBefore("deinit", "request_exit")
	},
}, {
	cases: "s06b_threads_notwice",
	what:  "there is nothing to post with outside of Run, so the failing posts of init, request_exit and deinit cannot be written",
	why:   "the Poster is an argument of Run",
	change: func(r *recording) {
		r.drop(func(e recorded) bool { return strings.Contains(e.Call, " failed") })
		r.insertBefore("finalize", "deinit")
	},
}, {
	cases: "s09e_susp_posts",
	what:  "Post may be called from any goroutine, also inside Wakeup",
	why:   "the rule that only the run thread may post is the most frequent trouble of its users",
	change: func(r *recording) {
		for i, e := range r.Events {
			r.Events[i].Call = strings.Replace(e.Call, "post in wakeup failed", "post in wakeup ok", 1)
		}
	},
}, {
	cases: "s05_ignores_exit",
	what:  "K9: a source that ignores request_exit holds the stop no longer than shutdownGrace; what it posts until then is delivered, later it is dropped, counted",
	why:   "syslog-ng waits for ever and writes none of it",
	change: func(r *recording) {
		n := 6 // shutdownGrace is 2s in the replay: x3 to x6
		r.Output, r.FirstOnes = &n, []string{"x1", "x2", "x3", "x4", "x5", "x6"}
	},
}, {
	cases:  "s05b_ignores_exit_reload",
	what:   "K9: the edit goes on without the old source after shutdownGrace; of the new one this recording knows nothing, only the old one is compared",
	why:    "syslog-ng waits for ever",
	change: func(r *recording) { r.Output = nil },
}, {
	cases: "s09b_susp_fc_exit",
	what:  "K10: no Wakeup after Deinit",
	why:   "nobody is there to wake",
	change: func(r *recording) {
		r.drop(func(e recorded) bool { return e.Call == "wakeup" })
	},
}, {
	cases: "s12b_reload_revert",
	what:  "every instance is finalized, the failed one at once, the first one any time after that; syslog-ng forgets the first one and finalizes the failed one late",
	why:   "finalize is where a class gives back what it holds",
	change: func(r *recording) {
		r.drop(func(e recorded) bool { return e.Call == "finalize" && e.Instance == 1 })
		r.insertAfter("init->False", recorded{Call: "finalize", Instance: 1})
		r.insertAfter("init", recorded{Call: "finalize"})
		r.unordered = "finalize #0"
	},
}, {
	cases: "s09d_susp_raises s09e_susp_posts",
	what:  "a suspended source is woken when a quarter of the window is free, not for each message",
	why:   "who is woken for one message posts one message; the counts of suspend and wakeup after the sink is up are a race in syslog-ng as well and are not compared",
}, {
	cases: "f13e_reload_suspended",
	what:  "the window belongs to the log path and stays over an edit; a new instance makes its first fetch and is suspended. In syslog-ng each reload brings another full window",
	why:   "a window that can be passed by reloading bounds nothing",
	change: func(r *recording) {
		up := r.time("sink up")
		r.drop(func(e recorded) bool {
			return e.Instance > 0 && e.T < up && strings.HasPrefix(e.Call, "fetch") && e.Call != "fetch 1"
		})
		for i := range 8 {
			r.insertAfter("sink up", recorded{Call: fmt.Sprintf("fetch %d", 9-i), Instance: 2, Worker: true})
		}
		r.insertAfter("fetch 9", recorded{Call: "fetch 10", Instance: 2, Worker: true})
		*r.Output = r.Fetched + 10 + 1
		r.FirstOnes = append(slices.Clone(r.FirstOnes[:10]), "msg-1", "msg-1", "msg-2")
	},
}}

func (d difference) applies(name string) bool {
	for _, c := range strings.Fields(d.cases) {
		if prefix, some := strings.CutSuffix(c, "*"); c == name || (some && strings.HasPrefix(name, prefix)) {
			return true
		}
	}
	return false
}

func (r *recording) drop(which func(recorded) bool) {
	r.Events = slices.DeleteFunc(r.Events, which)
}

func (r *recording) index(what string) int {
	return slices.IndexFunc(r.Events, func(e recorded) bool { return e.Call == what || e.Action == what })
}

func (r *recording) time(action string) float64 { return r.Events[r.index(action)].T }

// insertBefore puts another call of the same instance and time before the first one.
func (r *recording) insertBefore(before, what string) {
	i := r.index(before)
	e := r.Events[i]
	e.Call, e.Worker = what, false
	r.Events = slices.Insert(r.Events, i, e)
}

// insertAfter puts e after the last event of that name, at its time.
func (r *recording) insertAfter(after string, e recorded) {
	i := len(r.Events) - 1
	for r.Events[i].Call != after && r.Events[i].Action != after {
		i--
	}
	e.T = r.Events[i].T
	r.Events = slices.Insert(r.Events, i+1, e)
}

// withoutMeaning are the recordings that ask something that a Go driver cannot do or be.
var withoutMeaning = map[string]string{
	"f01_seed_http f01b_seed_http_down s01_seed_generator s01b_seed_generator_quoted s02_seed_eventloop s02b_seed_eventloop_reload": "the examples of the manual note no calls; they are run as Python classes",
	"f04_wrong_types":           "Fetch has a Go type; what is left of it is a success without a message (TestF05)",
	"f08f_init_truthy":          "Init returns an error or nil, nothing else",
	"f09a_no_fetch s11a_no_run": "a type without Fetch or Run does not compile",
	"f09f_ctor_args f12b_options_list f12e_options_words f12f_options_neg f12g_options_valid f12i_options_none":                                                          "Python attributes and the option syntax of the configuration file",
	"f09g_no_class_option f14h_badflag2 f17_syntax_python_block f17b_raise_python_block f19a_syntax_only f19d_loaders f29_optional_src s17_unknown_opt s17b_time_reopen": "the configuration language; what a plan may say is tested in collector/plan",
	"f14c_msgattrs_default_pri f14e_keep_hostname f14f_raw_utf8 m01_logmessage m01c_logmessage_flags m03_logger m03b_logger_debug m04_template":                          "messages, Logger and LogTemplate of Python, no lifecycle",
	"f26_threadlocal s15_prints s19_signals":                                                             "thread states, print, signals and asyncio of Python",
	"m02_persist m02b_persist_again m05_persist_ok m05b_persist_ok2 m05d_persist_after_kill9":            "Persist of Python; that of Go has its own tests",
	"s06_threads s16_two_same":                                                                           "posting one message object twice, or wrong types, or one class twice under one name, cannot be written or is another LogSource here",
	"a05_no_tracker_bookmark_fetch a06_wrong_tracker a07_ctor":                                           "Track is a method of the tracker, whose constructors are typed",
	"a08_instant_nobookmark a08b_consec_nobookmark a13_bookmark_none a14_batch0":                         "K5: the recording ends in a crash; here a batch that is not tracked is not told of (TestA04), and a size of 0 is 1",
	"a17_stress_batched a17_stress_consecutive a17_stress_instant":                                       "figures of a run without end, no order of calls (TestA05 has the stress; K8, the deadlock, cannot be: no lock is held during a callback)",
	"x_badafter x_emptykey x_longkey x_nofunc x_persist_del x_persist_len x_setafterpost x_surrogateval": "calls of the Python API that may crash syslog-ng",
}

func without() map[string]string {
	all := map[string]string{}
	for names, why := range withoutMeaning {
		for _, n := range strings.Fields(names) {
			all[n] = why
		}
	}
	return all
}

// Every recording there is is either replayed or said to have no meaning here.
func TestConformanceNamesEveryRecording(t *testing.T) {
	list, err := os.ReadFile("testdata/conformance/cases.txt")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/conformance/*.json")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		got = append(got, strings.TrimSuffix(filepath.Base(f), ".json"))
	}
	for name := range without() {
		got = append(got, name)
	}
	slices.Sort(got)
	if diff := cmp.Diff(strings.Fields(string(list)), got); diff != "" {
		t.Errorf("recordings (-there are +replayed or without a meaning):\n%s", diff)
	}
	for _, d := range differences {
		if !slices.ContainsFunc(got, d.applies) || d.what == "" || d.why == "" {
			t.Errorf("difference without a case or a reason: %+v", d)
		}
	}
}

func TestConformance(t *testing.T) {
	files, err := filepath.Glob("testdata/conformance/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("recordings: %v, %v", files, err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".json")
		t.Run(name, func(t *testing.T) {
			r := readRecording(t, name)
			for _, d := range differences {
				if d.applies(name) && d.change != nil {
					d.change(r)
				}
			}
			synctest.Test(t, func(t *testing.T) { newReplay(t, r).run() })
		})
	}
}

// A replay is one recording on its way through our engine.
type replay struct {
	*stage
	rec     *recording
	plans   []*plan.Plan
	file    *sink         // what is up
	net     *sink         // what may be down
	killed  chan struct{} // closed by the action kill
	stopped chan struct{} // the engine has

	reloads, fetched int
}

func newReplay(t *testing.T, rec *recording) *replay {
	r := &replay{rec: rec, killed: make(chan struct{}), stopped: make(chan struct{})}
	r.stage = newStage(t, func(_ *stage, n int, env collector.Env) (any, error) { return r.instance(n, env) })
	r.file, r.net = r.sink("file"), r.sink("net")
	if rec.Down {
		r.net.block = make(chan struct{})
	}
	r.plans = []*plan.Plan{r.planOf(rec.Class, "u1")}
	if rec.Second != "" {
		r.plans = append(r.plans, r.planOf(rec.Second, "u2"))
	}
	return r
}

func (r *replay) planOf(class, uid string) *plan.Plan {
	kind := "fetch"
	if strings.HasPrefix(class, "ps.") {
		kind = "post"
	}
	p := r.plan(kind, r.destinations()...)
	p.LogSource.UID, p.LogSource.Name = uid, uid
	p.Source.Window.Messages = r.rec.Window
	p.Source.FetchNoDataDelay = plan.Duration(r.rec.NoData * float64(time.Second))
	p.ShutdownGrace = plan.Duration(2 * time.Second)
	if strings.HasPrefix(class, "pf.BlockSleep") { // 3s are nothing that syslog-ng would give up
		p.ShutdownGrace = plan.Duration(20 * time.Second)
	}
	return p
}

func (r *replay) destinations() []plan.Destination {
	file, net := at("file"), at("net")
	if !r.rec.Flow && r.rec.Down { // log-fifo-size(50): the first fifty messages
		net.OnFull, net.Queue.Bytes = plan.DropNewest, 0
		for i := range 50 {
			net.Queue.Bytes += int64(len(fmt.Sprintf("msg-%d", i+1)))
		}
	}
	switch {
	case r.rec.Two:
		return []plan.Destination{file, net}
	case r.rec.Down:
		return []plan.Destination{net}
	}
	return []plan.Destination{file}
}

func (r *replay) run() {
	r.engine.Apply(r.plans)
	for i, e := range r.rec.Events {
		if e.Action != "" {
			r.reach(i)
			r.act(e.Action)
		}
	}
	synctest.Wait()
	if r.rec.Exit == 2 {
		r.checkFailed()
		r.act("stop")
	}
	<-r.stopped
	elapse(3 * time.Second) // a RequestExit, or a goroutine that a driver left behind, may take that long
	r.compare()
	if err := r.store.Close(); err != nil {
		r.t.Error(err)
	}
}

// reach waits until the calls before event i are there and then as long as the recording
// did. A call that does not come a second after its time will not come.
func (r *replay) reach(i int) {
	synctest.Wait()
	before := 0.0
	for j, e := range r.rec.Events[:i] {
		if e.Action == "" && !r.await(j, time.Duration((e.T-before)*float64(time.Second))+time.Second) {
			break
		}
		before = e.T
	}
	elapse(time.Duration((r.rec.Events[i].T - before) * float64(time.Second)))
}

// await waits for the call of event j.
func (r *replay) await(j int, patience time.Duration) bool {
	e := r.rec.Events[j]
	want := 0
	for _, x := range r.rec.Events[:j+1] {
		if x.Action == "" && x.Instance == e.Instance && x.name() == e.name() {
			want++
		}
	}
	for ; r.calls.countOf(e.Instance, e.name()) < want; elapse(time.Millisecond) {
		if patience -= time.Millisecond; patience < 0 {
			return false
		}
	}
	return true
}

func (r *replay) act(what string) {
	r.calls.note(-1, what)
	switch what {
	case "stop":
		go func() {
			defer close(r.stopped)
			r.engine.Stop(r.t.Context())
		}()
	case "reload":
		r.reloads++
		next := edit(r.plans[0], r.reloads)
		if r.rec.Reloaded == "a syntax error" {
			next.Source.Class = "nonsense"
		}
		r.engine.Apply([]*plan.Plan{next})
	case "sink up":
		close(r.net.block)
	case "kill":
		close(r.killed)
		if r.index("stop") < 0 {
			r.act("stop")
		}
	}
}

func (r *replay) index(action string) int { return r.rec.index(action) }

// checkFailed holds instead of exit code 2: the plan is refused when the constructor
// fails, and the source is Failed when something later does.
func (r *replay) checkFailed() {
	r.t.Helper()
	if refused := r.engine.Report().Refused; len(refused) == 1 && refused[0].Error != "" {
		return
	}
	if s := r.status(); s.State != report.Failed || s.Message == "" {
		r.t.Errorf("state %s, message %q; want Failed and the reason", s.State, s.Message)
	}
}

// compare holds the calls against the recording.
func (r *replay) compare() {
	r.t.Helper()
	got := r.observed()
	want := r.rec.Events
	if r.rec.Class == "ps.SuspRaises" || r.rec.Class == "ps.SuspPosts" {
		want, got = r.withoutTurns(want), r.withoutTurns(got)
	}
	if r.index("kill") >= 0 && r.index("reload") >= 0 { // the old instance only
		later := func(e recorded) bool { return e.Instance > 0 }
		want, got = slices.DeleteFunc(want, later), slices.DeleteFunc(got, later)
	}
	if r.index("kill") >= 0 || r.rec.Exit == 2 { // what a driver is told after it, syslog-ng could not
		got = r.beforeKill(got)
	}
	r.compareGroups(want, got)
	if r.rec.Second == "" {
		if diff := cmp.Diff(r.spineOf(want), r.spineOf(got)); diff != "" {
			r.t.Errorf("order of construction and end (-syslog-ng +we):\n%s", diff)
		}
	}
	r.compareOutput()
	r.checkGoroutines()
	if r.t.Failed() {
		for _, e := range got {
			r.t.Logf("%8.4f #%d worker=%-5v %s%s", e.T, e.Instance, e.Worker, e.name(), e.Action)
		}
	}
}

// observed is what happened, as a recording.
func (r *replay) observed() []recorded {
	workers := map[string]bool{}
	all := r.calls.all()
	for _, c := range all {
		if word, _, _ := strings.Cut(c.what, "-"); strings.HasPrefix(word, "fetch") || strings.HasPrefix(word, "open") || strings.HasPrefix(word, "run") || c.what == "close" {
			workers[c.goroutine] = true
		}
	}
	var got []recorded
	for _, c := range all {
		e := recorded{T: c.at.Seconds(), Call: c.what, Instance: c.instance, Worker: workers[c.goroutine]}
		if c.instance < 0 {
			e.Call, e.Action = "", c.what
		}
		got = append(got, e)
	}
	return got
}

// withoutTurns drops what depends on who is faster once the sink is up, but not the first
// wakeup of it.
func (r *replay) withoutTurns(all []recorded) []recorded {
	up, woken := false, false
	return slices.DeleteFunc(slices.Clone(all), func(e recorded) bool {
		up = up || e.Action == "sink up"
		turn := strings.HasPrefix(e.Call, "suspend") || strings.HasPrefix(e.Call, "wakeup") || strings.HasPrefix(e.Call, "post in")
		if up && !woken && strings.HasPrefix(e.Call, "wakeup") {
			woken = true
			return false
		}
		return up && turn
	})
}

// beforeKill is what happened before the daemon was killed or gave up.
func (r *replay) beforeKill(got []recorded) []recorded {
	end := slices.IndexFunc(got, func(e recorded) bool { return e.Action == "kill" || (r.rec.Exit == 2 && e.Action == "stop") })
	return got[:end]
}

// compareGroups compares the calls of each instance on its worker, and those elsewhere.
func (r *replay) compareGroups(want, got []recorded) {
	r.t.Helper()
	for instance := range 4 {
		for _, place := range []string{"worker", "elsewhere", "spine", "request_exit"} {
			in := func(e recorded) bool {
				return e.Action != "" || (e.Instance == instance && e.place() == place)
			}
			r.compareGroup(fmt.Sprintf("instance %d, %s", instance, place), only(want, in), only(got, in))
		}
	}
}

func only(all []recorded, which func(recorded) bool) []recorded {
	return slices.DeleteFunc(slices.Clone(all), func(e recorded) bool { return !which(e) })
}

func (r *replay) compareGroup(where string, want, got []recorded) {
	r.t.Helper()
	names := func(all []recorded) (list []string) {
		for _, e := range all {
			if e.Action == "" {
				list = append(list, e.name())
			}
		}
		return list
	}
	if diff := cmp.Diff(names(want), names(got)); diff != "" {
		r.t.Errorf("%s (-syslog-ng +we):\n%s", where, diff)
		return
	}
	a, b := waits(want), waits(got)
	for i := range a {
		if d := math.Abs(a[i].wait - b[i].wait); d > tolerance.Seconds() {
			r.t.Errorf("%s: %s (%d) came %.3fs after %s, in syslog-ng %.3fs", where, a[i].what, i, b[i].wait, a[i].after, a[i].wait)
		}
	}
}

// A wait is the time between a call and the one before it, or the action if that is later.
type wait struct {
	what, after string
	wait        float64
}

// waits leaves out the first one: how long a daemon takes to start is nobody's wait.
func waits(all []recorded) (list []wait) {
	for i, e := range all {
		switch {
		case e.Action != "":
		case i == 0:
			list = append(list, wait{what: e.name()})
		default:
			list = append(list, wait{e.name(), all[i-1].name() + all[i-1].Action, e.T - all[i-1].T})
		}
	}
	return list
}

// spineOf is the order, over all instances, of the calls that are never concurrent.
func (r *replay) spineOf(all []recorded) (list []string) {
	for _, e := range all {
		name := fmt.Sprintf("%s #%d", e.Call, e.Instance)
		if e.Action == "" && e.place() == "spine" && name != r.rec.unordered {
			list = append(list, name)
		}
	}
	return list
}

// compareOutput compares the messages. How many a loop fetches in a second is not ours to
// repeat: what must be the same is how many of those that were fetched came out.
func (r *replay) compareOutput() {
	r.t.Helper()
	balance(r.t, r.engine.Report())
	out := r.file.messages()
	if r.rec.Down && !r.rec.Two {
		out = r.net.messages()
	}
	if len(r.rec.FirstOnes) > 0 {
		n := min(len(r.rec.FirstOnes), len(out))
		if diff := cmp.Diff(r.rec.FirstOnes, out[:n]); diff != "" {
			r.t.Errorf("first messages (-syslog-ng +we):\n%s", diff)
		}
	}
	if r.rec.Down && !r.rec.Flow {
		d := r.status().Destinations[0]
		if held := d.Queued + d.InFlight; held != 50 || d.Dropped["queue_full"] != int64(r.fetched)-held {
			r.t.Errorf("of %d messages %d are held, %v dropped; want 50 held and all others dropped", r.fetched, held, d.Dropped)
		}
	}
	if r.rec.Output == nil {
		return
	}
	want := *r.rec.Output
	if r.fetched > 0 {
		want += r.fetched - r.rec.Fetched
	}
	if len(out) != want {
		r.t.Errorf("%d messages came out, want %d", len(out), want)
	}
}

// checkGoroutines holds the first of the differences.
func (r *replay) checkGoroutines() {
	r.t.Helper()
	for _, c := range r.calls.all() {
		worker := ""
		for _, w := range r.calls.all() {
			if w.instance == c.instance && (strings.HasPrefix(w.what, "open") || w.what == "run") {
				worker = w.goroutine
			}
		}
		if worker == "" || !slices.Contains([]string{"init", "deinit", "finalize", "request_exit"}, c.what) {
			continue
		}
		if on := c.goroutine == worker; on != (c.what == "init" || c.what == "deinit") && c.what != "finalize" {
			r.t.Errorf("%s of instance %d: on the worker's goroutine: %v", c.what, c.instance, on)
		}
	}
}

// instance makes what the recorded daemon would have made now.
func (r *replay) instance(n int, env collector.Env) (any, error) {
	class := r.rec.Class
	switch {
	case r.rec.Second != "" && env.LogSource.UID == "u2":
		class, n = r.rec.Second, 1
	case r.rec.Second != "":
		n = 0
	case r.rec.Reloaded != "" && n == 1:
		class = r.rec.Reloaded
	}
	make := pythonClasses[class]
	if make == nil {
		return nil, errors.New("BUG: no class " + class)
	}
	return make(r, n)
}
