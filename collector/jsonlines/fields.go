package jsonlines

import (
	"bytes"

	"github.com/logsource/operator/collector"
)

// appendFields writes what a message carries itself, each only if it has it:
//
//	,"severity":"notice","facility":"user","host":"web-1","program":"sshd","pid":"17",
//	"msgid":"ID47","address":"10.1.2.3:50312","received":"2026-…Z","raw":"<13>…",
//	"sdata":{"origin":{"ip":"10.1.2.3"}},"fields":{"user":"alice"}
//
// Pairs of its own are beneath sdata and fields, so none can take the place of another
// name. Of two pairs with one name a reader of JSON keeps the last.
func appendFields(dst []byte, f *collector.Fields) []byte {
	if f.Priority > 0 {
		dst = append(append(append(dst, `,"severity":"`...), f.Priority.Severity()...), '"')
		dst = append(append(append(dst, `,"facility":"`...), f.Priority.Facility()...), '"')
	}
	dst = appendField(dst, `,"host":`, f.Host)
	dst = appendField(dst, `,"program":`, f.Program)
	dst = appendField(dst, `,"pid":`, f.PID)
	dst = appendField(dst, `,"msgid":`, f.MsgID)
	dst = appendField(dst, `,"address":`, f.Addr)
	if f.Received != 0 {
		dst = append(appendTime(append(dst, `,"received":"`...), f.Received), '"')
	}
	dst = appendField(dst, `,"raw":`, f.Raw)
	if f.Pairs.Len() > 0 {
		dst = appendSDATA(dst, f.Pairs)
		dst = appendPairs(dst, f.Pairs)
	}
	return dst
}

func appendField(dst []byte, key string, v []byte) []byte {
	if len(v) == 0 {
		return dst
	}
	return appendString(append(dst, key...), v)
}

// appendSDATA writes structured data, the parameters of one element next to each other.
// An element that comes twice with another between is written twice, as in the message.
func appendSDATA(dst []byte, pairs collector.PairReader) []byte {
	var id []byte
	some := false // the element has a parameter
	for p, ok := pairs.Next(); ok; p, ok = pairs.Next() {
		if len(p.SDID) == 0 {
			continue
		}
		switch {
		case id == nil:
			dst = appendElement(append(dst, `,"sdata":{`...), p.SDID)
		case !bytes.Equal(id, p.SDID):
			dst, some = appendElement(append(dst, "},"...), p.SDID), false
		}
		id = p.SDID
		if len(p.Name) == 0 {
			continue
		}
		if some {
			dst = append(dst, ',')
		}
		some = true
		dst = appendPair(dst, p)
	}
	if id != nil {
		dst = append(dst, "}}"...)
	}
	return dst
}

func appendElement(dst, id []byte) []byte { return append(appendString(dst, id), ":{"...) }

func appendPair(dst []byte, p collector.Pair) []byte {
	return appendString(append(appendString(dst, p.Name), ':'), p.Value)
}

// appendPairs writes the name-value pairs that are no structured data.
func appendPairs(dst []byte, pairs collector.PairReader) []byte {
	some := false
	for p, ok := pairs.Next(); ok; p, ok = pairs.Next() {
		if len(p.SDID) > 0 {
			continue
		}
		if some {
			dst = append(dst, ',')
		} else {
			dst = append(dst, `,"fields":{`...)
		}
		some = true
		dst = appendPair(dst, p)
	}
	if some {
		dst = append(dst, '}')
	}
	return dst
}
