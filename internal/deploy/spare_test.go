package deploy

import (
	"testing"

	"github.com/git-rel/rel/internal/config"
	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/store"
)

func TestWhyNoReuse(t *testing.T) {
	root, err := store.Open(t.TempDir(), store.Layout{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	one := []proc.Process{{PID: 7, Comm: "shop"}}
	two := append(one, proc.Process{PID: 8})
	for _, c := range []struct {
		reuse      config.Reuse
		unreadable []proc.Process
		want       string
	}{
		{config.ReuseAuto, nil, ""},
		{config.ReuseAuto, one, "pid 7 (shop) cannot be looked into"},
		{config.ReuseAuto, two, "pid 7 (shop) and 1 more cannot be looked into"},
		{config.ReuseTrue, nil, ""},
		{config.ReuseTrue, two, ""},
		{config.ReuseFalse, nil, "export.reuse = false"},
		{config.ReuseFalse, one, "export.reuse = false"},
	} {
		s := &Site{Root: root, Config: &config.Config{Export: config.Export{Reuse: c.reuse}}}
		if why := s.whyNoReuse(c.unreadable); why != c.want {
			t.Errorf("%s, %v: %q, want %q", c.reuse, c.unreadable, why, c.want)
		}
	}
}

// Nobody may look into init but root, and not even root everywhere: it does not count.
func TestUsingIsNotAboutInit(t *testing.T) {
	_, unreadable, err := using([]string{t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range unreadable {
		if p.PID == 1 {
			t.Error(p)
		}
	}
}

func TestNextSpare(t *testing.T) {
	one := func(tag string) release.Release {
		return release.Release{ID: release.ID("id-" + tag), Tag: tag, Commit: tag}
	}
	v := view{Releases: []release.Release{one("a"), one("b"), one("c"), one("d")}}
	v.Ledger.Tags = map[string]journal.TagState{
		"a": {Commit: "a", WasLive: true}, "b": {Commit: "b", WasLive: true}, "c": {Commit: "c"}, "d": {Commit: "d", Failed: true},
	}
	for _, c := range []struct {
		victims []release.ID
		inUse   release.ID
		want    release.ID
	}{
		{nil, "", ""},
		{[]release.ID{"id-a", "id-b", "id-c", "id-d"}, "", "id-b"},
		{[]release.ID{"id-a", "id-b", "id-c"}, "id-b", "id-a"},
		{[]release.ID{"id-c", "id-d"}, "", "id-d"},
		{[]release.ID{"id-d"}, "id-d", ""},
	} {
		inUse := map[release.ID]string{c.inUse: "in use"}
		if got := nextSpare(v, c.victims, inUse); got != c.want {
			t.Errorf("%q, %s in use: %s, want %s", c.victims, c.inUse, got, c.want)
		}
	}
}
