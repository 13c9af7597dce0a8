//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	ctrl "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logsource/operator/api/v1alpha1"
)

// A wrongDocument is one file of test/admission: what it is, and what must be said of it.
type wrongDocument struct {
	file, text string
	wants      []string
}

func wrongDocuments(t *testing.T) []wrongDocument {
	t.Helper()
	files, err := filepath.Glob("../../test/admission/testdata/wrong/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d wrong documents, %v; want at least 20", len(files), err)
	}
	var all []wrongDocument
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d := wrongDocument{file: filepath.Base(file), text: string(data)}
		for line := range strings.Lines(d.text) {
			if want, ok := strings.CutPrefix(line, "# want: "); ok {
				d.wants = append(d.wants, strings.TrimSpace(want))
			}
		}
		all = append(all, d)
	}
	return all
}

// verb is apply, but for a null: apply takes nulls out before the API server sees them.
func (d wrongDocument) verb() string {
	if d.file == "source-option-null.yaml" {
		return "create"
	}
	return "apply"
}

func (d wrongDocument) saysAll(text string) bool {
	for _, want := range d.wants {
		if !strings.Contains(text, want) {
			return false
		}
	}
	return true
}

// Every wrong document is refused by kubectl apply --dry-run=server, with words that name
// the field and the fix.
func TestWrongDocumentsAreRefusedAtApply(t *testing.T) {
	install(t)
	documents := wrongDocuments(t)
	for _, d := range documents {
		_, err := try(t.Context(), d.text, "kubectl", d.verb(), "--dry-run=server", "-f", "-")
		if err == nil || !d.saysAll(err.Error()) {
			t.Errorf("%s: kubectl says %v, want %q", d.file, err, d.wants)
		}
	}
	t.Logf("%d wrong documents were refused", len(documents))
}

// Without the policy the manager says of what the schema lets pass what the policy would
// have said, and starts nothing.
func TestWithoutThePolicyTheManagerSaysTheSame(t *testing.T) {
	install(t)
	defer install(t) // brings the policy back; in a Cleanup the context of t would have ended
	command(t, "", "kubectl", "delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", "-l", "app.kubernetes.io/part-of=logsource")
	command(t, "", "kubectl", "wait", "--for=delete", "validatingadmissionpolicy", "-l", "app.kubernetes.io/part-of=logsource", "--timeout=60s")
	documents := wrongDocuments(t)
	probe := documents[slices.IndexFunc(documents, func(d wrongDocument) bool { return d.file == "source-option-unknown.yaml" })]
	eventually(t, time.Minute, "the API server has forgotten the policy", func() (bool, any) {
		_, err := try(t.Context(), probe.text, "kubectl", "apply", "--dry-run=server", "-f", "-")
		return err == nil, err
	})
	passed := 0
	for _, d := range documents {
		made := made(t, d)
		if made == nil {
			continue // the schema refused it
		}
		passed++
		eventually(t, 30*time.Second, "the manager refuses "+d.file, func() (bool, any) {
			c := accepted(t, made)
			return c.status == "False" && d.saysAll(c.message), c
		})
	}
	if passed < 10 {
		t.Errorf("only %d documents passed the schema: the policy is still there, or the test shows nothing", passed)
	}
	if pods := tenants(t, "default"); len(pods) != 0 {
		t.Errorf("%d pods were started", len(pods))
	}
	t.Logf("%d documents passed the schema; the manager refused each and started no pod", passed)
}

// made creates the document's object, nil when the API server refuses it. The object is
// deleted at the end.
func made(t *testing.T, d wrongDocument) ctrl.Object {
	t.Helper()
	out, err := try(t.Context(), d.text, "kubectl", d.verb(), "-o", "json", "-f", "-")
	if err != nil {
		return nil
	}
	var id struct {
		Kind     string
		Metadata struct{ Namespace, Name string }
	}
	if err := json.Unmarshal([]byte(out), &id); err != nil {
		t.Fatal(err)
	}
	var object ctrl.Object = &v1alpha1.LogSource{}
	if id.Kind == "ClusterLogSource" {
		object = &v1alpha1.ClusterLogSource{}
	}
	object.SetNamespace(id.Metadata.Namespace)
	object.SetName(id.Metadata.Name)
	t.Cleanup(func() { remove(t, strings.ToLower(id.Kind), id.Metadata.Namespace, id.Metadata.Name) })
	return object
}

type verdict struct{ status, message string }

// accepted is the condition Accepted as it is now.
func accepted(t *testing.T, object ctrl.Object) verdict {
	t.Helper()
	if err := client.Get(t.Context(), ctrl.ObjectKeyFromObject(object), object); err != nil {
		t.Fatal(err)
	}
	var status *v1alpha1.LogSourceStatus
	switch o := object.(type) {
	case *v1alpha1.LogSource:
		status = &o.Status
	case *v1alpha1.ClusterLogSource:
		status = &o.Status
	}
	c := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionAccepted)
	if c == nil {
		return verdict{}
	}
	return verdict{string(c.Status), c.Message}
}
