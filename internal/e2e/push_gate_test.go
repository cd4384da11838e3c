package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/git-rel/rel/internal/release"
)

// gatedPushes lets a push be built and checked before git accepts it. Each build says so in the file builds.
const gatedPushes = `
[push]
gate = true
[build]
run = 'echo $REL_TAG >>$REL_ROOT/builds; for i in 1 2 3 4 5; do echo $i; sleep 0.01; done'
[[check]]
name = "page"
run = "! grep -q refused page"
`

// builds are the tags that were built, in order.
func (s *pushSite) builds() []string {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "builds"))
	must(s.t, err)
	return strings.Fields(string(text))
}

// nothingUnaccepted sees that each directory of a release is one, and that nothing is left of any other.
func (s *pushSite) nothingUnaccepted() {
	s.t.Helper()
	s.quiet()
	s.want(release.ExitDone, "recover")
	s.quiet()
	names := func(elem ...string) []string {
		s.t.Helper()
		entries, err := os.ReadDir(filepath.Join(append([]string{s.dir}, elem...)...))
		must(s.t, err)
		var found []string
		for _, e := range entries {
			found = append(found, e.Name())
		}
		return found
	}
	releases, manifests, links := names("releases"), names(".rel", "manifests"), names(".rel", "links")
	if !slices.Equal(releases, manifests) || !slices.Equal(releases, links) {
		s.t.Errorf("releases %v\nmanifests %v\nlinks %v", releases, manifests, links)
	}
	if left := names(".rel", "unaccepted"); len(left) > 0 {
		s.t.Errorf("unaccepted: %v", left)
	}
}

// With push.gate each release is made once, before git accepts the push; what is rejected is not in git, and nowhere else.
func TestPushGateOverSSH(t *testing.T) {
	t.Parallel()
	s := newPushSite(t, options{noService: true, tables: gatedPushes})
	forced := filepath.Join(t.TempDir(), "forced")
	text := fmt.Sprintf("#!/bin/sh\n%s='%s'\nexport %s\nexec git shell -c \"$SSH_ORIGINAL_COMMAND\"\n", raceVariable, raceSettings(s.rel), raceVariable)
	must(t, os.WriteFile(forced, []byte(text), 0o755))
	ssh := append([]string{"ssh"}, sshServer(t, forced)...)
	remote, env := "ssh://127.0.0.1"+s.bare, []string{"GIT_SSH_COMMAND=" + strings.Join(ssh, " ")}

	s.commit(map[string]string{"page": "good"})
	s.git("tag", "-a", "-m", "v1.0", "v1.0")
	s.takes(remote, env, "remote: gate     v1.0: ready; git takes it in now", "main", "v1.0")
	s.commit(map[string]string{"page": "refused"})
	s.git("tag", "-a", "-m", "v1.1", "v1.1")
	if said, ok := s.pushTo(remote, env, "v1.1"); ok || !strings.Contains(said, "remote: check    check page: exit 1") || s.accepted("v1.1") {
		t.Errorf("accepted: %v\n%s", ok, said)
	}
	s.commit(map[string]string{"page": "good, and new"})
	s.git("tag", "-a", "-m", "v1.2", "v1.2")
	s.takes(remote, env, "remote: v1.2: live, run 2:", "v1.2")
	if got := s.builds(); !slices.Equal(got, []string{"v1.0", "v1.1", "v1.2"}) {
		t.Errorf("built: %v", got)
	}
	if live, err := os.ReadFile(filepath.Join(s.live, "page")); err != nil || string(live) != "good, and new" {
		t.Errorf("live: %q, %v", live, err)
	}
	s.nothingUnaccepted()
}

// Pushes at once do not disturb each other: of several tags each is made once, of one tag one push is accepted at least.
func TestPushGateAtOnce(t *testing.T) {
	t.Parallel()
	s := newPushSite(t, options{noService: true, tables: gatedPushes})
	tags := []string{"v1.0", "v1.1", "v1.2", "v1.3"}
	s.tag(tags...)
	cmds := map[*exec.Cmd]fmt.Stringer{}
	for _, tag := range append(tags, "v1.3", "v1.3") {
		cmd, said := s.push(tag)
		cmds[cmd] = said
	}
	for cmd, said := range cmds {
		if err := cmd.Wait(); err != nil && !strings.Contains(said.String(), "v1.3") {
			t.Errorf("%v\n%s", err, said)
		}
	}
	s.quiet()
	for _, tag := range tags {
		if runs := s.runsOf(tag); len(runs) != 1 || runs[0].Outcome != release.Live && runs[0].Outcome != release.Superseded {
			t.Errorf("%s: %+v", tag, runs)
		}
	}
	if got := s.builds(); len(got) > len(cmds) {
		t.Errorf("built: %v", got)
	}
	s.nothingUnaccepted()
}

// Whoever of a gated push is killed, and when: what git has accepted is deployed once, and of what it has not nothing is left.
func TestPushGateKilled(t *testing.T) {
	t.Parallel()
	s := killedPushes(t, gatedPushes, pushesShort/2, append(victims, "hook", "hook")...)
	s.nothingUnaccepted()
}
