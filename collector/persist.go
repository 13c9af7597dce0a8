package collector

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/logsource/operator/collector/checkpoint"
)

// A Value is what Persist stores: a string, bytes or an integer of 64 bits.
type Value struct {
	kind  byte // 's', 'b' or 'i'; 0 is no value
	bytes string
	n     int64
}

// StringValue makes a Value of a string.
func StringValue(s string) Value { return Value{kind: 's', bytes: s} }

// BytesValue makes a Value of bytes, which are copied.
func BytesValue(b []byte) Value { return Value{kind: 'b', bytes: string(b)} }

// IntValue makes a Value of an integer.
func IntValue(n int64) Value { return Value{kind: 'i', n: n} }

// AsString returns the string, false when the value is none.
func (v Value) AsString() (string, bool) { return v.bytes, v.kind == 's' }

// AsBytes returns the bytes, false when the value is none.
func (v Value) AsBytes() ([]byte, bool) { return []byte(v.bytes), v.kind == 'b' }

// AsInt returns the integer, false when the value is none.
func (v Value) AsInt() (int64, bool) { return v.n, v.kind == 'i' }

// persistWait bounds how long Set waits for a disk that refuses writes.
const persistWait = 10 * time.Second

// persist is the Persist of one source, a namespace of the checkpoint store.
type persist struct{ disk *checkpoint.Namespace }

// persistNamespace is the name of the namespace; no persistName contains the mark.
func persistNamespace(uid, persistName string) string { return uid + "/" + persistName + "#persist" }

// Get returns the value of key. A value that a newer release wrote in a form that this one
// does not know counts as none.
func (p persist) Get(key string) (Value, bool) {
	raw, ok := p.disk.Load(key)
	if !ok || len(raw) == 0 {
		return Value{}, false
	}
	v := Value{kind: raw[0]}
	switch v.kind {
	case 's', 'b':
		v.bytes = string(raw[1:])
	case 'i':
		n, err := strconv.ParseInt(string(raw[1:]), 10, 64)
		if err != nil {
			return Value{}, false
		}
		v.n = n
	default:
		return Value{}, false
	}
	return v, true
}

// Set stores v under key.
func (p persist) Set(key string, v Value) error {
	var raw []byte
	switch v.kind {
	case 's', 'b':
		raw = append([]byte{v.kind}, v.bytes...)
	case 'i':
		raw = strconv.AppendInt([]byte{v.kind}, v.n, 10)
	default:
		return errors.New("persist: the value is empty: make it with StringValue, BytesValue or IntValue")
	}
	return p.wait(key, func(s saver) { p.disk.Put(key, raw, s) })
}

// Delete forgets key.
func (p persist) Delete(key string) error {
	return p.wait(key, func(s saver) { p.disk.DeleteThen(key, s) })
}

// Keys lists the keys.
func (p persist) Keys() []string {
	keys := p.disk.Keys()
	slices.Sort(keys)
	return keys
}

func (p persist) wait(key string, put func(saver)) error {
	done := make(saver)
	put(done)
	timer := time.NewTimer(persistWait)
	defer timer.Stop()
	select {
	case <-done:
		return nil
	case <-timer.C:
		return fmt.Errorf("persist: %q is not on disk after %s; see the errors of the positions file", key, persistWait)
	}
}

// saver is closed when the store has saved.
type saver chan struct{}

// Saved is called by the store after the fsync.
func (s saver) Saved() { close(s) }
