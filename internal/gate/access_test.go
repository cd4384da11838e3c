package gate

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

// nobody is a user that tests may become; the test is skipped where they may not.
func nobody(t *testing.T) proc.User {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: becomes nobody")
	}
	u, err := proc.LookupUser("nobody")
	must(t, err)
	return u
}

// openDir is a temporary directory that everybody can reach.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gate")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	dir, err = filepath.EvalSymlinks(dir)
	must(t, err)
	return dir
}

// testRelease is a root with one release, and its entries.
type testRelease struct {
	root, dir string
	entries   []release.Entry
}

func newTestRelease(t *testing.T) testRelease {
	t.Helper()
	r := testRelease{root: filepath.Join(openDir(t), "srv")}
	r.dir = filepath.Join(r.root, "releases", "20261123T020845Z-v1.4")
	for _, dir := range []string{r.dir, filepath.Join(r.root, "shared")} {
		must(t, os.MkdirAll(dir, 0o755))
	}
	r.add(t, "app.pl", release.ModeExec, release.Tagged, "")
	r.add(t, "conf", release.ModeSymlink, release.Tagged, "lib/Shop.pm")
	r.add(t, "lib", release.ModeDir, release.Tagged, "")
	r.add(t, "lib/Deep", release.ModeDir, release.Tagged, "")
	r.add(t, "lib/Deep/A.pm", release.ModeFile, release.Tagged, "")
	r.add(t, "lib/Deep/B.pm", release.ModeFile, release.Built, "")
	r.add(t, "lib/Shop.pm", release.ModeFile, release.Tagged, "")
	return r
}

func (r *testRelease) add(t *testing.T, path string, mode uint32, kind release.Kind, target string) {
	t.Helper()
	full := filepath.Join(r.dir, path)
	switch mode {
	case release.ModeDir:
		must(t, os.Mkdir(full, 0o755))
	case release.ModeSymlink:
		must(t, os.Symlink(target, full))
	default:
		must(t, os.WriteFile(full, []byte("1;\n"), fs.FileMode(mode&0o777)))
	}
	r.entries = append(r.entries, release.Entry{Path: path, Mode: mode, Kind: kind})
}

func (r *testRelease) request(u proc.User, become bool) AccessRequest {
	return AccessRequest{Dir: r.dir, Final: filepath.Join(r.root, "current"), Entries: r.entries, User: u, Become: become}
}

