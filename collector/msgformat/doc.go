// Package msgformat takes one raw syslog message apart, as syslog-ng's msg-format flags
// say (LogMessage.parse), and cuts a byte stream into messages (RFC 6587, RFC 5425).
// Parsing allocates nothing.
//
// # What is taken
//
// RFC 5424 with the flag syslog-protocol, told by "<PRI>1 "; else RFC 3164 as devices
// really send it: with or without PRI, host and program[pid]:, stamps as in
//
//	Oct 11 22:14:15                 RFC 3164 §4.1.2; also Oct 1, Oct 01, a fraction after . or ,
//	2003-10-11T22:14:15.003Z        ISO 8601; also with a space for the T, +02:00, +0200, or no zone
//	Oct 11 2003 22:14:15:           Cisco PIX and ASA
//	2003 Oct 11 22:14:15.003 UTC:   Cisco NX-OS
//	Oct 11 22:14:15 2003            Linksys
//	17: *Mar  1 00:00:00.123 UTC:   Cisco IOS; 17 becomes meta.sequenceId, * and . become
//	17: core1: *Mar  1 00:00:00:    timeQuality.isSynced 0 and 1 (RFC 5424 §7.3.1, §7.1.2)
//
// AIX's "Message forwarded from host:" and "last message repeated" are known. syslog-ng
// takes no stamps that count from the epoch, nor does this package. A stamp without a
// year has the year that brings it nearest to now. Day 30 of February is 1 or 2 March, as
// in syslog-ng; any other impossible stamp is none.
//
// A stamp that says UTC or GMT is in UTC; any other zone's name is ambiguous and taken
// for the time zone of the Parser.
//
// # Where it differs from syslog-ng
//
//   - A message without PRI, and any with no-parse, has no Priority, so that
//     spec.source.message decides. syslog-ng: 13, and 65535 with no-parse.
//   - A message that cannot be parsed keeps its text, and the error is for a counter.
//     syslog-ng puts "Error processing log message: …>@<…" with PRI 43 in its place;
//     then nobody finds the text as it came, nor can tell it from syslog-ng's own.
//   - store-legacy-msghdr is off unless asked for: syslog-ng has it on to write legacy
//     files byte for byte; here it would cost bytes in every message for nobody.
//   - assume-utf8 and validate-utf8 are taken and change nothing: they set a mark that
//     only syslog-ng's own outputs read. JSON output is valid UTF-8 always.
//   - sanitize-utf8 applies to RFC 5424 messages, too (as in syslog-ng 4), and makes \xNN
//     of the bad bytes only, not of control characters.
//   - guess-timezone leaves stamps alone that name their zone.
//   - Names of RFC 5424 are not cut (syslog-ng: 48, 128 and 32 bytes); a host there may
//     hold [ and :, as PRINTUSASCII does.
//   - A PRI has one to three digits: <> and <12345> are no PRI.
//   - What begins with { [ " or < is no host and no program: it is JSON or XML. A word
//     such as dad: is no IPv6 address. A [ without its ] stays in the text.
//   - The sequence number and mark of Cisco count as such only in front of a stamp.
//   - CR LF at the end is cut whole.
package msgformat
