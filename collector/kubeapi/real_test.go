package kubeapi

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// TestRealAPIServer asks a kube-apiserver what the imitation in apiserver_test.go can
// only assume.
func TestRealAPIServer(t *testing.T) {
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		t.Fatal("KUBEBUILDER_ASSETS is not set: run `make test`, which builds the apiserver and sets it")
	}
	r := startReal(t, assets)
	r.do("POST", "/api/v1/namespaces", map[string]any{"metadata": map[string]any{"name": "shop", "labels": map[string]any{"team": "a"}}})
	r.do("POST", "/api/v1/namespaces/shop/pods", realPod("web-1", "node-a"))
	r.do("POST", "/api/v1/namespaces/shop/pods", realPod("elsewhere", "node-b"))
	p := startPods(t, r.client)
	until(t, "the first list", p.Synced)
	known := func(name string) bool {
		for pod := range p.All() {
			if pod.Name == name && pod.Namespace == "shop" && pod.Labels["app"] == name && pod.UID != "" {
				return true
			}
		}
		return false
	}
	if !known("web-1") || known("elsewhere") {
		t.Errorf("web-1 is known: %v, want true; a pod of another node: %v, want false", known("web-1"), known("elsewhere"))
	}
	r.do("POST", "/api/v1/namespaces/shop/pods", realPod("web-2", "node-a"))
	until(t, "the pod made after the list", func() bool { return known("web-2") })
	until(t, "the namespace's labels", func() bool { l, ok := p.Namespace("shop"); return ok && l["team"] == "a" })

	r.do("POST", "/api/v1/namespaces/shop/configmaps", realConfigMap("one", "1"))
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	defer done.Wait()
	defer cancel()
	calls := make(chan map[string]map[string]string, 10)
	done.Go(func() {
		r.client.WatchConfigMaps(ctx, "shop", "plan=yes", func(all map[string]map[string]string) { calls <- all })
	})
	if all := <-calls; all["one"]["plan.json"] != "1" || len(all) != 1 {
		t.Errorf("first call: %v, want one", all)
	}
	r.do("POST", "/api/v1/namespaces/shop/configmaps", realConfigMap("two", "2"))
	if all := <-calls; len(all) != 2 {
		t.Errorf("after a second one: %v", all)
	}
	r.do("DELETE", "/api/v1/namespaces/shop/configmaps/one", nil)
	if all := <-calls; len(all) != 1 || all["two"]["plan.json"] != "2" {
		t.Errorf("after the deletion: %v, want two", all)
	}

	r.do("POST", "/api/v1/namespaces/shop/secrets", map[string]any{"metadata": map[string]any{"name": "db"}, "stringData": map[string]any{"password": "hunter2"}})
	if got, err := r.client.Secret(t.Context(), "shop", "db"); err != nil || string(got["password"]) != "hunter2" {
		t.Errorf("Secret = %q, %v", got, err)
	}
}

func realPod(name, node string) map[string]any {
	return map[string]any{
		"metadata": map[string]any{"name": name, "labels": map[string]any{"app": name}},
		"spec":     map[string]any{"nodeName": node, "containers": []any{map[string]any{"name": "app", "image": "x"}}},
	}
}

func realConfigMap(name, plan string) map[string]any {
	return map[string]any{
		"metadata": map[string]any{"name": name, "labels": map[string]any{"plan": "yes"}},
		"data":     map[string]any{"plan.json": plan},
	}
}

// realServer is an etcd and a kube-apiserver of their own, gone with the test.
type realServer struct {
	t      *testing.T
	client *Client
	url    string
}

func startReal(t *testing.T, assets string) *realServer {
	dir := t.TempDir()
	etcd, peer, api := freePort(t), freePort(t), freePort(t)
	startProgram(t, filepath.Join(assets, "etcd"), "--data-dir", filepath.Join(dir, "etcd"), "--unsafe-no-fsync",
		"--listen-client-urls", "http://"+etcd, "--advertise-client-urls", "http://"+etcd, "--listen-peer-urls", "http://"+peer)
	key, tokens, pki := filepath.Join(dir, "sa.key"), filepath.Join(dir, "tokens.csv"), filepath.Join(dir, "pki")
	write(t, key, saKey(t))
	write(t, tokens, []byte("secret,admin,admin,system:masters\n"))
	host, port, err := net.SplitHostPort(api)
	if err != nil {
		t.Fatal(err)
	}
	startProgram(t, filepath.Join(assets, "kube-apiserver"), "--etcd-servers", "http://"+etcd, "--cert-dir", pki,
		"--bind-address", host, "--secure-port", port, "--token-auth-file", tokens, "--authorization-mode", "RBAC",
		"--service-account-issuer", "https://test", "--service-account-key-file", key, "--service-account-signing-key-file", key,
		"--service-cluster-ip-range", "10.0.0.0/24", "--disable-admission-plugins", "ServiceAccount")
	r := &realServer{t: t, url: "https://" + api}
	until(t, "the apiserver's certificate", func() bool { return r.connect(filepath.Join(pki, "apiserver.crt")) })
	until(t, "the apiserver", func() bool {
		body, err := r.client.get(t.Context(), "/readyz", nil, "*/*")
		if err == nil {
			body.Close()
		}
		return err == nil
	})
	return r
}

func (r *realServer) connect(ca string) bool {
	pem, err := os.ReadFile(ca)
	if err != nil {
		return false
	}
	r.client, err = New(Config{URL: r.url, CA: pem, Token: "secret"})
	if err == nil {
		r.t.Cleanup(r.client.Close)
	}
	return err == nil
}

// do changes something, with the client's own connection.
func (r *realServer) do(method, path string, object any) {
	r.t.Helper()
	body, err := json.Marshal(object)
	if err != nil {
		r.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer secret")
	req.Header.Set("Content-Type", "application/json")
	resp, err := r.client.http.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		r.t.Fatalf("%s %s: %v", method, path, readStatus(path, resp))
	}
}

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func startProgram(t *testing.T, name string, args ...string) {
	var log bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("%s:\n%s", name, log.Bytes()[max(0, log.Len()-4000):])
		}
	})
}

func saKey(t *testing.T) []byte {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
}

func write(t *testing.T, name string, data []byte) {
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
