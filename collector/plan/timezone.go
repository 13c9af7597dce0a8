package plan

import (
	"fmt"
	"regexp"
	"time"
)

// offset is a distance to UTC, written as ±HH:MM.
var offset = regexp.MustCompile(`^([+-])(0[0-9]|1[0-4]):([0-5][0-9])$`)

// Location is the zone of stamps that name none: UTC when TimeZone is empty. It finds IANA
// names on a machine without a zone database when the program imports time/tzdata.
func (m Message) Location() (*time.Location, error) {
	if part := offset.FindStringSubmatch(m.TimeZone); part != nil {
		d, err := time.ParseDuration(part[1] + part[2] + "h" + part[3] + "m")
		return time.FixedZone(m.TimeZone, int(d.Seconds())), err
	}
	zone, err := time.LoadLocation(m.TimeZone)
	// "Local" would be the zone of whatever machine the collector is on.
	if err != nil || m.TimeZone == "Local" {
		return nil, fmt.Errorf("%q is no time zone: write an IANA name such as Europe/Budapest, or an offset such as +02:00", m.TimeZone)
	}
	return zone, nil
}
