// Package httppush is the source class http-push: it takes messages by HTTP POST.
//
// It promises that a client which is answered 2xx has handed its messages over for good:
// every required destination has confirmed them, or, at level Fast, they are queued. It
// must never answer 2xx for a message that was not accepted, never post while suspended,
// and never hold more of its clients' bodies in memory than its options allow.
package httppush

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/logsource/operator/collector"
	"github.com/logsource/operator/collector/report"
)

// Options configures the http-push source. Who may post is decided by a token, by a user
// name and password, by client certificates, or, with insecure, by nobody.
type Options struct {
	// Port to listen on, on every address of the pod. Not 8686, where the collector reports.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	// +kubebuilder:default=8080
	// +optional
	Port int `json:"port,omitempty"`
	// Path that takes messages; every other path is answered 404.
	// +kubebuilder:validation:Pattern=`^/`
	// +kubebuilder:default="/"
	// +optional
	Path string `json:"path,omitempty"`
	// Format of the bodies: json (an array, an object, or an object per line), lines (every line is a message), or auto: json if the Content-Type says so, else lines.
	// +kubebuilder:validation:Enum=auto;json;lines
	// +kubebuilder:default=auto
	// +optional
	Format string `json:"format,omitempty"`
	// MessageField is the member of a JSON object that holds the text. Without it the text is the object as it came.
	// +kubebuilder:default=message
	// +optional
	MessageField string `json:"messageField,omitempty"`
	// TimeField is the member that holds the time: RFC 3339, or a number of seconds, milli-, micro- or nanoseconds since 1970. An empty name: none.
	// +kubebuilder:default=time
	// +optional
	TimeField string `json:"timeField,omitempty"`
	// SeverityField is the member that holds the severity: a word such as error, or a number from 0 (emerg) to 7 (debug). An empty name: none.
	// +kubebuilder:default=severity
	// +optional
	SeverityField string `json:"severityField,omitempty"`
	// MaxBody is the largest body taken, in bytes, as sent and also decompressed. Of all bodies together four times as much, and 32Ki per request, may be in memory.
	// +logsource:minimumBytes=1024
	// +logsource:maximumBytes=268435456
	// +kubebuilder:default="16Mi"
	// +optional
	MaxBody collector.Bytes `json:"maxBody,omitempty"`
	// MaxMessageBytes is the largest line, or JSON object as sent. A request with a larger one is answered 413 and nothing of it is taken.
	// +logsource:minimumBytes=64
	// +kubebuilder:default="1Mi"
	// +optional
	MaxMessageBytes collector.Bytes `json:"maxMessageBytes,omitempty"`
	// MaxRequests is how many requests may be in work at once, those included that wait for the ack. There may be four times as many connections.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65536
	// +kubebuilder:default=256
	// +optional
	MaxRequests int `json:"maxRequests,omitempty"`
	// AckTimeout bounds the time from the end of the body to the ack of all its messages. After it the answer is 503: the client sends them again.
	// +logsource:minimumDuration=1ms
	// +kubebuilder:default="1m"
	// +optional
	AckTimeout collector.Duration `json:"ackTimeout,omitempty"`
	// ReadTimeout bounds the time that a body may take to arrive.
	// +logsource:minimumDuration=1ms
	// +kubebuilder:default="30s"
	// +optional
	ReadTimeout collector.Duration `json:"readTimeout,omitempty"`
	// IdleTimeout is how long a connection may stay open between two requests.
	// +logsource:minimumDuration=1ms
	// +kubebuilder:default="2m"
	// +optional
	IdleTimeout collector.Duration `json:"idleTimeout,omitempty"`
	// Token that clients must send: "Authorization: Bearer TOKEN".
	// +optional
	Token collector.Secret `json:"token,omitzero"`
	// Username for HTTP basic authentication, instead of token.
	// +optional
	Username string `json:"username,omitempty"`
	// Password for HTTP basic authentication.
	// +optional
	Password collector.Secret `json:"password,omitzero"`
	// TLSCert is the PEM certificate chain of the server; with tlsKey. Without both it speaks plain HTTP.
	// +optional
	TLSCert collector.Secret `json:"tlsCert,omitzero"`
	// TLSKey is the PEM private key of tlsCert.
	// +optional
	TLSKey collector.Secret `json:"tlsKey,omitzero"`
	// ClientCA is a PEM bundle of authorities: every client must show a certificate of one of them. Needs tlsCert.
	// +optional
	ClientCA collector.Secret `json:"clientCA,omitzero"`
	// Insecure takes messages from anybody who can reach the port.
	// +optional
	Insecure bool `json:"insecure,omitempty"`
}

