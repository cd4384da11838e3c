package store

import (
	"os"
	"strings"
	"testing"
)

// What one process has read of manifests is never more than what is there now: others add, remove, replace and damage them.
func TestReleasesAgain(t *testing.T) {
	r := open(t, t.TempDir(), Layout{})
	for n := range 5 {
		stage(t, r, n)
	}
	tags := func() string {
		t.Helper()
		all, err := r.Releases()
		must(t, err)
		var tags []string
		for _, one := range all {
			tags = append(tags, one.Tag)
		}
		return strings.Join(tags, " ")
	}
	if got := tags(); got != "v1.0 v1.1 v1.2 v1.3 v1.4" {
		t.Fatal(got)
	}
	other, err := Open(r.Dir, r.Layout)
	must(t, err)
	defer other.Close()
	m, err := other.Manifest(idOf(2))
	must(t, err)
	must(t, other.Remove(idOf(0)))
	stage(t, other, 5)
	m.Tag = "vX.Y" // as long as it was
	data, err := encodeManifest(m)
	must(t, err)
	must(t, os.Remove(r.State(manifestsName, string(m.ID))), os.WriteFile(r.State(manifestsName, string(m.ID)), data, 0o644))
	for range 2 {
		if got := tags(); got != "v1.1 vX.Y v1.3 v1.4 v1.5" {
			t.Error(got)
		}
	}
	must(t, os.Truncate(r.State(manifestsName, string(idOf(3))), 10))
	all, err := r.Releases()
	if err == nil || len(all) != 4 || !strings.Contains(err.Error(), string(idOf(3))) {
		t.Errorf("%v, %v", all, err)
	}
}
