package gitrepo

import (
	"testing"
	"time"

	"github.com/git-rel/rel/internal/objects"
)

func TestNextDated(t *testing.T) {
	now := time.Date(2026, 11, 23, 23, 30, 0, 0, time.FixedZone("", -3600)) // the 24th, in UTC
	for _, test := range []struct {
		tags []string
		want string
	}{
		{nil, "2026.11.24-1"},
		{[]string{"v1.4", "2026.11.23-7"}, "2026.11.24-1"},
		{[]string{"2026.11.24-1", "2026.11.24-2"}, "2026.11.24-3"},
		{[]string{"2026.11.24-10", "2026.11.24-9", "2026.11.24"}, "2026.11.24-11"},
		{[]string{"2026.11.24-1-rc1", "2026.11.24-x", "v2026.11.24-4", "shop/2026.11.24-5"}, "2026.11.24-1"},
	} {
		if got := NextDated(test.tags, now); got != test.want {
			t.Errorf("%v: %s, want %s", test.tags, got, test.want)
		}
	}
}

func TestNewer(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"v1.10", "v1.9", true},
		{"v1.9", "v1.10", false},
		{"v1.4", "v1.4", false},
		{"v2.0-rc.1", "v1.4", true},
		{"2026.11.23-2", "2026.11.23-1", true},
		{"2026.11.23-2", "v1.4", false},
		{"shop/v2", "web/v1", false},
		{"", "v1", false},
		{"b", "a", false},
	} {
		if got := Newer(test.a, test.b); got != test.want {
			t.Errorf("%s newer than %s: %v", test.a, test.b, got)
		}
	}
}

// What a push brings is looked at by its id, and where it leads from what was there.
func TestReceived(t *testing.T) {
	r := newRepo(t)
	first := r.commit("a", "one", "one")
	second := r.commit("a", "two", "two")
	r.git("tag", "-a", "-m", "x", "v1", first)
	r.git("tag", "-a", "-m", "x", "v2", "v1")
	r.git("tag", "-a", "-m", "x", "tree", first+"^{tree}")
	r.git("switch", "--quiet", "--create", "side", first)
	side := r.commit("b", "side", "side")
	repo := r.open()
	for _, test := range []struct {
		rev  string
		want Received
	}{
		{first, Received{Kind: objects.KindCommit, Commit: first}},
		{"v1", Received{Kind: objects.KindCommit, Commit: first, Annotated: true}},
		{"v2", Received{Kind: objects.KindCommit, Commit: first, Annotated: true}},
		{"tree", Received{Kind: objects.KindTree, Annotated: true}},
		{first + ":a", Received{Kind: objects.KindBlob}},
	} {
		if got, err := repo.Received(r.git("rev-parse", test.rev)); got != test.want || err != nil {
			t.Errorf("%s: %+v, %v", test.rev, got, err)
		}
	}
	if _, err := repo.Received("0000000000000000000000000000000000000001"); err == nil {
		t.Error("an object that is not there")
	}
	for _, test := range []struct {
		old, new string
		want     bool
	}{{first, second, true}, {second, first, false}, {first, first, true}, {second, side, false}, {first, side, true}} {
		if got, err := repo.Ancestor(t.Context(), test.old, test.new); got != test.want || err != nil {
			t.Errorf("%.6s before %.6s: %v, %v", test.old, test.new, got, err)
		}
	}
}
