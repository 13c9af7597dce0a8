package main

import (
	"context"
	"io"
	"time"
)

// A writer writes numbered lines, even ones to stdout, odd ones to stderr.
type writer struct {
	stdout, stderr io.Writer
	name           string
	lines          int
	rate           int // per second
	longEvery      int // 0: no long lines
}

// syslog writes every line as a message of RFC 5424.
type syslog struct{ io.Writer }

func (s syslog) Write(line []byte) (int, error) {
	_, err := s.Writer.Write(append([]byte("<13>1 - - probe - - - "), line...))
	return len(line), err
}

// run writes in bursts of a twentieth of a second.
func (w *writer) run(ctx context.Context) error {
	tick := time.NewTicker(time.Second / 20)
	defer tick.Stop()
	burst := max(1, w.rate/20)
	for seq := 1; seq <= w.lines; {
		for n := 0; n < burst && seq <= w.lines; n++ {
			if err := w.write(seq); err != nil {
				return err
			}
			seq++
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	return nil
}

func (w *writer) write(seq int) error {
	out, length := w.stdout, shortLine
	if seq%2 == 1 {
		out = w.stderr
	}
	if w.longEvery > 0 && seq%w.longEvery == 0 {
		length = longLine
		if seq/w.longEvery%2 == 1 { // else every long line would be on stdout
			out = w.stderr
		}
	}
	_, err := io.WriteString(out, line(w.name, seq, length)+"\n")
	return err
}
