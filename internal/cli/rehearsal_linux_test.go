package cli

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/git-rel/rel/internal/proc"
)

// owned is a root that belongs to a user, and that user's rel.
type owned struct {
	t       *testing.T
	dir     string
	program string
	as      *syscall.Credential // nil: as we are
}

// newOwned makes a checkout of a Perl program that finds its library at the live path, as one with a path compiled in does.
func newOwned(t *testing.T, as *syscall.Credential) *owned {
	t.Helper()
	top := t.TempDir()
	o := &owned{t: t, dir: filepath.Join(top, "shop"), program: filepath.Join(top, "rel"), as: as}
	found, err := exec.LookPath("rel") // of testscript, in a directory that others cannot enter
	if err == nil {
		var data []byte
		if data, err = os.ReadFile(found); err == nil {
			err = os.WriteFile(o.program, data, 0o755)
		}
	}
	if err == nil {
		err = errors.Join(os.Mkdir(o.dir, 0o755), os.Chmod(filepath.Dir(top), 0o755))
	}
	if err == nil && as != nil {
		err = os.Chown(o.dir, int(as.Uid), int(as.Gid))
	}
	if err != nil {
		t.Fatal(err)
	}
	o.run(0, "git", "init", "-q", ".")
	t.Cleanup(o.await)
	return o
}

// await waits for the worker, which writes the history into the repository after the command has ended.
func (o *owned) await() {
	lock, err := os.Open(filepath.Join(o.dir, ".rel", "lock"))
	if err == nil {
		err = errors.Join(syscall.Flock(int(lock.Fd()), syscall.LOCK_EX), lock.Close())
	}
	if err != nil {
		o.t.Error(err)
	}
}

// run runs a command in the root, which must end with the code, and gives what it said.
func (o *owned) run(code int, name string, args ...string) string {
	o.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = o.dir
	cmd.Env = append(os.Environ(), "HOME="+o.dir, "GIT_CONFIG_NOSYSTEM=1", "GORACE=atexit_sleep_ms=0",
		"GIT_AUTHOR_NAME=Dana", "GIT_AUTHOR_EMAIL=dana@example.org", "GIT_COMMITTER_NAME=Dana", "GIT_COMMITTER_EMAIL=dana@example.org")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: o.as}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		o.t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		o.t.Fatalf("%s %s: exit %d, not %d\n%s", name, strings.Join(args, " "), got, code, out)
	}
	return string(out)
}

func (o *owned) rel(code int, args ...string) string {
	o.t.Helper()
	return o.run(code, o.program, args...)
}

func (o *owned) write(name, text string) {
	o.t.Helper()
	if err := os.WriteFile(filepath.Join(o.dir, name), []byte(text), 0o644); err != nil {
		o.t.Fatal(err)
	}
}

// version tags a version whose library has one function and whose program calls one.
func (o *owned) version(tag, has, calls, live string) {
	o.t.Helper()
	o.write("Price.pm", "package Price; use strict; use warnings; sub "+has+" { return 1 } 1;\n")
	o.write("shop.pl", fmt.Sprintf("#!/usr/bin/perl -T\nuse strict; use warnings;\nuse lib '%s/%s';\nuse Price;\n"+
		"BEGIN { Price->can('%s') or die 'no %s' }\nprint Price->%s;\n", o.dir, live, calls, calls, calls))
	o.run(0, "git", "add", "Price.pm", "shop.pl")
	o.run(0, "git", "commit", "-qm", tag)
	o.run(0, "git", "tag", "-am", tag, tag)
}

// users are as whom a rehearsal is tested: as we are, and, if that is root, as somebody who needs a user namespace.
func users(t *testing.T) map[string]*syscall.Credential {
	t.Helper()
	all := map[string]*syscall.Credential{"us": nil}
	if os.Geteuid() == 0 {
		nobody, err := proc.LookupUser("nobody")
		if err != nil {
			t.Fatal(err)
		}
		all["nobody"] = &syscall.Credential{Uid: nobody.UID, Gid: nobody.GID}
	}
	return all
}

// needNamespaces skips where this machine has none for the user.
func (o *owned) needNamespaces() {
	o.t.Helper()
	unshare := exec.Command("unshare", "--user", "--mount", "true")
	if o.as == nil && os.Geteuid() == 0 {
		unshare = exec.Command("unshare", "--mount", "true")
	}
	unshare.SysProcAttr = &syscall.SysProcAttr{Credential: o.as}
	if out, err := unshare.CombinedOutput(); err != nil {
		o.t.Skipf("needs namespaces, which this kernel refuses: %v\n%s", err, out)
	}
}

// Code that finds its library at the live path gets the right verdict before the switch, and a wrong one without a rehearsal.
func TestRehearsal(t *testing.T) {
	if _, err := exec.LookPath("perl"); err != nil {
		t.Skip("needs perl (Debian package perl)")
	}
	for who, as := range users(t) {
		for mode, live := range map[string]string{"symlink": "current", "directory": "rel"} {
			t.Run(who+"/"+mode, func(t *testing.T) {
				t.Parallel()
				o := newOwned(t, as)
				o.needNamespaces()
				config := func(rehearsal string) {
					o.write("rel.toml", "[live]\nmode = '"+mode+"'\nrehearsal = '"+rehearsal+"'\n[[check]]\npreset = 'perl'\n")
				}
				config("require")
				o.version("v1", "net", "net", live)
				o.rel(0, "activate", "v1", "--force") // nothing is live that could be covered
				o.version("v2", "gross", "net", live)
				o.version("v3", "gross", "gross", live)

				config("off")
				if out := o.rel(0, "stage", "v2"); !strings.Contains(out, "not rehearsed") {
					t.Errorf("a check that may have seen other code does not say so:\n%s", out)
				}
				if out := o.rel(3, "stage", "v3"); !strings.Contains(out, "no gross") {
					t.Errorf("v3 was refused for another reason:\n%s", out)
				}
				config("require")
				if out := o.rel(3, "activate", "v2"); !strings.Contains(out, "no net") {
					t.Errorf("v2 was refused for another reason:\n%s", out)
				}
				if out := o.rel(0, "activate", "v3"); !strings.Contains(out, "rehearsed") {
					t.Errorf("a rehearsal that is not told:\n%s", out)
				}
				mounts, err := os.ReadFile("/proc/self/mountinfo")
				if err != nil || strings.Contains(string(mounts), o.dir) {
					t.Errorf("a mount was left: %v\n%s", err, mounts)
				}
			})
		}
	}
}
