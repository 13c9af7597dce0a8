// Command probe is the one program of the e2e tests' pods: their images have no shell.
//
//	probe write -name W -lines 20000 -rate 500 -long-every 1000
//	probe write -name W -lines 5000 -long-every 0 -to collector:601
//	probe serve -listen :8080
//
// write writes numbered lines to stdout and stderr in turn, or as syslog messages to a TCP
// address, and stays. serve takes JSON lines
// at POST /ingest/<anything>, checks every one of them against what write has written, and tells at
// GET /report; GET /poll gives numbered lines to whoever polls.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("usage: probe write|serve [FLAG...]")
	}
	flags := flag.NewFlagSet("probe "+args[0], flag.ContinueOnError)
	switch args[0] {
	case "write":
		w := writer{stdout: os.Stdout, stderr: os.Stderr}
		flags.StringVar(&w.name, "name", "writer", "name in every line")
		flags.IntVar(&w.lines, "lines", 1000, "lines to write")
		flags.IntVar(&w.rate, "rate", 1000, "lines per second")
		flags.IntVar(&w.longEvery, "long-every", 1000, "every so many lines one of 100 KiB; 0 means none")
		to := flags.String("to", "", "host:port that takes syslog on TCP, instead of stdout and stderr")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		if *to != "" {
			conn, err := net.Dial("tcp", *to)
			if err != nil {
				return err
			}
			defer conn.Close()
			w.stdout, w.stderr = syslog{conn}, syslog{conn}
		}
		if err := w.run(ctx); err != nil {
			return err
		}
		<-ctx.Done() // a pod that ended would be started again, or lose its log files
		return nil
	case "serve":
		listen := flags.String("listen", ":8080", "address")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return serve(ctx, *listen)
	}
	return fmt.Errorf("no command %q", args[0])
}
