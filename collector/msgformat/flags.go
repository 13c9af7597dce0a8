package msgformat

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/logsource/operator/collector/plan"
)

// flags are the msg-format flags of a Parser.
type flags uint16

const (
	noParse flags = 1 << iota
	checkHostname
	syslogProtocol
	sanitizeUTF8
	noMultiLine
	storeLegacyMsghdr
	storeRawMessage
	expectHostname
	guessTimezone
	noHeader
	noRFC3164Fallback
)

// defaultFlags is syslog-ng's set for threaded sources but for store-legacy-msghdr.
const defaultFlags = syslogProtocol | expectHostname

// byName says what each of syslog-ng's flags sets or clears.
var byName = map[string]struct{ set, clear flags }{
	"no-parse":                 {set: noParse},
	"check-hostname":           {set: checkHostname},
	"syslog-protocol":          {set: syslogProtocol},
	"assume-utf8":              {},
	"validate-utf8":            {},
	"sanitize-utf8":            {set: sanitizeUTF8},
	"no-multi-line":            {set: noMultiLine},
	"store-legacy-msghdr":      {set: storeLegacyMsghdr},
	"dont-store-legacy-msghdr": {clear: storeLegacyMsghdr},
	"store-raw-message":        {set: storeRawMessage},
	"expect-hostname":          {set: expectHostname},
	"no-hostname":              {clear: expectHostname},
	"guess-timezone":           {set: guessTimezone},
	"no-header":                {set: noHeader},
	"no-rfc3164-fallback":      {set: noRFC3164Fallback},
}

// Names lists every flag that New takes, sorted.
//
//	no-parse                  the text is the body, but for LF and NUL at its end
//	syslog-protocol           try RFC 5424 first (in the default set)
//	no-rfc3164-fallback       then what is not RFC 5424 is an error
//	no-header                 RFC 3164: all that follows the PRI is the body
//	expect-hostname           RFC 3164: a word after the stamp is the host (default set)
//	no-hostname               it is not: the program follows the stamp
//	check-hostname            a host has [A-Za-z0-9-_.:@/] only, else it is none
//	guess-timezone            a stamp without zone that is whole quarters of an hour from
//	                          now, give or take 30 s, and less than a day, is moved to now
//	sanitize-utf8             bytes of the body that are not UTF-8 become \xNN
//	no-multi-line             CR, LF and NUL in the body become spaces
//	store-raw-message         Record.Raw is the message, but for LF and NUL at its end
//	store-legacy-msghdr       RFC 3164: a pair LEGACY_MSGHDR holds "prog[pid]: "
//	dont-store-legacy-msghdr  it does not (the default here)
//	assume-utf8               no effect, see the package comment
//	validate-utf8             no effect
func Names() []string { return slices.Sorted(maps.Keys(byName)) }

// New makes a Parser. The names are added to the default set, syslog-protocol and
// expect-hostname; of two that contradict each other the last one wins. timeZone is that
// of stamps that name none: an IANA name or an offset such as +02:00, UTC when empty. now
// tells the time, for stamps without a year and for guess-timezone; nil: time.Now. The
// error names the flag or zone that there is not, and what to write.
func New(names []string, timeZone string, now func() time.Time) (*Parser, error) {
	set := defaultFlags
	for _, name := range names {
		f, ok := byName[name]
		if !ok {
			return nil, fmt.Errorf("unknown flag %q: use some of %s", name, strings.Join(Names(), ", "))
		}
		set = set&^f.clear | f.set
	}
	loc, err := plan.Message{TimeZone: timeZone}.Location()
	if err != nil {
		return nil, err
	}
	if now == nil {
		now = time.Now
	}
	return &Parser{flags: set, clock: clock{now: now, zone: zone{loc: loc}}}, nil
}