func TestAccess(t *testing.T) {
	u := nobody(t)
	chmod := func(path string, mode fs.FileMode) func(*testing.T, *testRelease) {
		return func(t *testing.T, r *testRelease) { must(t, os.Chmod(filepath.Join(r.dir, path), mode)) }
	}
	link := func(kind release.Kind, target string) func(*testing.T, *testRelease) {
		return func(t *testing.T, r *testRelease) {
			r.add(t, "link", release.ModeSymlink, kind, strings.ReplaceAll(target, "ROOT", r.root))
		}
	}
	secret := func(mode fs.FileMode, kind release.Kind, target string) func(*testing.T, *testRelease) {
		return func(t *testing.T, r *testRelease) {
			must(t, os.Mkdir(filepath.Join(r.root, "shared", "secret"), 0o755))
			must(t, os.WriteFile(filepath.Join(r.root, "shared", "secret", "key"), nil, 0o600))
			must(t, os.Chmod(filepath.Join(r.root, "shared", "secret"), mode))
			link(kind, target)(t, r)
		}
	}
	tests := []struct {
		name     string
		spoil    func(*testing.T, *testRelease)
		denied   []string // "path: why", ROOT standing for the root
		total    int
		dangling []string
	}{
		{"all is open", func(*testing.T, *testRelease) {}, nil, 0, nil},
		{"file", chmod("lib/Shop.pm", 0o640), []string{"lib/Shop.pm: -rw-r----- root:root"}, 1, nil},
		{"execute only", chmod("app.pl", 0o711), []string{"app.pl: -rwx--x--x root:root"}, 1, nil},
		{"not executable", chmod("app.pl", 0o744), []string{"app.pl: -rwxr--r-- root:root"}, 1, nil},
		{"directory, and all in it", chmod("lib", 0o700), []string{
			"conf: ROOT/releases/20261123T020845Z-v1.4/lib: drwx------ root:root", "lib: drwx------ root:root",
		}, 6, nil},
		{"directory with a name like another's", func(t *testing.T, r *testRelease) {
			r.add(t, "lib-old", release.ModeDir, release.Tagged, "")
			slices.SortFunc(r.entries, func(a, b release.Entry) int { return strings.Compare(a.Path, b.Path) })
			must(t, os.Chmod(filepath.Join(r.dir, "lib"), 0o700))
		}, []string{
			"conf: ROOT/releases/20261123T020845Z-v1.4/lib: drwx------ root:root", "lib: drwx------ root:root",
		}, 6, nil},
		{"directory that cannot be listed", chmod("lib/Deep", 0o711), []string{"lib/Deep: drwx--x--x root:root"}, 1, nil},
		{"directory that can only be listed", chmod("lib/Deep", 0o744), []string{"lib/Deep: drwxr--r-- root:root"}, 3, nil},
		{"the release", chmod(".", 0o700), []string{
			"ROOT/releases/20261123T020845Z-v1.4: drwx------ root:root",
		}, 8, nil},
		{
			"the root", func(t *testing.T, r *testRelease) { must(t, os.Chmod(r.root, 0o700)) },
			[]string{"ROOT: drwx------ root:root", "ROOT/releases: ROOT: drwx------ root:root"},
			2, nil,
		},
		{
			"above the root", func(t *testing.T, r *testRelease) { must(t, os.Chmod(filepath.Dir(r.root), 0o750)) },
			[]string{"ROOT: UP: drwxr-x--- root:root", "ROOT/releases: UP: drwxr-x--- root:root"},
			2, nil,
		},
		{"releases", chmod("..", 0o700), []string{"ROOT/releases: drwx------ root:root"}, 1, nil},
		{"dangling link", link(release.Tagged, "nowhere/at/all"), nil, 0, []string{"link"}},
		{"link to itself", link(release.Tagged, "link"), nil, 0, []string{"link"}},
		{"link out to a secret", secret(0o755, release.Tagged, "../../shared/secret/key"), nil, 0, nil},
		{
			"link out through a closed directory", secret(0o700, release.Tagged, "ROOT/shared/secret/key"),
			[]string{"link: ROOT/shared/secret: drwx------ root:root"},
			1, nil,
		},
		{
			"shared file that cannot be read", secret(0o755, release.Shared, "ROOT/shared/secret/key"),
			[]string{"link: ROOT/shared/secret/key: -rw------- root:root"},
			1, nil,
		},
		{
			"shared directory that cannot be listed", secret(0o711, release.Shared, "ROOT/shared/secret"),
			[]string{"link: ROOT/shared/secret: drwx--x--x root:root"},
			1, nil,
		},
		{"shared directory", secret(0o755, release.Shared, "ROOT/shared/secret"), nil, 0, nil},
		{"more than ten", func(t *testing.T, r *testRelease) {
			for _, name := range strings.Split("abcdefghijklmno", "") {
				r.add(t, "z"+name, release.ModeFile, release.Tagged, "")
				must(t, os.Chmod(filepath.Join(r.dir, "z"+name), 0o600))
			}
		}, []string{
			"za: -rw------- root:root", "zb: -rw------- root:root", "zc: -rw------- root:root", "zd: -rw------- root:root",
			"ze: -rw------- root:root", "zf: -rw------- root:root", "zg: -rw------- root:root", "zh: -rw------- root:root",
			"zi: -rw------- root:root", "zj: -rw------- root:root",
		}, 15, nil},
	}
	for _, tt := range tests {
		for _, become := range []bool{true, false} {
			how := map[bool]string{true: "as nobody", false: "computed from modes and ACLs"}[become]
			t.Run(tt.name+" "+how, func(t *testing.T) {
				r := newTestRelease(t)
				tt.spoil(t, &r)
				report, err := Access(t.Context(), r.request(u, become))
				must(t, err)
				var got []string
				for _, d := range report.Denied {
					s := strings.ReplaceAll(d.Path+": "+d.Why, r.root, "ROOT")
					got = append(got, strings.ReplaceAll(s, filepath.Dir(r.root), "UP"))
				}
				if !slices.Equal(got, tt.denied) || report.Total != tt.total || report.How != how {
					t.Errorf("%d, %s:\n%s\nwant %d, %s:\n%s", report.Total, report.How, strings.Join(got, "\n"), tt.total, how, strings.Join(tt.denied, "\n"))
				}
				if !slices.Equal(report.Dangling, tt.dangling) {
					t.Errorf("dangling: %q, want %q", report.Dangling, tt.dangling)
				}
				if err := report.Err(); (err == nil) != (tt.total == 0) || err != nil && release.ExitCode(err) != release.ExitRefused {
					t.Errorf("refusal: %v", err)
				}
			})
		}
	}
}

// TestAccessAfterDroppingRoot runs itself again, since root is dropped for the whole process.
func TestAccessAfterDroppingRoot(t *testing.T) {
	u := nobody(t)
	const inner = "GATE_TEST_DROPPED"
	if os.Getenv(inner) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestAccessAfterDroppingRoot$", "-test.v")
		cmd.Env = append(os.Environ(), inner+"=1", "TMPDIR=/tmp")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	owner, err := proc.LookupUser("daemon")
	must(t, err)
	must(t, proc.DropTo(owner))
	r := newTestRelease(t)
	must(t, os.Chmod(filepath.Join(r.dir, "lib"), 0o700))
	report, err := Access(t.Context(), r.request(u, true))
	must(t, err)
	if report.How != "as nobody" || report.Total != 6 || report.Denied[1].Path != "lib" || report.Denied[1].Why != "drwx------ daemon:daemon" {
		t.Errorf("got %+v", report)
	}
	if os.Geteuid() != int(owner.UID) {
		t.Errorf("euid %d", os.Geteuid())
	}
}

