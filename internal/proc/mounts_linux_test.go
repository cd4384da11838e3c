package proc_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/proc"
)

// A process in a mount namespace of its own, as in a container, knows a directory by another name, and keeps it mounted.
func TestUsingThroughMounts(t *testing.T) {
	t.Parallel()
	if err := exec.Command("unshare", "-m", "true").Run(); err != nil {
		t.Skipf("unshare -m: %v", err)
	}
	base := t.TempDir()
	for _, name := range []string{"root/in use", "root/bound", "root/beneath/data", "root/none", "mnt", "mnt2"} {
		if err := os.MkdirAll(filepath.Join(base, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	const script = `cd "$1" && mount --bind root mnt && mount --bind root/bound mnt2 && mount -t tmpfs none root/beneath/data &&
		cd 'mnt/in use' && touch ready && exec sleep 60`
	p := spawn(t, base, nil, "unshare", "-m", "sh", "-c", script, "sh", base)
	inUse := filepath.Join(base, "root/in use")
	if !proc.Await(t.Context(), 10*time.Second, func() bool {
		_, err := os.Stat(filepath.Join(inUse, "ready"))
		return err == nil
	}) {
		t.Skip("mount: not allowed here")
	}
	dirs := []string{inUse, filepath.Join(base, "root/bound"), filepath.Join(base, "root/beneath"), filepath.Join(base, "root/none")}
	uses, _, err := proc.Using(dirs)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"cwd", "mount", "mount", ""} {
		var hows []string
		for _, use := range uses[dirs[i]] {
			if use.PID != p.PID {
				t.Errorf("%s: process %d (%s)", dirs[i], use.PID, use.How)
			}
			hows = append(hows, use.How)
		}
		if want == "" && len(hows) > 0 || want != "" && !slices.Contains(hows, want) {
			t.Errorf("%s: %q, want %q", dirs[i], hows, want)
		}
	}
}
