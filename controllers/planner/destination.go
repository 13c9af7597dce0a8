package planner

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/plan"
)

const maxDestinations = 16

func (p *planning) destinations(source *class.Class) []plan.Destination {
	path, all := p.spec.Child("destinations"), p.want.Destinations
	p.checkDestinations(path, all)
	out := make([]plan.Destination, len(all))
	for i := range all {
		out[i] = p.destination(path.Index(i), &all[i], source)
	}
	return out
}

func (p *planning) checkDestinations(path *field.Path, all []v1alpha1.DestinationSpec) {
	if len(all) == 0 {
		p.fail(v1alpha1.ReasonInvalidSpec, field.Required(path, "say where the messages go"))
		return
	}
	if len(all) > maxDestinations {
		p.fail(v1alpha1.ReasonInvalidSpec, field.TooMany(path, len(all), maxDestinations))
	}
	seen, anyRequired := map[string]bool{}, false
	for i := range all {
		if seen[all[i].Name] {
			p.fail(v1alpha1.ReasonInvalidSpec, field.Duplicate(path.Index(i).Child("name"), all[i].Name))
		}
		seen[all[i].Name] = true
		anyRequired = anyRequired || required(&all[i])
	}
	if !anyRequired {
		p.forbidden(path, "at least one destination must be required: set required: true, or leave it out, on one of them")
	}
}

func required(d *v1alpha1.DestinationSpec) bool { return d.Required == nil || *d.Required }

func (p *planning) destination(path *field.Path, d *v1alpha1.DestinationSpec, source *class.Class) plan.Destination {
	k := p.class(path.Child("class"), class.Destination, d.Class)
	p.checkLocalOnly(path.Child("class"), k, source)
	return plan.Destination{
		Name:          p.label(path.Child("name"), d.Name),
		Class:         d.Class,
		Options:       p.options(path, k, d.Options, d.SecretOptions),
		SecretOptions: p.secretOptions(path.Child("secretOptions"), d.SecretOptions),
		Required:      required(d),
		OnFull:        p.onFull(path.Child("onFull"), d),
		Queue:         p.queue(path.Child("queue"), d.Queue),
		Batch:         p.batch(path.Child("batch"), d.Batch),
		Retry:         p.retry(path.Child("retry"), d.Retry),
	}
}

func (p *planning) checkLocalOnly(path *field.Path, k, source *class.Class) {
	if p.local || k == nil || source == nil || !k.Footprint.LocalOnly || source.Placement != class.Node {
		return
	}
	p.fail(v1alpha1.ReasonNotAllowed, field.Forbidden(path, fmt.Sprintf("class %s is not for agents, which run class %s: an agent would read its own output again; use another destination", k.Name, source.Name)))
}

func (p *planning) label(path *field.Path, name string) string {
	if len(validation.IsDNS1123Label(name)) > 0 {
		p.invalid(path, name, "must be at most 63 lower-case letters, digits and '-', and begin and end with a letter or digit")
	}
	return name
}

func (p *planning) onFull(path *field.Path, d *v1alpha1.DestinationSpec) string {
	onFull := p.oneOf(path, d.OnFull, plan.Suspend, plan.DropOldest, plan.DropNewest)
	if onFull == plan.Suspend && !required(d) {
		p.forbidden(path, "an optional destination may not suspend the source: set onFull to DropOldest or DropNewest, or required to true")
	}
	return onFull
}

func (p *planning) queue(path *field.Path, q *v1alpha1.QueueSpec) plan.Queue {
	if q == nil {
		q = &v1alpha1.QueueSpec{}
	}
	return plan.Queue{Bytes: p.bytes(path.Child("size"), q.Size, plan.DefaultQueueBytes)}
}

func (p *planning) batch(path *field.Path, b *v1alpha1.BatchSpec) plan.Batch {
	if b == nil {
		b = &v1alpha1.BatchSpec{}
	}
	return plan.Batch{
		Messages: p.count(path.Child("messages"), b.Messages, plan.DefaultBatchMessages, 100_000),
		Bytes:    p.bytes(path.Child("bytes"), b.Bytes, plan.DefaultBatchBytes),
		Timeout:  p.duration(path.Child("timeout"), b.Timeout, plan.DefaultBatchTimeout),
	}
}

func (p *planning) retry(path *field.Path, r *v1alpha1.RetrySpec) plan.Retry {
	if r == nil {
		r = &v1alpha1.RetrySpec{}
	}
	first := p.positive(path.Child("initial"), r.Initial, plan.DefaultRetryInitial)
	longest := p.positive(path.Child("max"), r.Max, max(plan.DefaultRetryMax, first))
	if longest < first {
		p.invalid(path.Child("max"), longest.D().String(), fmt.Sprintf("must not be less than initial, which is %s", first.D()))
	}
	return plan.Retry{Initial: first, Max: longest}
}
