package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/logsource/operator/collector/class"
)

// Validate says why a collector with these classes must not run the plan, nil when it
// may. The planner made the plan by the same rules; they are asked again because a plan
// carries no authority.
func (p *Plan) Validate(catalog class.Catalog) error {
	if p.LogSource.UID == "" || p.LogSource.Name == "" {
		return errors.New("plan names no LogSource")
	}
	errs := []error{p.validateSource(catalog), p.validateLevel()}
	seen := map[string]bool{}
	for _, d := range p.Destinations {
		if seen[d.Name] {
			errs = append(errs, fmt.Errorf("spec.destinations: the name %q is used twice", d.Name))
		}
		seen[d.Name] = true
		errs = append(errs, d.validate(catalog))
	}
	if len(p.Destinations) == 0 {
		errs = append(errs, errors.New("spec.destinations: at least one is needed"))
	}
	return errors.Join(errs...)
}

func (p *Plan) validateSource(catalog class.Catalog) error {
	const at = "spec.source"
	c := catalog.Get(class.Source, p.Source.Class)
	if c == nil {
		return unknownClass(at, class.Source, p.Source.Class, catalog)
	}
	if p.Source.Window.Messages < 1 || p.Source.Window.Bytes < 1 {
		return fmt.Errorf("%s.window: messages and bytes must be at least 1", at)
	}
	if p.Source.TimeReopen <= 0 || p.Source.FetchNoDataDelay < 0 {
		return fmt.Errorf("%s: timeReopen must be positive and fetchNoDataDelay not negative", at)
	}
	return errors.Join(
		checkOptions(at, c, p.Source.Options, p.Source.SecretOptions),
		joined(at, c.CheckFlags(p.Source.Flags)),
		p.Source.Message.validate(at+".message"),
	)
}

func (p *Plan) validateLevel() error {
	if !slices.Contains([]string{"", Fast, EndToEnd}, p.Level) {
		return fmt.Errorf("spec.delivery.level: %q is none of Fast, EndToEnd", p.Level)
	}
	return nil
}

// maxPRI is local7.debug (RFC 5424 §6.2.1).
const maxPRI = 191

func (m Message) validate(at string) error {
	var errs []error
	if n := m.DefaultPriority; n != nil && (*n < 0 || *n > maxPRI) {
		errs = append(errs, fmt.Errorf("%s: the default priority %d is not from 0 to %d", at, *n, maxPRI))
	}
	if _, err := m.Location(); err != nil {
		errs = append(errs, fmt.Errorf("%s.timeZone: %w", at, err))
	}
	return errors.Join(errs...)
}

func (d Destination) validate(catalog class.Catalog) error {
	at := "spec.destinations[" + d.Name + "]"
	c := catalog.Get(class.Destination, d.Class)
	if c == nil {
		return unknownClass(at, class.Destination, d.Class, catalog)
	}
	if !slices.Contains([]string{Suspend, DropOldest, DropNewest}, d.OnFull) {
		return fmt.Errorf("%s.onFull: %q is none of Suspend, DropOldest, DropNewest", at, d.OnFull)
	}
	if !d.Required && d.OnFull == Suspend {
		return fmt.Errorf("%s: an optional destination may not suspend the source", at)
	}
	if d.Batch.Messages < 1 || d.Batch.Bytes < 1 || d.Batch.Timeout < 0 {
		return fmt.Errorf("%s.batch: messages and bytes must be at least 1, timeout not negative", at)
	}
	if d.Retry.Initial <= 0 || d.Retry.Max < d.Retry.Initial {
		return fmt.Errorf("%s.retry: initial must be positive and max not below it", at)
	}
	return checkOptions(at, c, d.Options, d.SecretOptions)
}

func unknownClass(at string, role class.Role, name string, catalog class.Catalog) error {
	return fmt.Errorf("%s.class: this collector has no %s class %q; it has %v", at, role, name, catalog.Names(role))
}

func checkOptions(at string, c *class.Class, raw json.RawMessage, secrets []SecretOption) error {
	options := map[string]any{}
	if len(raw) > 0 {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		if err := d.Decode(&options); err != nil {
			return fmt.Errorf("%s.options: %w", at, err)
		}
	}
	names := make([]string, len(secrets))
	for i, s := range secrets {
		names[i] = s.Option
	}
	return joined(at, c.Check(options, names))
}

func joined(at string, problems []class.Problem) error {
	var errs []error
	for _, problem := range problems {
		errs = append(errs, fmt.Errorf("%s.%s: %s", at, problem.Field, problem.Message))
	}
	return errors.Join(errs...)
}
