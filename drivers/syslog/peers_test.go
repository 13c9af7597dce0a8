package syslog_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/hack/soak"
)

// This file is about real senders: everything they have sent is received, or, of UDP, in
// the kernel's own counter of what it dropped.

// packages says which Debian package a program is in. syslog-ng-core and rsyslog exclude
// each other, so hack/peers.sh unpacks both beside what is installed.
var packages = map[string]string{
	"logger":    "bsdutils",
	"loggen":    "syslog-ng-core",
	"syslog-ng": "syslog-ng-core",
	"rsyslogd":  "rsyslog, with rsyslog-openssl",
}

func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: install the Debian package %s, or, as hack/test.sh does, PATH=$(hack/peers.sh):$PATH", err, packages[name])
	}
	return path
}

// run runs a sender to its end and returns what it said.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program(t, name), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// daemon runs until the test ends. What it says is shown when it fails.
func daemon(t *testing.T, name string, args ...string) {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(program(t, name), args...)
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", name, said.String())
		}
	})
}

// way is one way from a sender to the source.
type way struct {
	port   string // udp, tcp or tls
	modern bool   // RFC 5424, on TCP and TLS with octet counting; else RFC 3164, with newlines
}

var ways = []way{{"udp", false}, {"udp", true}, {"tcp", false}, {"tcp", true}, {"tls", false}, {"tls", true}}

func (w way) String() string { return fmt.Sprintf("%s, modern %v", w.port, w.modern) }

// each runs f with a source for every way.
func each(t *testing.T, f func(t *testing.T, w way, l *listener, ca *authority)) {
	ca := newAuthority(t)
	for _, w := range ways {
		t.Run(w.String(), func(t *testing.T) {
			l := listenFlags(t, nil, &sink{}, nil, secretsFor(t, w, ca), w.port)
			f(t, w, l, ca)
		})
	}
}

func secretsFor(t *testing.T, w way, ca *authority) map[string]string {
	if w.port != "tls" {
		return nil
	}
	return ca.secrets(t, "127.0.0.1")
}

// everything waits for n messages and checks that each is one of its own, and, of UDP, that
// the kernel has dropped what is missing.
func (l *listener) everything(t *testing.T, w way, n int) []string {
	t.Helper()
	lost := func() int { return int(l.rec.Lost("udp_receive_buffer")) }
	until(t, fmt.Sprintf("all of %d messages", n), func() bool {
		have, _ := l.posted()
		return have+lost() >= n
	})
	if w.port == "udp" {
		if drops := kernelDrops(t, l.ports["udp"]); drops != lost() {
			t.Errorf("%d datagrams are booked as lost, the kernel has dropped %d", lost(), drops)
		}
	}
	l.stop()
	all := bodies(l.messages())
	seen := map[string]bool{}
	for _, body := range all {
		seen[body] = true
	}
	if len(all)+lost() != n || len(seen) != len(all) || (w.port != "udp" && lost() > 0) {
		t.Errorf("%d messages, %d of them distinct, and %d lost; want %d", len(all), len(seen), lost(), n)
	}
	if bad := l.rec.Count("malformed") + l.rec.Count("framing_error"); bad > 0 {
		t.Errorf("%d of what a real sender sends is malformed, such as %q", bad, all[:min(len(all), 1)])
	}
	return all
}

// said are n messages, and a file of them.
func said(t *testing.T, n int) (all []string, file string) {
	t.Helper()
	for i := range n {
		all = append(all, fmt.Sprintf("real message %d of %d", i, n))
	}
	file = filepath.Join(t.TempDir(), "said")
	write(t, file, lines(all...))
	return all, file
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// same checks that got are the messages of want, of UDP but for those that were dropped.
func same(t *testing.T, w way, want, got []string) {
	t.Helper()
	if w.port != "udp" {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("messages (-want +got):\n%s", diff)
		}
		return
	}
	known := map[string]bool{}
	for _, m := range want {
		known[m] = true
	}
	for _, m := range got {
		if !known[m] {
			t.Errorf("%q was never sent", m)
		}
	}
}

func TestLogger(t *testing.T) {
	each(t, func(t *testing.T, w way, l *listener, _ *authority) {
		if w.port == "tls" {
			loggerHasNoTLS(t)
			return
		}
		all, file := said(t, 500*soak.Scale(t))
		args := []string{"--server", "127.0.0.1", "--port", strconv.Itoa(l.ports[w.port]), "--tag", "app", "--file", file, "--" + w.port}
		if w.modern {
			args = append(args, "--rfc5424", "--msgid", "ID47", "--sd-id", "zoo@123", "--sd-param", `tiger="hungry"`)
		} else {
			args = append(args, "--rfc3164")
		}
		if w.modern && w.port == "tcp" {
			args = append(args, "--octet-count")
		}
		run(t, "logger", args...)
		same(t, w, all, l.everything(t, w, len(all)))
	})
}

// loggerHasNoTLS is why no test sends with it.
func loggerHasNoTLS(t *testing.T) {
	if help := run(t, "logger", "--help"); strings.Contains(help, "tls") {
		t.Errorf("logger has learned TLS: send with it\n%s", help)
	}
}

// loggenCount is how many messages loggen says that it has sent.
var loggenCount = regexp.MustCompile(`count[=:] *([0-9]+)`)

