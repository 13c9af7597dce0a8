package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
)

const (
	magic      = "logsource positions 1\n"
	headerSize = 8        // length and checksum of a record
	maxPayload = 16 << 20 // more than any record ever written: a length beyond it is damage
	minGrowth  = 1 << 20  // a journal smaller than this is never rewritten
)

type op byte

const (
	opDefine op = 1 + iota // id, namespace, key
	opSet                  // id, value
	opDelete               // id
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// rec is one record with its id resolved.
type rec struct {
	op             op
	namespace, key string
	value          []byte
}

func appendDefine(buf []byte, id uint64, namespace, key string) []byte {
	return appendRecord(buf, func(buf []byte) []byte {
		buf = binary.AppendUvarint(append(buf, byte(opDefine)), id)
		buf = binary.AppendUvarint(buf, uint64(len(namespace)))
		return append(append(buf, namespace...), key...)
	})
}

func appendSet(buf []byte, id uint64, value []byte) []byte {
	start := len(buf)
	buf = append(buf, make([]byte, headerSize)...)
	buf = binary.AppendUvarint(append(buf, byte(opSet)), id)
	return seal(append(buf, value...), start)
}

func appendDelete(buf []byte, id uint64) []byte {
	return appendRecord(buf, func(buf []byte) []byte {
		return binary.AppendUvarint(append(buf, byte(opDelete)), id)
	})
}

func appendRecord(buf []byte, payload func([]byte) []byte) []byte {
	start := len(buf)
	return seal(payload(append(buf, make([]byte, headerSize)...)), start)
}

// seal fills in the header of the record that begins at start.
func seal(buf []byte, start int) []byte {
	payload := buf[start+headerSize:]
	binary.LittleEndian.PutUint32(buf[start:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(buf[start+4:], crc32.Checksum(payload, castagnoli))
	return buf
}

type name struct{ namespace, key string }

// decode calls each for every whole record. torn is how many bytes of an unfinished
// record end the file; err is damage that no crash of ours explains.
func decode(data []byte, each func(rec)) (torn int, err error) {
	if len(data) < len(magic) || string(data[:len(magic)]) != magic {
		return 0, errors.New("not a positions file of this version")
	}
	names := map[uint64]name{}
	rest := data[len(magic):]
	for len(rest) > 0 {
		payload, size, err := nextPayload(rest)
		if err != nil {
			return 0, fmt.Errorf("at byte %d: %w", len(data)-len(rest), err)
		}
		if payload == nil {
			return len(rest), nil
		}
		if err := decodePayload(payload, names, each); err != nil {
			return 0, fmt.Errorf("at byte %d: %w", len(data)-len(rest), err)
		}
		rest = rest[size:]
	}
	return 0, nil
}

// nextPayload returns nil for a record that the end of the file cut off. A bad checksum
// in the last record is such a cut too: its pages may have been written out of order.
func nextPayload(rest []byte) (payload []byte, size int, err error) {
	if len(rest) < headerSize {
		return nil, 0, nil
	}
	n := int(binary.LittleEndian.Uint32(rest))
	if n == 0 || n > maxPayload {
		return nil, 0, fmt.Errorf("impossible record length %d", n)
	}
	size = headerSize + n
	if size > len(rest) {
		return nil, 0, nil
	}
	payload = rest[headerSize:size]
	if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(rest[4:]) {
		if size == len(rest) {
			return nil, 0, nil
		}
		return nil, 0, errors.New("checksum does not match")
	}
	return payload, size, nil
}

func decodePayload(payload []byte, names map[uint64]name, each func(rec)) error {
	id, n := binary.Uvarint(payload[1:])
	if n <= 0 {
		return errors.New("bad id")
	}
	rest := payload[1+n:]
	if op(payload[0]) == opDefine {
		length, n := binary.Uvarint(rest)
		if n <= 0 || length > uint64(len(rest)-n) {
			return errors.New("bad name")
		}
		names[id] = name{string(rest[n : n+int(length)]), string(rest[n+int(length):])}
		return nil
	}
	at, ok := names[id]
	if !ok {
		return fmt.Errorf("id %d is not defined", id)
	}
	each(rec{op(payload[0]), at.namespace, at.key, rest})
	return nil
}

// A journal is the file being written.
type journal struct {
	file       *os.File
	size, live int64
}

// rewrite makes a new journal with these records and puts it in the place of the old one,
// atomically: a crash leaves one or the other.
func rewrite(dir string, records []byte) (*journal, error) {
	path := filepath.Join(dir, "positions")
	file, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	err = fill(file, records)
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	size := int64(len(magic) + len(records))
	return &journal{file: file, size: size, live: size}, nil
}

func fill(file *os.File, records []byte) error {
	if _, err := file.WriteString(magic); err != nil {
		return err
	}
	if _, err := file.Write(records); err != nil {
		return err
	}
	return file.Sync()
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (j *journal) append(records []byte) error {
	if _, err := j.file.Write(records); err != nil {
		return err
	}
	j.size += int64(len(records))
	return j.file.Sync()
}

// overgrown says that the journal is mostly history.
func (j *journal) overgrown() bool { return j.size > minGrowth && j.size > 4*j.live }

func (j *journal) close() error { return j.file.Close() }
