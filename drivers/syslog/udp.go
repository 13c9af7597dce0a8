package syslog

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// datagrams is how many are read by one call of the kernel.
	datagrams = 64
	// datagramMax is the largest that UDP can carry.
	datagramMax = 65535
	// dropsEvery is how often the kernel is asked what it had to drop.
	dropsEvery = time.Second
)

// A datagramReader reads datagrams, many at once (recvmmsg), into memory of its own.
type datagramReader struct {
	conn *net.UDPConn
	raw  syscall.RawConn
	*worker
	size  int // of the part of buf that each datagram has
	heads []head
	iovs  []unix.Iovec
	from  []unix.RawSockaddrInet6
	addr  []byte // of the peer of the datagram in hand

	// The callbacks are made once: a closure per call would be an allocation per call.
	receive    func(fd uintptr) bool
	receiveNow func(fd uintptr)
	n          int
	err        unix.Errno

	dropped uint32 // by the kernel, as far as booked
}

// head is struct mmsghdr of recvmmsg(2).
type head struct {
	hdr unix.Msghdr
	len uint32
}

func (s *source) newDatagramReader(c *net.UDPConn) (*datagramReader, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	size := min(int(s.opts.MaxMessageBytes), datagramMax)
	w, err := s.newWorker(datagrams * size)
	if err != nil {
		return nil, err
	}
	r := &datagramReader{
		conn: c, raw: raw, worker: w, size: size,
		heads: make([]head, datagrams), iovs: make([]unix.Iovec, datagrams), from: make([]unix.RawSockaddrInet6, datagrams),
	}
	r.receive, r.receiveNow = r.recvmmsg, func(fd uintptr) { r.recvmmsg(fd) }
	r.layOut()
	return r, nil
}

// layOut gives every head its part of the memory.
func (r *datagramReader) layOut() {
	for i := range r.heads {
		h := &r.heads[i].hdr
		r.iovs[i].Base = &r.buf[i*r.size]
		r.iovs[i].SetLen(r.size)
		h.Iov = &r.iovs[i]
		h.SetIovlen(1)
		h.Name = (*byte)(unsafe.Pointer(&r.from[i]))
	}
}

// recvmmsg returns false when there is nothing to receive.
func (r *datagramReader) recvmmsg(fd uintptr) bool {
	for i := range r.heads {
		r.heads[i].hdr.Namelen = unix.SizeofSockaddrInet6 // the kernel writes over it
	}
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&r.heads[0])), uintptr(len(r.heads)), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case unix.EINTR:
			continue
		case 0:
			r.n, r.err = int(n), 0
		default:
			r.n, r.err = 0, errno
		}
		return errno != unix.EAGAIN
	}
}

// await receives, and waits for the first datagram.
func (r *datagramReader) await() (int, error) {
	if err := r.raw.Read(r.receive); err != nil {
		return 0, err
	}
	return r.received()
}

// now receives what is there, maybe nothing.
func (r *datagramReader) now() (int, error) {
	if err := r.raw.Control(r.receiveNow); err != nil {
		return 0, err
	}
	return r.received()
}

func (r *datagramReader) received() (int, error) {
	if r.err != 0 && r.err != unix.EAGAIN {
		return 0, r.err
	}
	return r.n, nil
}

// datagram is the i-th of those received last; cut says that it was longer than there is
// room for.
func (r *datagramReader) datagram(i int) (message []byte, cut bool) {
	h := &r.heads[i]
	return r.buf[i*r.size:][:min(int(h.len), r.size)], h.hdr.Flags&unix.MSG_TRUNC != 0
}

// peer renders the address of the i-th; it is valid until the next call.
func (r *datagramReader) peer(i int) []byte {
	a := netip.AddrPort{}
	switch from := &r.from[i]; from.Family {
	case unix.AF_INET6:
		a = netip.AddrPortFrom(netip.AddrFrom16(from.Addr).Unmap(), networkOrder(&from.Port))
	case unix.AF_INET:
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(from))
		a = netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), networkOrder(&v4.Port))
	}
	r.addr = a.AppendTo(r.addr[:0])
	return r.addr
}

func networkOrder(port *uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(port))
	return uint16(b[0])<<8 | uint16(b[1])
}

// runUDP reads datagrams, and beside it the kernel's counter of those that were dropped.
func (s *source) runUDP(ctx context.Context) {
	read := make(chan struct{})
	go func() {
		defer close(read)
		s.readDatagrams(ctx, s.datagrams)
	}()
	s.watchDrops(s.datagrams, read)
}

func (s *source) readDatagrams(ctx context.Context, r *datagramReader) {
	n, err := 0, error(nil)
	for ctx.Err() == nil {
		if n == datagrams { // there may be more: the batch can still grow
			n, err = r.now()
		} else {
			n, err = r.await()
		}
		s.deliverDatagrams(r, n)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
			s.env.Count("udp_receive_failed", 1)
			s.say(netip.Addr{}, "cannot receive datagrams", err)
			sleep(ctx, acceptPauseMax)
		}
	}
	s.drainDatagrams(r)
}

// drainDatagrams reads what the kernel has at request_exit.
func (s *source) drainDatagrams(r *datagramReader) {
	for until := time.Now().Add(drainTime); time.Now().Before(until); {
		n, err := r.now()
		s.deliverDatagrams(r, n)
		if n == 0 || err != nil {
			return
		}
	}
}

func (s *source) deliverDatagrams(r *datagramReader, n int) {
	now := time.Now()
	for i := range n {
		message, cut := r.datagram(i)
		if cut {
			r.cut++
		}
		if len(message) > 0 {
			s.deliver(r.worker, message, r.peer(i), now)
		}
	}
	if n < datagrams {
		r.settle(&s.env)
		s.batch.flush()
	}
}

// watchDrops books what the kernel had to drop because nobody read, until stop is closed,
// and once more then.
func (s *source) watchDrops(r *datagramReader, stop <-chan struct{}) {
	ticker := time.NewTicker(dropsEvery)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			s.bookDrops(r)
			return
		case <-ticker.C:
			s.bookDrops(r)
		}
	}
}

// bookDrops books what is new. The kernel counts from the opening of the socket, in 32 bits.
func (s *source) bookDrops(r *datagramReader) {
	total, err := r.kernelDrops()
	if err != nil {
		s.env.Count("udp_drops_unknown", 1)
		s.say(netip.Addr{}, "cannot learn how many datagrams the kernel dropped", err)
		return
	}
	if n := total - r.dropped; n > 0 {
		s.env.Lost("udp_receive_buffer", int64(n), 0)
	}
	r.dropped = total
}

// kernelDrops is the socket's own counter, SK_MEMINFO_DROPS of SO_MEMINFO, which
// /proc/net/udp shows as drops.
func (r *datagramReader) kernelDrops() (uint32, error) {
	var info [unix.SK_MEMINFO_VARS]uint32
	size := uint32(unsafe.Sizeof(info))
	var errno unix.Errno
	err := r.raw.Control(func(fd uintptr) {
		_, _, errno = unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	})
	switch {
	case err != nil:
		return 0, err
	case errno != 0:
		return 0, os.NewSyscallError("getsockopt", errno)
	}
	return info[unix.SK_MEMINFO_DROPS], nil
}
