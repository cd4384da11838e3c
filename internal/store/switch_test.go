package store

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

func TestSwitch(t *testing.T) {
	for name, l := range layouts() {
		t.Run(name, func(t *testing.T) {
			r := open(t, t.TempDir(), l)
			wantLive(t, r, "")
			a, b, c := stage(t, r, 1), stage(t, r, 2), stage(t, r, 3)
			from := release.ID("")
			for _, to := range []release.ID{a, b, a, c, b, c} {
				doSwitch(t, r, to, from)
				wantLive(t, r, to, a, b, c)
				all, err := r.Releases()
				must(t, err)
				if len(all) != 3 {
					t.Fatalf("%d releases", len(all))
				}
				from = to
			}
			doSwitch(t, r, c, b) // done already
			wantLive(t, r, c, a, b, c)
			must(t, r.Clear(c), r.Clear(c))
			wantLive(t, r, "", a, b, c)
			doSwitch(t, r, a, "")
			wantLive(t, r, a, a, b, c)
		})
	}
}

func TestSwitchRefuses(t *testing.T) {
	for name, l := range layouts() {
		t.Run(name, func(t *testing.T) {
			r := open(t, t.TempDir(), l)
			a, b := stage(t, r, 1), stage(t, r, 2)
			doSwitch(t, r, a, "")
			before := tree(t, r.Dir)
			_, err := r.Switch(b, "", nil)
			wantExit(t, err, release.ExitError, "where nothing was to be left")
			_, err = r.Switch(idOf(9), a, nil)
			wantExit(t, err, release.ExitNotFound, "no such release")
			_, err = r.Switch("../../etc", a, nil)
			wantExit(t, err, release.ExitNotFound, "not the id")
			wantExit(t, r.Clear(b), release.ExitError, "was to be taken away")
			must(t, os.Rename(r.ReleaseDir(b), filepath.Join(r.Dir, "elsewhere")))
			_, err = r.Switch(b, a, nil)
			wantExit(t, err, release.ExitError, string(b))
			must(t, os.Rename(filepath.Join(r.Dir, "elsewhere"), filepath.Join(r.Dir, releasesName, string(b))))
			if after := tree(t, r.Dir); after != before {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
			wantLive(t, r, a, a, b)
		})
	}
}

// A copy of a release's directory is not that release where only its identity can tell.
func TestSwitchRefusesACopy(t *testing.T) {
	r := open(t, t.TempDir(), Layout{Mode: ModeDirectory})
	a, b := stage(t, r, 1), stage(t, r, 2)
	doSwitch(t, r, a, "")
	must(t, os.CopyFS(filepath.Join(r.Dir, "copy"), os.DirFS(r.ReleaseDir(b))), os.RemoveAll(r.ReleaseDir(b)))
	must(t, os.Rename(filepath.Join(r.Dir, "copy"), r.ReleaseDir(b)))
	_, err := r.Switch(b, a, nil)
	wantExit(t, err, release.ExitError, "a copy")
	wantLive(t, r, a, a)
}

// Who reads through the live path at any moment finds a whole release.
func TestSwitchIsAtomic(t *testing.T) {
	for name, l := range layouts() {
		t.Run(name, func(t *testing.T) {
			r := open(t, t.TempDir(), l)
			ids := []release.ID{stage(t, r, 1), stage(t, r, 2)}
			doSwitch(t, r, ids[0], "")
			var opens, gone atomic.Int64
			done := make(chan struct{})
			var readers sync.WaitGroup
			for range 4 {
				readers.Go(func() {
					for {
						select {
						case <-done:
							return
						default:
						}
						data, err := os.ReadFile(filepath.Join(r.LivePath(), "VERSION"))
						if err != nil || !slices.Contains(ids, release.ID(data)) {
							gone.Add(1)
						}
						opens.Add(1)
					}
				})
			}
			for i := range 100 {
				doSwitch(t, r, ids[(i+1)%2], ids[i%2])
			}
			close(done)
			readers.Wait()
			if gone.Load() > 0 {
				t.Errorf("%d of %d reads found no release", gone.Load(), opens.Load())
			}
		})
	}
}

// The renames of a switch in mode "directory", by hand.
type hand struct {
	t *testing.T
	r *Root
}

func (h *hand) rename(from, to string) {
	h.t.Helper()
	must(h.t, os.Rename(filepath.Join(h.r.Dir, from), filepath.Join(h.r.Dir, to)))
}

func (h *hand) exchange(a, b string) {
	h.t.Helper()
	h.rename(a, "aside")
	h.rename(b, a)
	h.rename("aside", b)
}

// prefixes are the switches by their renames; a crash after any number of them is a state that Settle must know.
func prefixes(to, from release.ID) map[string][]func(*hand) {
	const live, swap = "rel", ".rel/swap"
	at := func(id release.ID) string { return "releases/" + string(id) }
	first := func(h *hand) { h.rename(at(to), swap) }
	return map[string][]func(*hand){
		"exchange": {first, func(h *hand) { h.exchange(swap, live) }, func(h *hand) { h.rename(swap, at(from)) }},
		"gap":      {first, func(h *hand) { h.rename(live, at(from)) }, func(h *hand) { h.rename(swap, live) }},
	}
}

func TestSettleAfterEachRename(t *testing.T) {
	a, b := idOf(1), idOf(2)
	for _, dir := range []struct {
		name     string
		to, from release.ID
	}{{"forth", b, a}, {"back", a, b}} {
		for kind, steps := range prefixes(dir.to, dir.from) {
			for n := range len(steps) + 1 {
				for _, roles := range []string{"as switched", "as the run had it"} {
					t.Run(strings.Join([]string{dir.name, kind, string(rune('0' + n)), roles}, "/"), func(t *testing.T) {
						settleAfter(t, dir.to, dir.from, steps[:n], n, kind, roles == "as switched")
					})
				}
			}
		}
	}
}

func settleAfter(t *testing.T, to, from release.ID, steps []func(*hand), n int, kind string, same bool) {
	r := open(t, t.TempDir(), Layout{Mode: ModeDirectory, Live: "rel"})
	stage(t, r, 1)
	stage(t, r, 2)
	other := stage(t, r, 3)
	doSwitch(t, r, from, "")
	h := &hand{t: t, r: r}
	for _, step := range steps {
		step(h)
	}
	runTo, runFrom := to, from
	if !same { // a revert that crashed is settled with what its run wanted
		runTo, runFrom = from, to
	}
	if all, err := r.Releases(); err != nil || len(all) != 3 {
		t.Errorf("%d releases before Settle, %v", len(all), err)
	}
	for range 2 {
		must(t, r.Settle(runTo, runFrom))
		want := from // not switched yet: undone
		if n >= 2 {  // switched, or on the way with nothing at the live path: finished
			want = to
		}
		wantLive(t, r, want, to, from, other)
	}
	removed, err := r.Sweep()
	must(t, err)
	if len(removed) > 0 {
		t.Errorf("swept %v", removed)
	}
	// It works on.
	l, err := r.Live()
	must(t, err)
	doSwitch(t, r, other, l.ID)
	wantLive(t, r, other, to, from, other)
}

func TestSettleFirstActivation(t *testing.T) {
	for name, l := range layouts() {
		t.Run(name, func(t *testing.T) {
			r := open(t, t.TempDir(), l)
			a := stage(t, r, 1)
			must(t, r.Settle(a, ""))
			wantLive(t, r, "", a)
			doSwitch(t, r, a, "")
			must(t, r.Settle(a, ""))
			wantLive(t, r, a, a)
		})
	}
}

func TestSettlePutsBack(t *testing.T) {
	for name, l := range layouts() {
		t.Run(name, func(t *testing.T) {
			r := open(t, t.TempDir(), l)
			a, b := stage(t, r, 1), stage(t, r, 2)
			doSwitch(t, r, a, "")
			must(t, r.Clear(a)) // as if somebody had taken it away
			must(t, r.Settle(b, a))
			wantLive(t, r, a, a, b)
		})
	}
}

func TestSettleStrangerInSwap(t *testing.T) {
	r := open(t, t.TempDir(), Layout{Mode: ModeDirectory, Live: "rel"})
	a, b := stage(t, r, 1), stage(t, r, 2)
	doSwitch(t, r, a, "")
	must(t, os.Mkdir(r.State(swapName), 0o755))
	wantExit(t, r.Settle(b, a), release.ExitFailed, "no manifest knows")
	_, err := r.Switch(b, a, nil)
	wantExit(t, err, release.ExitFailed, "no manifest knows")
	must(t, os.Remove(r.State(swapName)))
	wantLive(t, r, a, a, b)
}

// Without an exchange the two renames go with the journal, and a run that stops at either can be settled.
func TestSwitchWithGap(t *testing.T) {
	stop := errors.New("stopped")
	for _, at := range []string{"", PhaseGapOut, PhaseGapIn, PhaseGapDone} {
		t.Run(at, func(t *testing.T) {
			r := open(t, t.TempDir(), Layout{Mode: ModeDirectory, Live: "rel", Gap: true})
			a, b := stage(t, r, 1), stage(t, r, 2)
			doSwitch(t, r, a, "")
			h, err := r.open()
			must(t, err, os.Rename(r.ReleaseDir(b), r.State(swapName)))
			var phases []string
			err = r.switchWithGap(h, a, func(phase string) error {
				phases = append(phases, phase)
				if _, err := os.Lstat(r.LivePath()); missing(err) != (phase == PhaseGapIn) {
					t.Errorf("%s: live path: %v", phase, err)
				}
				if phase == at {
					return stop
				}
				return nil
			})
			must(t, h.close())
			if at != "" && !errors.Is(err, stop) || at == "" && err != nil {
				t.Errorf("%v", err)
			}
			must(t, r.Settle(b, a))
			want := b
			if at == PhaseGapOut {
				want = a
			}
			wantLive(t, r, want, a, b)
			if at == "" && strings.Join(phases, " ") != "gap-out gap-in gap-done" {
				t.Error(phases)
			}
		})
	}
}

// A link that is not ready, or that leads to where it did before live.path changed, is made when it is needed.
func TestSwitchMakesMissingLinks(t *testing.T) {
	r := open(t, t.TempDir(), Layout{})
	a, b := stage(t, r, 1), stage(t, r, 2)
	must(t, os.Remove(r.State(linksName, string(a))))
	must(t, os.Remove(r.State(linksName, string(b))), os.Symlink("../elsewhere", r.State(linksName, string(b))))
	doSwitch(t, r, a, "")
	doSwitch(t, r, b, a)
	wantLive(t, r, b, a, b)
	for _, id := range []release.ID{a, b} {
		if got, err := os.Readlink(r.State(linksName, string(id))); got != "releases/"+string(id) {
			t.Errorf("%q, %v", got, err)
		}
	}
}

// A file system that refuses even to rename when it is full gets the reserve, once.
func TestReserve(t *testing.T) {
	r := open(t, t.TempDir(), Layout{})
	st, err := os.Stat(r.State("reserve"))
	must(t, err)
	if sys, ok := st.Sys().(*syscall.Stat_t); !ok || sys.Blocks*512 < disk.ReserveSize {
		t.Errorf("%+v", st.Sys())
	}
	makeReserve := func() {
		t.Helper()
		if whole, err := disk.MakeReserve(r.State()); err != nil || !whole {
			t.Fatalf("%v, %v", whole, err)
		}
	}
	full := func(times int) func() error {
		return func() error {
			if times--; times >= 0 {
				return &os.PathError{Op: "rename", Path: "x", Err: syscall.ENOSPC}
			}
			return nil
		}
	}
	must(t, r.roomy(full(0)))
	makeReserve()
	must(t, r.roomy(full(1)))
	if _, err := os.Lstat(r.State("reserve")); !missing(err) {
		t.Errorf("the reserve is still there: %v", err)
	}
	if err := r.roomy(full(1)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("without a reserve: %v", err)
	}
	makeReserve()
	if err := r.roomy(full(2)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("full all the same: %v", err)
	}
	must(t, r.Make())
	if _, err := os.Lstat(r.State("reserve")); err != nil {
		t.Error(err)
	}
}
