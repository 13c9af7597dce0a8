//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logsource/operator/api/v1alpha1"
)

// Where the tests install: what run.sh gives them.
const (
	release = "logsource"
	chart   = "../../charts/logsource"

	managerNamespace = "logsource"
	agentsNamespace  = "logsource-nodes"
)

var (
	image      = os.Getenv("IMAGE")
	probeImage = os.Getenv("PROBE_IMAGE")
	// ownCluster says that the nodes can be entered: the cluster is one of hack/cluster.
	ownCluster = os.Getenv("E2E_CLUSTER") == "cluster"
	// scale multiplies lines and minutes; 1 is what CI has time for.
	scale = atLeastOne(os.Getenv("LOGSOURCE_SCALE"))

	client ctrl.Client
	core   *kubernetes.Clientset
)

func atLeastOne(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 1
	}
	return n
}

func TestMain(m *testing.M) {
	if err := connect(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func connect() error {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 50, 100
	if err := v1alpha1.AddToScheme(scheme.Scheme); err != nil {
		return err
	}
	if core, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	client, err = ctrl.New(config, ctrl.Options{Scheme: scheme.Scheme})
	return err
}

// command runs a program and returns its output; a failure ends the test.
func command(t *testing.T, stdin string, name string, args ...string) string {
	t.Helper()
	out, err := try(t.Context(), stdin, name, args...)
	if err != nil {
		diagnose(t)
		t.Fatal(err)
	}
	return out
}

func try(ctx context.Context, stdin string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var out, errs strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, &out, &errs)
	}
	return out.String(), nil
}

// apply does what a user does.
func apply(t *testing.T, manifest string) {
	t.Helper()
	command(t, manifest, "kubectl", "apply", "-f", "-")
}

// install brings the chart to the values given, and waits until everything is ready.
func install(t *testing.T, values ...string) {
	t.Helper()
	registry, rest, _ := strings.Cut(image, "/")
	repository, tag, _ := strings.Cut(rest, ":")
	args := []string{
		"upgrade", "--install", release, chart, "--namespace", managerNamespace, "--create-namespace", "--wait", "--timeout", "3m",
		"--set", "image.registry=" + registry + ",image.repository=" + repository + ",image.tag=" + tag,
	}
	for _, v := range values {
		args = append(args, "--set", v)
	}
	if ownCluster { // its nodes have the image and no registry
		args = append(args, "--set", "image.pullPolicy=Never")
	}
	updateCRDs(t)
	command(t, "", "helm", args...)
	command(t, "", "kubectl", "label", "--overwrite", "namespace", managerNamespace, "pod-security.kubernetes.io/enforce=restricted")
	rollout(t, managerNamespace, "deployment/logsource-manager")
	rollout(t, agentsNamespace, "daemonset/logsource-agent")
}

// updateCRDs brings the CRDs of a cluster that was kept up to date: helm installs them, and
// never touches them again.
func updateCRDs(t *testing.T) {
	t.Helper()
	if command(t, "", "kubectl", "get", "crd", "logsources.logsource.dev", "--ignore-not-found", "-o", "name") != "" {
		command(t, "", "kubectl", "apply", "--server-side", "--force-conflicts", "-f", chart+"/crds")
	}
}

func rollout(t *testing.T, namespace, what string) {
	t.Helper()
	command(t, "", "kubectl", "-n", namespace, "rollout", "status", what, "--timeout=3m")
}

// eventually asks every quarter of a second until done says yes; state is what it last saw.
func eventually(t *testing.T, within time.Duration, what string, done func() (yes bool, state any)) {
	t.Helper()
	deadline := time.After(within)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		yes, state := done()
		if yes {
			return
		}
		select {
		case <-deadline:
			diagnose(t)
			t.Fatalf("not within %s: %s\nlast seen: %v", within, what, state)
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-tick.C:
		}
	}
}

func namespaceOf(t *testing.T) string {
	return "e2e-" + strings.ToLower(strings.TrimPrefix(t.Name(), "Test"))
}

// namespace makes a namespace for the test, and removes it afterwards.
func namespace(t *testing.T, labels map[string]string) string {
	t.Helper()
	name := namespaceOf(t)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	if err := client.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Delete(context.WithoutCancel(t.Context()), ns); err != nil {
			t.Error(err)
		}
	})
	return name
}

