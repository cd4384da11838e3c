// Package demo tells the whole story of rel on a throwaway root with a small HTTP service, by running rel's own commands as a
// person would.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/git-rel/rel/internal/proc"
)

// limit bounds the whole demo.
const limit = 60 * time.Second

// Options say with what and where the demo is told.
type Options struct {
	Program string    // this binary
	Out     io.Writer // the story
	Err     io.Writer // what rel itself says on standard error
	Color   string    // for rel's --color
}

// story is a demo that is being told.
type story struct {
	Options
	dir      string // holds checkout, where people work, and srv, the root
	visitors *visitors
	lost     int // up to the chapter that is being told
}

// Run tells the story and cleans up.
func Run(ctx context.Context, o Options) (err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if _, err := exec.LookPath("git"); err != nil {
		return errors.New("git: not found: the demo makes a small repository with it")
	}
	dir, err := os.MkdirTemp("", "rel-demo-")
	if err != nil {
		return err
	}
	s := &story{Options: o, dir: dir}
	defer func() { err = errors.Join(err, s.cleanUp()) }()
	return s.tell(ctx)
}

// tell is the story.
func (s *story) tell(ctx context.Context) error {
	addr, err := freeAddress()
	if err != nil {
		return err
	}
	if err := s.prepare(ctx, addr); err != nil {
		return err
	}
	s.say("A shop, served by a small program that loads its code when it starts. The first release goes live.")
	if err := s.release(ctx, "v1.0", goodPage, 0); err != nil {
		return err
	}
	s.visitors = visit("http://"+addr+"/", 3)
	defer s.visitors.end()
	for _, chapter := range []struct {
		text, tag, page string
		exit            int
	}{
		{"Visitors come all the time from now on. v1.1 goes live among them, without losing one.", "v1.1", goodPage, 0},
		{"v1.2 has a mistake that a check finds: it is refused, and nothing is touched.", "v1.2", uncompilablePage, 3},
		{
			"v1.3 compiles and dies when it starts, which takes the whole service down. What was live before is put back.",
			"v1.3", dyingPage, 4,
		},
	} {
		s.say(chapter.text)
		if err := s.release(ctx, chapter.tag, chapter.page, chapter.exit); err != nil {
			return err
		}
		s.sayLost()
	}
	s.say("v1.1 is not liked after all: one word goes back.")
	if err := s.rel(ctx, 0, "rollback"); err != nil {
		return err
	}
	s.sayLost()
	s.say("All of it is in the history.")
	if err := s.rel(ctx, 0, "history"); err != nil {
		return err
	}
	served, lost := s.visitors.so()
	s.say(fmt.Sprintf("%d requests were served, %d lost. rel --help shows the commands.", served, lost))
	return nil
}

// The pages of the releases: one that works, one that does not compile, and one that needs what its data has not.
const (
	goodPage         = "Welcome to the shop, {{.version}}"
	uncompilablePage = "Welcome to the shop, {{.version"
	dyingPage        = "Welcome to the shop, {{.version}}, {{.till}}"
)

// prepare makes the repository and the root.
func (s *story) prepare(ctx context.Context, addr string) error {
	checkout, root := filepath.Join(s.dir, "checkout"), s.root()
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main", checkout},
		{"-C", checkout, "config", "user.name", "Demo"},
		{"-C", checkout, "config", "user.email", "demo@example.org"},
		{"-C", checkout, "config", "commit.gpgsign", "false"},
	} {
		if out, err := exec.CommandContext(ctx, "git", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("git %s: %w: %s", args[0], err, out)
		}
	}
	if err := os.Mkdir(root, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, "rel.toml"), []byte(configuration(s.Program, addr, checkout)), 0o644)
}

// configuration is the root's rel.toml.
func configuration(program, addr, checkout string) string {
	return fmt.Sprintf(`app = "shop"
repo = %q

[env]
SHOP = %q

[[check]]
name = "template"
run = '"$SHOP" demo-service check "$1"'
files = ["*.tmpl"]

[[service]]
name = "shop"
preset = "pidfile"
pidfile = %q
start = '"$SHOP" demo-service start %s current'
graceful = "SIGUSR1"
restart = "graceful"
listen = [%q]
error_log = %q

[health]
url = "http://%s/"
release = "header X-Release"
soak = "0s"
`, checkout, program, pidFile, addr, addr, logFile, addr)
}

func (s *story) root() string { return filepath.Join(s.dir, "srv") }

// release commits a page, cuts a tag and activates it.
func (s *story) release(ctx context.Context, tag, page string, exit int) error {
	checkout := filepath.Join(s.dir, "checkout")
	files := map[string]string{"page.tmpl": page + "\n", "shop.json": fmt.Sprintf("{\"version\": %q}\n", tag)}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(checkout, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	for _, args := range [][]string{{"add", "."}, {"commit", "--quiet", "-m", "The shop's page for " + tag}} {
		if out, err := exec.CommandContext(ctx, "git", append([]string{"-C", checkout}, args...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("git %s: %w: %s", args[0], err, out)
		}
	}
	if err := s.runIn(ctx, checkout, 0, "cut", tag); err != nil {
		return err
	}
	return s.rel(ctx, exit, "activate", tag)
}

// rel runs one of rel's commands in the root.
func (s *story) rel(ctx context.Context, exit int, args ...string) error {
	return s.runIn(ctx, s.root(), exit, args...)
}

// runIn shows and runs one of rel's commands, which must exit as the story says.
func (s *story) runIn(ctx context.Context, dir string, exit int, args ...string) error {
	fmt.Fprintf(s.Out, "\n$ rel %s\n", strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, s.Program, append([]string{"--color", s.Color}, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, s.Out, s.Err
	cmd.Env = append(os.Environ(), "REL_ROOT=", "REL_USER=demo")
	var exited *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exited) {
		return err
	}
	if got := cmd.ProcessState.ExitCode(); got != exit {
		return fmt.Errorf("rel %s: exit code %d, where the story has %d", strings.Join(args, " "), got, exit)
	}
	return nil
}

func (s *story) say(text string) { fmt.Fprintf(s.Out, "\n# %s\n", text) }

// sayLost tells how many requests the chapter lost.
func (s *story) sayLost() {
	served, lost := s.visitors.so()
	s.say(fmt.Sprintf("%d requests served so far, %d lost meanwhile.", served, lost-s.lost))
	s.lost = lost
}

// cleanUp ends the service and removes everything.
func (s *story) cleanUp() error {
	text, err := os.ReadFile(filepath.Join(s.root(), pidFile))
	if err == nil {
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			return err
		}
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	// The last run may still be copying itself into the repository, which comes after its outcome is told.
	proc.Await(context.Background(), 10*time.Second, func() bool {
		err = os.RemoveAll(s.dir)
		return err == nil
	})
	return err
}

// freeAddress is a loopback address that nobody listens on now.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
