package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// patience bounds whatever a test waits for.
const patience = 60 * time.Second

// options are what sites differ in.
type options struct {
	directory bool   // mode "directory", else "symlink"
	restart   string // "graceful" if empty
	noService bool
	toml      string // put before the tables
	tables    string // put after them; @RUN@ is the service's directory
	share     *site  // another root whose service this one has too
	root      string // where the root is, instead of a directory of its own
}

// site is a root with a repository and a service.
type site struct {
	t       *testing.T
	rel     string // the program
	dir     string // the root
	repo    string // a work tree, whose tags are released
	run     string // where the service keeps its pid file and its log: not on the root's file system
	addr    string // where the service listens
	live    string // the live path
	options options
}

// newSite makes a root without releases, and ends whatever still runs of it after the test.
func newSite(t *testing.T, o options) *site {
	t.Helper()
	program, err := exec.LookPath("rel")
	must(t, err)
	top := t.TempDir()
	s := &site{
		t: t, rel: program, options: o, dir: filepath.Join(top, "srv"), repo: filepath.Join(top, "repo"),
		run: filepath.Join(top, "run"), addr: freeAddress(t),
	}
	if o.root != "" {
		s.dir = o.root
	}
	if o.share != nil {
		s.run, s.addr = o.share.run, o.share.addr
	}
	for _, dir := range []string{s.dir, s.repo, s.run} {
		must(t, os.MkdirAll(dir, 0o755))
	}
	must(t, os.WriteFile(filepath.Join(s.run, "gate"), []byte(gateScript), 0o755))
	t.Cleanup(s.endAll)
	s.git("init", "--quiet", "--initial-branch=main")
	s.live = filepath.Join(s.dir, "current")
	if o.directory {
		s.live = filepath.Join(s.dir, "rel")
	}
	must(t, os.WriteFile(filepath.Join(s.dir, "rel.toml"), []byte(s.configuration()), 0o644))
	return s
}

func (s *site) configuration() string {
	o := s.options
	mode := "symlink"
	if o.directory {
		mode = "directory"
	}
	text := fmt.Sprintf("app = \"shop\"\nrepo = %q\n%s\n[live]\nmode = %q\npath = %q\n", s.repo, o.toml, mode, filepath.Base(s.live))
	text += fmt.Sprintf("[env]\nSHOP = %q\n%s = %q\n", s.rel, raceVariable, raceSettings(s.rel))
	if !o.noService {
		restart := o.restart
		if restart == "" {
			restart = "graceful"
		}
		text += fmt.Sprintf(`[[service]]
name = "shop"
preset = "pidfile"
pidfile = %q
start = 'cd %s && "$SHOP" demo-service start %s %s'
graceful = "SIGUSR1"
restart = %q
listen = [%q]
error_log = %q
timeout = "20s"
[health]
url = "http://%s/"
release = "header X-Release"
passes = 2
interval = "20ms"
timeout = "10s"
soak = "0s"
`, filepath.Join(s.run, "shop.pid"), s.run, s.addr, s.live, restart, s.addr, filepath.Join(s.run, "shop.log"), s.addr)
	}
	return text + strings.ReplaceAll(o.tables, "@RUN@", s.run)
}

// pages of releases. Each names its tag, so that a mixture of two releases shows.
const (
	goodPage  = "TAG: welcome to the shop, {{.version}}\n"
	dyingPage = "TAG: welcome to the shop, {{.version}}, {{.till}}\n" // compiles, and dies at start
)

// files is what a tag's tree holds: enough that an export takes a moment.
func files(tag, page string) map[string]string {
	all := map[string]string{
		"page.tmpl": strings.ReplaceAll(page, "TAG", tag),
		"shop.json": fmt.Sprintf("{\"version\": %q}\n", tag),
	}
	for i := range 40 {
		all[fmt.Sprintf("lib/part%d/%d.txt", i%5, i)] = strings.Repeat(fmt.Sprintf("part %d of %s\n", i, tag), 20)
	}
	return all
}

// tag commits the files of a release and tags them.
func (s *site) tag(tags ...string) {
	s.t.Helper()
	for _, tag := range tags {
		s.tagWith(tag, goodPage)
	}
}

func (s *site) tagWith(tag, page string) {
	s.t.Helper()
	for name, content := range files(tag, page) {
		path := filepath.Join(s.repo, name)
		must(s.t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(s.t, os.WriteFile(path, []byte(content), 0o644))
	}
	s.git("add", ".")
	s.git("commit", "--quiet", "-m", "The shop of "+tag)
	s.git("tag", "--force", "-m", tag, tag)
}

func (s *site) git(args ...string) string {
	s.t.Helper()
	cmd := exec.Command("git", append([]string{
		"-C", s.repo, "-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false", "-c", "gc.auto=0",
	}, args...)...)
	cmd.Env = environ()
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// environ is ours without what would lead git or rel elsewhere.
func environ() []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "GIT_") || strings.HasPrefix(v, "REL_")
	})
	return append(env, "REL_USER=tester")
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, listener.Close())
	return listener.Addr().String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
