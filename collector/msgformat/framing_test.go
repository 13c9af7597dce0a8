package msgformat_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector/msgformat"
)

// split feeds the stream to the Splitter as a connection does, next saying how many bytes
// each read gives, and lists the frames; an error is a frame in brackets behind its own.
func split(t testing.TB, s msgformat.Splitter, stream []byte, next func(left int) int) []string {
	t.Helper()
	longest := max(s.Max, msgformat.MaxHead)
	if s.Max == 0 {
		longest = msgformat.DefaultMax
	}
	var frames []string
	add := func(frame []byte, err error) {
		if len(frame) > longest || frame != nil && (len(frame) == 0 || cap(frame) != len(frame)) {
			t.Fatalf("frame %q of capacity %d, the maximum is %d", frame, cap(frame), longest)
		}
		if frame != nil {
			frames = append(frames, string(frame))
		}
		if err != nil {
			frames = append(frames, "("+err.Error()+")")
		}
	}
	buf := make([]byte, 0, longest+msgformat.MaxHead)
	for {
		frame, n, err := s.Next(buf)
		if n < len(frame) || n > len(buf) {
			t.Fatalf("Next(%q) = %q and an advance of %d", buf, frame, n)
		}
		add(frame, err)
		if errors.Is(err, msgformat.ErrTooLong) || errors.Is(err, msgformat.ErrBadLength) {
			return append(frames, "left: "+string(buf)+string(stream))
		}
		buf = slices.Delete(buf, 0, n)
		switch {
		case n > 0:
			continue
		case frame != nil:
			t.Fatalf("Next(%q) = %q without an advance", buf, frame)
		case len(stream) == 0:
			frame, err := s.Last(buf)
			add(frame, err)
			return frames
		case len(buf) == cap(buf):
			t.Fatalf("Next asks for more with a full buffer: %q", buf)
		}
		read := min(next(len(stream)), len(stream), cap(buf)-len(buf))
		buf, stream = append(buf, stream[:read]...), stream[read:]
	}
}

func byByte(int) int     { return 1 }
func whole(left int) int { return left }

