package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/logsource/operator/api/schema"
	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/controllers/planner"
)

// A finding is one thing that is wrong, and where.
type finding struct {
	file string
	line int
	text string
}

func (f finding) String() string { return fmt.Sprintf("%s:%d: %s", f.file, f.line, f.text) }

// A sourceFile is what files hold that a collector can use.
type sourceFile struct {
	plans    []*plan.Plan
	secrets  secretDocuments
	others   []string // kinds that are not for a collector
	findings []finding
}

// readSources reads, checks and plans every LogSource of the files, with the rules of the
// apiserver, the admission policy and the manager.
func readSources(paths []string, catalog class.Catalog, local bool) (*sourceFile, error) {
	docs, err := readDocuments(paths)
	if err != nil {
		return nil, err
	}
	s := &sourceFile{secrets: secretDocuments{}}
	names := map[string]bool{}
	for _, d := range docs {
		switch d.kind() {
		case "logsource.dev/LogSource":
			s.add(d, &v1alpha1.LogSource{}, catalog, local, names)
		case "logsource.dev/ClusterLogSource":
			s.add(d, &v1alpha1.ClusterLogSource{}, catalog, local, names)
		case "/Secret":
			s.secrets.add(d)
		default:
			s.others = append(s.others, fmt.Sprintf("%s:%d: kind %q is not for a collector", d.file, d.node.Line, d.body["kind"]))
		}
	}
	return s, nil
}

func (s *sourceFile) add(d *document, obj planner.Object, catalog class.Catalog, local bool, names map[string]bool) {
	if errs := schema.Check(d.body); len(errs) > 0 {
		s.report(d, errs)
		return
	}
	decoder := json.NewDecoder(bytes.NewReader(d.json))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(obj); err != nil {
		s.findings = append(s.findings, finding{d.file, d.node.Line, err.Error()})
		return
	}
	var opts []planner.Option
	if local {
		opts = append(opts, planner.Local)
	}
	p, problem := planner.Plan(obj, catalog, opts...)
	if problem != nil {
		s.report(d, problem.Errors)
		return
	}
	id := p.LogSource.Kind + "/" + p.LogSource.String()
	if names[id] {
		s.findings = append(s.findings, finding{d.file, d.node.Line, id + " is given twice"})
		return
	}
	names[id] = true
	s.plans = append(s.plans, p)
}

func (s *sourceFile) report(d *document, errs field.ErrorList) {
	for _, err := range errs {
		text := err.Error()
		if err.Field == "" { // of the whole document: the apiserver's library would print <nil>
			text = err.ErrorBody()
		}
		s.findings = append(s.findings, finding{d.file, d.line(err.Field), text})
	}
}

// secretDocuments are the Secrets of the files, by namespace/name, then key.
type secretDocuments map[string]map[string][]byte

func (s secretDocuments) add(d *document) {
	var secret struct {
		Metadata   struct{ Namespace, Name string }
		Data       map[string]string
		StringData map[string]string
	}
	if json.Unmarshal(d.json, &secret) != nil {
		return
	}
	values := map[string][]byte{}
	for k, v := range secret.Data {
		if raw, err := base64.StdEncoding.DecodeString(v); err == nil {
			values[k] = raw
		}
	}
	for k, v := range secret.StringData {
		values[k] = []byte(v)
	}
	namespace := secret.Metadata.Namespace
	if namespace == "" {
		namespace = "default"
	}
	s[namespace+"/"+secret.Metadata.Name] = values
}
