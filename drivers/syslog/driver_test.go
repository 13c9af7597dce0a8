package syslog_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/drivertest"
	"github.com/logsource/operator/drivers/syslog"
)

// sendOnceListening connects as soon as somebody listens and sends, until the test ends.
func sendOnceListening(t *testing.T, addr, text string) {
	ctx, cancel := context.WithCancel(context.Background())
	var sent sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		sent.Wait()
	})
	sent.Go(func() {
		for ctx.Err() == nil {
			c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
			if err != nil {
				continue
			}
			_, _ = c.Write([]byte(text))
			<-ctx.Done()
			_ = c.Close()
		}
	})
}

func TestContract(t *testing.T) {
	var sent, want []string
	for i := range 500 {
		want = append(want, fmt.Sprintf("message %d", i))
		sent = append(sent, "<13>Oct 11 22:14:15 web app: "+want[i])
	}
	drivertest.CheckSource(t, drivertest.SourceHarness{
		Driver: syslog.Driver,
		Start: func(t *testing.T) drivertest.Setup {
			port := freePort(t)
			sendOnceListening(t, fmt.Sprintf("127.0.0.1:%d", port), lines(sent...))
			return drivertest.Setup{Options: document(t, options{"tcpPort": port, "address": "127.0.0.1"})}
		},
		Want: want,
		Refused: map[string]string{
			`{}`:                                 "tcpPort",
			`{"udpPort": 0}`:                     "udpPort",
			`{"udpPort": -1}`:                    "udpPort",
			`{"tcpPort": 1e6}`:                   "tcpPort",
			`{"tcpPort": 6514, "tlsPort": 6514}`: "tlsPort",
			`{"tlsPort": 6514}`:                  "tlsCert",
			`{"tcpPort": 601, "address": "localhost"}`:         "address",
			`{"tcpPort": 601, "framing": "lines"}`:             "framing",
			`{"tcpPort": 601, "maxMessageBytes": 100}`:         "maxMessageBytes",
			`{"tcpPort": 601, "maxMessageBytes": "1Gi"}`:       "maxMessageBytes",
			`{"tcpPort": 601, "maxConnections": 0}`:            "maxConnections",
			`{"tcpPort": 601, "maxConnectionsPerPeer": -1}`:    "maxConnectionsPerPeer",
			`{"tcpPort": 601, "idleTimeout": "-1s"}`:           "idleTimeout",
			`{"udpPort": 514, "udpReceiveBuffer": "2Gi"}`:      "udpReceiveBuffer",
			`{"udpPort": 514, "udpReceiveBuffer": "a little"}`: "bytes",
		},
	})
}

func TestFlagsAndTimeZoneAreChecked(t *testing.T) {
	f := func(change func(*drivertest.Recorder), word string) {
		t.Helper()
		rec := drivertest.NewRecorder()
		change(rec)
		_, err := drivertest.New[collector.Source](t, syslog.Driver, drivertest.Setup{Options: `{"tcpPort": 5601}`}, rec)
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("error %v does not name %q", err, word)
		}
	}
	f(func(r *drivertest.Recorder) { r.Flags = []string{"no-such-flag"} }, "no-such-flag")
	f(func(r *drivertest.Recorder) { r.Message.TimeZone = "Nowhere/Atlantis" }, "Nowhere/Atlantis")
}

// A port in use is an error of Init that names it, and what was bound before is free again.
func TestPortInUse(t *testing.T) {
	f := func(network, option string) {
		t.Helper()
		port, other := freePort(t), freePort(t)
		o := options{"address": "127.0.0.1", option: port}
		if network == "udp" {
			c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			o["tcpPort"] = other
		} else {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			o["udpPort"] = other
		}
		s, err := drivertest.New[collector.Source](t, syslog.Driver, drivertest.Setup{Options: document(t, o)}, drivertest.NewRecorder())
		if err != nil {
			t.Fatal(err)
		}
		err = s.(collector.Initer).Init(t.Context())
		for _, word := range []string{option, fmt.Sprint(port), "in use"} {
			if err == nil || !strings.Contains(err.Error(), word) {
				t.Errorf("%s: error %v does not say %q", option, err, word)
			}
		}
		c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: other})
		if err != nil {
			t.Fatalf("the other port is still bound: %v", err)
		}
		_ = c.Close()
	}
	f("udp", "udpPort")
	f("tcp", "tcpPort")
}

// An instance whose Run was never called, as when the plan changes again, frees its ports.
func TestDeinitWithoutRun(t *testing.T) {
	port := freePort(t)
	for range 3 {
		s := drivertest.MustNew[collector.Source](t, syslog.Driver, drivertest.Setup{
			Options: document(t, options{"address": "127.0.0.1", "udpPort": port, "tcpPort": port}),
		}, drivertest.NewRecorder())
		s.(collector.Deiniter).Deinit()
	}
}
