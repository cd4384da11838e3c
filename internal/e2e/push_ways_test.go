package e2e

import (
	"bytes"
	"fmt"
	"net"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/release"
)

// pushTime bounds a push: none of these has much to do.
const pushTime = 2 * time.Minute

// pushTo pushes to a remote and gives what git said; ok is whether git accepted it.
func (s *pushSite) pushTo(remote string, env []string, refs ...string) (said string, ok bool) {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), "git", append([]string{"-C", s.repo, "push", remote}, refs...)...)
	cmd.Env = append(append(environ(), raceVariable+"="+raceSettings(s.rel)), env...)
	cmd.WaitDelay = time.Second
	timer := time.AfterFunc(pushTime, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// takes is a push that git accepts, after which the pusher was told a text.
func (s *pushSite) takes(remote string, env []string, text string, refs ...string) {
	s.t.Helper()
	said, ok := s.pushTo(remote, env, refs...)
	if !ok || !strings.Contains(said, text) {
		s.t.Fatalf("git push %v: accepted: %v, and not %q in\n%s", refs, ok, text, said)
	}
}

// commit changes files of the repository that is pushed from.
func (s *pushSite) commit(files map[string]string) {
	s.t.Helper()
	for name, text := range files {
		path := filepath.Join(s.repo, name)
		must(s.t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(s.t, os.WriteFile(path, []byte(text), 0o644))
	}
	s.git("add", "--all")
	s.git("commit", "--quiet", "--allow-empty", "--message", "change")
}

// everyWay is what is pushed in each way: the first push of a repository with 5,000 files, a no-op, a branch that is cut, a tag that
// is refused, one that is reverted, and one that is rejected.
func (s *pushSite) everyWay(remote string, env []string) {
	s.t.Helper()
	files := map[string]string{"page": "good"}
	for i := range 5000 {
		files[fmt.Sprintf("many/%d/%d", i%50, i)] = fmt.Sprintln(i)
	}
	s.commit(files)
	s.git("tag", "-a", "-m", "v1.0", "v1.0")
	s.takes(remote, env, "remote: v1.0: live, run 1:", "main", "v1.0")
	s.takes(remote, env, "Everything up-to-date", "main", "v1.0")

	must(s.t, os.RemoveAll(filepath.Join(s.repo, "many")))
	s.commit(map[string]string{"page": "good, and new"})
	s.takes(remote, env, "-1: live, run 2:", "main")

	s.commit(map[string]string{"page": "refused"})
	s.git("tag", "-a", "-m", "v1.1", "v1.1")
	s.takes(remote, env, "remote: v1.1: refused, run 3:", "v1.1")
	s.commit(map[string]string{"page": "reverted"})
	s.git("tag", "-a", "-m", "v1.2", "v1.2")
	s.takes(remote, env, "remote: v1.2: reverted, run 4:", "v1.2")
	said, ok := s.pushTo(remote, env, "+v1.2^0:refs/tags/v1.1")
	if ok || !strings.Contains(said, "a release's tag is not moved") {
		s.t.Fatalf("a moved tag: accepted: %v\n%s", ok, said)
	}
	if live, err := os.ReadFile(filepath.Join(s.live, "page")); err != nil || string(live) != "good, and new" {
		s.t.Errorf("live: %q, %v", live, err)
	}
	s.quiet()
	s.want(release.ExitDone, "check")
}

// newWaySite is a site without a service whose pages decide how a run ends.
func newWaySite(t *testing.T) *pushSite {
	t.Helper()
	return newPushSite(t, options{noService: true, toml: `
[push]
branches = { main = "cut" }
[[check]]
name = "page"
run = "! grep -q refused page"
[health]
run = "! grep -q reverted $REL_ROOT/current/page"
passes = 1
interval = "10ms"
timeout = "200ms"
`})
}

// A push over a file path.
func TestPushOverFile(t *testing.T) {
	t.Parallel()
	s := newWaySite(t)
	s.everyWay(s.bare, nil)
}

// A push over HTTP, through git http-backend.
func TestPushOverHTTP(t *testing.T) {
	t.Parallel()
	git, err := exec.LookPath("git")
	must(t, err)
	s := newWaySite(t)
	env := slices.DeleteFunc(environ(), func(v string) bool { return strings.HasPrefix(v, "REL_USER=") })
	server := httptest.NewServer(&cgi.Handler{
		Path: git, Args: []string{"http-backend"}, Stderr: os.Stderr,
		Env: append(env, "GIT_PROJECT_ROOT="+s.dir, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=dana", raceVariable+"="+raceSettings(s.rel)),
	})
	defer server.Close()
	s.git("-C", s.bare, "config", "http.receivepack", "true")
	s.everyWay(server.URL+"/repo.git", nil)
	if by := s.historyOf()[0].By; by != "dana" {
		t.Errorf("pushed by %q, and the web server knows dana", by)
	}
}

// sshServer starts an sshd of our own on a loopback port, with one forced command, and gives the options by which ssh finds it.
func sshServer(t *testing.T, command string) []string {
	t.Helper()
	sshd, err := exec.LookPath("/usr/sbin/sshd")
	if err != nil {
		t.Skip("/usr/sbin/sshd: not found (Debian package openssh-server)")
	}
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("ssh: not found (Debian package openssh-client)")
	}
	me, err := user.Current()
	must(t, err)
	dir := t.TempDir()
	for _, name := range []string{"host", "key"} {
		out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, name)).CombinedOutput()
		if err != nil {
			t.Fatalf("ssh-keygen: %v\n%s", err, out)
		}
	}
	key, err := os.ReadFile(filepath.Join(dir, "key.pub"))
	must(t, err)
	allowed := filepath.Join(dir, "authorized_keys")
	must(t, os.WriteFile(allowed, fmt.Appendf(nil, "restrict,command=%q %s", command, key), 0o600))
	address := freeAddress(t)
	_, port, err := net.SplitHostPort(address)
	must(t, err)
	config := filepath.Join(dir, "sshd_config")
	must(t, os.WriteFile(config, fmt.Appendf(nil, `ListenAddress %s
HostKey %s/host
AuthorizedKeysFile %s
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
`, address, dir, allowed), 0o600))
	if os.Getuid() == 0 {
		must(t, os.MkdirAll("/run/sshd", 0o755)) // where sshd, run by root, wants to confine itself
	}
	var said bytes.Buffer
	cmd := exec.Command(sshd, "-D", "-e", "-f", config)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &said, &said, time.Second
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("sshd: %s", said.String())
		}
	})
	for deadline := time.Now().Add(pushTime); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("sshd does not listen: %v", err)
		}
	}
	return []string{
		"-F", "none", "-i", filepath.Join(dir, "key"), "-p", port, "-l", me.Username, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
	}
}

