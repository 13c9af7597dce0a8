package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/kubeapi"
	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/collector/report"
)

// planSelector selects the ConfigMaps that hold plans for agents.
const planSelector = "logsource.dev/plan=node"

// secretTimeout bounds one read of a Secret: a destination that opens must not hang on it.
const secretTimeout = 10 * time.Second

// runAgent runs the plans of the agents' namespace, with one watch of the node's pods for
// all of them.
func (p program) runAgent(stopping, hard context.Context, f *runFlags, opts collector.Options) error {
	config, err := kubeapi.InCluster()
	if err != nil {
		return err
	}
	config.Log = opts.Log
	client, err := kubeapi.New(config)
	if err != nil {
		return err
	}
	defer client.Close()
	opts.Secrets = func(plan.LogSource) collector.Secrets { return agentSecrets(client, f.namespace) }
	watching, stopWatching := context.WithCancel(context.Background())
	defer stopWatching()
	pods := kubeapi.NewPods(client, opts.Node.Name)
	opts.Node.Pods = pods
	done := make(chan struct{})
	go func() { defer close(done); pods.Run(watching) }()
	defer func() { stopWatching(); <-done }()
	catalog := p.registry.Catalog()
	return runEngine(stopping, hard, f, opts, func(e *collector.Engine) error {
		client.WatchConfigMaps(stopping, f.namespace, planSelector, func(all map[string]map[string]string) {
			plans, refused := agentPlans(all, catalog)
			e.Apply(plans, refused...)
		})
		return nil
	})
}

// agentSecrets reads the Secrets of ClusterLogSources, which live beside the agents.
func agentSecrets(client *kubeapi.Client, namespace string) collector.Secrets {
	return func(name, key string) ([]byte, error) {
		ctx, cancel := context.WithTimeout(context.Background(), secretTimeout)
		defer cancel()
		data, err := client.Secret(ctx, namespace, name)
		if err != nil {
			return nil, err
		}
		v, ok := data[key]
		if !ok {
			return nil, fmt.Errorf("the Secret has no such key in namespace %s", namespace)
		}
		return v, nil
	}
}

// agentPlans reads the plans and refuses what an agent must not run: a plan carries no
// authority.
func agentPlans(all map[string]map[string]string, catalog class.Catalog) (plans []*plan.Plan, refused []report.Refused) {
	for name, data := range all {
		p, bad := decodePlan(uidOf(data[plan.Key], name), []byte(data[plan.Key]))
		if bad == nil {
			bad = refusedByAgent(p, catalog)
		}
		if bad != nil {
			refused = append(refused, *bad)
			continue
		}
		plans = append(plans, p)
	}
	return plans, refused
}

// uidOf finds the LogSource's UID in a plan of another version, so that what ran for it
// goes on; the ConfigMap's name is the last resort.
func uidOf(data, name string) string {
	_, rest, found := strings.Cut(data, `"uid": "`)
	if !found {
		return name
	}
	uid, _, _ := strings.Cut(rest, `"`)
	return uid
}

func refusedByAgent(p *plan.Plan, catalog class.Catalog) *report.Refused {
	refuse := func(why string) *report.Refused {
		return &report.Refused{UID: p.LogSource.UID, Generation: p.LogSource.Generation, Error: why}
	}
	if p.LogSource.Kind != "ClusterLogSource" {
		return refuse("an agent runs ClusterLogSources only")
	}
	source := catalog.Get(class.Source, p.Source.Class)
	if source != nil && source.Placement != class.Node {
		return refuse("spec.source.class: " + p.Source.Class + " does not run on agents")
	}
	for _, d := range p.Destinations {
		if c := catalog.Get(class.Destination, d.Class); c != nil && c.Footprint.LocalOnly {
			return refuse("spec.destinations[" + d.Name + "].class: " + d.Class + " is not for agents")
		}
	}
	return nil
}
