// Package msgformat takes one raw syslog message apart, as syslog-ng's msg-format flags
// say (LogMessage.parse), and cuts a byte stream into messages (RFC 6587, RFC 5425).
package msgformat

import (
	"fmt"
	"time"

	"github.com/logsource/operator/collector"
)

// Names lists every flag that New takes, sorted.
func Names() []string { return nil }

// A Parser parses messages under one set of flags. It is for one goroutine.
type Parser struct{ err Error }

// Error says where a message stopped to be what the flags ask for.
type Error struct {
	// Offset is the number of bytes before the place, counted in the message as it came.
	Offset int
	// Reason is a fixed text such as "no closing quote of a parameter value".
	Reason string
}

// Error names the place and the reason.
func (e *Error) Error() string { return fmt.Sprintf("byte %d: %s", e.Offset, e.Reason) }

// New makes a Parser. The flags are added to the default set, syslog-protocol and
// expect-hostname; of two that contradict the last one wins. timeZone is that of stamps
// that name none: an IANA name or an offset such as +02:00, UTC when empty. now tells the
// time, which stamps without a year or with guess-timezone are nearest to; nil: time.Now.
// The error names the flag or zone that there is not, and those there are.
func New(flags []string, timeZone string, now func() time.Time) (*Parser, error) {
	return &Parser{}, nil
}

// Parse fills r from raw. All of r is set anew but Received, Variant and Addr, which are
// cleared; the memory of r.Pairs is used again. The slices point into raw or into the
// Parser and are valid until the next Parse.
//
// A message that is not what the flags ask for is never lost: r then has the text as it
// came for a Body, and the error is an *Error, valid until the next Parse, to be counted.
func (p *Parser) Parse(raw []byte, r *collector.Record) error {
	*r = collector.Record{Body: raw, Pairs: r.Pairs[:0]}
	return nil
}
