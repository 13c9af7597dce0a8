package httppush

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/logsource/operator/collector"
)

// secretLife is how long a secret is used before it is read again, so that a rotated one
// is taken without a restart.
const secretLife = time.Second

// A doorkeeper knows which Authorization header is right.
type doorkeeper struct {
	username        string
	password, token collector.Secret

	mu   sync.Mutex // protects following
	read time.Time
	want [sha256.Size]byte
}

// admits says whether the header is the right one. Sums of equal length are compared, so
// that the time it takes tells nothing. An error means that the secret cannot be read.
func (d *doorkeeper) admits(header string) (bool, error) {
	if !d.token.Set() && !d.password.Set() {
		return true, nil
	}
	want, err := d.wanted()
	if err != nil {
		return false, err
	}
	got := sum(header)
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1, nil
}

// sum is that of the header with its scheme, which has no case (RFC 9110 §11.1), in lower
// case.
func sum(header string) [sha256.Size]byte {
	scheme, credentials, _ := strings.Cut(header, " ")
	return sha256.Sum256([]byte(strings.ToLower(scheme) + " " + strings.TrimLeft(credentials, " ")))
}

func (d *doorkeeper) wanted() ([sha256.Size]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := time.Now(); d.read.IsZero() || now.Sub(d.read) >= secretLife {
		header, err := d.header()
		if err != nil {
			return d.want, err
		}
		d.read, d.want = now, sum(header)
	}
	return d.want, nil
}

func (d *doorkeeper) header() (string, error) {
	if d.token.Set() {
		token, err := reveal("token", d.token)
		return "bearer " + token, err
	}
	password, err := reveal("password", d.password)
	return "basic " + base64.StdEncoding.EncodeToString([]byte(d.username+":"+password)), err
}

// reveal reads a secret of one line. Space around it is not part of it: files end in
// newlines.
func reveal(option string, s collector.Secret) (string, error) {
	v, err := s.Reveal()
	if err != nil {
		return "", fmt.Errorf("option %s: %w", option, err)
	}
	v = bytes.TrimSpace(v)
	switch {
	case len(v) == 0:
		return "", errors.New("option " + option + ": the secret is empty")
	case bytes.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "", errors.New("option " + option + ": the secret holds control characters or more than one line")
	}
	return string(v), nil
}
