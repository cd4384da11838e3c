package gitrepo

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/release"
)

func sampleRun(n int) release.Run {
	return release.Run{
		Run: n, Key: fmt.Sprint("key", n), Command: "activate", From: "v1", To: "v2", Outcome: release.Live, By: "dana@example.org",
		Started: time.Date(2026, 1, 1, 0, n, 0, 123456789, time.UTC), Seconds: 1.5,
	}
}

func audited(t *testing.T, r *Repo, app string) (runs []release.Run) {
	t.Helper()
	err := r.Audit(app, func(run release.Run) bool {
		runs = append(runs, run)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return runs
}

// What is appended is read again as it was, newest first, in repositories of both formats, and git itself finds nothing wrong.
func TestAudit(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			tr := newRepo(t, "--object-format="+format)
			r := tr.open()
			if runs := audited(t, r, "shop"); len(runs) != 0 {
				t.Errorf("%v before the first", runs)
			}
			odd := sampleRun(2)
			odd.By, odd.Error = "<eve>\nfrom 0000", "it\n\nfrom here\ndone\n"
			for _, runs := range [][]release.Run{{sampleRun(1)}, {odd, sampleRun(3)}, nil} {
				if err := r.AppendAudit(context.Background(), "shop", "ROOT", runs); err != nil {
					t.Fatal(err)
				}
			}
			if got, want := audited(t, r, "shop"), []release.Run{sampleRun(3), odd, sampleRun(1)}; !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
			if out := tr.git("log", "--format=%an <%ae> %s", "refs/rel/history/shop"); out != "dana <dana@example.org> run 3: activate v2 (was v1): live\n"+
				"evefrom 0000 <evefrom 0000> run 2: activate v2 (was v1): live\ndana <dana@example.org> run 1: activate v2 (was v1): live" {
				t.Error(out)
			}
			tr.git("fsck", "--strict")
		})
	}
}

// An app may have any name.
func TestAuditNames(t *testing.T) {
	tr := newRepo(t)
	r := tr.open()
	names := []string{"shop", "a/b", ".x", "x.lock", "a..b", "-n", "né ~^:?*[\\", "100%", "x.", "@"}
	for i, name := range names {
		if err := r.AppendAudit(context.Background(), name, "ROOT", []release.Run{sampleRun(i + 1)}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if runs := audited(t, r, name); len(runs) != 1 || runs[0].Run != i+1 {
			t.Errorf("%s: %v", name, runs)
		}
	}
	apps, err := r.Audited()
	if err != nil || len(apps) != len(names) {
		t.Errorf("%q, %v", apps, err)
	}
}

// Where git cannot add to it there is an error, all stays as it was, and git leaves nothing behind.
func TestAuditRefused(t *testing.T) {
	tr := newRepo(t)
	r := tr.open()
	ctx := context.Background()
	if err := r.AppendAudit(ctx, "shop", "ROOT", []release.Run{sampleRun(1)}); err != nil {
		t.Fatal(err)
	}
	if err := r.AppendAudit(ctx, "shop", "OTHER", []release.Run{sampleRun(2)}); err == nil || !strings.Contains(err.Error(), "another root") {
		t.Errorf("of another root: %v", err)
	}
	tr.write(".git/refs/rel/history/shop.lock", "")
	if err := r.AppendAudit(ctx, "shop", "ROOT", []release.Run{sampleRun(2)}); err == nil || !strings.Contains(err.Error(), "fast-import") {
		t.Errorf("with its ref locked: %v", err)
	}
	if runs := audited(t, r, "shop"); len(runs) != 1 {
		t.Errorf("%+v", runs)
	}
	if left, err := filepath.Glob(filepath.Join(r.Dir, "fast_import_crash_*")); err != nil || len(left) > 0 {
		t.Errorf("%v is left: %v", left, err)
	}
	tr.commit("page", "one", "not a run")
	tr.git("update-ref", "refs/rel/history/blog", "HEAD")
	err := r.Audit("blog", func(release.Run) bool { return true })
	if err == nil || !strings.Contains(err.Error(), "run.json: not in its tree") {
		t.Errorf("of a commit that is no run: %v", err)
	}
}
