// Package redistest is a Redis server for tests: RPUSH and AUTH, with faults on demand.
package redistest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// A Server keeps lists in memory. Password is asked for when it is not empty.
type Server struct {
	Password string

	listener net.Listener
	serving  sync.WaitGroup

	mu     sync.Mutex // protects following
	lists  map[string][]string
	conns  map[net.Conn]bool
	answer string // instead of the right one
	down   bool
	hangs  chan struct{}
	hung   bool
}

// Start runs a server until the test ends.
func Start(t *testing.T, password string) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Password: password, listener: l, lists: map[string][]string{}, conns: map[net.Conn]bool{}}
	s.serving.Go(s.accept)
	t.Cleanup(func() {
		_ = l.Close()
		s.breakAll()
		s.serving.Wait()
	})
	return s
}

// Addr is host and port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// List is what a list holds now.
func (s *Server) List(key string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lists[key])
}

// Answer makes every RPUSH fail with that answer; empty mends it.
func (s *Server) Answer(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = text
}

// Down breaks connections and refuses new ones; Up mends that.
func (s *Server) Down() {
	s.setDown(true)
	s.breakAll()
}

// Up takes connections again.
func (s *Server) Up() { s.setDown(false) }

// Hang leaves commands without an answer; the channel is closed once one came.
func (s *Server) Hang() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hangs, s.hung = make(chan struct{}), false
	return s.hangs
}

// Resume answers again.
func (s *Server) Resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hangs = nil
}

func (s *Server) setDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

func (s *Server) breakAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close()
	}
}

func (s *Server) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.serving.Go(func() { s.serve(c) })
	}
}

func (s *Server) serve(c net.Conn) {
	defer c.Close()
	if !s.admit(c) {
		return
	}
	in, loggedIn := bufio.NewReader(c), s.Password == ""
	for {
		command, err := readCommand(in)
		if err != nil {
			return
		}
		answer := s.do(command, &loggedIn)
		if answer == "" {
			continue // it hangs: the client gives up
		}
		if _, err := io.WriteString(c, answer+"\r\n"); err != nil {
			return
		}
	}
}

func (s *Server) admit(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = true
	return !s.down
}

func (s *Server) do(command []string, loggedIn *bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.hangs != nil:
		if !s.hung {
			s.hung = true
			close(s.hangs)
		}
		return ""
	case command[0] == "AUTH" && len(command) == 2:
		if *loggedIn = command[1] == s.Password; !*loggedIn {
			return "-WRONGPASS invalid username-password pair: " + command[1]
		}
		return "+OK"
	case !*loggedIn:
		return "-NOAUTH Authentication required."
	case s.answer != "":
		return s.answer
	case command[0] == "RPUSH" && len(command) > 2:
		s.lists[command[1]] = append(s.lists[command[1]], command[2:]...)
		return ":" + strconv.Itoa(len(s.lists[command[1]]))
	}
	return "-ERR unknown command"
}

// readCommand reads an array of bulk strings.
func readCommand(in *bufio.Reader) ([]string, error) {
	n, err := readNumber(in, "*")
	if err != nil || n < 1 {
		return nil, errors.Join(err, errors.New("no command"))
	}
	command := make([]string, n)
	for i := range command {
		size, err := readNumber(in, "$")
		if err != nil {
			return nil, err
		}
		text := make([]byte, size+2)
		if _, err := io.ReadFull(in, text); err != nil {
			return nil, err
		}
		command[i] = string(text[:size])
	}
	return command, nil
}

func readNumber(in *bufio.Reader, kind string) (int, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return 0, err
	}
	digits, ok := strings.CutPrefix(strings.TrimSuffix(line, "\r\n"), kind)
	if !ok {
		return 0, fmt.Errorf("%q where a line with %s must be", line, kind)
	}
	return strconv.Atoi(digits)
}
