package collector

import (
	"bytes"

	"github.com/logsource/operator/collector/plan"
)

// commonAttrs are what every message of the plan's LogSource carries.
func commonAttrs(p *plan.Plan) []Attr {
	return append([]Attr{{Name: "logsource", Value: p.LogSource.String()}}, TagAttrs(p.Source.Message)...)
}

// TagAttrs are the attributes that spec.source.message.tags makes, none without tags.
func TagAttrs(m plan.Message) []Attr {
	if len(m.Tags) == 0 {
		return nil
	}
	return []Attr{{Name: "tags", List: m.Tags}}
}

// A policy is spec.source.message as it is applied to every message when it is appended.
type policy struct {
	every        bool     // it says something about messages with nothing but a body, too
	priority     Priority // for messages without one
	keepHostname bool
	host         []byte // hostOverride
	program      []byte // programOverride
}

func newPolicy(m plan.Message) *policy {
	p := &policy{keepHostname: m.KeepHostname, host: []byte(m.HostOverride), program: []byte(m.ProgramOverride)}
	if m.DefaultPriority != nil {
		p.priority = NewPriority(*m.DefaultPriority)
	}
	p.every = p.priority != 0 || len(p.host) > 0 || len(p.program) > 0
	return p
}

// apply says which host, program and priority a message gets. A message that came from a
// peer has the peer's address for a host unless keepHostname (syslog-ng: keep-hostname);
// one that has neither host nor peer gets none.
func (p *policy) apply(r *Record) (host, program []byte, priority Priority) {
	host, program, priority = r.Host, r.Program, r.Priority
	if len(r.Addr) > 0 && (!p.keepHostname || len(host) == 0) {
		host = withoutPort(r.Addr)
	}
	if len(p.host) > 0 {
		host = p.host
	}
	if len(p.program) > 0 {
		program = p.program
	}
	if priority == 0 {
		priority = p.priority
	}
	return host, program, priority
}

// withoutPort is the host of an address as net.JoinHostPort writes it.
func withoutPort(addr []byte) []byte {
	if i := bytes.LastIndexByte(addr, ':'); i >= 0 {
		addr = addr[:i]
	}
	return bytes.Trim(addr, "[]")
}
