package service

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
}

func TestStartStop(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	if st := f.state(); st.Up || st.Why != "no pid file "+f.dir+"/fake.pid" || len(st.Ports) != 1 || st.Ports[0].Held {
		t.Fatalf("%+v", st)
	}
	if err := f.Stop(t.Context()); err != nil {
		t.Fatalf("stop of what is down: %v", err)
	}
	st := f.start()
	if again := f.start(); !again.Master.Is(st.Master) {
		t.Fatal("start of what is up started another")
	}
	if f.answers() == 0 {
		t.Error("nobody answers")
	}
	if err := f.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, p := range append(st.Workers, st.Master) {
		if p.Same() {
			t.Errorf("%s is still there", p)
		}
	}
	l, err := net.Listen("tcp", f.addr)
	if err != nil {
		t.Fatalf("stopped, but %v", err)
	}
	l.Close()
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	tests := []struct {
		fault string
		short bool // the error comes only with the timeout
		want  []string
	}{
		{"start-fails", false, []string{"web: not started: start: exit 1; it said: cannot find the moon"}},
		{"dies-at-start", false, []string{"web: after start: its master is gone: ", "syntax wrong in Shop.pm"}},
		{"start-nothing", true, []string{"web: down 2s after start: no pid file", "started, it says"}},
		{"no-pidfile", true, []string{"web: down 2s after start: no pid file"}},
	}
	for _, test := range tests {
		t.Run(test.fault, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, func(s *Spec) {
				if test.short {
					s.Timeout = 2 * time.Second
				}
			})
			f.faults(test.fault)
			wantError(t, f.Start(t.Context()), test.want...)
		})
	}
}

func TestStartPortHeld(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	f.spec.Timeout = time.Second
	l, err := net.Listen("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, f.Start(t.Context()), "web: not started: "+f.addr, fmt.Sprintf("held by pid %d: ", os.Getpid()))
	l.Close()
	f.spec.Timeout = patience
	f.start()
}

func TestStopRefused(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"ignores-term", "keeps-port"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, nil)
			f.faults(fault)
			st := f.start()
			f.spec.Timeout = 2 * time.Second
			err := f.Stop(t.Context())
			wantError(t, err, "web: not stopped after 2s: pid ", " still runs: ", filepath.Base(os.Args[0]))
			if hints := release.Hints(err); len(hints) != 1 || !strings.HasPrefix(hints[0], "kill -9 ") {
				t.Errorf("hints %q", hints)
			}
			if fault == "ignores-term" {
				wantError(t, err, fmt.Sprintf("pid %d ", st.Master.PID))
			}
			if f.answers() == 0 {
				t.Error("it was killed all the same")
			}
			// The way back looks first: what an earlier master left is ended, what still runs is taken as it is.
			f.faults()
			f.spec.Timeout = patience
			now := f.start()
			if fault == "keeps-port" && (now.Master.Is(st.Master) || len(f.warnings) == 0) {
				t.Errorf("%+v, warnings %q", now, f.warnings)
			}
		})
	}
}

func TestNoWorkers(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	f.faults("no-workers")
	st := f.start()
	if err := f.Graceful(t.Context()); err != nil || len(f.warnings) != 1 || !f.state().Master.Is(st.Master) {
		t.Fatalf("%v, %q", err, f.warnings)
	}
	if err := proc.Signal(st.Master, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if !proc.Await(t.Context(), 10*time.Second, func() bool { return !st.Master.Same() }) {
		t.Fatal("still there")
	}
	if now := f.state(); now.Up || now.Why != fmt.Sprintf("pid %d of %s/fake.pid is gone", st.Master.PID, f.dir) {
		t.Errorf("%+v", now)
	}
}

func TestPIDFileNotTrusted(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, preset, text, why string }{
		{"empty", "pidfile", "", "holds no pid"},
		{"words", "pidfile", "hello", "holds no pid"},
		{"negative", "pidfile", "-1", "holds no pid"},
		{"init", "pidfile", "1", "holds no pid"},
		{"gone", "pidfile", "1073741824", "is gone"},
		{"younger process", "pidfile", "self", "is younger than"},
		{"another program", "nginx", "self", "is not nginx"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "pid")
			text := strings.ReplaceAll(test.text, "self", fmt.Sprint(os.Getpid()))
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			old := time.Now().Add(-24 * time.Hour) // of an earlier boot, say
			if err := os.Chtimes(path, old, old); err != nil {
				t.Fatal(err)
			}
			s, err := New(Spec{Name: "web", Preset: test.preset, PIDFile: path, Start: "true", Stop: "true"}, Env{})
			if err != nil {
				t.Fatal(err)
			}
			if st, err := s.State(); err != nil || st.Up || !strings.Contains(st.Why, test.why) {
				t.Errorf("%+v, %v", st, err)
			}
			if err := s.Stop(t.Context()); err != nil || os.Getpid() == 0 {
				t.Error(err)
			}
		})
	}
}

