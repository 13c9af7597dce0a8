package msgformat

import (
	"math"
	"time"
)

// This file turns stamps into instants.

const (
	nano   = 1_000_000_000 // of a second
	oneDay = 24 * 60 * 60  // in seconds
)

// A clock knows the time and the zone of stamps that do not say all of it.
type clock struct {
	now  func() time.Time
	zone zone
	// The year from yearFrom to yearTo, in unix seconds; asked for at every stamp without
	// one.
	year             int
	yearFrom, yearTo int64
}

// stamp5424 reads TIMESTAMP of RFC 5424 §6.2.3 and returns its length. NILVALUE leaves
// nanos alone.
func (c *clock) stamp5424(s []byte, nanos *int64) (n int, ok bool) {
	if len(s) > 0 && s[0] == '-' {
		return 1, true
	}
	var w wall
	if n = w.scanISO(s); n == 0 || !w.possible() {
		return 0, false
	}
	*nanos = c.unixNano(&w, false)
	return n, true
}

// unixNano is the instant of w, 0 when an int64 cannot hold it.
func (c *clock) unixNano(w *wall, guess bool) int64 {
	if w.year < 0 {
		w.year = c.nearestYear(w)
	}
	local := days(w.year, w.month, w.day)*oneDay + int64(w.hour*3600+w.minute*60+w.second)
	seconds := local - w.offset
	if !w.zoned {
		if seconds = c.zone.unix(local); guess {
			seconds = c.guess(local, seconds)
		}
	}
	if seconds <= math.MinInt64/nano || seconds >= math.MaxInt64/nano {
		return 0
	}
	return seconds*nano + w.nanos
}

// nearestYear is the year that brings w nearest to now, of those that have its day.
func (c *clock) nearestYear(w *wall) int {
	now := c.now().Unix()
	if now < c.yearFrom || now >= c.yearTo {
		c.year = time.Unix(now, 0).UTC().Year()
		c.yearFrom, c.yearTo = days(c.year, 1, 1)*oneDay, days(c.year+1, 1, 1)*oneDay
	}
	best, least := c.year, int64(math.MaxInt64)
	for _, year := range [...]int{c.year, c.year - 1, c.year + 1} {
		if w.month == 2 && w.day == 29 && !isLeap(year) {
			continue
		}
		distance := days(year, w.month, w.day)*oneDay + int64(w.hour)*3600 - now
		if distance = max(distance, -distance); distance < least {
			best, least = year, distance
		}
		if least < 180*oneDay {
			break
		}
	}
	return best
}

func isLeap(year int) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }

// days is the number of days from 1970-01-01 to a date of the Gregorian calendar; the
// year begins in March, so that the leap day is its last
// (howardhinnant.github.io/date_algorithms.html, days_from_civil).
func days(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	year += 400 // of an era, so that the year 0 begins in none below zero
	dayOfYear := (153*(month-3)+2)/5 + day - 1
	return int64(year*365+year/4-year/100+year/400+dayOfYear) - 719468 - 146097
}

// guess moves a stamp that is a whole number of quarters of an hour from now, give or
// take 30 s, and less than a day, if that makes it one of a zone that there is.
func (c *clock) guess(local, seconds int64) int64 {
	const quarter = 15 * 60
	off := seconds - c.now().Unix()
	if off <= -oneDay || off >= oneDay {
		return seconds
	}
	shift := floorDiv(off+quarter/2, quarter) * quarter
	if rest := off - shift; rest < -30 || rest > 30 || !isOffset(local-seconds+shift) {
		return seconds
	}
	return seconds - shift
}

// isOffset says whether some zone is that far from UTC: the whole hours, and those of the
// IANA time zone database that are not.
func isOffset(seconds int64) bool {
	if seconds < -12*3600 || seconds > 14*3600 {
		return false
	}
	switch seconds / 60 {
	case -570, -210, -150, 210, 270, 330, 345, 390, 525, 570, 630, 765, 825:
		return true
	}
	return seconds%3600 == 0
}

func floorDiv(a, b int64) int64 {
	if a < 0 {
		a -= b - 1
	}
	return a / b
}

// A zone is a location with the offset that was asked for last.
type zone struct {
	loc      *time.Location
	offset   int64
	from, to int64 // in unix seconds, a day within the bounds of offset
}

// unix is the instant at which a clock of the zone shows local, seconds since 1970 as if
// it were UTC. Of two such instants, or of none, it is what time.Date says.
func (z *zone) unix(local int64) int64 {
	if u := local - z.offset; u >= z.from && u < z.to {
		return u
	}
	utc := time.Unix(local, 0).UTC()
	year, month, date := utc.Date()
	hour, minute, second := utc.Clock()
	t := time.Date(year, month, date, hour, minute, second, 0, z.loc)
	_, offset := t.Zone()
	start, end := t.ZoneBounds()
	z.offset, z.from, z.to = int64(offset), math.MinInt64/2, math.MaxInt64/2
	if !start.IsZero() {
		z.from = start.Unix() + oneDay
	}
	if !end.IsZero() {
		z.to = end.Unix() - oneDay
	}
	return t.Unix()
}
