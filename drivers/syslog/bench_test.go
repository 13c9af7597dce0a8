package syslog_test

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/drivertest"
	"github.com/logsource/operator/drivers/syslog"
)

// line is a message as a firewall sends it, 175 bytes.
const line = `<134>1 2026-11-24T16:05:12.345678+01:00 fw1.example.com kernel 4711 - - IN=eth0 OUT=eth1 SRC=192.0.2.17 DST=198.51.100.4 LEN=60 TOS=0x00 TTL=63 PROTO=TCP SPT=50312 DPT=443 SYN`

// counter is a Poster without a window: the batch is free again at once.
type counter struct {
	batch    *collector.Batch
	messages atomic.Int64
	batches  atomic.Int64
	more     chan struct{}
}

func (c *counter) Batch(s *collector.Stream) *collector.Batch {
	c.batch.Reuse(s)
	return c.batch
}

func (c *counter) Post(_ context.Context, b *collector.Batch) error {
	c.messages.Add(int64(b.Len()))
	c.batches.Add(1)
	select {
	case c.more <- struct{}{}:
	default:
	}
	return nil
}

// serve runs a source for a benchmark.
func serve(b *testing.B, port string) (addr string, out *counter, rec *drivertest.Recorder) {
	b.Helper()
	n, rec := freePort(b), drivertest.NewRecorder()
	s := drivertest.MustNew[collector.Source](b, syslog.Driver, drivertest.Setup{
		Options: document(b, options{"address": "127.0.0.1", port: n, "udpReceiveBuffer": "4Mi"}),
	}, rec)
	out = &counter{batch: collector.NewBatch(&collector.Stream{}, 2048, 1<<20), more: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Run(ctx, out)
	}()
	b.Cleanup(func() {
		cancel()
		<-done
	})
	return fmt.Sprintf("127.0.0.1:%d", n), out, rec
}

func (c *counter) report(b *testing.B) {
	b.ReportMetric(float64(c.messages.Load())/b.Elapsed().Seconds(), "messages/s")
	b.ReportMetric(float64(c.messages.Load())/float64(c.batches.Load()), "messages/batch")
}

func BenchmarkTCP(b *testing.B) {
	for _, connections := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("connections=%d", connections), func(b *testing.B) { benchmarkTCP(b, connections) })
	}
}

func benchmarkTCP(b *testing.B, connections int) {
	addr, out, _ := serve(b, "tcpPort")
	conns := make([]net.Conn, connections)
	for i := range conns {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		conns[i] = c
	}
	const chunk = 20 // messages in one write
	text := make([]byte, 0, chunk*(len(line)+1))
	for range chunk {
		text = append(text, line+"\n"...)
	}
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	b.ResetTimer()
	for sent := 0; sent < b.N; sent += chunk {
		if _, err := conns[sent/chunk%connections].Write(text[:min(chunk, b.N-sent)*(len(line)+1)]); err != nil {
			b.Fatal(err)
		}
	}
	for out.messages.Load() < int64(b.N) {
		<-out.more
	}
	out.report(b)
}

// BenchmarkUDP counts what has arrived of what was sent as fast as one sender can; the
// rest is in the kernel's counter.
func BenchmarkUDP(b *testing.B) {
	addr, out, rec := serve(b, "udpPort")
	c, err := net.Dial("udp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	text := []byte(line)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if _, err := c.Write(text); err != nil {
			b.Fatal(err)
		}
	}
	until(b, "all to arrive or to be booked", func() bool {
		return out.messages.Load()+rec.Lost("udp_receive_buffer") == int64(b.N)
	})
	out.report(b)
	b.ReportMetric(float64(rec.Lost("udp_receive_buffer"))/float64(b.N), "lost/message")
}
