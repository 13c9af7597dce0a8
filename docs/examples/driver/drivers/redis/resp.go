package redis

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/logsource/operator/collector/netpolicy"
)

// A conn speaks the protocol of Redis, RESP 2, as far as RPUSH and AUTH need it
// (redis.io/docs/latest/develop/reference/protocol-spec).
type conn struct {
	net.Conn
	out *bufio.Writer
	in  *bufio.Reader
}

// dial refuses the addresses that no driver may reach.
func dial(ctx context.Context, address string) (*conn, error) {
	c, err := netpolicy.Dialer().DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, out: bufio.NewWriterSize(c, 64<<10), in: bufio.NewReader(c)}, nil
}

// do sends a command of n arguments and returns the first line of the answer: a type byte
// and text. After an error the connection is of no further use. It ends with ctx.
func (c *conn) do(ctx context.Context, timeout time.Duration, n int, args []byte) (string, error) {
	if err := c.SetDeadline(time.Now().Add(timeout)); err != nil {
		return "", err
	}
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	fmt.Fprintf(c.out, "*%d\r\n", n)
	if _, err := c.out.Write(args); err != nil {
		return "", err
	}
	if err := c.out.Flush(); err != nil {
		return "", err
	}
	return c.answer()
}

func (c *conn) answer() (string, error) {
	line, err := c.in.ReadSlice('\n') // longer than the buffer: an error, and no answer to RPUSH
	if err != nil {
		return "", err
	}
	answer := strings.TrimRight(string(line), "\r\n")
	if answer == "" || !strings.ContainsRune("+-:", rune(answer[0])) {
		return "", fmt.Errorf("%s does not answer as Redis does", c.RemoteAddr())
	}
	return answer, nil
}

// errorWord is the first word of an answer that is an error, such as OOM or WRONGTYPE.
func errorWord(answer string) (word string, isError bool) {
	text, isError := strings.CutPrefix(answer, "-")
	word, _, _ = strings.Cut(text, " ")
	return word, isError
}

// appendArg appends one argument of a command, as a bulk string.
func appendArg(dst, arg []byte) []byte {
	dst = strconv.AppendInt(append(dst, '$'), int64(len(arg)), 10)
	dst = append(append(dst, '\r', '\n'), arg...)
	return append(dst, '\r', '\n')
}