// A push over ssh, where a forced command says who it is that shares the account.
func TestPushOverSSH(t *testing.T) {
	t.Parallel()
	s := newWaySite(t)
	forced := filepath.Join(t.TempDir(), "forced")
	text := fmt.Sprintf("#!/bin/sh\nREL_USER=dana %s='%s'\nexport REL_USER %s\nexec git shell -c \"$SSH_ORIGINAL_COMMAND\"\n",
		raceVariable, raceSettings(s.rel), raceVariable)
	must(t, os.WriteFile(forced, []byte(text), 0o755))
	ssh := append([]string{"ssh"}, sshServer(t, forced)...)
	s.everyWay("ssh://127.0.0.1"+s.bare, []string{"GIT_SSH_COMMAND=" + strings.Join(ssh, " ")})
	if by := s.historyOf()[0].By; by != "dana" {
		t.Errorf("pushed by %q, and the forced command says dana", by)
	}
}

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// The README's way from nothing to a tag that a push has deployed, exactly as it stands there. Only ssh is not the real one: its
// server is a directory beside.
func TestPushOfTheREADME(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	must(t, err)
	_, section, ok := strings.Cut(string(text), "\n### Deploying by push\n")
	section, _, end := strings.Cut(section, "\n### ")
	blocks := shellBlock.FindAllStringSubmatch(section, -1)
	if !ok || !end || len(blocks) != 2 {
		t.Fatalf("the README's section on pushes has %d blocks of commands: is it read rightly?", len(blocks))
	}
	if commands := strings.Count(blocks[0][1]+blocks[1][1], "\n"); commands > 6 {
		t.Errorf("%d commands: six are enough", commands)
	}
	program, err := exec.LookPath("rel")
	must(t, err)
	top := t.TempDir()
	server, app, bin := filepath.Join(top, "server"), filepath.Join(top, "app"), filepath.Join(top, "bin")
	for _, dir := range []string{server, app, bin} {
		must(t, os.MkdirAll(dir, 0o755))
	}
	ssh := fmt.Sprintf("#!/bin/sh\nwhile [ \"$1\" != server ]; do shift; done\ncd '%s' && HOME=$PWD exec sh -c \"$2\"\n", server)
	must(t, os.WriteFile(filepath.Join(bin, "ssh"), []byte(ssh), 0o755))
	shell := func(dir, home, text string) string {
		cmd := exec.CommandContext(t.Context(), "sh", "-e", "-c", text)
		cmd.Dir = dir
		cmd.Env = append(environ(), "HOME="+home, "PATH="+bin+":"+filepath.Dir(program)+":"+os.Getenv("PATH"), raceVariable+"="+raceSettings(program))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", text, err, out)
		}
		return string(out)
	}
	shell(app, app, "git init -q -b main && git config user.name you && git config user.email you@example.org && echo page > index.html && git add . && git commit -q -m page")
	shell(server, server, blocks[0][1])
	said := shell(app, app, blocks[1][1])
	if !strings.Contains(said, "remote: v1.0: live, run 1: rel -C "+server+"/shop log 1 shows it, on the server") {
		t.Errorf("the push said\n%s", said)
	}
	if page, err := os.ReadFile(filepath.Join(server, "shop", "current", "index.html")); err != nil || string(page) != "page\n" {
		t.Errorf("live: %q, %v", page, err)
	}
	(&pushSite{site: &site{t: t, dir: filepath.Join(server, "shop"), run: bin}}).quiet()
}
