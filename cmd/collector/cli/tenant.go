package cli

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/collector/report"
)

// planPoll is how often a tenant collector looks at its mounted plan. The kubelet takes up
// to a minute to refresh the mount, so looking more often would gain nothing.
const planPoll = time.Second

// runTenant runs the plans mounted at --plans-dir and follows their changes.
func (p program) runTenant(stopping, hard context.Context, f *runFlags, opts collector.Options) error {
	opts.Secrets = func(plan.LogSource) collector.Secrets {
		return func(name, key string) ([]byte, error) {
			if f.secretsDir == "" {
				return nil, errors.New("this collector has no --secrets-dir")
			}
			return readSecret(f.secretsDir, name, key)
		}
	}
	return runEngine(stopping, hard, f, opts, func(e *collector.Engine) error {
		d := planDir{path: f.plansDir, engine: e}
		for d.refresh(); waitPoll(stopping); d.refresh() {
		}
		return nil
	})
}

func waitPoll(ctx context.Context) bool {
	t := time.NewTimer(planPoll)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// A planDir is the mounted plans: one *.json file each.
type planDir struct {
	path   string
	engine *collector.Engine
	seen   map[string]string // content by file
}

// refresh applies the plans when any file changed. A directory that cannot be read, or is
// empty for the moment, changes nothing: a plan is taken away by deleting the pod.
func (d *planDir) refresh() {
	files, err := filepath.Glob(filepath.Join(d.path, "*.json"))
	if err != nil || len(files) == 0 {
		return
	}
	content := map[string]string{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return
		}
		content[file] = string(data)
	}
	if maps.Equal(content, d.seen) {
		return
	}
	d.seen = content
	var plans []*plan.Plan
	var refused []report.Refused
	for file, data := range content {
		p, bad := decodePlan(strings.TrimSuffix(filepath.Base(file), ".json"), []byte(data))
		if bad != nil {
			refused = append(refused, *bad)
			continue
		}
		plans = append(plans, p)
	}
	if len(plans) == 0 && d.engine.Ready() {
		d.engine.Apply(d.engine.Plans(), refused...)
		return
	}
	d.engine.Apply(plans, refused...)
}
