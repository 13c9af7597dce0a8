package main

import (
	"fmt"
	"strconv"
	"strings"
)

// Lengths of the lines. A long one is more than six of the kubelet's 16 KiB pieces.
const (
	shortLine = 120
	longLine  = 100 << 10
)

// line is line number seq, from 1, of a writer: it says its own length, and its filler
// depends on its number, so that a line that was cut, joined or mixed up is seen.
func line(name string, seq, length int) string {
	head := fmt.Sprintf("probe %s %d %d ", name, seq, length)
	return head + strings.Repeat(string(rune('a'+seq%26)), max(0, length-len(head)))
}

// parseLine is the inverse of line. ours says whether it is a line of a writer at all,
// whole whether it is exactly what the writer wrote.
func parseLine(s string) (name string, seq int, ours, whole bool) {
	words := strings.SplitN(s, " ", 5)
	if len(words) < 4 || words[0] != "probe" {
		return "", 0, false, false
	}
	seq, err := strconv.Atoi(words[2])
	length, err2 := strconv.Atoi(words[3])
	if err != nil || err2 != nil || seq < 1 || seq > 1<<24 || length > 1<<24 {
		return "", 0, false, false
	}
	return words[1], seq, true, s == line(words[1], seq, length)
}
