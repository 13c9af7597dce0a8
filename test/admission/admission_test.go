// Package admission_test asks a real apiserver what it thinks of the API: whether the CRDs
// and the policy are taken, which documents are refused, and with which words.
package admission_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/hack/policy"
)

// server is the apiserver of this package: the CRDs, the classes of the drivers and those
// of testdata/classes.yaml, and the policy.
var server client.Client

var serverConfig *rest.Config

const assets = "KUBEBUILDER_ASSETS"

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if os.Getenv(assets) == "" {
		fmt.Fprintf(os.Stderr, "FAIL: %s is not set: it is the folder of etcd and kube-apiserver, which these tests need; `make test` sets it\n", assets)
		return 1
	}
	env := &envtest.Environment{CRDDirectoryPaths: []string{"../../config/crd"}, ErrorIfCRDPathMissing: true}
	cfg, err := env.Start()
	if err == nil {
		serverConfig = cfg
		err = install(cfg)
	}
	code := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, "FAIL: start an apiserver:", err)
	} else {
		code = m.Run()
	}
	if err := env.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop the apiserver:", err)
	}
	return code
}

// install puts the classes and the policy on the server, and waits until the policy acts.
func install(cfg *rest.Config) error {
	ctx := context.Background()
	var err error
	if server, err = client.New(cfg, client.Options{}); err != nil {
		return err
	}
	files, err := filepath.Glob("../../config/driverclasses/*.*.yaml")
	if err != nil {
		return err
	}
	for _, file := range append(files, "testdata/classes.yaml") {
		objs, err := read(file)
		if err != nil {
			return err
		}
		for _, obj := range objs {
			if err := server.Create(ctx, obj); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
		}
	}
	if err := createPolicy(ctx); err != nil {
		return err
	}
	return untilRefused(ctx)
}

func createPolicy(ctx context.Context) error {
	for _, obj := range []runtime.Object{policy.Policy(), policy.Binding()} {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
		if err != nil {
			return err
		}
		if err := server.Create(ctx, &unstructured.Unstructured{Object: content}); err != nil {
			return err
		}
	}
	return nil
}

// untilRefused waits until the policy is seen to act on every class: the server learns of
// policies and their parameters by watches of its own.
func untilRefused(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := dryRun(ctx, logSource("every", map[string]any{"nosuch": "x"}))
		if err != nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the policy refuses nothing, one minute after it was created")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// eventually waits until done, for what the server learns by a watch.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(time.Minute); !done(); {
		select {
		case <-deadline:
			t.Fatalf("after one minute not: %s", what)
		case <-tick.C:
		}
	}
}

// create puts an object on the server until the end of the test.
func create(t testing.TB, obj client.Object) {
	t.Helper()
	if err := server.Create(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Delete(context.WithoutCancel(t.Context()), obj); err != nil {
			t.Errorf("delete %s: %v", obj.GetName(), err)
		}
	})
}

func dryRun(ctx context.Context, obj client.Object) error {
	return server.Create(ctx, obj, &client.CreateOptions{
		DryRun:          []string{metav1.DryRunAll},
		FieldValidation: metav1.FieldValidationStrict,
	})
}

// logSource is a LogSource of that class, otherwise good.
func logSource(class string, options map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(),
		"kind":       "LogSource",
		"metadata":   map[string]any{"name": "x", "namespace": "default"},
		"spec": map[string]any{
			"source":       map[string]any{"class": class, "options": options},
			"destinations": []any{map[string]any{"name": "out", "class": "unknown-to-all"}},
		},
	}}
}

// read reads the documents of a YAML file.
func read(file string) ([]*unstructured.Unstructured, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var objs []*unstructured.Unstructured
	for _, doc := range documents(data) {
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(doc, &obj.Object); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		objs = append(objs, obj)
	}
	return objs, nil
}
