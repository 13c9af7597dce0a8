package planner

import (
	"bytes"
	"encoding/json"
	"regexp"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/plan"
)

// options checks the options at path against the class and fills in its defaults. The
// result has sorted keys, so that equal options are equal bytes.
func (p *planning) options(path *field.Path, k *class.Class, raw *runtime.RawExtension, secrets []v1alpha1.SecretOption) json.RawMessage {
	values, err := decode(raw)
	if err != nil {
		p.fail(v1alpha1.ReasonInvalidOptions, field.TypeInvalid(path.Child("options"), "", "must be an object of option names and values"))
		return nil
	}
	if k == nil {
		return nil
	}
	for _, problem := range k.Check(values, optionNames(secrets)) {
		// The value is left out: what was put into the wrong option may be a secret.
		p.fail(v1alpha1.ReasonInvalidOptions, field.Invalid(path.Child(problem.Field), field.OmitValueType{}, problem.Message))
	}
	return p.encode(path, k.Default(values))
}

// decode keeps numbers as they are written: a float64 would round large ones.
func decode(raw *runtime.RawExtension) (map[string]any, error) {
	values := map[string]any{}
	if raw == nil || len(raw.Raw) == 0 {
		return values, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw.Raw))
	d.UseNumber()
	if err := d.Decode(&values); err != nil {
		return nil, err
	}
	return values, nil
}

func optionNames(secrets []v1alpha1.SecretOption) []string {
	names := make([]string, len(secrets))
	for i, s := range secrets {
		names[i] = s.Option
	}
	return names
}

func (p *planning) encode(path *field.Path, values map[string]any) json.RawMessage {
	if len(values) == 0 {
		return nil
	}
	raw, err := json.Marshal(values)
	if err != nil {
		p.fail(v1alpha1.ReasonInvalidOptions, field.Invalid(path.Child("options"), "", err.Error()))
	}
	return raw
}

var (
	secretName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`)
	secretKey  = regexp.MustCompile(`^[-._a-zA-Z0-9]{1,253}$`)
)

func (p *planning) secretOptions(path *field.Path, secrets []v1alpha1.SecretOption) []plan.SecretOption {
	var out []plan.SecretOption
	seen := map[string]bool{}
	for i, s := range secrets {
		if seen[s.Option] {
			p.fail(v1alpha1.ReasonInvalidSpec, field.Duplicate(path.Index(i).Child("option"), s.Option))
		}
		seen[s.Option] = true
		p.checkSecretRef(path.Index(i).Child("secretKeyRef"), s.SecretKeyRef)
		out = append(out, plan.SecretOption{Option: s.Option, Name: s.SecretKeyRef.Name, Key: s.SecretKeyRef.Key})
	}
	return out
}

func (p *planning) checkSecretRef(path *field.Path, ref v1alpha1.SecretKeyRef) {
	if !secretName.MatchString(ref.Name) {
		p.invalid(path.Child("name"), ref.Name, "must be the name of a Secret in the same namespace")
	}
	if !secretKey.MatchString(ref.Key) || ref.Key == "." || ref.Key == ".." {
		p.invalid(path.Child("key"), ref.Key, "must be a key of that Secret: letters, digits, '-', '_' and '.'")
	}
}
