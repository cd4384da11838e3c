package proc

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// address is what a service listens on, as it is configured.
type address struct {
	any  bool // every TCP socket
	host netip.Addr
	port uint16
	path string // of a unix socket
}

// CheckAddrs tells which of the addresses cannot be understood: "8080", "127.0.0.1:8080", "[::1]:80", "*:80", "localhost:80" and
// "unix:/path" can.
func CheckAddrs(addrs []string) error {
	_, err := parseAddrs(addrs)
	return err
}

func parseAddrs(addrs []string) ([]address, error) {
	if len(addrs) == 0 {
		return []address{{any: true}}, nil
	}
	var found []address
	for _, text := range addrs {
		parsed, err := parseAddr(text)
		if err != nil {
			return nil, err
		}
		found = append(found, parsed...)
	}
	return found, nil
}

func parseAddr(text string) ([]address, error) {
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		if path == "" {
			return nil, fmt.Errorf("%q names no path", text)
		}
		return []address{{path: path}}, nil
	}
	host, digits := "", text
	if i := strings.LastIndexByte(text, ':'); i >= 0 {
		host, digits = text[:i], text[i+1:]
	}
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || port == 0 {
		return nil, fmt.Errorf("%q: no port, address:port or unix:/path", text)
	}
	switch host {
	case "", "*":
		return []address{{port: uint16(port)}}, nil
	case "localhost":
		return []address{{host: netip.AddrFrom4([4]byte{127, 0, 0, 1}), port: uint16(port)}, {host: netip.IPv6Loopback(), port: uint16(port)}}, nil
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	if err != nil {
		return nil, fmt.Errorf("%q: %w", text, err)
	}
	if addr.IsUnspecified() {
		addr = netip.Addr{}
	}
	return []address{{host: addr, port: uint16(port)}}, nil
}

// blockedBy tells whether nobody else can listen on a while s does. A wildcard takes the port of every address.
func (a address) blockedBy(s socket) bool {
	switch {
	case s.path != "":
		return a.path == s.path
	case a.path != "":
		return false
	case a.any:
		return true
	case a.port != s.addr.Port():
		return false
	}
	bound := s.addr.Addr().Unmap()
	return !a.host.IsValid() || bound.IsUnspecified() || a.host.Unmap().WithZone("") == bound.WithZone("")
}
