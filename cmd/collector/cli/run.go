package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/checkpoint"
	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/collector/report"
)

// runFlags are the flags of collector run.
type runFlags struct {
	files      fileList
	plansDir   string
	nodePlans  bool
	namespace  string
	nodeLogs   string
	secretsDir string
	stateDir   string
	outputDir  string
	listen     string
	logLevel   slog.Level
	logFormat  string
	count      int64
	timeout    time.Duration
}

func (p program) parseRun(args []string) (*runFlags, error) {
	f := &runFlags{}
	flags := flag.NewFlagSet("collector run", flag.ContinueOnError)
	flags.SetOutput(p.stderr)
	flags.Var(&f.files, "f", "`FILE` or directory with LogSource documents; - is standard input; may be repeated")
	flags.StringVar(&f.plansDir, "plans-dir", "", "run the plans in this `DIR`, and follow its changes (tenant collector)")
	flags.BoolVar(&f.nodePlans, "node-plans", false, "run the plans in the agents' namespace, from the API (agent)")
	flags.StringVar(&f.namespace, "namespace", os.Getenv("POD_NAMESPACE"), "the agents' `NAMESPACE`, for --node-plans")
	flags.StringVar(&f.nodeLogs, "node-logs", "/var/log/pods", "the kubelet's log `DIR`, for classes that read the node's logs")
	flags.StringVar(&f.secretsDir, "secrets-dir", "", "`DIR` with Secrets as DIR/<name>/<key>; with -f, Secret documents in the files are used too")
	flags.StringVar(&f.stateDir, "state-dir", "", "`DIR` for positions; without it they live as long as the process")
	flags.StringVar(&f.outputDir, "output-dir", "", "the only `DIR` that file destinations may write beneath; with -f the working directory is the default")
	flags.StringVar(&f.listen, "listen", "", "`ADDRESS` of /healthz, /readyz, /metrics and /status; in a cluster the default is :8686, with -f none")
	flags.TextVar(&f.logLevel, "log-level", slog.LevelInfo, "debug, info, warn or error")
	flags.StringVar(&f.logFormat, "log-format", "", "text or json; the default is text with -f, json in a cluster")
	flags.Int64Var(&f.count, "count", 0, "with -f: end once every LogSource has delivered this many messages; exit code 1 if any was lost")
	flags.DurationVar(&f.timeout, "timeout", 0, "with --count: give up after this long, with exit code 1")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	f.files = append(f.files, flags.Args()...)
	return f, f.complete()
}

// complete fills in the defaults of the way it is run.
func (f *runFlags) complete() error {
	ways := 0
	for _, used := range []bool{len(f.files) > 0, f.plansDir != "", f.nodePlans} {
		if used {
			ways++
		}
	}
	if ways != 1 {
		return errors.New("run: give exactly one of -f, --plans-dir, --node-plans")
	}
	local := len(f.files) > 0
	setDefault(&f.logFormat, local, "text", "json")
	setDefault(&f.listen, local, "", fmt.Sprintf(":%d", report.Port))
	setDefault(&f.outputDir, local, ".", "")
	if !local && f.count > 0 {
		return errors.New("run: --count is for -f")
	}
	if f.nodePlans && f.namespace == "" {
		return errors.New("run: --node-plans needs --namespace or POD_NAMESPACE")
	}
	return nil
}

func setDefault(v *string, local bool, onLaptop, inCluster string) {
	switch {
	case *v != "":
	case local:
		*v = onLaptop
	default:
		*v = inCluster
	}
}

// run runs the engine until a signal: the first drains, the second ends at once.
func (p program) run(args []string) error {
	f, err := p.parseRun(args)
	if err != nil {
		return err
	}
	log := p.logger(f)
	store, err := checkpoint.Open(f.stateDir, log)
	if err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	defer store.Close()
	opts := collector.Options{
		Registry: p.registry, Store: store, OutputDir: f.outputDir, Log: log, Version: Version, Pod: os.Getenv("POD_NAME"),
		Node: collector.Node{Name: os.Getenv("NODE_NAME"), LogDir: f.nodeLogs, SelfUID: os.Getenv("POD_UID")},
	}
	stopping, hard, done := signals(log)
	defer done()
	switch {
	case f.plansDir != "":
		return p.runTenant(stopping, hard, f, opts)
	case f.nodePlans:
		return p.runAgent(stopping, hard, f, opts)
	}
	return p.runLocal(stopping, hard, f, opts)
}

func (p program) logger(f *runFlags) *slog.Logger {
	opts := &slog.HandlerOptions{Level: f.logLevel}
	if f.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(p.stderr, opts))
	}
	return slog.New(slog.NewTextHandler(p.stderr, opts))
}

// signals returns a context that ends at the first SIGINT or SIGTERM and one that ends at
// the second.
func signals(log *slog.Logger) (stopping, hard context.Context, done func()) {
	stopping, stop := context.WithCancel(context.Background())
	hard, abort := context.WithCancel(context.Background())
	c := make(chan os.Signal, 2)
	signal.Notify(c, syscall.SIGINT, syscall.SIGTERM)
	finished := make(chan struct{})
	go func() {
		for _, end := range []context.CancelFunc{stop, abort} {
			select {
			case s := <-c:
				log.Info("stopping; a second signal ends at once", "signal", s.String())
				end()
			case <-finished:
				return
			}
		}
	}()
	return stopping, hard, func() { close(finished); signal.Stop(c); stop(); abort() }
}

// serve answers health, metrics and status until ctx ends. The handler is the engine's.
func serve(ctx context.Context, addr string, h http.Handler, log *slog.Logger) error {
	if addr == "" {
		return nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10}
	context.AfterFunc(ctx, func() { s.Close() })
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("status server ended", "error", err)
		}
	}()
	return nil
}

// runEngine starts the server, lets feed apply plans until stopping ends, and drains.
func runEngine(stopping, hard context.Context, f *runFlags, opts collector.Options, feed func(*collector.Engine) error) error {
	engine := collector.NewEngine(opts)
	serving, stopServing := context.WithCancel(context.Background())
	defer stopServing()
	if err := serve(serving, f.listen, engine.Handler(), opts.Log); err != nil {
		return err
	}
	err := feed(engine)
	<-stopping.Done()
	engine.Stop(hard)
	return err
}

// decodePlan reads one plan; what cannot be read is refused under its LogSource's UID.
func decodePlan(uid string, data []byte) (*plan.Plan, *report.Refused) {
	p, err := plan.Decode(data)
	if err != nil {
		return nil, &report.Refused{UID: uid, Error: err.Error()}
	}
	return p, nil
}