func TestCommandPresetByPort(t *testing.T) {
	t.Parallel()
	f := newFake(t, func(s *Spec) {
		s.Preset, s.PIDFile, s.Stop, s.RestartCmd = "command", "", "kill $(cat fake.pid)", ""
	})
	st := f.start()
	if len(st.Workers) != 2 {
		t.Fatalf("%+v", st)
	}
	if err := f.Graceful(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.Stop(t.Context()); err != nil || f.answers() != 0 {
		t.Fatal(err)
	}
}

func TestLock(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	other, err := New(f.spec, f.env)
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := f.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = other.Lock(ctx)
	wantError(t, err, fmt.Sprintf("web: taken by pid %d for %s, since ", os.Getpid(), f.dir))
	if release.ExitCode(err) != release.ExitLocked || len(f.warnings) != 1 {
		t.Errorf("exit %d, warnings %q", release.ExitCode(err), f.warnings)
	}
	unlock()
	if unlock, err = other.Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestNewRefuses(t *testing.T) {
	tests := []struct {
		spec Spec
		want string
	}{
		{Spec{Preset: "iis"}, `web: preset "iis": not one of apache, nginx, systemd, pidfile, command`},
		{Spec{Preset: "apache", Restart: "gently"}, `web: restart = "gently": not one of`},
		{Spec{Preset: "pidfile"}, `web: preset "pidfile" needs pidfile and start`},
		{Spec{Preset: "command", Start: "x", Stop: "y"}, `web: preset "command" needs pidfile or listen`},
		{Spec{Preset: "pidfile", Start: "x", PIDFile: "p", Restart: "graceful"}, `web: restart = "graceful", but no graceful command`},
		{Spec{Preset: "apache", Listen: []string{"eighty"}}, `web: listen: "eighty"`},
		{Spec{Preset: "apache", Stop: "SIGNAL"}, `web: stop: "SIGNAL": no such signal`},
		{Spec{Preset: "apache", Sudo: true, Stop: "SIGTERM"}, `web: stop = "SIGTERM": sudo runs commands`},
		{Spec{Preset: "apache", Sudo: true, Stop: "a; b"}, `web: stop = "a; b": sudo takes one plain command`},
	}
	for _, test := range tests {
		test.spec.Name = "web"
		_, err := New(test.spec, Env{})
		wantError(t, err, test.want)
		if release.ExitCode(err) != release.ExitUsage {
			t.Errorf("%v: exit %d", err, release.ExitCode(err))
		}
	}
}

func TestSudoers(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "webctl"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	spec := Spec{Name: "web", Preset: "command", Sudo: true, Start: "webctl start -p=8080", Stop: "webctl stop", Test: "webctl start -p=8080"}
	spec.Listen = []string{"8080"}
	s, err := New(spec, Env{Environ: []string{"PATH=" + dir}})
	if err != nil {
		t.Fatal(err)
	}
	want := "deploy ALL=(root) NOPASSWD: " + dir + `/webctl start -p\=8080` + "\n" + "deploy ALL=(root) NOPASSWD: " + dir + "/webctl stop"
	if got := strings.Join(s.Sudoers("deploy"), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestSystemdMissing(t *testing.T) {
	if proc.Systemd() {
		t.Skip("systemd is pid 1 here")
	}
	s, err := New(Spec{Name: "web", Preset: "systemd"}, Env{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.State()
	wantError(t, err, "web: unit web.service: systemd is not pid 1 here")
	wantError(t, s.Restart(t.Context()), "web: unit web.service: systemd is not pid 1 here")
}
