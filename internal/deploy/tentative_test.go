package deploy

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/queue"
	"github.com/git-rel/rel/internal/store"
)

// pushedTo is a root with a repository that has a commit.
func pushedTo(t *testing.T) (*Site, func(args ...string) string) {
	t.Helper()
	dir := t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", filepath.Join(dir, "repo.git"), "-c", "user.name=d", "-c", "user.email=d@e"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	must(t, os.Mkdir(filepath.Join(dir, "repo.git"), 0o755))
	git("init", "--quiet", "--bare")
	git("update-ref", "refs/heads/main", git("commit-tree", "-m", "one", git("hash-object", "-w", "-t", "tree", "/dev/null")))
	must(t, os.WriteFile(filepath.Join(dir, "rel.toml"), nil, 0o644))
	site, err := Open(store.Found{Dir: dir})
	must(t, err)
	must(t, site.Root.Make())
	t.Cleanup(func() { site.Root.Close() })
	return site, git
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// dead is the receive-pack of a push that has ended; alive, this process, that of one that has not.
func dead() receiver { return receiver{PID: 1, Start: 1, Boot: "before"} }

func alive(t *testing.T) receiver {
	t.Helper()
	me, err := proc.Lookup(os.Getpid())
	must(t, err)
	return receiver{PID: me.PID, Start: me.Start, Boot: proc.BootID()}
}

// foretold writes what pre-receive does of a push of a tag of an object, and gives the request's key.
func foretold(t *testing.T, s *Site, tag, object string, from receiver) string {
	t.Helper()
	client := Client{Site: s}
	updates := []Update{{Old: strings.Repeat("0", 40), New: object, Ref: tagsPrefix + tag}}
	before := keysOf(t, s, false)
	must(t, client.writeTentative(updates, []Request{{Command: Activate, Tag: tag, Ref: tagsPrefix + tag, Object: object}}, "dana", from))
	after := keysOf(t, s, false)
	i := slices.IndexFunc(after, func(key string) bool { return !slices.Contains(before, key) })
	return after[i]
}

// keysOf are the keys of the tentative requests, or of the marks of those that have become requests.
func keysOf(t *testing.T, s *Site, taken bool) []string {
	t.Helper()
	q, err := queue.Open(s.Root.State())
	must(t, err)
	all, err := tentatives(q)
	must(t, err)
	must(t, q.Close())
	var keys []string
	for _, one := range all {
		if one.entry.Taken == taken {
			keys = append(keys, one.entry.Key)
		}
	}
	return keys
}

func wantQueued(t *testing.T, s *Site, keys ...string) {
	t.Helper()
	_, err := s.takeUp(t.Context())
	must(t, err)
	waiting, _, err := s.Queued()
	must(t, err)
	var got []string
	for _, w := range waiting {
		got = append(got, w.req.Key)
		if w.By != "dana" {
			t.Errorf("by %q", w.By)
		}
	}
	if !slices.Equal(got, keys) {
		t.Errorf("queued %q, want %q", got, keys)
	}
}

// A tentative request becomes one request where git has taken the ref in and its receive-pack has ended, whoever comes how often.
func TestTakeUp(t *testing.T) {
	s, git := pushedTo(t)
	head := git("rev-parse", "main")
	foretold(t, s, "v1.0", head, dead()) // not taken in
	one := foretold(t, s, "v1.1", head, dead())
	foretold(t, s, "v1.2", head, alive(t))
	git("tag", "v1.1", head)
	git("tag", "v1.2", head)
	wantQueued(t, s, one)
	wantQueued(t, s, one)
	if left := keysOf(t, s, false); len(left) != 1 {
		t.Errorf("left %q, want that of v1.2", left)
	}
	// Its post-receive comes after all, late.
	u := Update{New: head, Ref: "refs/tags/v1.1"}
	w, err := s.Enqueue(Request{Command: Activate, Tag: "v1.1", Ref: u.Ref, Object: head, By: "dana"}, u)
	must(t, err)
	if w.req.Key != one || w.Number != 1 {
		t.Errorf("queued again: %+v", w)
	}
	wantQueued(t, s, one)
}

// Of two pushes of the same tag git takes in one: it is one request.
func TestTakeUpTwice(t *testing.T) {
	s, git := pushedTo(t)
	head := git("rev-parse", "main")
	foretold(t, s, "v1.0", head, dead())
	two := foretold(t, s, "v1.0", head, dead())
	git("tag", "v1.0", head)
	wantQueued(t, s, two)
	foretold(t, s, "v1.1", head, dead())
	three := foretold(t, s, "v1.1", head, alive(t))
	git("tag", "v1.1", head)
	wantQueued(t, s, two) // that which goes on may be the one
	u := Update{New: head, Ref: "refs/tags/v1.1"}
	_, err := s.Enqueue(Request{Command: Activate, Tag: "v1.1", Ref: u.Ref, Object: head, By: "dana"}, u)
	must(t, err)
	wantQueued(t, s, two, three)
	if left := keysOf(t, s, false); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// Where another push of the same tag came first, while a gate was looking at this one, git takes this one in no more.
func TestTentativeTooLate(t *testing.T) {
	s, git := pushedTo(t)
	head := git("rev-parse", "main")
	git("tag", "v1.0", head)
	client := Client{Site: s}
	updates := []Update{{Old: strings.Repeat("0", 40), New: head, Ref: "refs/tags/v1.0"}}
	must(t, client.writeTentative(updates, []Request{{Command: Activate, Tag: "v1.0", Ref: "refs/tags/v1.0", Object: head}}, "dana", dead()))
	wantQueued(t, s)
}

// What is found long after it was pushed does not take the place of what is newer, and its mark is not kept for ever.
func TestTakeUpLate(t *testing.T) {
	s, git := pushedTo(t)
	head := git("rev-parse", "main")
	key := foretold(t, s, "v1.0", head, dead())
	git("tag", "v1.0", head)
	s.Now = func() time.Time { return time.Now().Add(2 * takenKept) }
	wantQueued(t, s, key)
	wantQueued(t, s, key)
	if marks := keysOf(t, s, true); len(marks) > 0 {
		t.Errorf("marks: %q", marks)
	}
}

func TestIsReceivePack(t *testing.T) {
	for line, want := range map[string]bool{
		"git receive-pack /srv/repo.git":                     true,
		"git-receive-pack /srv/repo.git":                     true,
		"/usr/lib/git-core/git receive-pack --stateless-rpc": true,
		"git --git-dir=x receive-pack .":                     true,
		"sh -c git-receive-pack '/srv/repo.git'":             false,
		"/bin/sh hooks/pre-receive":                          false,
		"git-receive-pack":                                   false,
		"":                                                   false,
	} {
		if got := isReceivePack(line); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}

func TestAwaitReceivePack(t *testing.T) {
	me, err := proc.Lookup(os.Getpid())
	must(t, err)
	me.Start++ // another process, which has ended
	args := WatchArgs("/srv/shop", me)
	must(t, AwaitReceivePack(t.Context(), args[len(args)-2], args[len(args)-1]))
	if err := AwaitReceivePack(t.Context(), "1", "x"); err == nil {
		t.Error("no error")
	}
}

// What is written is read by the next version of rel: names do not change.
func TestTentativeTravels(t *testing.T) {
	text, err := json.Marshal(tentative{Request: Request{Key: "K", Command: Activate}, Pushed: Update{"0", "1", "refs/tags/v1"}, Receiver: receiver{1, 2, "b"}, Number: 3})
	must(t, err)
	want := `{"request":{"key":"K","command":"activate","by":""},"pushed":{"old":"0","new":"1","ref":"refs/tags/v1"},"receiver":{"pid":1,"start":2,"boot":"b"},"number":3}`
	if string(text) != want {
		t.Errorf("got %s", text)
	}
}
