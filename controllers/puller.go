package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logsource/operator/collector/report"
)

// How collectors are asked.
const (
	tick          = time.Second      // how often the pods are looked over
	pullEvery     = 10 * time.Second // ± a quarter, so that they do not come in step
	pullHot       = 2 * time.Second  // until every collector runs the newest plan
	pullLongest   = time.Minute      // between questions to one that does not answer
	pullTimeout   = 3 * time.Second
	pullAtOnce    = 16
	maxReportSize = 1 << 20
)

// A puller asks every collector for its report and hands it to the fleet. It runs on the
// leader only.
type puller struct {
	pods    client.Reader
	fleet   *fleet
	client  *http.Client
	enqueue func(request)
	now     func() time.Time
	log     logr.Logger
}

// newHTTPClient asks pods, which may run a tenant's code: no proxy, no redirects, and no
// connections kept open to thousands of pods.
func newHTTPClient(transport http.RoundTripper) *http.Client {
	if transport == nil {
		transport = &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: 16 << 10}
	}
	return &http.Client{
		Transport:     transport,
		Timeout:       pullTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Start asks until ctx ends, and returns when no question is open any more.
func (p *puller) Start(ctx context.Context) error {
	var asking sync.WaitGroup
	defer asking.Wait()
	slots := make(chan struct{}, pullAtOnce)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		if err := p.look(ctx, &asking, slots); err != nil && ctx.Err() == nil {
			p.log.Error(err, "listing the collectors failed, trying again")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// look takes the list of pods and starts the questions that are due.
func (p *puller) look(ctx context.Context, asking *sync.WaitGroup, slots chan struct{}) error {
	pods, err := listPods(ctx, p.pods)
	if err != nil {
		return err
	}
	p.tell(p.fleet.sync(pods))
	for _, pod := range p.fleet.take(p.now()) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case slots <- struct{}{}:
		}
		asking.Go(func() {
			defer func() { <-slots }()
			p.ask(ctx, pod)
		})
	}
	return nil
}

func (p *puller) tell(changed []request) {
	for _, r := range changed {
		p.enqueue(r)
	}
}

func (p *puller) ask(ctx context.Context, pod podInfo) {
	c, err := pull(ctx, p.client, pod.ip)
	if err != nil {
		p.log.V(1).Info("a collector does not answer", "namespace", pod.namespace, "pod", pod.name, "error", err.Error())
	}
	p.tell(p.fleet.record(pod.uid, c, p.now(), pullWait))
}

// pullWait is the wait before the next question.
func pullWait(hot bool, failures int) time.Duration {
	wait := pullEvery
	if hot {
		wait = pullHot
	}
	wait = min(wait<<min(failures, 5), pullLongest)
	return wait*3/4 + rand.N(wait/2)
}

// pull asks one collector for its report.
func pull(ctx context.Context, c *http.Client, ip string) (*report.Collector, error) {
	url := "http://" + net.JoinHostPort(ip, strconv.Itoa(report.Port)) + "/status"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status endpoint answers %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReportSize+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxReportSize {
		return nil, errors.New("report is larger than 1 MiB")
	}
	out := &report.Collector{}
	return out, json.Unmarshal(body, out)
}

// listPods returns the pods that are or may become collectors.
func listPods(ctx context.Context, from client.Reader) ([]podInfo, error) {
	var list corev1.PodList
	if err := from.List(ctx, &list, client.HasLabels{LabelCollector}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	out := make([]podInfo, 0, len(list.Items))
	for i := range list.Items {
		p := &list.Items[i]
		if p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			out = append(out, podInfoOf(p))
		}
	}
	return out, nil
}

func podInfoOf(p *corev1.Pod) podInfo {
	return podInfo{
		uid: p.UID, namespace: p.Namespace, name: p.Name, ip: p.Status.PodIP, node: p.Spec.NodeName,
		agent:   p.Labels[LabelCollector] == CollectorAgent,
		owner:   types.UID(p.Labels[LabelUID]),
		ready:   isReady(p) && p.DeletionTimestamp == nil,
		trouble: p.Status.Reason, // see stripPod
	}
}

func isReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