// check says again what the schema says, for plans that no apiserver has seen, and what
// no schema can say.
func (o Options) check() error {
	return errors.Join(o.checkEndpoint(), o.checkFormat(), o.checkLimits(), o.checkAccess(), o.checkTLS())
}

func (o Options) checkEndpoint() error {
	switch {
	case o.Port < 1 || o.Port > 65535:
		return fmt.Errorf("option port is %d: set 1 to 65535", o.Port)
	case o.Port == report.Port:
		return fmt.Errorf("option port is %d, where the collector itself reports: set another one such as 8080", o.Port)
	case !strings.HasPrefix(o.Path, "/"):
		return fmt.Errorf("option path is %q: begin it with a slash", o.Path)
	}
	return nil
}

func (o Options) checkFormat() error {
	switch {
	case o.Format != "auto" && o.Format != "json" && o.Format != "lines":
		return fmt.Errorf("option format is %q: use auto, json or lines", o.Format)
	case o.MessageField == "":
		return errors.New("option messageField is empty: name the member that holds the text")
	case o.MessageField == o.TimeField || o.MessageField == o.SeverityField || (o.TimeField != "" && o.TimeField == o.SeverityField):
		return errors.New("options messageField, timeField and severityField must name different members")
	}
	return nil
}

const (
	minBody    = 1 << 10
	maxBody    = 256 << 20
	minMessage = 64
)

func (o Options) checkLimits() error {
	switch {
	case o.MaxBody < minBody || o.MaxBody > maxBody:
		return fmt.Errorf("option maxBody is %d: set 1Ki to 256Mi", o.MaxBody)
	case o.MaxMessageBytes < minMessage:
		return fmt.Errorf("option maxMessageBytes is %d: set at least 64", o.MaxMessageBytes)
	case o.MaxRequests < 1 || o.MaxRequests > 65536:
		return fmt.Errorf("option maxRequests is %d: set 1 to 65536", o.MaxRequests)
	}
	return errors.Join(
		positive("ackTimeout", o.AckTimeout), positive("readTimeout", o.ReadTimeout), positive("idleTimeout", o.IdleTimeout))
}

func positive(option string, d collector.Duration) error {
	if d.D() < time.Millisecond {
		return fmt.Errorf("option %s is %s: set at least 1ms", option, d.D())
	}
	return nil
}

func (o Options) checkAccess() error {
	basic := o.Username != "" || o.Password.Set()
	switch {
	case o.Insecure && (basic || o.Token.Set() || o.ClientCA.Set()):
		return errors.New("option insecure excludes token, username, password and clientCA: remove it, or them")
	case o.Token.Set() && basic:
		return errors.New("option token excludes username and password: set one way to authenticate")
	case (o.Username != "") != o.Password.Set():
		return errors.New("options username and password belong together: set both, or none")
	case strings.Contains(o.Username, ":"):
		return errors.New("option username contains a colon, which HTTP basic authentication cannot carry")
	case !o.Insecure && !basic && !o.Token.Set() && !o.ClientCA.Set():
		return errors.New("anybody could post: set secretOptions token, or username and secretOptions password, or secretOptions clientCA; or insecure: true")
	}
	return nil
}

func (o Options) checkTLS() error {
	switch {
	case o.TLSCert.Set() != o.TLSKey.Set():
		return errors.New("options tlsCert and tlsKey belong together: set both in secretOptions, or none")
	case o.ClientCA.Set() && !o.TLSCert.Set():
		return errors.New("option clientCA needs TLS: set tlsCert and tlsKey")
	}
	return nil
}
