package deploy

import (
	"slices"
	"strings"
	"testing"

	"github.com/git-rel/rel/internal/config"
	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/release"
)

func TestChangesBetweenReleases(t *testing.T) {
	file := func(path, id string) release.Entry {
		return release.Entry{Path: path, ID: id, Mode: release.ModeFile, Kind: release.Tagged}
	}
	run := file("run.sh", "1")
	run.Mode = release.ModeExec
	built := file("built", "1")
	built.Kind = release.Built
	link := file("link", "1")
	link.Mode = release.ModeSymlink
	before := []release.Entry{file("gone", "1"), file("same", "1"), file("content", "1"), file("run.sh", "1"), built}
	after := []release.Entry{file("same", "1"), file("content", "2"), run, file("new", "1"), link, built}
	files, changed, removed := changes(before, after)
	if want := []string{"same", "content", "run.sh", "new"}; !slices.Equal(files, want) {
		t.Errorf("files %q, want %q", files, want)
	}
	if want := []string{"content", "run.sh", "new"}; !slices.Equal(changed, want) {
		t.Errorf("changed %q, want %q", changed, want)
	}
	if want := []string{"gone"}; !slices.Equal(removed, want) {
		t.Errorf("removed %q, want %q", removed, want)
	}
}

// Retention keeps the live release, the previous one, adopted ones, and of each kind the newest; by run, whatever the clock said.
func TestVictims(t *testing.T) {
	cfg := config.Default("shop")
	cfg.Keep, cfg.KeepFailed, cfg.KeepStaged = 1, 1, 0
	site := &Site{Config: cfg}
	v := view{Ledger: journal.Ledger{Tags: map[string]journal.TagState{}}}
	add := func(id release.ID, tag string, run int, state journal.TagState) release.Release {
		one := release.Release{ID: id, Tag: tag, Commit: "c-" + tag}
		state.Commit, state.ID, state.Run = one.Commit, id, run
		v.Ledger.Tags[tag] = state
		v.Releases = append(v.Releases, one)
		return one
	}
	live := journal.TagState{WasLive: true}
	failed := journal.TagState{Failed: true}
	add("1-a", "a", 1, live)
	add("2-b", "b", 2, live)
	add("3-c", "c", 3, live)
	previous := add("4-p", "p", 4, live)
	add("5-f1", "f1", 5, failed)
	add("6-f2", "f2", 6, failed)
	add("7-s", "s", 7, journal.TagState{Staged: true})
	add("9-ahead", "ahead", 0, live) // exported when the clock was ahead, before all others
	v.Live = add("8-l", "l", 8, live)
	v.Releases = append(v.Releases, release.Release{ID: "0-adopted", Tag: "0-adopted", Adopted: true})
	v.Ledger.Stack = []journal.Item{
		{Tag: "p", Commit: previous.Commit, ID: previous.ID}, {Tag: "l", Commit: v.Live.Commit, ID: v.Live.ID},
	}
	want := []release.ID{"9-ahead", "1-a", "2-b", "5-f1", "7-s"}
	if got := site.victims(v, ""); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWho(t *testing.T) {
	for _, test := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"REL_USER": "ci", "SUDO_USER": "dana"}, "ci"},
		{map[string]string{"SUDO_USER": "dana"}, "dana"},
	} {
		if got := Who(func(name string) string { return test.env[name] }); got != test.want {
			t.Errorf("%v: %q, want %q", test.env, got, test.want)
		}
	}
	if Who(func(string) string { return "" }) == "" {
		t.Error("nobody")
	}
}

func TestRequestTravels(t *testing.T) {
	req := NewRequest(Activate, "v1';$(id)")
	req.Force, req.ConfirmWithin = true, 60
	got, err := ParseRequest(req.String())
	if err != nil || got != req {
		t.Errorf("got %+v, %v, want %+v", got, err, req)
	}
	if NewRequest(Activate, "").Key == req.Key {
		t.Error("two requests with one key")
	}
}

func TestReadUpdates(t *testing.T) {
	for _, bad := range []string{"a b", "a b c", " b refs/x", "x"} {
		if _, err := ReadUpdates(strings.NewReader(bad + "\n")); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestSupersedes(t *testing.T) {
	activate := Request{Command: Activate, Tag: "v1.5", Ref: "refs/tags/v1.5"}
	stage := Request{Command: Stage, Tag: "x", Ref: "refs/heads/main"}
	other := Request{Command: Stage, Tag: "y", Ref: "refs/heads/next"}
	for _, test := range []struct {
		newer, older Request
		want         bool
	}{
		{activate, Request{Command: Activate, Tag: "v1.4", Ref: "refs/tags/v1.4"}, true},
		{activate, stage, false},
		{stage, activate, false},
		{stage, stage, true},
		{stage, other, false},
	} {
		if got := test.newer.supersedes(test.older); got != test.want {
			t.Errorf("%+v, %+v: %v", test.newer, test.older, got)
		}
	}
}

func TestPusher(t *testing.T) {
	env := map[string]string{}
	getenv := func(name string) string { return env[name] }
	account := Who(getenv)
	for _, test := range []struct{ rel, remote, option, want string }{
		{"ci", "dana", "user=jo", "ci"},
		{"", "dana", "user=jo", "dana"},
		{"", "", "user=jo", "jo (" + account + ")"},
		{"", "", "user=", account},
		{"", "", "verbose", account},
	} {
		env["REL_USER"], env["REMOTE_USER"] = test.rel, test.remote
		if got := Pusher(getenv, []string{test.option}); got != test.want {
			t.Errorf("%+v: %q", test, got)
		}
	}
}
