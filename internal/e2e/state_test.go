package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/proc"
)

// liveTag is the tag at the live path, as its own file says; empty where it is absent.
func (s *site) liveTag() string {
	s.t.Helper()
	tag, err := readLive(s.live)
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	must(s.t, err)
	return tag
}

// answer is the tag that the service serves.
func (s *site) answer() (string, error) {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + s.addr + "/")
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	tag := response.Header.Get("X-Release")
	if !strings.HasPrefix(string(body), tag+":") {
		return "", fmt.Errorf("the answer of %s is of another release: %s", tag, body)
	}
	return tag, nil
}

// wantLive wants a tag at the live path, whole, and in the service's answer.
func (s *site) wantLive(tag string) {
	s.t.Helper()
	if got := s.liveTag(); got != tag {
		s.t.Fatalf("live: %q, want %q", got, tag)
	}
	if tag == "" {
		return
	}
	s.wantWhole(tag)
	if s.options.noService {
		return
	}
	if got, err := s.answer(); got != tag || err != nil {
		s.t.Fatalf("the service answers %q (%v), want %q\n%s", got, err, tag, s.story())
	}
}

// wantWhole compares the live path with what was tagged.
func (s *site) wantWhole(tag string) {
	s.t.Helper()
	for name, want := range files(tag, goodPage) {
		got, err := os.ReadFile(filepath.Join(s.live, name))
		if err != nil || string(got) != want {
			s.t.Fatalf("%s of %s: %v, %d bytes of %d", name, tag, err, len(got), len(want))
		}
	}
}

// wantNoWorker wants no process of rel to be at work on the root.
func (s *site) wantNoWorker() {
	s.t.Helper()
	var left []string
	s.await("workers are left", func() bool {
		left = nil
		for _, p := range s.workers() {
			left = append(left, fmt.Sprintf("%d %s", p.PID, proc.Cmdline(p.PID)))
		}
		return len(left) == 0
	}, &left)
}

// await polls until done, and fails with what it was told about and the values.
func (s *site) await(what string, done func() bool, values ...any) {
	s.t.Helper()
	if !proc.Await(context.Background(), patience, done) {
		s.t.Fatalf("%s after %s: %v", what, patience, values)
	}
}

// workers are the guardians and workers of the root.
func (s *site) workers() []proc.Process {
	all, err := proc.List()
	must(s.t, err)
	return slices.DeleteFunc(all, func(p proc.Process) bool { return !s.isWorker(p) })
}

func (s *site) isWorker(p proc.Process) bool {
	return strings.Contains(proc.Cmdline(p.PID), " worker -C "+s.dir+" ")
}

// worker is the process that carries out the run, below its guardian; false while there is none.
func (s *site) worker() (worker, guardian proc.Process, found bool) {
	rec, _, err := journal.Read(filepath.Join(s.dir, ".rel"))
	if err == nil && rec.Phase != journal.Finished { // the fast way: a phase may be a millisecond long
		if child, err := proc.Lookup(rec.PID); err == nil && child.Start == rec.Start {
			if parent, err := proc.Lookup(child.PPID); err == nil && s.isWorker(parent) {
				return child, parent, true
			}
		}
	}
	for _, p := range s.workers() {
		if strings.HasSuffix(proc.Cmdline(p.PID), " --guarded") {
			worker, found = p, true
		} else {
			guardian = p
		}
	}
	return worker, guardian, found
}

// phase is the journal's phase of the run in flight, or of the last one.
func (s *site) phase() journal.Phase {
	rec, _, err := journal.Read(filepath.Join(s.dir, ".rel"))
	if err != nil {
		return ""
	}
	return rec.Phase
}

// awaitPhase waits until the run has come to a phase; false if the command ended before.
func (c *command) awaitPhase(phase journal.Phase) bool {
	c.site.t.Helper()
	reached := false
	c.site.await("no phase "+string(phase), func() bool {
		reached = c.site.phase() == phase
		return reached || c.ended()
	})
	return reached
}

// processes are all that work in the directories of the site, or were told of them.
func (s *site) processes() []proc.Process {
	all, err := proc.List()
	must(s.t, err)
	return slices.DeleteFunc(all, func(p proc.Process) bool {
		cwd, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", p.PID)) // empty where it is gone meanwhile
		mine := cwd == s.run || within(cwd, s.dir) || within(cwd, s.repo) || strings.Contains(proc.Cmdline(p.PID), s.dir)
		return !mine || p.PID == os.Getpid()
	})
}

// within is true of dir and what lies below it; nothing lies within "".
func within(path, dir string) bool {
	return dir != "" && (path == dir || strings.HasPrefix(path, dir+"/"))
}

// endAll ends, by their pids, all processes that the test has left.
func (s *site) endAll() {
	gone := proc.Await(context.Background(), patience, func() bool {
		left := s.processes()
		for _, p := range left {
			_ = proc.Signal(p, syscall.SIGKILL) // it may have ended
		}
		return len(left) == 0
	})
	if !gone {
		s.t.Errorf("processes of %s are left", s.dir)
	}
}