func TestSplitter(t *testing.T) {
	f := func(s msgformat.Splitter, stream string, want ...string) {
		t.Helper()
		for name, next := range map[string]func(int) int{"whole": whole, "byte by byte": byByte} {
			if diff := cmp.Diff(want, split(t, s, []byte(stream), next)); diff != "" {
				t.Errorf("%+v %q %s (-want +got):\n%s", s, stream, name, diff)
			}
		}
	}
	const cut, tooLong, bad, incomplete = "(message longer than the maximum, cut)", "(length of an octet-counted message above the maximum)",
		"(no length and space in front of an octet-counted message)", "(connection ended within an octet-counted message)"

	const full = "0123456789abcdef" // as long as a message may be here
	lines := msgformat.Splitter{Mode: msgformat.NewLine, Max: 16}
	f(lines, "")
	f(lines, "a\nbc\r\n\n\r\n\x00d\x00e", "a", "bc", "d", "e")
	f(lines, "1 <\n", "1 <")
	f(lines, full+"\n"+full+"\r\n"+full+"\x00"+full, full, full, full, full)
	f(lines, full+"g\na", full, cut, "g", "a")
	f(lines, full+full+"g\r\na", full, cut, full, cut, "g", "a")
	f(lines, full+"\r", full)
	f(lines, full+"\rg\r", full, cut, "\rg")
	f(lines, full+"\r\r\n", full, cut, "\r")
	f(lines, "\r\r\n", "\r")

	lines.Truncate = true
	f(lines, full+"g\na", full, cut, "a")
	f(lines, full+full+full+"\x00a", full, cut, "a")
	f(lines, full+full+"g", full, cut)
	f(lines, full+"\r\na", full, "a")

	counted := msgformat.Splitter{Mode: msgformat.OctetCounting, Max: 16}
	f(counted, "")
	f(counted, "1 a2 b\n5 c d e16 "+full, "a", "b\n", "c d e", full)
	f(counted, "1 a\n\x001 b\n", "a", "b")
	f(counted, "3 ab", "ab", incomplete)
	f(counted, "3 ", incomplete)
	f(counted, "3", incomplete)
	f(counted, "17 "+full+"g", tooLong, "left: 17 "+full+"g")
	f(counted, "9999999999 a", tooLong, "left: 9999999999 a")
	f(counted, "0 a", bad, "left: 0 a")
	f(counted, "00000000001 a", bad, "left: 00000000001 a")
	f(counted, "-1 a", bad, "left: -1 a")
	f(counted, " 1 a", bad, "left:  1 a")
	f(counted, "1a", bad, "left: 1a")
	f(counted, "1 a<34>b", "a", bad, "left: <34>b")
	f(counted, "99999999999 a", tooLong, "left: 99999999999 a")
	counted.Truncate = true
	f(counted, "18 "+full+"gh1 a", full, cut, "a")
	f(counted, "99 "+full+"gh", full, cut)
	f(counted, "99 abc", "abc", incomplete)

	auto := msgformat.Splitter{Max: 1} // less than there can be
	f(auto, "")
	f(auto, "3 <1>a\n5 <2>bc<3>d\n6 <4>e\nf\n", "<1>", "a", "<2>bc", "<3>d", "<4>e\nf")
	f(auto, "404 not\n1\n2 \n3 a\n01 <1>\n", "404 not", "1", "2 ", "3 a", "01 <1>")
	f(auto, "12345678901 <\n3 <1>", "12345678901 <", "<1>")
	f(auto, "1234567890", "1234567890")
	f(auto, "12 ", "12 ")
	f(auto, "2 <", "<", incomplete)
	f(auto, "99 <1>a", tooLong, "left: 99 <1>a")
	// The rest of a line that was cut is no octet-counted message.
	f(auto, full+"3 <1>\n3 <2>", full, cut, "3 <1>", "<2>")
}

// A connection may send as it likes: 1 MiB byte by byte must not be searched again and
// again, nor a buffer full of NUL for an LF.
func TestSplitterNeedNotLookTwice(t *testing.T) {
	f := func(stream []byte, next func(int) int, want int) {
		t.Helper()
		if got := len(split(t, msgformat.Splitter{Max: len(stream)}, stream, next)); got != want {
			t.Errorf("%d frames, want %d", got, want)
		}
	}
	f(append(bytes.Repeat([]byte("x"), 1<<20), '\n'), byByte, 1)
	f(bytes.Repeat([]byte("x\x00"), 1<<16), whole, 1<<16)
}

func TestSplitterHasADefault(t *testing.T) {
	line := strings.Repeat("x", 64<<10)
	if diff := cmp.Diff([]string{line, "y"}, split(t, msgformat.Splitter{}, []byte(line+"\ny\n"), whole)); diff != "" {
		t.Error(diff)
	}
	got := split(t, msgformat.Splitter{}, []byte(line+"x\n"), whole)
	if len(got) != 3 || got[0] != line || got[2] != "x" {
		t.Errorf("%d frames", len(got))
	}
}

