package msgformat_test

import (
	"testing"
	"time"

	"github.com/leodido/go-syslog/v4"
	"github.com/leodido/go-syslog/v4/rfc3164"
	"github.com/leodido/go-syslog/v4/rfc5424"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/msgformat"
)

const (
	// RFC 5424 §6.5, example 4, with the text of example 3.
	bench5424 = `<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 ` +
		`[exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"][examplePriority@32473 class="high"] ` +
		`An application event log entry...`
	bench3164 = `<38>Oct 11 22:14:15 web-1 sshd[2718]: Accepted publickey for alice from 10.1.2.3 port 50312 ssh2`
)

func BenchmarkRFC5424(b *testing.B) {
	b.Run("ours", func(b *testing.B) { benchOurs(b, bench5424) })
	b.Run("leodido", func(b *testing.B) { benchLeodido(b, rfc5424.NewParser(), bench5424) })
}

func BenchmarkRFC3164(b *testing.B) {
	b.Run("ours", func(b *testing.B) { benchOurs(b, bench3164) })
	b.Run("leodido", func(b *testing.B) {
		benchLeodido(b, rfc3164.NewParser(rfc3164.WithYear(rfc3164.CurrentYear{})), bench3164)
	})
}

func benchOurs(b *testing.B, message string) {
	p := parser(b, nil, "", time.Now)
	raw := []byte(message)
	var r collector.Record
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Parse(raw, &r); err != nil {
			b.Fatal(err)
		}
	}
}

func benchLeodido(b *testing.B, p syslog.Machine, message string) {
	raw := []byte(message)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Parse(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSplitter(b *testing.B) {
	f := func(name, message string) {
		b.Run(name, func(b *testing.B) {
			var stream []byte
			for len(stream) < 32<<10 {
				stream = append(stream, message...)
			}
			b.SetBytes(int64(len(stream)))
			b.ReportAllocs()
			for b.Loop() {
				var s msgformat.Splitter
				for rest := stream; len(rest) > 0; {
					_, n, err := s.Next(rest)
					if n == 0 || err != nil {
						b.Fatal(n, err)
					}
					rest = rest[n:]
				}
			}
		})
	}
	f("lines", bench3164+"\n")
	f("counted", "96 "+bench3164)
}

func parser(t testing.TB, flags []string, zone string, now func() time.Time) *msgformat.Parser {
	t.Helper()
	p, err := msgformat.New(flags, zone, now)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
