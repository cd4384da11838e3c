package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/release"
)

func free(string) error { return nil }

// making are the steps in which an unaccepted release comes about.
func making(t testing.TB, r *Root, id release.ID) []func() {
	m := release.Manifest{Release: header(id)}
	one := Unaccepted{ID: id, Object: m.Commit}
	taken := func(ok bool, err error) {
		must(t, err)
		if !ok {
			t.Fatalf("%s is taken", id)
		}
	}
	return []func(){
		func() { taken(r.BeginUnaccepted(one, free)) },
		func() { taken(r.Claim(id)) },
		func() { m.Entries = export(t, r, id, map[string]string{"VERSION": string(id)}) },
		func() { must(t, r.Publish(id)) },
		func() { must(t, r.SealUnaccepted(&m)) },
		func() { must(t, r.ReadyUnaccepted(one)) },
	}
}

// What is unaccepted is no release until it is accepted, and from then on is like any other.
func TestUnaccepted(t *testing.T) {
	for name, l := range layouts() {
		t.Run(name, func(t *testing.T) {
			r := open(t, t.TempDir(), l)
			a, b := stage(t, r, 1), idOf(2)
			doSwitch(t, r, a, "")
			for _, step := range making(t, r, b) {
				step()
				wantReleases(t, r, a)
				if removed, err := r.Sweep(); err != nil || len(removed) > 0 {
					t.Fatalf("swept: %v, %v", removed, err)
				}
			}
			all, err := r.Unaccepted()
			must(t, err)
			if len(all) != 1 || !all[0].Ready || all[0].ID != b {
				t.Fatalf("%+v", all)
			}
			m, err := r.UnacceptedManifest(b)
			must(t, err)
			report, err := r.VerifyAs(m, true)
			if err != nil || len(report.Drift) > 0 {
				t.Errorf("%+v, %v", report, err)
			}
			_, err = r.Switch(b, a, nil)
			wantExit(t, err, release.ExitNotFound, "no such release")

			must(t, r.Accept(b))
			wantReleases(t, r, a, b)
			doSwitch(t, r, b, a)
			wantLive(t, r, b, a, b)
			if all, err := r.Unaccepted(); err != nil || len(all) > 0 {
				t.Errorf("%v, %v", all, err)
			}
			if removed, err := r.Sweep(); err != nil || len(removed) > 0 {
				t.Errorf("swept: %v, %v", removed, err)
			}
		})
	}
}

// Wherever its making was cut short, what there is of it can be removed without a trace, and twice.
func TestDropUnacceptedAfterEachCrash(t *testing.T) {
	for n := range len(making(t, nil, idOf(2))) {
		r := open(t, t.TempDir(), Layout{})
		a := stage(t, r, 1)
		doSwitch(t, r, a, "")
		before := tree(t, r.Dir)
		for _, step := range making(t, r, idOf(2))[:n+1] {
			step()
		}
		must(t, r.DropUnaccepted(idOf(2)), r.DropUnaccepted(idOf(2)))
		if _, err := r.Sweep(); err != nil {
			t.Fatal(err)
		}
		must(t, os.Remove(r.State(unacceptedName)))
		if after := tree(t, r.Dir); after != before {
			t.Errorf("cut short after step %d:\n%s\nand was\n%s", n, after, before)
		}
	}
}

// A crash in the middle of its being accepted leaves a release, which whoever drops the rest keeps.
func TestAcceptCutShort(t *testing.T) {
	r := open(t, t.TempDir(), Layout{})
	b := idOf(2)
	for _, step := range making(t, r, b) {
		step()
	}
	must(t, os.Rename(filepath.Join(r.UnacceptedDir(b), unacceptedManifest), r.State(manifestsName, string(b))))
	wantReleases(t, r, b)
	must(t, r.DropUnaccepted(b))
	if _, err := r.Sweep(); err != nil {
		t.Fatal(err)
	}
	wantReleases(t, r, b)
	doSwitch(t, r, b, "")
	wantLive(t, r, b, b)
	if left := tree(t, r.State(linksName)); strings.Contains(left, tmpPrefix) {
		t.Errorf("a mark is left: %s", left)
	}
}

// An id is one maker's.
func TestClaim(t *testing.T) {
	r := open(t, t.TempDir(), Layout{})
	one := Unaccepted{ID: idOf(1)}
	for i, want := range []bool{true, false} {
		if ok, err := r.Claim(one.ID); ok != want || err != nil {
			t.Errorf("claim %d: %v, %v", i, ok, err)
		}
		if ok, err := r.BeginUnaccepted(one, free); ok != want || err != nil {
			t.Errorf("begin %d: %v, %v", i, ok, err)
		}
	}
	must(t, r.ForgetUnaccepted(one.ID), r.Unclaim(one.ID), r.Unclaim(one.ID))
	if ok, err := r.Claim(one.ID); !ok || err != nil {
		t.Errorf("claimed again: %v, %v", ok, err)
	}
}

// What was begun, and is nobody's any more, is swept; what somebody may just begin is not.
func TestSweepUnacceptedBegun(t *testing.T) {
	r := open(t, t.TempDir(), Layout{})
	now := release.NewID(time.Now(), "v2")
	for _, id := range []release.ID{idOf(1), now} {
		must(t, os.MkdirAll(filepath.Join(r.State(unacceptedName), tmpPrefix+string(id)), 0o700))
	}
	removed, err := r.Sweep()
	if err != nil || len(removed) != 1 || !strings.HasSuffix(removed[0], string(idOf(1))) {
		t.Errorf("swept: %v, %v", removed, err)
	}
}
