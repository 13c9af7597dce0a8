package collector

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/logsource/operator/collector/report"
)

// Every metric of a collector. Counters are of this process life. namespace is empty for
// a ClusterLogSource.
var (
	pathLabels        = []string{"namespace", "logsource"}
	destinationLabels = []string{"namespace", "logsource", "destination"}
	dropLabels        = []string{"namespace", "logsource", "destination", "reason"}

	metricAccepted      = describe("source_accepted_messages_total", "Messages taken from the source.", pathLabels)
	metricAcceptedBytes = describe("source_accepted_bytes_total", "Bytes of message text taken from the source.", pathLabels)
	metricSourceDrops   = describe("source_dropped_messages_total", "Messages dropped before they were accepted, by reason.", append(pathLabels[:2:2], "reason"))
	metricGapMessages   = describe("source_gap_messages_total", "Messages the origin no longer had when they could be read.", pathLabels)
	metricGapBytes      = describe("source_gap_bytes_total", "Bytes the origin no longer had when they could be read.", pathLabels)
	metricEvents        = describe("source_events_total", "Events of the source, by reason.", append(pathLabels[:2:2], "reason"))
	metricState         = describe("source_state", "1 for the state the source is in.", append(pathLabels[:2:2], "state"))
	metricOldest        = describe("source_oldest_unacked_timestamp_seconds", "When the oldest message on the way was accepted; 0 when there is none.", pathLabels)
	metricWindow        = describe("window_capacity_messages", "How many messages may be on the way.", pathLabels)
	metricWindowUse     = describe("window_used_messages", "How many messages are on the way.", pathLabels)
	metricWindowBytes   = describe("window_capacity_bytes", "How many bytes may be on the way.", pathLabels)
	metricWindowUseB    = describe("window_used_bytes", "How many bytes are on the way.", pathLabels)
	metricSuspended     = describe("source_suspended", "1 while the source is suspended because its window is full.", pathLabels)

	metricQueueAccepted = describe("destination_accepted_messages_total", "Messages given to the destination's queue.", destinationLabels)
	metricDelivered     = describe("destination_delivered_messages_total", "Messages the destination has taken.", destinationLabels)
	metricDeliveredB    = describe("destination_delivered_bytes_total", "Bytes of message text the destination has taken.", destinationLabels)
	metricDropped       = describe("destination_dropped_messages_total", "Messages dropped from the queue, by reason.", dropLabels)
	metricRejected      = describe("destination_rejected_messages_total", "Messages the destination will never take, by reason.", dropLabels)
	metricQueued        = describe("destination_queued_messages", "Messages waiting in the queue.", destinationLabels)
	metricInFlight      = describe("destination_in_flight_messages", "Messages being written.", destinationLabels)
	metricRetries       = describe("destination_retries_total", "Requests that had to be repeated.", destinationLabels)

	metricRefused   = describe("refused_plans", "Plans this collector could not run.", nil)
	metricFsyncs    = describe("checkpoint_fsyncs_total", "Group commits of positions.", nil)
	metricSaveError = describe("checkpoint_write_errors_total", "Attempts to save positions that failed.", nil)
	metricCorrupt   = describe("checkpoint_corrupt_files_total", "Positions files set aside as damaged at start.", nil)
)

func describe(name, help string, labels []string) *prometheus.Desc {
	return prometheus.NewDesc("logsource_"+name, help, labels, nil)
}

// Describe is empty: the engine is an unchecked collector, its series come and go with
// the plans.
func (e *Engine) Describe(chan<- *prometheus.Desc) {}

// Collect reads every ledger at one instant each, so that it balances in every scrape.
func (e *Engine) Collect(out chan<- prometheus.Metric) {
	s := scrape{out}
	r := e.Report()
	for i := range r.LogPaths {
		s.logPath(&r.LogPaths[i])
	}
	for ls, events := range e.events() {
		for reason, n := range events {
			s.count(metricEvents, n, ls.Namespace, ls.Name, reason)
		}
	}
	s.gauge(metricRefused, float64(len(r.Refused)))
	c := e.opts.Store.Counts()
	s.count(metricFsyncs, c.Fsyncs)
	s.count(metricSaveError, c.WriteErrors)
	s.count(metricCorrupt, c.Corrupt)
}

type scrape struct{ out chan<- prometheus.Metric }

func (s scrape) count(d *prometheus.Desc, n int64, labels ...string) {
	s.out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
}

func (s scrape) gauge(d *prometheus.Desc, v float64, labels ...string) {
	s.out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (s scrape) logPath(l *report.LogPath) {
	s.count(metricAccepted, l.Accepted, l.Namespace, l.Name)
	s.count(metricAcceptedBytes, l.AcceptedBytes, l.Namespace, l.Name)
	s.count(metricGapMessages, l.GapMessages, l.Namespace, l.Name)
	s.count(metricGapBytes, l.GapBytes, l.Namespace, l.Name)
	for reason, n := range l.SourceDrops {
		s.count(metricSourceDrops, n, l.Namespace, l.Name, reason)
	}
	s.gauge(metricState, 1, l.Namespace, l.Name, l.State)
	s.gauge(metricWindow, float64(l.Window), l.Namespace, l.Name)
	s.gauge(metricWindowUse, float64(l.InUse), l.Namespace, l.Name)
	s.gauge(metricWindowBytes, float64(l.WindowBytes), l.Namespace, l.Name)
	s.gauge(metricWindowUseB, float64(l.InUseBytes), l.Namespace, l.Name)
	suspended, oldest := 0.0, 0.0
	if !l.SuspendedSince.IsZero() {
		suspended = 1
	}
	if !l.OldestUnacked.IsZero() {
		oldest = float64(l.OldestUnacked.UnixMilli()) / 1000
	}
	s.gauge(metricSuspended, suspended, l.Namespace, l.Name)
	s.gauge(metricOldest, oldest, l.Namespace, l.Name)
	for i := range l.Destinations {
		s.destination(l, &l.Destinations[i])
	}
}

func (s scrape) destination(l *report.LogPath, d *report.Destination) {
	labels := []string{l.Namespace, l.Name, d.Name}
	s.count(metricQueueAccepted, d.Accepted, labels...)
	s.count(metricDelivered, d.Delivered, labels...)
	s.count(metricDeliveredB, d.DeliveredBytes, labels...)
	s.count(metricRetries, d.Retries, labels...)
	s.gauge(metricQueued, float64(d.Queued), labels...)
	s.gauge(metricInFlight, float64(d.InFlight), labels...)
	for reason, n := range d.Dropped {
		s.count(metricDropped, n, l.Namespace, l.Name, d.Name, reason)
	}
	for reason, n := range d.Rejected {
		s.count(metricRejected, n, l.Namespace, l.Name, d.Name, reason)
	}
}
