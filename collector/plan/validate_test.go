package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/plan"
)

var catalog = class.NewCatalog(
	&class.Class{Name: "plain", Role: class.Source},
	&class.Class{Name: "parsing", Role: class.Source, Flags: []string{"no-header", "no-hostname", "expect-hostname"}},
	&class.Class{Name: "sink", Role: class.Destination},
)

// good is a plan that a collector of the catalog runs.
func good() *plan.Plan {
	return &plan.Plan{
		Version:   plan.Version,
		LogSource: plan.LogSource{Kind: "LogSource", Namespace: "shop", Name: "a", UID: "u"},
		Source: plan.Source{Class: "parsing", TimeReopen: plan.DefaultTimeReopen,
			Window: plan.Window{Messages: 1, Bytes: 1}, PersistName: "parsing"},
		Destinations: []plan.Destination{{Name: "out", Class: "sink", Required: true, OnFull: plan.Suspend,
			Batch: plan.Batch{Messages: 1, Bytes: 1}, Retry: plan.Retry{Initial: 1, Max: 1}}},
	}
}

func TestValidate(t *testing.T) {
	f := func(change func(*plan.Plan), want string) {
		t.Helper()
		p := good()
		change(p)
		got := ""
		if err := p.Validate(catalog); err != nil {
			got = err.Error()
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	f(func(*plan.Plan) {}, "")
	f(func(p *plan.Plan) { p.LogSource.UID = "" }, "plan names no LogSource")
	f(func(p *plan.Plan) { p.Level = plan.Fast }, "")
	f(func(p *plan.Plan) { p.Level = plan.EndToEnd }, "")
	f(func(p *plan.Plan) { p.Level = "Durable" }, `spec.delivery.level: "Durable" is none of Fast, EndToEnd`)

	flags := func(class string, flags ...string) func(*plan.Plan) {
		return func(p *plan.Plan) { p.Source.Class, p.Source.Flags = class, flags }
	}
	f(flags("plain", "no-parse"), "")
	f(flags("plain", "no-header"), "spec.source.flags[0]: class plain does not take no-header; it takes: no-parse")
	f(flags("parsing", "no-header", "no-hostname"), "")
	f(flags("parsing", "no-hostname", "expect-hostname"), "spec.source.flags: no-hostname and expect-hostname contradict each other: keep one of them")

	message := func(m plan.Message) func(*plan.Plan) { return func(p *plan.Plan) { p.Source.Message = m } }
	pri := func(n int) plan.Message { return plan.Message{DefaultPriority: &n} }
	f(message(pri(0)), "")
	f(message(pri(191)), "")
	f(message(pri(192)), "spec.source.message: the default priority 192 is not from 0 to 191")
	f(message(pri(-1)), "spec.source.message: the default priority -1 is not from 0 to 191")
	f(message(plan.Message{TimeZone: "Asia/Kolkata"}), "")
	f(message(plan.Message{TimeZone: "Local"}),
		`spec.source.message.timeZone: "Local" is no time zone: write an IANA name such as Europe/Budapest, or an offset such as +02:00`)

	f(func(p *plan.Plan) { p.Source.Window.Messages = 0 }, "spec.source.window: messages and bytes must be at least 1")
	f(func(p *plan.Plan) { p.Source.TimeReopen = 0 }, "spec.source: timeReopen must be positive and fetchNoDataDelay not negative")
	f(func(p *plan.Plan) { p.Source.Class = "nosuch" }, `spec.source.class: this collector has no Source class "nosuch"; it has [parsing plain]`)
	f(func(p *plan.Plan) { p.Source.Options = []byte(`{"x":1}`) }, "spec.source.options.x: class parsing has no such option; it has: none")
	f(func(p *plan.Plan) { p.Destinations[0].OnFull = "Wait" }, `spec.destinations[out].onFull: "Wait" is none of Suspend, DropOldest, DropNewest`)
	f(func(p *plan.Plan) { p.Destinations[0].Required = false }, "spec.destinations[out]: an optional destination may not suspend the source")
	f(func(p *plan.Plan) { p.Destinations = nil }, "spec.destinations: at least one is needed")
	f(func(p *plan.Plan) { p.Destinations = append(p.Destinations, p.Destinations[0]) }, `spec.destinations: the name "out" is used twice`)
}
