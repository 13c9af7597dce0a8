package collector

import (
	"encoding/binary"
	"math"
	"strconv"
)

// This file is what a message may carry beside its body, and how it lies in its batch.

// A Record is one message as a driver hands it over. The zero value of every field means
// that the message has none. Append copies all of it, so the slices may be used again.
type Record struct {
	// Body is the text. syslog-ng: MESSAGE.
	Body []byte
	// UnixNano is when the message was made, as the origin says; 0 means now. syslog-ng:
	// S_STAMP.
	UnixNano int64
	// Received is when it arrived here, in UnixNano, where that is not when it was made.
	// syslog-ng: R_STAMP.
	Received int64
	// Variant picks Stream.Variants.
	Variant uint8
	// Priority is facility and severity. syslog-ng: PRI.
	Priority Priority
	// Host, Program, PID and MsgID are the parts of a syslog header of these names.
	Host, Program, PID, MsgID []byte
	// Addr is the address of the peer that sent it, such as 10.1.2.3:50312. syslog-ng:
	// SOURCEIP.
	Addr []byte
	// Raw is the message as it came, where the flag store-raw-message asks for it.
	// syslog-ng: RAWMSG.
	Raw []byte
	// Pairs are name-value pairs of its own, and structured data.
	Pairs []Pair
}

// A Pair is one name-value pair of a record. SDID, when not empty, is the element of
// structured data that it belongs to (RFC 5424 §6.3); a pair of an SDID without a name is
// an element without parameters. syslog-ng: .SDATA.sdid.name.
type Pair struct{ SDID, Name, Value []byte }

// Priority is the facility and severity of a message, PRI of RFC 5424 §6.2.1. The zero
// value is none.
type Priority int32

// NewPriority makes a Priority of a PRI, such as 13 for user.notice.
func NewPriority(pri int) Priority { return Priority(pri + 1) }

// PRI is the number that a syslog header has between < and >, false when there is none.
func (p Priority) PRI() (int, bool) { return int(p) - 1, p > 0 }

// Severity is the word of RFC 5424 §6.2.1, table 2, as syslog-ng says it; empty when
// there is none.
func (p Priority) Severity() string {
	if p <= 0 {
		return ""
	}
	return severities[(p-1)&7]
}

// Facility is the word of RFC 5424 §6.2.1, table 1, as syslog-ng says it; a number in
// hexadecimal where there is no word; empty when there is none.
func (p Priority) Facility() string {
	if p <= 0 {
		return ""
	}
	if f := int(p-1) >> 3; f < len(facilities) {
		return facilities[f]
	}
	return strconv.FormatInt(int64(p-1)>>3, 16)
}

var severities = [...]string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}

var facilities = [...]string{
	"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
	"ntp", "security", "console", "solaris-cron", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
}

// record is where one message lies in its batch.
type record struct {
	off, end int32
	more     int32 // 1 + index into Batch.more; 0: nothing but a body
	variant  uint8
	unixNano int64
}

// more is where the other parts of a message lie in Batch.fields: end to end, in the
// order of these ends, from off on.
type more struct {
	received                                         int64
	priority                                         Priority
	off, host, program, pid, msgID, addr, raw, pairs int32
}

// plain says that the record has nothing but a body and a time.
func (r *Record) plain() bool {
	return r.Received == 0 && r.Priority == 0 && len(r.Pairs) == 0 && len(r.Raw) == 0 &&
		len(r.Host) == 0 && len(r.Program) == 0 && len(r.PID) == 0 && len(r.MsgID) == 0 && len(r.Addr) == 0
}

// pairHead is the space that the lengths of a pair take: SDID, name, value.
const pairHead = 1 + 1 + 4

// size is the number of bytes that the record takes in a batch.
func (r *Record) size() int {
	n := len(r.Body)
	if r.plain() {
		return n
	}
	n += len(r.Host) + len(r.Program) + len(r.PID) + len(r.MsgID) + len(r.Addr) + len(r.Raw)
	for i := range r.Pairs {
		p := &r.Pairs[i]
		n += pairHead + len(p.SDID) + len(p.Name) + len(p.Value)
	}
	return n
}

