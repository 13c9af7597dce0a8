package planner

import (
	"fmt"
	"regexp"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/collector/plan"
)

// The words of syslog-ng for facilities and severities; the place in the list is the number
// (RFC 5424 §6.2.1).
var (
	facilities = []string{
		"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
		"ntp", "security", "console", "solaris-cron", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
	}
	severities = []string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}
)

// What a message may be given: the sizes of the CRD.
const (
	maxHost    = 255
	maxProgram = 128
	maxTag     = 64
	maxTags    = 32
)

var (
	word = regexp.MustCompile(`^[!-~]+$`)
	tag  = regexp.MustCompile(`^[!-+.-~-]+$`) // no comma: it stands between tags
)

func (p *planning) message(path *field.Path, m *v1alpha1.MessageSpec) plan.Message {
	if m == nil {
		return plan.Message{}
	}
	return plan.Message{
		DefaultPriority: p.priority(path, m),
		KeepHostname:    m.KeepHostname,
		HostOverride:    p.word(path.Child("hostOverride"), m.HostOverride, maxHost),
		ProgramOverride: p.word(path.Child("programOverride"), m.ProgramOverride, maxProgram),
		Tags:            p.tags(path.Child("tags"), m.Tags),
		TimeZone:        p.timeZone(path.Child("timeZone"), m.TimeZone),
	}
}

// priority is nil when neither half is set. As in syslog-ng the other half is then user or
// notice.
func (p *planning) priority(path *field.Path, m *v1alpha1.MessageSpec) *int {
	if m.DefaultFacility == "" && m.DefaultSeverity == "" {
		return nil
	}
	facility := p.number(path.Child("defaultFacility"), m.DefaultFacility, "user", facilities)
	severity := p.number(path.Child("defaultSeverity"), m.DefaultSeverity, "notice", severities)
	pri := facility<<3 | severity
	return &pri
}

// number is the place of a name among the words, or that of unset when there is no name.
func (p *planning) number(path *field.Path, name, unset string, words []string) int {
	if name == "" {
		name = unset
	}
	n := slices.Index(words, name)
	if n < 0 {
		p.fail(v1alpha1.ReasonInvalidSpec, field.NotSupported(path, name, words))
		return 0
	}
	return n
}

func (p *planning) word(path *field.Path, s string, most int) string {
	if s != "" && (len(s) > most || !word.MatchString(s)) {
		p.invalid(path, s, fmt.Sprintf("must be at most %d printable ASCII characters without spaces", most))
	}
	return s
}

func (p *planning) tags(path *field.Path, tags []string) []string {
	if len(tags) > maxTags {
		p.fail(v1alpha1.ReasonInvalidSpec, field.TooMany(path, len(tags), maxTags))
	}
	for i, s := range tags {
		if len(s) > maxTag || !tag.MatchString(s) {
			p.invalid(path.Index(i), s, fmt.Sprintf("must be 1 to %d printable ASCII characters without spaces and commas", maxTag))
		}
		if slices.Contains(tags[:i], s) {
			p.fail(v1alpha1.ReasonInvalidSpec, field.Duplicate(path.Index(i), s))
		}
	}
	return tags
}

func (p *planning) timeZone(path *field.Path, zone string) string {
	if _, err := (plan.Message{TimeZone: zone}).Location(); err != nil {
		p.fail(v1alpha1.ReasonInvalidSpec, field.Invalid(path, field.OmitValueType{}, err.Error()))
	}
	return zone
}