// naive says what the whole stream holds, with no thought of how it arrives.
func naive(s msgformat.Splitter, stream string) (frames []string) {
	add := func(frame string) {
		if frame != "" {
			frames = append(frames, frame)
		}
	}
	fail := func(err error) { frames = append(frames, "("+err.Error()+")") }
	for stream != "" {
		if s.Mode != msgformat.NewLine {
			if stream = strings.TrimLeft(stream, "\n\x00"); stream == "" {
				break
			}
			digits := len(stream) - len(strings.TrimLeft(stream, "0123456789"))
			length, _ := strconv.Atoi(stream[:min(digits, 15)])
			rest, space := strings.CutPrefix(stream[digits:], " ")
			isLength := digits > 0 && digits <= 10 && stream[0] != '0' && space
			switch {
			case isLength && (s.Mode == msgformat.OctetCounting || strings.HasPrefix(rest, "<")):
				if length > s.Max && !s.Truncate {
					fail(msgformat.ErrTooLong)
					return append(frames, "left: "+stream)
				}
				body := rest[:min(length, s.Max, len(rest))]
				add(body)
				switch stream = rest[min(length, len(rest)):]; {
				case len(body) < min(length, s.Max):
					fail(msgformat.ErrIncomplete)
				case length > s.Max:
					fail(msgformat.ErrCut)
				}
				continue
			case s.Mode == msgformat.OctetCounting && digits == len(stream) && digits <= 10 && stream[0] != '0':
				fail(msgformat.ErrIncomplete)
				return frames
			case s.Mode == msgformat.OctetCounting:
				if fail(msgformat.ErrBadLength); digits > 10 && stream[0] != '0' {
					frames[len(frames)-1] = "(" + msgformat.ErrTooLong.Error() + ")"
				}
				return append(frames, "left: "+stream)
			}
		}
		line, rest := stream, ""
		if i := strings.IndexAny(stream, "\n\x00"); i >= 0 {
			line, rest = stream[:i], stream[i+1:]
		}
		stream = rest
		for longer := false; ; longer = true {
			piece := strings.TrimSuffix(line, "\r")
			if longer && s.Truncate {
				break
			}
			if len(piece) <= s.Max {
				add(piece)
				break
			}
			add(line[:s.Max])
			fail(msgformat.ErrCut)
			line = line[s.Max:]
		}
	}
	return frames
}

// FuzzSplitter: however the bytes arrive the frames are those that the whole stream has,
// and without errors and cuts every byte that is no framing is in one of them.
func FuzzSplitter(f *testing.F) {
	for _, stream := range []string{
		"", "a\nb\n", "3 <1>5 <2>ab<3>c\n", "404 not found\n", "12345678901 <\n", "abcdefgh3 <1>\n\r\n\x00x", "0 <", "9999999999 <a", "1234567890123456\r\n12345678\r", "8 <", "1000000000 ",
		"1234567890123456712 <3>\n17 <34567890123456789\n",
	} {
		for mode := range byte(3) {
			f.Add([]byte(stream), mode, byte(0), false, uint64(1))
			f.Add([]byte(stream), mode, byte(2), true, uint64(2))
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte, mode, longest byte, truncate bool, seed uint64) {
		s := msgformat.Splitter{Mode: msgformat.Mode(mode % 3), Max: msgformat.MaxHead + int(longest%40), Truncate: truncate}
		random := rand.New(rand.NewPCG(seed, 0))
		want := naive(s, string(stream))
		for name, next := range map[string]func(int) int{
			"whole": whole, "byte by byte": byByte, "in random pieces": func(int) int { return 1 + random.IntN(12) },
		} {
			if diff := cmp.Diff(want, split(t, s, stream, next)); diff != "" {
				t.Fatalf("%+v %q %s (-want +got):\n%s", s, stream, name, diff)
			}
		}
	})
}

// Messages framed in turn as RFC 6587 says are the messages again.
func TestSplitterGivesBackWhatWasFramed(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var stream []byte
	var want []string
	for i := range 2000 {
		message := fmt.Sprintf("<%d>message %d %s", i%192, i, strings.Repeat("x", random.IntN(300)))
		if want = append(want, message); random.IntN(2) == 0 {
			stream = fmt.Appendf(stream, "%d %s", len(message), message)
		} else {
			stream = append(append(stream, message...), '\n')
		}
	}
	got := split(t, msgformat.Splitter{}, stream, func(int) int { return 1 + random.IntN(5000) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSplitterAllocatesNothing(t *testing.T) {
	stream := []byte("3 <1>a\nb\n2 <2")
	var s msgformat.Splitter
	if n := testing.AllocsPerRun(1000, func() {
		for rest := stream; ; {
			_, n, _ := s.Next(rest)
			if rest = rest[n:]; n == 0 {
				return
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
