package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/proc"
)

// The faulty service is a small real one that can be bad in many ways, as its release says in the file "fault":
//
//	""        it is well
//	noisy     it answers, and logs an error of a new kind each time
//	logs      the same once it turns bad
//	dies      it is gone once it turns bad
//	lost      it answers with 500 once it turns bad
//	version   its answer names another release
//	slow      it listens only when nobody waits for it any more
//
// It logs the same error with each answer, whatever release it is of: that must blame nobody.

// badNow is the file in its directory that turns it bad.
const badNow = "bad-now"

// faulty is the program: "faulty start|serve ADDRESS LIVE", in a directory that it may write to.
func faulty() {
	err := errors.New("start or serve, ADDRESS and LIVE")
	if len(os.Args) == 4 {
		switch os.Args[1] {
		case "start":
			err = faultyStart(os.Args[2], os.Args[3])
		case "serve":
			err = faultyServe(os.Args[2], os.Args[3])
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "faulty:", err)
		os.Exit(1)
	}
}

// faultyStart leaves a daemon behind, with its pid in a file.
func faultyStart(addr, live string) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.OpenFile("faulty.log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(program, "serve", addr, live)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = log, log, &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	if err := os.WriteFile("faulty.pid", fmt.Appendln(nil, cmd.Process.Pid), 0o644); err != nil {
		return err
	}
	// Who is not slow takes no time of what health has.
	fault, err := os.ReadFile(filepath.Join(live, "fault"))
	proc.Await(context.Background(), patience, func() bool {
		conn, dialErr := net.Dial("tcp", addr)
		if dialErr == nil {
			conn.Close()
		}
		return dialErr == nil || err != nil || string(fault) == "slow\n"
	})
	return err
}

func faultyServe(addr, live string) error {
	read := func(name string) (string, error) {
		data, err := os.ReadFile(filepath.Join(live, name))
		return strings.TrimSpace(string(data)), err
	}
	fault, err := read("fault")
	version, versionErr := read("version")
	if err := errors.Join(err, versionErr); err != nil {
		return err
	}
	switch fault {
	case "slow":
		time.Sleep(time.Hour)
	case "version":
		version = "v0.9"
	}
	const traceback = "Traceback (most recent call last):\n  File \"cart.py\", line %d, in add\nCartError: no cart for order %d\n"
	var answers atomic.Int32
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := answers.Add(1)
		fmt.Fprintf(os.Stderr, "2026-11-24 00:00:00 ERROR no ink, in pid %d of %s\n", os.Getpid(), version)
		if fault == "noisy" {
			fmt.Fprintf(os.Stderr, traceback, n, n)
		}
		if _, err := os.Stat(badNow); err == nil {
			switch fault {
			case "logs":
				fmt.Fprintf(os.Stderr, traceback, n, n)
			case "dies":
				os.Exit(0)
			case "lost":
				w.WriteHeader(http.StatusInternalServerError)
			}
		}
		fmt.Fprintf(w, "release %s\n", version)
	}))
}

// newFaulty is a site with the faulty service; health adds lines to [health].
func newFaulty(t *testing.T, o options, health string) *site {
	t.Helper()
	o.noService = true
	s := newSite(t, o)
	program, err := exec.LookPath("faulty")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(s.dir, "rel.toml"), []byte(s.configuration()+fmt.Sprintf(`
[[service]]
name = "shop"
preset = "pidfile"
restart = "restart"
pidfile = "%[1]s/faulty.pid"
start = 'cd %[1]s && exec %[2]s start %[3]s %[4]s'
error_log = "%[1]s/faulty.log"
timeout = "20s"
[health]
url = "http://%[3]s/"
release = "body release (.+)"
passes = 2
interval = "10ms"
%[5]s
`, s.run, program, s.addr, s.live, health)), 0o644))
	return s
}

// tagFault tags a release that is faulty in that way.
func (s *site) tagFault(tag, fault string) {
	s.t.Helper()
	for name, content := range map[string]string{"fault": fault, "version": tag} {
		must(s.t, os.WriteFile(filepath.Join(s.repo, name), []byte(content+"\n"), 0o644))
	}
	s.git("add", ".")
	s.git("commit", "--quiet", "--allow-empty", "-m", "The shop of "+tag)
	s.git("tag", "-m", tag, tag)
}

// wantVersion wants a release to be live and to answer.
func (s *site) wantVersion(tag string) {
	s.t.Helper()
	version, err := os.ReadFile(filepath.Join(s.live, "version"))
	must(s.t, err)
	response, err := http.Get("http://" + s.addr + "/")
	must(s.t, err)
	defer response.Body.Close()
	if string(version) != tag+"\n" || response.StatusCode != http.StatusOK {
		s.t.Fatalf("live: %q, and it answers %s; want %s\n%s", version, response.Status, tag, s.story())
	}
}

// wantRunning wants the service's processes to be as many.
func (s *site) wantRunning(n int) {
	s.t.Helper()
	all, err := proc.List()
	must(s.t, err)
	found := []string{}
	for _, p := range all {
		if line := proc.Cmdline(p.PID); strings.Contains(line, " serve "+s.addr+" ") {
			found = append(found, line)
		}
	}
	if len(found) != n {
		s.t.Errorf("%d run, want %d: %v", len(found), n, found)
	}
}
