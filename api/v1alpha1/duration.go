package v1alpha1

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Duration is a length of time in Go syntax, such as 250ms, 10s or 1h30m. It is a type of
// its own, not metav1.Duration, so that each field can say in its own words which
// durations it takes.
//
// +kubebuilder:validation:Type=string
// +kubebuilder:validation:MaxLength=16
type Duration time.Duration

// D is the duration as the standard library knows it.
func (d Duration) D() time.Duration { return time.Duration(d) }

// String is the duration in Go syntax.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalJSON writes "1m30s".
func (d Duration) MarshalJSON() ([]byte, error) { return strconv.AppendQuote(nil, d.String()), nil }

// UnmarshalJSON reads "1m30s".
func (d *Duration) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return errors.New("must be a string, a duration such as 250ms, 10s or 1h30m")
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q must be a duration such as 250ms, 10s or 1h30m", s)
	}
	*d = Duration(v)
	return nil
}