func TestAccessOfAReleaseThatMoves(t *testing.T) {
	u := nobody(t)
	for _, become := range []bool{true, false} {
		r := newTestRelease(t)
		must(t, os.Chmod(filepath.Join(r.root, "releases"), 0o700))
		req := r.request(u, become)
		req.Moves = true
		report, err := Access(t.Context(), req)
		must(t, err)
		if report.Total != 0 {
			t.Errorf("become %t: %+v", become, report)
		}
	}
}

// TestAccessLeavesUsAsWeAre: the credentials are of one thread, which ends.
func TestAccessLeavesUsAsWeAre(t *testing.T) {
	u := nobody(t)
	r := newTestRelease(t)
	must(t, os.Chmod(filepath.Join(r.dir, "lib"), 0o700))
	for range 50 {
		_, err := Access(t.Context(), r.request(u, true))
		must(t, err)
		if _, err := os.ReadDir(filepath.Join(r.dir, "lib")); err != nil || os.Geteuid() != 0 {
			t.Fatalf("euid %d: %v", os.Geteuid(), err)
		}
	}
	for _, task := range threads(t) {
		if task != "Uid:\t0\t0\t0\t0" {
			t.Errorf("a thread has %q", task)
		}
	}
}

func threads(t *testing.T) (uids []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/self/task/*/status")
	must(t, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a thread that has ended meanwhile
		}
		if err != nil {
			continue // ESRCH: likewise
		}
		for line := range strings.Lines(string(data)) {
			if strings.HasPrefix(line, "Uid:") {
				uids = append(uids, strings.TrimSpace(line))
			}
		}
	}
	return uids
}

// TestAccessACL compares what is computed with what the kernel says, for ACLs made by setfacl.
func TestAccessACL(t *testing.T) {
	u := nobody(t)
	setfacl, err := exec.LookPath("setfacl")
	if err != nil {
		t.Skip("needs setfacl (Debian package acl)")
	}
	u.Groups = []uint32{u.GID, 4, 12} // adm and man: groups that files can have and nobody has not
	tests := []struct {
		acl   string
		gid   int
		mode  fs.FileMode
		reads bool
	}{
		{"", 0, 0o644, true},
		{"", 4, 0o640, true},
		{"", 4, 0o604, false}, // the group decides, not others
		{"u:nobody:r", 0, 0o600, true},
		{"u:nobody:r,m::-", 0, 0o600, false}, // the mask takes it away
		{"u:nobody:-", 0, 0o644, false},
		{"u:nobody:-,g:4:r", 0, 0o644, false},
		{"u:1:r", 0, 0o600, false},
		{"g:12:r", 0, 0o600, true},
		{"g:12:r,m::-", 0, 0o600, false},
		{"g:12:-", 0, 0o604, true}, // an empty mask: Linux does not look at the ACL
		{"g:12:-,m::r", 0, 0o604, false},
		{"u:nobody:r,m::-", 0, 0o604, true},
		{"g:12:-,g:4:r", 0, 0o600, true}, // any group that grants it
		{"g:12:-", 4, 0o640, true},
		{"g:99:r", 0, 0o604, true},
	}
	for _, tt := range tests {
		t.Run(tt.acl, func(t *testing.T) {
			r := newTestRelease(t)
			file := filepath.Join(r.dir, "lib/Shop.pm")
			must(t, os.Chown(file, 0, tt.gid))
			must(t, os.Chmod(file, tt.mode))
			if tt.acl != "" {
				if out, err := exec.Command(setfacl, "-m", tt.acl, file).CombinedOutput(); err != nil {
					t.Skipf("no ACLs here: %s", out)
				}
			}
			for _, become := range []bool{true, false} {
				report, err := Access(t.Context(), r.request(u, become))
				must(t, err)
				if (report.Total == 0) != tt.reads {
					t.Errorf("%s: %+v", report.How, report.Denied)
				}
				if !tt.reads && tt.acl != "" && report.Total == 1 && !strings.Contains(report.Denied[0].Why, "+ root:root") {
					t.Errorf("the ACL is not shown: %s", report.Denied[0].Why)
				}
			}
		})
	}
}

func TestAccessAsOurselves(t *testing.T) {
	u, err := proc.UserOf(uint32(os.Geteuid()))
	must(t, err)
	r := newTestRelease(t)
	report, err := Access(t.Context(), r.request(u, true))
	must(t, err)
	if report.Total != 0 || report.How != "as "+u.Name || report.Checked != len(r.entries) {
		t.Errorf("got %+v", report)
	}
}

func TestAccessWithoutRoot(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("needs not to be root")
	}
	u, err := proc.LookupUser("root")
	must(t, err)
	u.Name, u.UID, u.GID, u.Groups = "somebody", 4242, 4242, nil
	r := newTestRelease(t)
	must(t, os.Chmod(filepath.Join(r.dir, "app.pl"), 0o700))
	report, err := Access(t.Context(), r.request(u, true))
	must(t, err)
	if report.How != "computed from modes and ACLs: this process may not become another user" || report.Total != 1 || report.Denied[0].Path != "app.pl" {
		t.Errorf("got %+v", report)
	}
}
