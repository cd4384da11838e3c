package service

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// systemctl stands in for systemd, which cannot be had without being pid 1. It controls the fake daemon and tells what systemd
// would of it.
const systemctl = `#!/bin/sh
cd "$REL_FAKE_DIR" || exit 1
echo "$*" >>calls
pid=$(cat fake.pid 2>/dev/null)
[ -n "$pid" ] && ! grep -q '^State:.[^ZX]' "/proc/$pid/status" 2>/dev/null && pid=
case $1 in
show)
	echo LoadState=loaded
	if [ -n "$pid" ]; then
		printf 'ActiveState=active\nSubState=running\nMainPID=%s\n' "$pid"
	elif grep -q dies faults 2>/dev/null; then
		printf 'ActiveState=failed\nSubState=failed\nResult=exit-code\nMainPID=0\n'
	else
		printf 'ActiveState=inactive\nSubState=dead\nResult=success\nMainPID=0\n'
	fi ;;
start) REL_FAKE=start exec "$REL_FAKE_BIN" ;;
stop) kill "$pid" ;;
reload) kill -USR1 "$pid" ;;
restart)
	kill "$pid"
	while [ -e fake.pid ]; do sleep 0.05; done
	REL_FAKE=start exec "$REL_FAKE_BIN" ;;
esac
`

func newUnit(t *testing.T) *fake {
	t.Helper()
	f := newFake(t, func(s *Spec) {
		s.Preset, s.Unit, s.Start, s.Graceful, s.RestartCmd, s.PIDFile = "systemd", "shop", "", "", "", ""
	})
	f.systemd = true
	bin := filepath.Join(f.dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "systemctl"), []byte(systemctl), 0o755); err != nil {
		t.Fatal(err)
	}
	f.env.Environ[0] = "PATH=" + bin + ":/usr/bin:/bin"
	return f
}

func TestUnit(t *testing.T) {
	t.Parallel()
	f := newUnit(t)
	if st := f.state(); st.Up || st.Why != "unit shop.service is inactive (dead, result success)" {
		t.Fatalf("%+v", st)
	}
	first := f.start()
	if first.Unit != "shop.service" || len(first.Workers) != 2 {
		t.Fatalf("%+v", first)
	}
	if err := f.Graceful(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := f.state(); !st.Master.Is(first.Master) || st.Workers[0].Is(first.Workers[0]) {
		t.Errorf("graceful: %+v", st)
	}
	if err := f.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := f.state(); st.Master.Is(first.Master) || f.answers() == 0 {
		t.Errorf("restart: %+v", st)
	}
	if err := f.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	calls, err := os.ReadFile(filepath.Join(f.dir, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	var verbs []string
	for line := range strings.Lines(string(calls)) {
		if !strings.HasPrefix(line, "show ") {
			verbs = append(verbs, strings.TrimSpace(line))
		}
	}
	if got := strings.Join(verbs, ", "); got != "start shop.service, reload shop.service, restart shop.service, stop shop.service" {
		t.Errorf("calls: %s", got)
	}
}

func TestUnitDies(t *testing.T) {
	t.Parallel()
	f := newUnit(t)
	f.start()
	f.faults("dies-at-reload")
	wantError(t, f.Graceful(t.Context()), "web: after graceful: its master is gone: ", "unit shop.service is failed (failed, result exit-code)")
	f.faults("dies-at-start")
	began := time.Now()
	wantError(t, f.Apply(t.Context(), Graceful), "web: after start: its master is gone: ")
	if took := time.Since(began); took >= f.spec.Timeout {
		t.Errorf("the whole timeout was waited: %s", took)
	}
	f.faults()
	f.start()
}
