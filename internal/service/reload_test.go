package service

import (
	"errors"
	"testing"
	"time"
)

func TestGraceful(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	st := f.start()
	for range 3 {
		if err := f.Apply(t.Context(), Graceful); err != nil {
			t.Fatal(err)
		}
		now := f.state()
		if !now.Master.Is(st.Master) {
			t.Fatalf("another master: %v", now.Master)
		}
		answering := f.answers()
		for _, w := range st.Workers {
			if w.PID == answering {
				t.Errorf("%s of the old generation answers", w)
			}
		}
		st = now
	}
	if len(f.warnings) != 0 {
		t.Errorf("warnings %q", f.warnings)
	}
}

func TestGracefulDrains(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	f.faults("drains-forever")
	st := f.start()
	if err := f.Graceful(t.Context()); err != nil {
		t.Fatalf("an old worker that only drains is fine: %v", err)
	}
	if !st.Workers[0].Same() {
		t.Fatal("it has not drained but ended")
	}
	for range 20 {
		if pid := f.answers(); pid == 0 || pid == st.Workers[0].PID || pid == st.Workers[1].PID {
			t.Fatalf("pid %d answers", pid)
		}
	}
}

func TestGracefulFails(t *testing.T) {
	t.Parallel()
	tests := []struct {
		fault string
		gone  bool
		want  string
	}{
		{"old-stay", false, "web: graceful has not taken effect after 2s: pid "},
		{"ignores-reload", false, "web: graceful has not taken effect after 2s: pid "},
		{"dies-at-reload", true, "web: after graceful: its master is gone: pid "},
		{"leaves-orphans", true, "web: after graceful: its master is gone: pid "},
	}
	for _, test := range tests {
		t.Run(test.fault, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, nil)
			st := f.start()
			f.faults(test.fault)
			if !test.gone {
				f.spec.Timeout = 2 * time.Second
			}
			err := f.Graceful(t.Context())
			wantError(t, err, test.want)
			if errors.Is(err, ErrMasterGone) != test.gone {
				t.Errorf("master gone: %v, want %v", !test.gone, test.gone)
			}
			if test.fault == "old-stay" {
				return // as they do for ever
			}
			// The way back: what is gone is started, also when a graceful is asked for.
			f.faults()
			f.spec.Timeout = patience
			if err := f.Apply(t.Context(), Graceful); err != nil {
				t.Fatal(err)
			}
			if now := f.state(); now.Master.Is(st.Master) == test.gone || f.answers() == 0 {
				t.Errorf("%+v after %+v", now, st)
			}
		})
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	st := f.start()
	if err := f.Apply(t.Context(), Restart); err != nil {
		t.Fatal(err)
	}
	for _, w := range st.Workers {
		if w.Same() {
			t.Errorf("%s is still there", w)
		}
	}
	f.spec.RestartCmd = "" // then by stop and start
	for _, kind := range []string{Restart, StopStart} {
		st = f.state()
		if err := f.Apply(t.Context(), kind); err != nil {
			t.Fatal(err)
		}
		if now := f.state(); now.Master.Is(st.Master) || f.answers() == 0 {
			t.Errorf("%s: %+v", kind, now)
		}
	}
	if err := f.Apply(t.Context(), None); err != nil {
		t.Fatal(err)
	}
	wantError(t, f.Apply(t.Context(), "gently"), `web: "gently": not one of`)
}

func TestRestartByNewMaster(t *testing.T) {
	t.Parallel()
	f := newFake(t, func(s *Spec) {
		s.Graceful = `kill $(cat fake.pid); while [ -e fake.pid ]; do sleep 0.05; done; ` + s.Start
	})
	st := f.start()
	if err := f.Graceful(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := f.state(); now.Master.Is(st.Master) || f.answers() == 0 {
		t.Errorf("%+v", now)
	}
}
