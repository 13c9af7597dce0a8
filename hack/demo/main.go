// Command demo starts a small web server with something to poll, runs a command beside it,
// and ends with the command. `make run` uses it:
//
//	demo bin/collector run -f config/samples/local
package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// address is the one that config/samples/local/httppoll.yaml polls.
const address = "127.0.0.1:8478"

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: demo COMMAND [ARGUMENT...]")
		os.Exit(2)
	}
	if err := run(os.Args[1:]); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			os.Exit(exit.ExitCode())
		}
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(command []string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("%w: the sample polls this address; end what listens there", err)
	}
	server := &http.Server{Handler: numbered()}
	go server.Serve(listener)
	defer server.Close()
	return forward(command)
}

// numbered answers every GET /log with one more line.
func numbered() http.Handler {
	var n atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /log", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "line %d of the demo server\n", n.Add(1))
	})
	return mux
}

// forward runs the command and hands it every interrupt exactly once: in a group of its
// own it does not get the terminal's besides.
func forward(command []string) error {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			// Too late is not an error: the command has ended.
			_ = cmd.Process.Signal(s)
		case err := <-done:
			return err
		}
	}
}
