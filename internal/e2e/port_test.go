package e2e

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
)

// A service that is down cannot come up on a port that somebody else holds: that is refused before anything is touched, and names
// who holds it.
func TestPortIsHeldByAStranger(t *testing.T) {
	s := newSite(t, options{})
	s.tag("v1.0")
	listener, err := net.Listen("tcp", s.addr)
	must(t, err)
	out := s.want(3, "activate", "v1.0")
	if !strings.Contains(out, fmt.Sprintf("it is down, and %s is held by pid %d", s.addr, os.Getpid())) {
		t.Errorf("not said who:\n%s", out)
	}
	must(t, listener.Close())
	s.want(0, "activate", "v1.0")
}
