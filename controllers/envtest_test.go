package controllers_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/report"
	"github.com/logsource/operator/controllers"
)

const agentsNamespace = "logsource-nodes"

// catalog is the classes the tests' manager was built with.
var catalog = class.NewCatalog(
	&class.Class{Name: "container-logs", Role: class.Source, Placement: class.Node},
	&class.Class{Name: "http-poll", Role: class.Source, Lifecycle: class.Fetcher, Placement: class.Single,
		Options: []class.Option{{Name: "url", Type: class.URL, Required: true}, {Name: "token", Type: class.String, Secret: true}}},
	&class.Class{Name: "generate", Role: class.Source, Placement: class.Scaled},
	&class.Class{Name: "listen", Role: class.Source, Lifecycle: class.PostingSource, Placement: class.Scaled,
		Footprint: class.Footprint{Ports: listenPorts}, Options: listenOptions},
	&class.Class{Name: "listen-alone", Role: class.Source, Lifecycle: class.PostingSource, Placement: class.Single,
		Footprint: class.Footprint{Ports: listenPorts}, Options: listenOptions},
	&class.Class{Name: "stdout", Role: class.Destination, Footprint: class.Footprint{LocalOnly: true}},
	&class.Class{Name: "http", Role: class.Destination, Options: []class.Option{{Name: "url", Type: class.URL, Required: true}, {Name: "token", Type: class.String, Secret: true}}},
)

// The ports of a class that listens, of which one is off until its option is set.
var (
	listenPorts = []class.Port{
		{Name: "tcp", Protocol: "TCP", Option: "tcpPort", Service: 601},
		{Name: "udp", Protocol: "UDP", Option: "udpPort", Service: 514},
		{Name: "tls", Protocol: "TCP", Option: "tlsPort", Service: 6514},
	}
	listenOptions = []class.Option{
		{Name: "tcpPort", Type: class.Int, Default: json.RawMessage(`5514`)},
		{Name: "udpPort", Type: class.Int, Default: json.RawMessage(`5514`)},
		{Name: "tlsPort", Type: class.Int, Default: json.RawMessage(`0`)},
	}
)

// A cluster is a real apiserver with a manager that has the rights of config/rbac and no
// others. There is no kubelet and no garbage collector: the tests play both.
type cluster struct {
	client.Client
	collectors *collectors
	writes     *atomic.Int64 // requests of the manager that change something
}

var (
	shared     *cluster
	sharedErr  error
	startOnce  sync.Once
	stopShared = func() {}
)

func TestMain(m *testing.M) {
	code := m.Run()
	stopShared()
	os.Exit(code)
}

// newCluster returns the cluster that all tests of this package share; every test has a
// namespace of its own.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Fatal("KUBEBUILDER_ASSETS is not set: run `make test`, which builds the apiserver and sets it")
	}
	startOnce.Do(func() { shared, sharedErr = startCluster() })
	if sharedErr != nil {
		t.Fatal(sharedErr)
	}
	return shared
}

func startCluster() (*cluster, error) {
	env := &envtest.Environment{CRDDirectoryPaths: []string{"../config/crd"}, ErrorIfCRDPathMissing: true}
	admin, err := env.Start()
	if err != nil {
		return nil, fmt.Errorf("start the apiserver: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	stopShared = func() {
		cancel()
		<-stopped // the manager first: it would complain of an apiserver that is gone
		if err := env.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop the apiserver:", err)
		}
	}
	c, mgr, err := newManager(ctx, env, admin)
	if err != nil {
		stopped <- err
		return nil, err
	}
	go func() { stopped <- mgr.Start(ctx) }()
	return c, nil
}

func newManager(ctx context.Context, env *envtest.Environment, admin *rest.Config) (*cluster, ctrl.Manager, error) {
	scheme, err := controllers.Scheme()
	if err != nil {
		return nil, nil, err
	}
	c := &cluster{collectors: newCollectors(), writes: new(atomic.Int64)}
	if c.Client, err = client.New(admin, client.Options{Scheme: scheme}); err != nil {
		return nil, nil, err
	}
	if err := c.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: agentsNamespace}}); err != nil {
		return nil, nil, err
	}
	if err := c.leaveBehind(ctx); err != nil {
		return nil, nil, err
	}
	user, err := c.leastUser(ctx, env)
	if err != nil {
		return nil, nil, err
	}
	user.WrapTransport = func(rt http.RoundTripper) http.RoundTripper { return countWrites{rt, c.writes} }
	ctrl.SetLogger(logr.Discard()) // what matters is seen in the status
	mgr, err := ctrl.NewManager(user, ctrl.Options{
		Scheme:     scheme,
		Cache:      controllers.CacheOptions(),
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: new(true)},
	})
	if err != nil {
		return nil, nil, err
	}
	return c, mgr, controllers.Setup(mgr, catalog, controllers.Options{
		Installation: controllers.Installation{Image: "logsource:test", AgentsNamespace: agentsNamespace},
		Transport:    c.collectors,
	})
}

// leaveBehind makes what an earlier manager may have left: a plan whose owner is gone, and
// beside it a ConfigMap that is not ours.
func (c *cluster) leaveBehind(ctx context.Context) error {
	orphan := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: agentsNamespace, Name: "plan-orphan", Labels: map[string]string{
		"app.kubernetes.io/managed-by": controllers.FieldOwner, controllers.LabelPlan: "node", controllers.LabelUID: "gone"}}}
	foreign := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: agentsNamespace, Name: "plan-foreign", Labels: map[string]string{
		controllers.LabelUID: "gone"}}}
	return errors.Join(c.Create(ctx, orphan), c.Create(ctx, foreign))
}

