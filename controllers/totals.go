package controllers

import (
	"maps"
	"slices"
	"strconv"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/collector/report"
)

// counts are the totals of one or more log paths.
type counts struct {
	accepted, delivered int64
	lost                v1alpha1.LostStatus
}

// count sums up one log path. Delivered is what every required destination has taken: all
// but what the slowest of them has not. (Its own Delivered would not do: a destination that
// was added later counts from there.)
func count(p *report.LogPath) counts {
	c := counts{accepted: p.Accepted, delivered: p.Accepted}
	for i := range p.Destinations {
		d := &p.Destinations[i]
		if d.Required {
			c.delivered = max(0, min(c.delivered, p.Accepted-(d.Accepted-d.Delivered)))
		}
		c.lose(d.Dropped)
		c.lose(d.Rejected)
	}
	c.lose(p.SourceDrops)
	c.lose(map[string]int64{"gap": p.GapMessages})
	c.lost.Bytes = p.GapBytes
	return c
}

func (c *counts) lose(byReason map[string]int64) {
	for reason, n := range byReason {
		if n == 0 {
			continue
		}
		if c.lost.ByReason == nil {
			c.lost.ByReason = map[string]int64{}
		}
		c.lost.ByReason[clip(reason, 64)] += n
		c.lost.Messages += n
	}
}

// total sums up the collectors. Delivered is that of the slowest required destination.
func total(all []Sighting) counts {
	var sum counts
	for _, s := range all {
		if s.Path == nil {
			continue
		}
		c := count(s.Path)
		sum.accepted += c.accepted
		sum.delivered += c.delivered
		sum.lose(c.lost.ByReason)
		sum.lost.Bytes += c.lost.Bytes
	}
	return sum
}

// maxReasons bounds what a collector, which may run a tenant's code, can put into a status.
const maxReasons = 32

// bounded keeps the first reasons and sums up the others.
func bounded(byReason map[string]int64) map[string]int64 {
	if len(byReason) <= maxReasons {
		return byReason
	}
	out := map[string]int64{}
	for i, reason := range slices.Sorted(maps.Keys(byReason)) {
		if i >= maxReasons-1 {
			out["other"] += byReason[reason]
			continue
		}
		out[reason] = byReason[reason]
	}
	return out
}

// lostSummary is what the column LOST shows: messages, and bytes where only these are known.
func lostSummary(l v1alpha1.LostStatus) string {
	s := strconv.FormatInt(l.Messages, 10)
	if l.Bytes == 0 {
		return s
	}
	return s + "+" + humanBytes(l.Bytes)
}

func humanBytes(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return strconv.FormatInt(n, 10) + "B"
	}
	v, unit := float64(n)/1024, 0
	for v >= 1024 {
		v, unit = v/1024, unit+1
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + string(units[unit]) + "iB"
}
