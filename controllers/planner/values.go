package planner

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/collector/plan"
)

// duration is d, or the default when d is unset.
func (p *planning) duration(path *field.Path, d *v1alpha1.Duration, unset plan.Duration) plan.Duration {
	if d == nil {
		return unset
	}
	if d.D() < 0 {
		p.invalid(path, d.String(), "must not be negative; write it such as 250ms, 10s or 1h30m")
	}
	return plan.Duration(d.D())
}

// positive is a duration that may not be zero, which would be a loop without a pause.
func (p *planning) positive(path *field.Path, d *v1alpha1.Duration, unset plan.Duration) plan.Duration {
	v := p.duration(path, d, unset)
	if v == 0 {
		p.invalid(path, "0s", "must be more than zero, such as 250ms, 10s or 1h30m")
	}
	return v
}

// bytes is q in bytes, or the default when q is unset.
func (p *planning) bytes(path *field.Path, q *resource.Quantity, unset int64) int64 {
	if q == nil {
		return unset
	}
	n, exact := q.AsInt64()
	if !exact || n <= 0 {
		p.invalid(path, q.String(), "must be a whole number of bytes above zero, such as 65536, 64Ki or 8Mi")
	}
	return n
}

// count is n, or the default when n is unset.
func (p *planning) count(path *field.Path, n int32, unset, most int) int {
	if n == 0 {
		return unset
	}
	if n < 0 || int(n) > most {
		p.invalid(path, n, fmt.Sprintf("must be from 1 to %d", most))
	}
	return int(n)
}

// oneOf is value, or the first of the allowed ones when value is unset.
func (p *planning) oneOf(path *field.Path, value string, allowed ...string) string {
	if value == "" {
		return allowed[0]
	}
	if !slices.Contains(allowed, value) {
		p.fail(v1alpha1.ReasonInvalidSpec, field.NotSupported(path, value, allowed))
	}
	return value
}