// leastUser makes a user with the rights of config/rbac/role.yaml.
func (c *cluster) leastUser(ctx context.Context, env *envtest.Environment) (*rest.Config, error) {
	data, err := os.ReadFile("../config/rbac/role.yaml")
	if err != nil {
		return nil, err
	}
	role := &rbacv1.ClusterRole{}
	if err := yaml.UnmarshalStrict(data, role); err != nil {
		return nil, err
	}
	if err := c.Create(ctx, role); err != nil {
		return nil, err
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "manager"}},
	}
	if err := c.Create(ctx, binding); err != nil {
		return nil, err
	}
	user, err := env.AddUser(envtest.User{Name: "manager"}, nil)
	if err != nil {
		return nil, err
	}
	return user.Config(), nil
}

type countWrites struct {
	http.RoundTripper
	n *atomic.Int64
}

func (c countWrites) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet && !strings.Contains(r.URL.Path, "/events") {
		c.n.Add(1)
	}
	return c.RoundTripper.RoundTrip(r)
}

// collectors answers for the pods, by address.
type collectors struct {
	mu      sync.Mutex
	reports map[string]report.Collector
	asked   map[string]int
}

func newCollectors() *collectors {
	return &collectors{reports: map[string]report.Collector{}, asked: map[string]int{}}
}

func (c *collectors) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ip := strings.TrimSuffix(r.URL.Host, fmt.Sprint(":", report.Port))
	rep, ok := c.reports[ip]
	c.asked[ip]++
	if !ok {
		return nil, fmt.Errorf("no route to %s", ip)
	}
	body, err := json.Marshal(rep)
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(string(body)))}, err
}

func (c *collectors) say(ip string, paths ...report.LogPath) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reports[ip] = report.Collector{Started: time.Unix(1000, 0), LogPaths: paths}
}

func (c *collectors) timesAsked(ip string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked[ip]
}

// eventually waits until check says "", and fails with what it said last.
func eventually(t *testing.T, check func() string) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		last := check()
		if last == "" {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("after 30 s: %s", last)
		case <-tick.C:
		}
	}
}

// namespace makes a namespace for one test.
func (c *cluster) namespace(t *testing.T) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "tenant-"}}
	c.create(t, ns)
	return ns.Name
}

func (c *cluster) create(t *testing.T, objs ...client.Object) {
	t.Helper()
	for _, o := range objs {
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatalf("create %T %s: %v", o, o.GetName(), err)
		}
	}
}

// apply reads an object from YAML, and creates it in the namespace.
func (c *cluster) apply(t *testing.T, namespace, text string, into client.Object) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(text), into); err != nil {
		t.Fatal(err)
	}
	into.SetNamespace(namespace)
	c.create(t, into)
}

// edit changes an object, again and again until nobody else did meanwhile.
func (c *cluster) edit(t *testing.T, o client.Object, change func()) {
	t.Helper()
	eventually(t, func() string {
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			return err.Error()
		}
		change()
		if err := c.Update(t.Context(), o); err != nil {
			return err.Error()
		}
		return ""
	})
}

// exists says "" when the object is there, and reads it.
func (c *cluster) exists(t *testing.T, o client.Object, namespace, name string) string {
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, o); err != nil {
		return err.Error()
	}
	return ""
}

// condition waits for a condition of an object to have a status and a reason.
func (c *cluster) condition(t *testing.T, o client.Object, name string, status metav1.ConditionStatus, reason string) *metav1.Condition {
	t.Helper()
	var found *metav1.Condition
	eventually(t, func() string {
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			return err.Error()
		}
		found = meta.FindStatusCondition(statusOf(o).Conditions, name)
		if found == nil || found.Status != status || found.Reason != reason || found.ObservedGeneration != o.GetGeneration() {
			return fmt.Sprintf("condition %s is %+v, want %s/%s", name, found, status, reason)
		}
		return ""
	})
	return found
}

func statusOf(o client.Object) *v1alpha1.LogSourceStatus {
	if c, ok := o.(*v1alpha1.ClusterLogSource); ok {
		return &c.Status
	}
	return &o.(*v1alpha1.LogSource).Status
}

var lastIP atomic.Int64

// pod plays kubelet: it makes a ready pod of a collector with an address of its own.
func (c *cluster) pod(t *testing.T, namespace, name string, labels map[string]string) (ip string) {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
		Spec:       corev1.PodSpec{NodeName: "node-1", Containers: []corev1.Container{{Name: "collector", Image: "logsource:test"}}},
	}
	c.create(t, pod)
	ip = fmt.Sprintf("10.9.0.%d", lastIP.Add(1))
	pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}},
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}
	if err := c.Status().Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	return ip
}

func (c *cluster) deletePod(t *testing.T, namespace, name string) {
	t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if err := c.Delete(t.Context(), pod, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
}

func tenantLabels(o client.Object) map[string]string {
	return map[string]string{controllers.LabelCollector: controllers.CollectorTenant, controllers.LabelUID: string(o.GetUID())}
}
