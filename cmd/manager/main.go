// Command manager reconciles LogSources and ClusterLogSources into collectors. It runs in
// the cluster; several may run, one leads.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // the image has no zone database, and a LogSource may name a time zone

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/logsource/operator/controllers"
	"github.com/logsource/operator/drivers"
)

// version is set by the linker.
var version = "dev"

// leaseName is the name of the lease that the leader holds.
const leaseName = "logsource-manager"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case err == nil, errors.Is(err, flag.ErrHelp):
	default:
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1)
	}
}

type settings struct {
	install     controllers.Installation
	metrics     string
	probes      string
	leaderElect bool
	leaseIn     string
	level       slog.Level
	version     bool
}

// parse reads the flags. Every flag has a default that works in the namespaces of the
// installation, except the image.
func parse(args []string, stderr io.Writer) (settings, error) {
	s := settings{level: slog.LevelInfo}
	f := flag.NewFlagSet("manager", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&s.install.Image, "collector-image", "", "image of the collectors (required)")
	f.StringVar((*string)(&s.install.PullPolicy), "collector-image-pull-policy", "", "Always, IfNotPresent or Never; empty leaves it to Kubernetes")
	f.StringVar(&s.install.AgentsNamespace, "agents-namespace", "logsource-nodes", "namespace of the agents and of everything a ClusterLogSource needs")
	f.StringVar(&s.metrics, "metrics-bind-address", ":8080", "address of /metrics; 0 for none")
	f.StringVar(&s.probes, "health-probe-bind-address", ":8081", "address of /healthz and /readyz; 0 for none")
	f.BoolVar(&s.leaderElect, "leader-elect", true, "let one of several managers lead")
	f.StringVar(&s.leaseIn, "leader-election-namespace", os.Getenv("POD_NAMESPACE"), "namespace of the lease; empty means that of the pod")
	f.TextVar(&s.level, "log-level", s.level, "debug, info, warn or error")
	f.BoolVar(&s.version, "version", false, "print the version and exit")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	return s, s.check(f.Args())
}

func (s *settings) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q: every setting is a flag, see -help", rest[0])
	case s.version:
		return nil
	case s.install.Image == "":
		return errors.New("--collector-image is empty: name the image that the collectors run, usually the manager's own")
	}
	switch s.install.PullPolicy {
	case "", corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever:
		return nil
	}
	return fmt.Errorf("--collector-image-pull-policy is %q: use Always, IfNotPresent or Never", s.install.PullPolicy)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if s.version {
		_, err := fmt.Fprintln(stdout, version)
		return err
	}
	logTo(stderr, s.level)
	// A manager is idle most of its life: a smaller heap is worth more to its node than the
	// little work of collecting it more often.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	return serve(ctx, s)
}

// serve runs the manager until ctx ends. Then it stops what it does and gives the lease back.
func serve(ctx context.Context, s settings) error {
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the apiserver: %w", err)
	}
	mgr, err := newManager(config, s)
	if err != nil {
		return err
	}
	ctrl.Log.Info("starting", "version", version, "image", s.install.Image, "agentsNamespace", s.install.AgentsNamespace)
	return mgr.Start(ctx)
}

// logTo sends everything, also what the libraries say, to one JSON log.
func logTo(w io.Writer, level slog.Level) {
	log := logr.FromSlogHandler(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
	ctrl.SetLogger(log)
	klog.SetLogger(log)
}

func newManager(config *rest.Config, s settings) (ctrl.Manager, error) {
	scheme, err := controllers.Scheme()
	if err != nil {
		return nil, err
	}
	config.UserAgent = "logsource-manager/" + version
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                        scheme,
		Cache:                         controllers.CacheOptions(),
		Metrics:                       metricsserver.Options{BindAddress: s.metrics},
		HealthProbeBindAddress:        s.probes,
		LeaderElection:                s.leaderElect,
		LeaderElectionID:              leaseName,
		LeaderElectionNamespace:       s.leaseIn,
		LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		return nil, err
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return nil, err
	}
	if err := mgr.AddReadyzCheck("ping", healthz.Ping); err != nil {
		return nil, err
	}
	return mgr, controllers.Setup(mgr, drivers.All.Catalog(), controllers.Options{Installation: s.install})
}
