package collector_test

import (
	"errors"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/plan"
)

var metricName = regexp.MustCompile(`logsource_[a-z_]+[a-z]`)

// Every metric that a collector in all kinds of trouble shows is in docs/metrics.md, and
// every metric there is one that it shows.
func TestMetricsAreThoseOfTheDocumentation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := scrapeTrouble(t)
		var shown []string
		for line := range strings.Lines(text) {
			if name := metricName.FindString(line); name != "" && !strings.HasPrefix(line, "#") {
				shown = append(shown, name)
			}
		}
		page, err := os.ReadFile("../docs/metrics.md")
		if err != nil {
			t.Fatal(err)
		}
		documented := metricName.FindAllString(string(page), -1)
		for _, list := range []*[]string{&shown, &documented} {
			slices.Sort(*list)
			*list = slices.Compact(*list)
		}
		if diff := cmp.Diff(documented, shown); diff != "" {
			t.Errorf("metrics (-documented +shown):\n%s", diff)
		}
		for _, want := range []string{
			`logsource_source_state{logsource="src",namespace="test",state="Suspended"} 1`,
			`logsource_destination_dropped_messages_total{destination="lossy",logsource="src",namespace="test",reason="queue_full"} 7`,
			`logsource_destination_rejected_messages_total{destination="picky",logsource="src",namespace="test",reason="permanent"} 8`,
			`logsource_source_dropped_messages_total{logsource="src",namespace="test",reason="suspended"} 4`,
			`logsource_window_used_messages{logsource="src",namespace="test"} 8`,
		} {
			if !strings.Contains(text, want+"\n") {
				t.Errorf("the scrape lacks %s", want)
			}
		}
		if t.Failed() {
			t.Log(text)
		}
	})
}

// scrapeTrouble is a scrape of an engine whose destinations are stuck, picky and full, and
// whose source posts while suspended.
func scrapeTrouble(t *testing.T) string {
	t.Helper()
	b := newBench(t)
	stuck, picky, lossy := b.sink("stuck"), b.sink("picky"), b.sink("lossy")
	stuck.answer = func([]*collector.Batch) error { return errors.New("down") }
	picky.answer = func([]*collector.Batch) error { return collector.Permanent(errors.New("no")) }
	lossy.answer = stuck.answer
	p := newPoster()
	b.source = suspendable{p}
	small := to("lossy")
	small.Required, small.OnFull, small.Queue.Bytes = false, plan.DropNewest, 3
	b.apply(b.plan("post", to("stuck"), to("picky"), small))
	p.fail <- errors.New("enough") // an event; the source runs again after at most timeReopen
	elapse(20 * time.Second)
	post(p, 12)
	elapse(5 * time.Second)
	synctest.Wait()
	recorder := httptest.NewRecorder()
	b.engine.Handler().ServeHTTP(recorder, httptest.NewRequest("GET", "/metrics", nil))
	b.stop()
	return recorder.Body.String()
}
