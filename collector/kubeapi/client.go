// Package kubeapi is the little of the Kubernetes API that a collector needs: the pods of
// its node, its plans in ConfigMaps, the Secrets they name. It exists because client-go
// costs a process more memory than everything else a collector does.
//
// It promises: what it hands out is the newest the apiserver has told; it never gives up,
// backs off with jitter and lists anew when a watch has expired; it decodes only the
// fields it needs and reads no more than a bounded number of bytes. It must never write
// to the API.
package kubeapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Config says where the apiserver is and who we are.
type Config struct {
	// URL is the apiserver, such as https://10.96.0.1:443.
	URL string
	// CA holds the PEM roots to trust; empty means those of the system.
	CA []byte
	// Token authenticates; TokenFile, when set, is read for every request instead, because
	// kubelet replaces it.
	Token, TokenFile string
	// Log takes warnings about an apiserver that does not answer; nil discards them.
	Log *slog.Logger
}

const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

// InCluster is the Config of a pod with a service account.
func InCluster() (Config, error) {
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return Config{}, errors.New("not in a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set")
	}
	ca, err := os.ReadFile(serviceAccount + "/ca.crt")
	if err != nil {
		return Config{}, fmt.Errorf("the pod has no service account: set automountServiceAccountToken: %w", err)
	}
	return Config{URL: "https://" + net.JoinHostPort(host, port), CA: ca, TokenFile: serviceAccount + "/token"}, nil
}

// A Client talks to one apiserver. Its methods may be called from several goroutines.
type Client struct {
	config Config
	base   *url.URL
	http   *http.Client
	log    *slog.Logger

	mu      sync.Mutex // protects secrets
	secrets map[string]*cachedSecret
}

const (
	requestTimeout = time.Minute
	// A silent connection is asked for life after pingAfter and given up after pingWait.
	pingAfter = 15 * time.Second
	pingWait  = 15 * time.Second
	// maxError is how much of an error's body is read.
	maxError = 64 << 10
	// maxPage bounds the body of one page of a list and of a single object.
	maxPage = 64 << 20
)

// New makes a client; it does not connect yet.
func New(config Config) (*Client, error) {
	base, err := url.Parse(config.URL)
	if err != nil || base.Host == "" {
		return nil, fmt.Errorf("kubernetes API: %q is not a URL such as https://host:6443", config.URL)
	}
	roots, err := certPool(config.CA)
	if err != nil {
		return nil, err
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second,
		IdleConnTimeout:       90 * time.Second,
		ForceAttemptHTTP2:     true,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingWait},
	}
	return &Client{config: config, base: base, http: &http.Client{Transport: t}, log: config.Log, secrets: map[string]*cachedSecret{}}, nil
}

func certPool(pem []byte) (*x509.CertPool, error) {
	if len(pem) == 0 {
		return nil, nil // the system's
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("kubernetes API: the CA has no certificate in PEM form")
	}
	return pool, nil
}

// Close ends idle connections. Running calls end with their contexts.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// A statusError is an answer that is not a success.
type statusError struct {
	path       string
	code       int
	message    string
	retryAfter time.Duration
}

func (e *statusError) Error() string {
	hint := ""
	if e.code == http.StatusForbidden {
		hint = "; the collector's Role does not allow it"
	}
	return fmt.Sprintf("GET %s: %d %s: %s%s", e.path, e.code, http.StatusText(e.code), e.message, hint)
}

// isExpired says that a resource version or a continue token is too old.
func isExpired(err error) bool {
	var s *statusError
	return errors.As(err, &s) && s.code == http.StatusGone
}

// metadataOnly asks for PartialObjectMetadata: a fraction of a pod.
const metadataOnly = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

// get asks for a path. The caller closes the body.
func (c *Client) get(ctx context.Context, path string, query url.Values, accept string) (io.ReadCloser, error) {
	u := *c.base
	u.Path = strings.TrimSuffix(u.Path, "/") + path
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	token, err := c.token()
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("User-Agent", "logsource-collector")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	return nil, readStatus(path, resp)
}

func (c *Client) token() (string, error) {
	if c.config.TokenFile == "" {
		return c.config.Token, nil
	}
	b, err := os.ReadFile(c.config.TokenFile)
	if err != nil {
		return "", fmt.Errorf("the service account's token: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

func readStatus(path string, resp *http.Response) *statusError {
	var s struct {
		Message string `json:"message"`
	}
	e := &statusError{path: path, code: resp.StatusCode}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
	if err == nil && json.Unmarshal(body, &s) == nil {
		e.message = s.Message
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		e.retryAfter = time.Duration(min(seconds, 60)) * time.Second
	}
	return e
}

const json1 = "application/json"

// getJSON decodes one object.
func (c *Client) getJSON(ctx context.Context, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	body, err := c.get(ctx, path, nil, json1)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(io.LimitReader(body, maxPage)).Decode(into); err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	return nil
}

// isRefusal says that the apiserver is there and says no.
func isRefusal(err error) bool {
	var s *statusError
	return errors.As(err, &s) && s.code >= 400 && s.code < 500 && s.code != http.StatusTooManyRequests
}
