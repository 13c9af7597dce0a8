package containerlogs

import (
	"encoding/binary"
	"errors"
)

// A mark is a position in the files of one container. Everything before it has been
// handed over, except the messages that were still unfinished there.
type mark struct {
	file fileID
	off  int64 // where the first line begins that is not fully handed over
	skip int64 // how many bytes of its message have been handed over
	// open are the messages that began before off and were not complete there, by stream.
	open [variants]openMark
}

// An openMark is where an unfinished message began: set when set is true.
type openMark struct {
	set  bool
	file fileID
	off  int64
	skip int64
}

// A fileID finds a file again, renamed, compressed or both: device and inode while it is
// the same file, else by what it begins with.
type fileID struct {
	dev, ino uint64
	restart  int
	headLen  int
	headHash uint64
	name     string // the last name it was seen under; a hint for people
}

const markVersion = 1

var errMark = errors.New("not a bookmark of container-logs")

// append encodes the mark behind dst.
func (m *mark) append(dst []byte) []byte {
	dst = append(dst, markVersion)
	dst = m.file.append(dst)
	dst = binary.AppendUvarint(dst, uint64(m.off))
	dst = binary.AppendUvarint(dst, uint64(m.skip))
	for i := range m.open {
		dst = m.open[i].append(dst)
	}
	return dst
}

func (o *openMark) append(dst []byte) []byte {
	if !o.set {
		return append(dst, 0)
	}
	dst = append(dst, 1)
	dst = o.file.append(dst)
	dst = binary.AppendUvarint(dst, uint64(o.off))
	return binary.AppendUvarint(dst, uint64(o.skip))
}

func (f *fileID) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, f.dev)
	dst = binary.AppendUvarint(dst, f.ino)
	dst = binary.AppendUvarint(dst, uint64(f.restart))
	dst = binary.AppendUvarint(dst, uint64(f.headLen))
	dst = binary.BigEndian.AppendUint64(dst, f.headHash)
	dst = binary.AppendUvarint(dst, uint64(len(f.name)))
	return append(dst, f.name...)
}

// decodeMark reads what append wrote.
func decodeMark(data []byte) (m mark, err error) {
	d := decoder{data: data}
	if d.byte() != markVersion {
		return m, errMark
	}
	m.file = d.fileID()
	m.off, m.skip = d.offset(), d.offset()
	for i := range m.open {
		o := &m.open[i]
		if o.set = d.byte() == 1; o.set {
			o.file, o.off, o.skip = d.fileID(), d.offset(), d.offset()
		}
	}
	if d.bad || len(d.data) > 0 {
		return mark{}, errMark
	}
	return m, nil
}

// decoder reads fields until one is bad.
type decoder struct {
	data []byte
	bad  bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.data)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.data = d.data[n:]
	return v
}

func (d *decoder) offset() int64 {
	v := int64(d.uvarint())
	d.bad = d.bad || v < 0
	return v
}

func (d *decoder) byte() byte { return d.bytes(1)[0] }

// bytes returns n bytes, zeros when there are fewer.
func (d *decoder) bytes(n int) []byte {
	if n > len(d.data) {
		d.bad = true
		return make([]byte, n)
	}
	b := d.data[:n]
	d.data = d.data[n:]
	return b
}

func (d *decoder) fileID() (f fileID) {
	f.dev, f.ino = d.uvarint(), d.uvarint()
	f.restart, f.headLen = int(d.uvarint()), int(d.uvarint())
	f.headHash = binary.BigEndian.Uint64(d.bytes(8))
	n := d.uvarint()
	if f.restart < 0 || f.headLen < 0 || f.headLen > headSize || n > 255 {
		d.bad = true
		return f
	}
	f.name = string(d.bytes(int(n)))
	return f
}

// headSize is how much of a file's beginning is kept to know it by. A CRI line begins
// with a time in nanoseconds, so two files of a container differ long before that.
const headSize = 128

// A head is the first bytes of a file. It grows with the file up to headSize.
type head struct {
	n int
	b [headSize]byte
}

func (h *head) bytes() []byte { return h.b[:h.n] }

// hash is the hash of the first n bytes.
func (h *head) hash(n int) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211 // FNV-1a
	sum := uint64(offset)
	for _, c := range h.b[:n] {
		sum = (sum ^ uint64(c)) * prime
	}
	return sum
}

// matches says that the file this head belongs to may be the one id was made of.
func (h *head) matches(id *fileID) bool {
	return h.n >= id.headLen && h.hash(id.headLen) == id.headHash
}

// sameHead says that one of the heads is the beginning of the other, and long enough to tell.
func sameHead(a, b *head) bool {
	n := min(a.n, b.n)
	return n >= minHead && string(a.b[:n]) == string(b.b[:n])
}

// minHead is the shortest beginning that identifies a file whose inode has changed.
const minHead = 32