// appendMore lays out what the last record has beside its body.
func (b *Batch) appendMore(r *Record) {
	host, program, priority := r.Host, r.Program, r.Priority
	if b.policy != nil {
		host, program, priority = b.policy.apply(r)
	}
	m := more{received: r.Received, priority: priority, off: int32(len(b.fields))}
	m.host = b.appendField(host)
	m.program = b.appendField(program)
	m.pid = b.appendField(r.PID)
	m.msgID = b.appendField(r.MsgID)
	m.addr = b.appendField(r.Addr)
	m.raw = b.appendField(r.Raw)
	for i := range r.Pairs {
		b.appendPair(&r.Pairs[i])
	}
	m.pairs = int32(len(b.fields))
	b.more = append(b.more, m)
	b.recs[len(b.recs)-1].more = int32(len(b.more))
}

func (b *Batch) appendField(v []byte) int32 {
	b.fields = append(b.fields, v...)
	return int32(len(b.fields))
}

// appendPair lays one pair out; a name or SDID is cut at 255 bytes, as syslog-ng does.
func (b *Batch) appendPair(p *Pair) {
	id, name := p.SDID[:min(len(p.SDID), math.MaxUint8)], p.Name[:min(len(p.Name), math.MaxUint8)]
	b.fields = append(b.fields, byte(len(id)), byte(len(name)))
	b.fields = binary.LittleEndian.AppendUint32(b.fields, uint32(len(p.Value)))
	b.fields = append(append(append(b.fields, id...), name...), p.Value...)
}

// Fields are what one message of a batch has beside its body; the slices are read-only
// and valid as long as the batch is held.
type Fields struct {
	Priority                       Priority
	Received                       int64 // UnixNano; 0: not known
	Host, Program, PID, MsgID, Raw []byte
	Addr                           []byte
	Pairs                          PairReader
}

// Fields returns what message i has beside its body, false when it has nothing.
func (b *Batch) Fields(i int) (f Fields, ok bool) {
	n := b.recs[i].more
	if n == 0 {
		return f, false
	}
	m := &b.more[n-1]
	return Fields{
		Priority: m.priority, Received: m.received,
		Host: b.fields[m.off:m.host], Program: b.fields[m.host:m.program], PID: b.fields[m.program:m.pid],
		MsgID: b.fields[m.pid:m.msgID], Addr: b.fields[m.msgID:m.addr], Raw: b.fields[m.addr:m.raw],
		Pairs: PairReader{b.fields[m.raw:m.pairs]},
	}, true
}

// A PairReader gives the pairs of one message, in the order in which they were appended:
//
//	for p, ok := f.Pairs.Next(); ok; p, ok = f.Pairs.Next() { … }
type PairReader struct{ rest []byte }

// Next returns the next pair, false after the last.
func (r *PairReader) Next() (p Pair, ok bool) {
	if len(r.rest) < pairHead {
		return p, false
	}
	id, name := int(r.rest[0]), int(r.rest[1])
	value := int(binary.LittleEndian.Uint32(r.rest[2:]))
	text := r.rest[pairHead:]
	p = Pair{SDID: text[:id], Name: text[id : id+name], Value: text[id+name : id+name+value]}
	r.rest = text[id+name+value:]
	return p, true
}

// Len is the number of bytes that are left; 0 means no more pairs.
func (r *PairReader) Len() int { return len(r.rest) }

// copyRecord appends record i of from as it lies there.
func (b *Batch) copyRecord(from *Batch, i int) {
	r := from.recs[i]
	off := int32(len(b.buf))
	b.buf = append(b.buf, from.Body(i)...)
	r.off, r.end = off, int32(len(b.buf))
	if r.more > 0 {
		m := from.more[r.more-1]
		shift := int32(len(b.fields)) - m.off
		b.fields = append(b.fields, from.fields[m.off:m.pairs]...)
		m.off, m.host, m.program, m.pid = m.off+shift, m.host+shift, m.program+shift, m.pid+shift
		m.msgID, m.addr, m.raw, m.pairs = m.msgID+shift, m.addr+shift, m.raw+shift, m.pairs+shift
		b.more = append(b.more, m)
		r.more = int32(len(b.more))
	}
	b.recs = append(b.recs, r)
}
