package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/proc"
)

// A sudo that was forgotten: Apache is root's, and whoever activates may not signal it. That is refused before anything is touched,
// by name, and no release is blamed for it.
func TestApacheIsSomebodyElses(t *testing.T) {
	needsPackage(t, "apache2", "/usr/sbin/apache2")
	if os.Getuid() != 0 {
		t.Skip("only root can start an Apache that another user may not signal")
	}
	nobody, err := proc.LookupUser("nobody")
	must(t, err)
	dir := t.TempDir()
	must(t, os.Chmod(filepath.Dir(dir), 0o755))
	must(t, os.Chmod(dir, 0o755))
	program, err := exec.LookPath("rel")
	must(t, err)
	must(t, exec.Command("cp", program, dir+"/rel").Run()) // testscript's own directory is closed to others

	pid := startPlainApache(t, dir)
	root := filepath.Join(dir, "root")
	must(t, os.Mkdir(root, 0o755))
	must(t, os.Chown(root, int(nobody.UID), int(nobody.GID)))
	run := func(name string, args ...string) (string, int) {
		cmd := exec.Command(name, args...)
		cmd.Dir = root
		cmd.Env = append(environ(), "HOME="+root, "PATH="+dir+":"+os.Getenv("PATH"))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody.UID, Gid: nobody.GID}}
		out, _ := cmd.CombinedOutput() // the exit code tells
		return string(out), cmd.ProcessState.ExitCode()
	}
	script := fmt.Sprintf(`git init -q -b main && git config user.name a && git config user.email a@b && echo 1 >page && git add page &&
git commit -qm one && git tag -am one v1.0 && printf '[[service]]\npreset = "apache"\npidfile = "%s"\ntest = "true"\nerror_log = "%s"\n' >rel.toml`,
		dir+"/pid", dir+"/error.log")
	if out, code := run("sh", "-c", script); code != 0 {
		t.Fatalf("%d\n%s", code, out)
	}
	for _, args := range [][]string{{"activate", "v1.0"}, {"stop"}, {"graceful"}, {"check"}} {
		out, code := run(dir+"/rel", args...)
		if code != 3 || !strings.Contains(out, fmt.Sprintf("pid %d (apache2), is not nobody's to signal", pid)) || !strings.Contains(out, "sudo rel -C") {
			t.Errorf("rel %s: exit %d\n%s", args, code, out)
		}
	}
	if out, _ := run(dir+"/rel", "list"); strings.Contains(out, "failed") {
		t.Errorf("the release is blamed:\n%s", out)
	}
}

// startPlainApache starts an Apache as root, with nothing in it, and gives its master's pid.
func startPlainApache(t *testing.T, dir string) int {
	t.Helper()
	modules := "/usr/lib/apache2/modules/mod_"
	conf := fmt.Sprintf("ServerRoot %s\nPidFile %s/pid\nListen %s\nServerName localhost\nLoadModule mpm_event_module %smpm_event.so\n"+
		"LoadModule authz_core_module %sauthz_core.so\nErrorLog %s/error.log\nUser www-data\nGroup www-data\nDocumentRoot %s\n",
		dir, dir, freeAddress(t), modules, modules, dir, dir)
	must(t, os.WriteFile(dir+"/apache.conf", []byte(conf), 0o644))
	cmd := exec.Command("/usr/sbin/apache2", "-f", dir+"/apache.conf", "-DFOREGROUND")
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		_ = cmd.Wait()
	})
	up := proc.Await(t.Context(), time.Minute, func() bool {
		_, err := os.Stat(dir + "/pid")
		return err == nil
	})
	if !up {
		t.Fatal("Apache does not come up")
	}
	return cmd.Process.Pid
}