// loggen sends n messages over each of four connections and returns how many that were.
func loggen(t *testing.T, w way, port int, more ...string) int {
	t.Helper()
	args := append([]string{"--rate", "20000", "--size", "300", "--active-connections", "4", "--number", strconv.Itoa(2000 * soak.Scale(t))}, more...)
	args = append(args, map[string][]string{"udp": {"--inet", "--dgram"}, "tcp": {"--inet", "--stream"}, "tls": {"--use-ssl"}}[w.port]...)
	if w.modern {
		args = append(args, "--syslog-proto")
	}
	out := run(t, "loggen", append(args, "127.0.0.1", strconv.Itoa(port))...)
	m := loggenCount.FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("loggen does not say how many it has sent:\n%s", out)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || n == 0 {
		t.Fatalf("loggen has sent %q:\n%s", m[1], out)
	}
	return n
}

func TestLoggen(t *testing.T) {
	each(t, func(t *testing.T, w way, l *listener, _ *authority) {
		l.everything(t, w, loggen(t, w, l.ports[w.port]))
	})
}

// loggen puts a PROXY header of version 1 in front, as HAProxy does.
func TestLoggenBehindProxy(t *testing.T) {
	for _, w := range []way{{"tcp", false}, {"tcp", true}} {
		l := listenFlags(t, nil, &sink{}, options{"proxyProtocol": true}, nil, "tcp")
		l.everything(t, w, loggen(t, w, l.ports["tcp"], "--proxied", "--proxy-src-ip", "192.0.2.1", "--proxy-dst-ip", "192.0.2.2", "--proxy-src-port", "50312", "--proxy-dst-port", "601"))
		for _, m := range l.messages() {
			if m.Addr != "192.0.2.1:50312" {
				t.Fatalf("a message of %q, want the address in the PROXY header", m.Addr)
			}
		}
	}
}

func TestSyslogNG(t *testing.T) {
	each(t, func(t *testing.T, w way, l *listener, ca *authority) {
		all, file := said(t, 3000*soak.Scale(t))
		dir := t.TempDir()
		write(t, filepath.Join(dir, "ca.pem"), ca.pem)
		driver := map[bool]string{false: "network", true: "syslog"}[w.modern]
		security := ""
		if w.port == "tls" {
			security = fmt.Sprintf("tls(ca-file(%q) peer-verify(required-trusted))", filepath.Join(dir, "ca.pem"))
		}
		config := filepath.Join(dir, "syslog-ng.conf")
		write(t, config, fmt.Sprintf(`@version: %s
options { stats-freq(0); };
source said { file(%q follow-freq(1) program-override("app") flags(no-parse)); };
destination out { %s("127.0.0.1" port(%d) transport(%q) log-fifo-size(1000000) %s); };
log { source(said); destination(out); flags(flow-control); };
`, configVersion(t), file, driver, l.ports[w.port], w.port, security))
		daemon(t, "syslog-ng", "--foreground", "--no-caps", "--cfgfile", config, "--persist-file", filepath.Join(dir, "persist"),
			"--pidfile", filepath.Join(dir, "pid"), "--control", filepath.Join(dir, "control"))
		same(t, w, all, l.everything(t, w, len(all)))
	})
}

// configVersion is what @version has to say for the syslog-ng that is installed.
func configVersion(t *testing.T) string {
	out := run(t, "syslog-ng", "--version")
	m := regexp.MustCompile(`Config version: ([0-9.]+)`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("syslog-ng does not say its config version:\n%s", out)
	}
	return m[1]
}

func TestRsyslog(t *testing.T) {
	each(t, func(t *testing.T, w way, l *listener, ca *authority) {
		all, file := said(t, 3000*soak.Scale(t))
		dir := t.TempDir()
		write(t, filepath.Join(dir, "ca.pem"), ca.pem)
		action := map[string]string{"type": "omfwd", "target": "127.0.0.1", "port": strconv.Itoa(l.ports[w.port]), "protocol": "tcp"}
		if w.port == "udp" {
			action["protocol"] = "udp"
		}
		if w.port == "tls" {
			maps.Copy(action, map[string]string{"StreamDriver": "ossl", "StreamDriverMode": "1", "StreamDriverAuthMode": "x509/certvalid"})
		}
		action["template"] = "RSYSLOG_TraditionalForwardFormat"
		if w.modern {
			action["template"] = "RSYSLOG_SyslogProtocol23Format"
		}
		if w.modern && w.port != "udp" {
			action["TCP_Framing"] = "octet-counted"
		}
		config := filepath.Join(dir, "rsyslog.conf")
		write(t, config, fmt.Sprintf(`global(workDirectory=%q defaultNetstreamDriverCAFile=%q)
module(load="imfile")
input(type="imfile" file=%q tag="app")
action(%s)
`, dir, filepath.Join(dir, "ca.pem"), file, parameters(action)))
		daemon(t, "rsyslogd", "-n", "-C", "-M", rsyslogModules(t), "-f", config, "-i", filepath.Join(dir, "pid"))
		same(t, w, all, l.everything(t, w, len(all)))
	})
}

func parameters(m map[string]string) string {
	var all []string
	for name, value := range m {
		all = append(all, fmt.Sprintf("%s=%q", name, value))
	}
	return strings.Join(all, " ")
}

// rsyslogModules is where the modules of the rsyslogd on PATH are, also where it was
// unpacked rather than installed.
func rsyslogModules(t *testing.T) string {
	t.Helper()
	path, err := filepath.EvalSymlinks(program(t, "rsyslogd"))
	if err != nil {
		t.Fatal(err)
	}
	dirs, err := filepath.Glob(filepath.Join(filepath.Dir(path), "../lib/*/rsyslog"))
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no modules of rsyslog beside %s: %v", path, errors.Join(err, os.ErrNotExist))
	}
	return dirs[0]
}
