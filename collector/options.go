package collector

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/logsource/operator/collector/plan"
)

// Types for the fields of an Options struct. Together with string, int, int64, bool,
// []string and map[string]string they are all that an option may be.

// Duration is an option in Go syntax: "250ms", "1h30m".
type Duration = plan.Duration

// Bytes is an option that counts bytes: 65536, "64Ki", "10M".
//
// +kubebuilder:validation:XIntOrString
// +kubebuilder:validation:Format=quantity
type Bytes int64

// UnmarshalJSON reads a number or a Kubernetes quantity.
func (b *Bytes) UnmarshalJSON(data []byte) error {
	s := strings.Trim(string(data), `"`)
	v, err := ParseBytes(s)
	*b = Bytes(v)
	return err
}

// ParseBytes reads a count of bytes such as "64Ki", "10M" or "512".
func ParseBytes(s string) (int64, error) {
	units := []struct {
		suffix string
		factor int64
	}{{"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}, {"Ti", 1 << 40}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12}, {"", 1}}
	for _, u := range units {
		digits, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 0 || n > (1<<62)/u.factor {
			break
		}
		return n * u.factor, nil
	}
	return 0, fmt.Errorf("%q is not a number of bytes such as 65536, 64Ki or 10M", s)
}

// Secret is an option whose value comes from a Secret. It never prints its value.
//
// +kubebuilder:validation:Type=string
// +kubebuilder:validation:Format=secret
type Secret struct {
	ref  secretRef
	read Secrets
}

// secretRef is how a secret option travels inside the options document given to a driver.
type secretRef struct {
	Name string `json:"secretName"`
	Key  string `json:"secretKey"`
}

// Set says whether the LogSource names a Secret for this option.
func (s Secret) Set() bool { return s.read != nil }

// Reveal reads the value now. Call it in Open, so that a rotated Secret takes effect.
func (s Secret) Reveal() ([]byte, error) {
	if s.read == nil {
		return nil, errors.New("no secret is set")
	}
	v, err := s.read(s.ref.Name, s.ref.Key)
	if err != nil {
		return nil, fmt.Errorf("secret %s, key %s: %w", s.ref.Name, s.ref.Key, err)
	}
	return v, nil
}

// String hides the value.
func (s Secret) String() string { return "***" }

// MarshalJSON hides the value.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"***"`), nil }

// UnmarshalJSON takes a reference; plain text is refused, as admission did before.
func (s *Secret) UnmarshalJSON(data []byte) error {
	if err := json.Unmarshal(data, &s.ref); err != nil || s.ref.Name == "" {
		return errors.New("is secret: set it through secretOptions, not options")
	}
	return nil
}

// noSecrets is the reader of a collector without Secrets.
func noSecrets(name, _ string) ([]byte, error) {
	return nil, fmt.Errorf("this collector has no Secret %s: give it --secrets-dir, or the Secret in a file with -f", name)
}

// StaticSecret is a secret with a fixed value, for tests of drivers.
func StaticSecret(v string) Secret {
	return SecretFunc(func() ([]byte, error) { return []byte(v), nil })
}

// SecretFunc is a secret that f reads, for tests of drivers: one that is rotated, or gone.
func SecretFunc(f func() ([]byte, error)) Secret {
	return Secret{read: func(string, string) ([]byte, error) { return f() }}
}

// bindSecrets gives every Secret field of an options struct its reader.
func bindSecrets(options any, secrets Secrets) {
	v := reflect.ValueOf(options).Elem()
	for i := range v.NumField() {
		s, ok := v.Field(i).Addr().Interface().(*Secret)
		if ok && s.ref.Name != "" {
			s.read = secrets
		}
	}
}

// withSecrets returns the options object with every secret option as a reference.
func withSecrets(options json.RawMessage, secrets []plan.SecretOption) (json.RawMessage, error) {
	if len(secrets) == 0 {
		return options, nil
	}
	m := map[string]json.RawMessage{}
	if len(options) > 0 {
		if err := json.Unmarshal(options, &m); err != nil {
			return nil, err
		}
	}
	for _, s := range secrets {
		ref, err := json.Marshal(secretRef{s.Name, s.Key})
		if err != nil {
			return nil, err
		}
		m[s.Option] = ref
	}
	return json.Marshal(m)
}
