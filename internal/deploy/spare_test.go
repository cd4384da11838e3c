package deploy

import (
	"testing"

	"github.com/git-rel/rel/internal/config"
	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

func TestMayReuse(t *testing.T) {
	some := []proc.Process{{PID: 1}}
	for _, c := range []struct {
		reuse      config.Reuse
		all, blind bool // where all processes can be looked into, and where some cannot
	}{{config.ReuseAuto, true, false}, {config.ReuseTrue, true, true}, {config.ReuseFalse, false, false}} {
		s := &Site{Config: &config.Config{Export: config.Export{Reuse: c.reuse}}}
		if all, blind := s.mayReuse(nil), s.mayReuse(some); all != c.all || blind != c.blind {
			t.Errorf("%s: %v and %v, want %v and %v", c.reuse, all, blind, c.all, c.blind)
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