// diagnose shows what a person would look at first.
func diagnose(t *testing.T) {
	for _, args := range [][]string{
		{"get", "pods", "-A", "-o", "wide"},
		{"get", "logsources,clusterlogsources", "-A", "-o", "yaml", "--show-managed-fields=false"},
		{"get", "events", "-A", "--field-selector=type=Warning"},
		{"-n", managerNamespace, "logs", "deployment/logsource-manager", "--tail=30"},
		{"-n", agentsNamespace, "logs", "-l", "logsource.dev/collector=agent", "--tail=30", "--prefix"},
		{"-n", namespaceOf(t), "logs", "-l", "logsource.dev/collector=tenant", "--tail=30", "--prefix"},
	} {
		out, err := try(t.Context(), "", "kubectl", args...)
		t.Logf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// restricted is the security context that the Pod Security level restricted asks for.
const restricted = `
    securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
    automountServiceAccountToken: false
    terminationGracePeriodSeconds: 1`

const restrictedContainer = `{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}`

// An end is the far end of a test: the origin that is polled and the destination.
type end struct {
	t         *testing.T
	namespace string
}

// startEnd runs probe serve in the namespace, as the Service "end" on port 8080.
func startEnd(t *testing.T, namespace string) *end {
	t.Helper()
	apply(t, `
apiVersion: v1
kind: Service
metadata: {name: end, namespace: `+namespace+`}
spec:
  selector: {app: end}
  ports: [{port: 8080}]
---
apiVersion: v1
kind: Pod
metadata:
  name: end
  namespace: `+namespace+`
  labels: {app: end}
  annotations: {logsource.dev/exclude: "true"}
spec:`+strings.ReplaceAll(restricted, "\n    ", "\n  ")+`
  containers:
  - name: end
    image: `+probeImage+`
    args: [serve]
    readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}
    securityContext: `+restrictedContainer)
	command(t, "", "kubectl", "-n", namespace, "wait", "--for=condition=Ready", "pod/end", "--timeout=2m")
	return &end{t, namespace}
}

func (e *end) url(path string) string {
	return "http://end." + e.namespace + ".svc:8080" + path
}

// A report and a writer mirror what hack/e2e/probe tells.
type (
	report struct {
		Requests, Refused, Messages, Bytes, Polled, Malformed int

		Writers       map[string]writer
		Others, Paths map[string]int
	}
	writer struct {
		Distinct, Last, Duplicates, Broken int
		Metadata, Streams                  map[string]int
	}
)

func (e *end) report() report {
	e.t.Helper()
	var r report
	body, err := core.CoreV1().Services(e.namespace).ProxyGet("http", "end", "8080", "report", nil).DoRaw(e.t.Context())
	if err != nil {
		e.t.Fatal(err)
	}
	if err := json.Unmarshal(body, &r); err != nil {
		e.t.Fatal(err)
	}
	return r
}

// answer makes the destination answer with a status from now on; 200 takes.
func (e *end) answer(status int) {
	e.t.Helper()
	err := core.CoreV1().RESTClient().Put().Namespace(e.namespace).Resource("services").Name("http:end:8080").
		SubResource("proxy").Suffix("status", strconv.Itoa(status)).Do(e.t.Context()).Error()
	if err != nil {
		e.t.Fatal(err)
	}
}

// startWriters runs n pods that write lines lines each, and returns their names. Every
// longEvery-th line has 100 KiB; 0 means none.
func startWriters(t *testing.T, namespace string, n, lines, rate, longEvery int) []string {
	t.Helper()
	var manifests bytes.Buffer
	var names []string
	for i := range n {
		name := fmt.Sprintf("%s-%d", namespace, i)
		names = append(names, name)
		fmt.Fprintf(&manifests, `---
apiVersion: v1
kind: Pod
metadata:
  name: %s
  namespace: %s
  labels: {app: writer, number: "%d"}
spec:%s
  containers:
  - name: writer
    image: %s
    args: [write, -name=%s, -lines=%d, -rate=%d, -long-every=%d]
    securityContext: %s
`, name, namespace, i, strings.ReplaceAll(restricted, "\n    ", "\n  "), probeImage, name, lines, rate, longEvery, restrictedContainer)
	}
	waitForServiceAccount(t, namespace)
	apply(t, manifests.String())
	return names
}

// waitForServiceAccount: a bare pod is refused until the namespace has one.
func waitForServiceAccount(t *testing.T, namespace string) {
	t.Helper()
	eventually(t, time.Minute, "the namespace has a service account", func() (bool, any) {
		err := client.Get(t.Context(), ctrl.ObjectKey{Namespace: namespace, Name: "default"}, &corev1.ServiceAccount{})
		return err == nil, err
	})
}

// agents returns the pods of the agents.
func agents(t *testing.T) []corev1.Pod {
	t.Helper()
	var pods corev1.PodList
	if err := client.List(t.Context(), &pods, ctrl.InNamespace(agentsNamespace), ctrl.MatchingLabels{"logsource.dev/collector": "agent"}); err != nil {
		t.Fatal(err)
	}
	return pods.Items
}

func daemonSet(t *testing.T) *appsv1.DaemonSet {
	t.Helper()
	var d appsv1.DaemonSet
	if err := client.Get(t.Context(), ctrl.ObjectKey{Namespace: agentsNamespace, Name: "logsource-agent"}, &d); err != nil {
		t.Fatal(err)
	}
	return &d
}

// node runs a command inside a node of hack/cluster.
func node(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	return try(t.Context(), "", "../cluster/node.sh", append([]string{strings.TrimPrefix(name, "node")}, args...)...)
}
