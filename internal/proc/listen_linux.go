package proc

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// socket is a listening socket as the kernel lists it.
type socket struct {
	inode string
	addr  netip.AddrPort // of TCP
	path  string         // of a unix socket
}

func (s socket) String() string {
	if s.path != "" {
		return "unix:" + s.path
	}
	return s.addr.String()
}

// Sockets are the listening sockets of this network namespace, TCP and unix, as they were when they were read. Reading them takes the
// kernel milliseconds, since it looks through all its connections.
type Sockets struct{ all []socket }

// ReadSockets reads the kernel's tables.
func ReadSockets() (Sockets, error) {
	all, err := listening()
	return Sockets{all}, err
}

// Bound finds the sockets that keep others from listening on the addresses: "8080", "127.0.0.1:8080", "[::1]:80", "unix:/path".
// It does not look for who holds them, which is much more work. No addresses: every TCP socket.
func (s Sockets) Bound(addrs ...string) ([]Listener, error) {
	wanted, err := parseAddrs(addrs)
	if err != nil {
		return nil, err
	}
	found := make([]Listener, 0, len(s.all))
	for _, one := range s.all {
		if slices.ContainsFunc(wanted, func(a address) bool { return a.blockedBy(one) }) {
			found = append(found, Listener{Addr: one.String(), Inode: one.inode})
		}
	}
	return found, nil
}

// Of are those that each process holds, by inode: the same number in two processes is the same socket. A process whose descriptors
// we may not see is not in the map.
func (s Sockets) Of(pids ...int) (map[int][]string, error) {
	inodes := map[string]bool{}
	for _, one := range s.all {
		inodes[one.inode] = true
	}
	found := map[int][]string{}
	err := AsRoot(func() error {
		for _, pid := range pids {
			targets, err := descriptors(pid)
			if err != nil {
				continue
			}
			found[pid] = nil
			for _, target := range targets {
				if inode, ok := socketInode(target); ok && inodes[inode] {
					found[pid] = append(found[pid], inode)
				}
			}
		}
		return nil
	})
	return found, err
}

// Bound is Sockets.Bound of what is there now.
func Bound(addrs ...string) ([]Listener, error) {
	now, err := ReadSockets()
	if err != nil {
		return nil, err
	}
	return now.Bound(addrs...)
}

// Listening is Sockets.Of what is there now.
func Listening(pids ...int) (map[int][]string, error) {
	now, err := ReadSockets()
	if err != nil {
		return nil, err
	}
	return now.Of(pids...)
}

// Listeners is Bound that names one process for each socket: the oldest of those that hold it.
func Listeners(addrs ...string) ([]Listener, error) {
	found, err := Bound(addrs...)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	holders := map[string]Process{}
	err = eachDescriptor(func(p Process, _ string, target string) {
		if inode, ok := socketInode(target); ok {
			if first, taken := holders[inode]; !taken || p.Start < first.Start {
				holders[inode] = p
			}
		}
	})
	if err != nil {
		return nil, err
	}
	for i, l := range found {
		if p, ok := holders[l.Inode]; ok {
			found[i].PID, found[i].Command = p.PID, Cmdline(p.PID)
		}
	}
	return found, nil
}

func socketInode(target string) (string, bool) {
	rest, ok := strings.CutPrefix(target, "socket:[")
	return strings.TrimSuffix(rest, "]"), ok
}

// listening reads the kernel's tables of this network namespace.
func listening() ([]socket, error) {
	var found []socket
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		rows, err := listenRows(table)
		if err != nil {
			return nil, err
		}
		for _, f := range rows {
			addr, err := parseHexAddr(f[1])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", table, err)
			}
			found = append(found, socket{inode: f[9], addr: addr})
		}
	}
	lines, err := tableLines("/proc/net/unix")
	if err != nil {
		return nil, err
	}
	for _, line := range lines {
		f := strings.Fields(line)
		if len(f) < 8 { // unnamed, or still without an inode
			continue
		}
		if flags, err := strconv.ParseUint(f[3], 16, 64); err != nil || flags&0x10000 == 0 { // __SO_ACCEPTCON
			continue
		}
		found = append(found, socket{inode: f[6], path: strings.Join(f[7:], " ")})
	}
	return found, nil
}

// The states of TCP sockets that come first in the kernel's tables.
const (
	tcpListen  = "0A"
	tcpSynRecv = "03" // listed between the listening ones by older kernels
)

// listenRows are the fields of the rows of listening sockets. The kernel lists these before all others, so reading ends there: a
// busy server has tens of thousands of the others.
func listenRows(table string) ([][]string, error) {
	file, err := os.Open(table)
	if errors.Is(err, fs.ErrNotExist) { // a kernel without IPv6
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Scan() // the header
	var rows [][]string
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		switch {
		case len(f) < 10:
		case f[3] == tcpListen:
			rows = append(rows, f)
		case f[3] != tcpSynRecv:
			return rows, nil
		}
	}
	return rows, lines.Err()
}

func tableLines(table string) ([]string, error) {
	data, err := os.ReadFile(table)
	if errors.Is(err, fs.ErrNotExist) { // a kernel without IPv6
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return strings.Split(string(data), "\n")[1:], nil
}

// parseHexAddr reads "0100007F:1F90": 32-bit words in the machine's order, which is little-endian wherever we build for.
func parseHexAddr(text string) (netip.AddrPort, error) {
	host, port, ok := strings.Cut(text, ":")
	raw, err := hex.DecodeString(host)
	if err != nil || !ok || (len(raw) != 4 && len(raw) != 16) {
		return netip.AddrPort{}, fmt.Errorf("address %q", text)
	}
	for i := 0; i < len(raw); i += 4 {
		raw[i], raw[i+1], raw[i+2], raw[i+3] = raw[i+3], raw[i+2], raw[i+1], raw[i]
	}
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("address %q: %w", text, err)
	}
	addr, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr, uint16(n)), nil
}
