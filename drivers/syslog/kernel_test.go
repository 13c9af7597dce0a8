package syslog_test

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// outQueue is how many bytes of a socket the other side's kernel has not acked.
func outQueue(fd uintptr) (int, error) { return unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }

// kernelDrops is the drops column of /proc/net/udp for a port of 127.0.0.1.
func kernelDrops(t *testing.T, port int) int {
	t.Helper()
	f, err := os.Open("/proc/net/udp")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	local := fmt.Sprintf("0100007F:%04X", port)
	for s := bufio.NewScanner(f); s.Scan(); {
		columns := strings.Fields(s.Text())
		if len(columns) > 12 && columns[1] == local && columns[2] == "00000000:0000" {
			n, err := strconv.Atoi(columns[12])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("/proc/net/udp has no line of %s", local)
	return 0
}

func sorted(all []string) []string {
	all = slices.Clone(all)
	slices.Sort(all)
	return all
}

// raiseFileLimit lets this process have n descriptors.
func raiseFileLimit(t *testing.T, n uint64) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur >= n {
		return
	}
	limit.Cur, limit.Max = n, max(n, limit.Max)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatalf("this test needs %d file descriptors: %v; run it with a higher ulimit -Hn, or as root", n, err)
	}
}
