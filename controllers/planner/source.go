package planner

import (
	"fmt"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/plan"
)

// class looks a class up, and says which there are when it is not there.
func (p *planning) class(path *field.Path, role class.Role, name string) *class.Class {
	if name == "" {
		p.fail(v1alpha1.ReasonInvalidSpec, field.Required(path, "name a driver: "+p.known(role)))
		return nil
	}
	k := p.catalog.Get(role, name)
	if k == nil {
		err := field.NotFound(path, name)
		err.Detail = fmt.Sprintf("no %s class has this name: %s", strings.ToLower(string(role)), p.known(role))
		p.fail(v1alpha1.ReasonClassNotFound, err)
	}
	return k
}

func (p *planning) known(role class.Role) string {
	names := p.catalog.Names(role)
	if len(names) == 0 {
		return "there is no class yet, install the DriverClass of your driver"
	}
	return "there are " + strings.Join(names, ", ")
}

func (p *planning) source(k *class.Class) plan.Source {
	s, path := &p.want.Source, p.spec.Child("source")
	reopen := p.positive(path.Child("timeReopen"), s.TimeReopen, plan.DefaultTimeReopen)
	return plan.Source{
		Class:            s.Class,
		Options:          p.options(path, k, s.Options, s.SecretOptions),
		SecretOptions:    p.secretOptions(path.Child("secretOptions"), s.SecretOptions),
		Flags:            p.flags(path, k, s.Flags),
		TimeReopen:       reopen,
		FetchNoDataDelay: p.duration(path.Child("fetchNoDataDelay"), s.FetchNoDataDelay, reopen),
		OnRunExit:        p.oneOf(path.Child("onRunExit"), s.OnRunExit, "Restart", "Stop"),
		Window:           p.window(path.Child("window"), s.Window),
		PersistName:      p.persistName(path.Child("persistName")),
		StartAt:          p.oneOf(path.Child("startAt"), s.StartAt, "Beginning", "End"),
		Message:          p.message(path.Child("message"), s.Message),
	}
}

// flags are held to what the class takes.
func (p *planning) flags(path *field.Path, k *class.Class, flags []v1alpha1.Flag) []string {
	var out []string
	for _, f := range flags {
		out = append(out, string(f))
	}
	if k == nil {
		return out
	}
	for _, problem := range k.CheckFlags(out) {
		p.fail(v1alpha1.ReasonInvalidSpec, field.Invalid(path.Child(problem.Field), field.OmitValueType{}, problem.Message))
	}
	return out
}

func (p *planning) window(path *field.Path, w *v1alpha1.WindowSpec) plan.Window {
	if w == nil {
		w = &v1alpha1.WindowSpec{}
	}
	return plan.Window{
		Messages: p.count(path.Child("messages"), w.Messages, plan.DefaultWindowMessages, 10_000_000),
		Bytes:    p.bytes(path.Child("bytes"), w.Bytes, plan.DefaultWindowBytes),
	}
}

var persistName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$`)

func (p *planning) persistName(path *field.Path) string {
	name := p.want.Source.PersistName
	if name == "" {
		return p.want.Source.Class
	}
	if !persistName.MatchString(name) {
		p.invalid(path, name, "must be at most 63 letters, digits, '-', '_' and '.', and begin and end with a letter or digit")
	}
	return name
}
