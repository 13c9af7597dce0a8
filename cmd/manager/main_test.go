package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

func TestFlags(t *testing.T) {
	for _, c := range []struct {
		args string
		err  string
	}{
		{"--collector-image=logsource:v1", ""},
		{"--collector-image=logsource:v1 --collector-image-pull-policy=Never --log-level=debug", ""},
		{"--version", ""},
		{"", "--collector-image is empty"},
		{"--collector-image=x --collector-image-pull-policy=Sometimes", "use Always, IfNotPresent or Never"},
		{"--collector-image=x --log-level=loud", "log-level"},
		{"--collector-image=x start", `unexpected argument "start"`},
	} {
		t.Run(c.args, func(t *testing.T) {
			_, err := parse(strings.Fields(c.args), io.Discard)
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("error is %v, want %q", err, c.err)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"--version"}, &out, io.Discard); err != nil || out.String() != version+"\n" {
		t.Errorf("printed %q (error %v), want the version", out.String(), err)
	}
}

// A manager that is told to stop gives its lease back, so that the next one leads at once.
func TestStopReleasesTheLease(t *testing.T) {
	clients := startCluster(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	s, err := parse([]string{"--collector-image=x", "--leader-election-namespace=default", "--metrics-bind-address=0", "--health-probe-bind-address=0"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	go func() { ended <- serve(ctx, s) }()
	lease := waitForLease(t, clients, ended, func(l *coordinationv1.Lease) bool {
		return l.Spec.HolderIdentity != nil && *l.Spec.HolderIdentity != ""
	})
	stop()
	if err := <-ended; err != nil {
		t.Errorf("serve ended with %v", err)
	}
	lease, err = clients.CoordinationV1().Leases("default").Get(t.Context(), lease.Name, metav1.GetOptions{})
	if err != nil || lease.Spec.HolderIdentity != nil && *lease.Spec.HolderIdentity != "" {
		t.Errorf("after the end the lease is held by %v (error %v), want nobody", lease.Spec.HolderIdentity, err)
	}
}

// startCluster starts an apiserver and points KUBECONFIG at it.
func startCluster(t *testing.T) kubernetes.Interface {
	t.Helper()
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Fatal("KUBEBUILDER_ASSETS is not set: run `make test`, which builds the apiserver and sets it")
	}
	env := &envtest.Environment{CRDDirectoryPaths: []string{"../../config/crd"}, ErrorIfCRDPathMissing: true}
	config, err := env.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	})
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, env.KubeConfig, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", file)
	return kubernetes.NewForConfigOrDie(config)
}

func waitForLease(t *testing.T, clients kubernetes.Interface, ended <-chan error, ok func(*coordinationv1.Lease) bool) *coordinationv1.Lease {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		lease, err := clients.CoordinationV1().Leases("default").Get(t.Context(), leaseName, metav1.GetOptions{})
		if err == nil && ok(lease) {
			return lease
		}
		select {
		case err := <-ended:
			t.Fatalf("serve ended early: %v", err)
		case <-deadline:
			t.Fatalf("no lease after 30 s: %v", err)
		case <-tick.C:
		}
	}
}
