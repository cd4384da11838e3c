package proc_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/git-rel/rel/internal/proc"
)

// views are a view over a directory and one over a symlink, each with the path at which "new" is to be read then.
func views(t *testing.T) map[string]*proc.View {
	t.Helper()
	if os.Geteuid() != 0 {
		if out, err := exec.Command("unshare", "--user", "--mount", "true").CombinedOutput(); err != nil {
			t.Skipf("needs user namespaces, which this kernel refuses: %v\n%s", err, out)
		}
	}
	dir := t.TempDir()
	for _, name := range []string{"old", "new"} {
		must(t, os.Mkdir(filepath.Join(dir, name), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, name, "page"), []byte(name+"\n"), 0o644))
		must(t, os.Symlink(name, filepath.Join(dir, "to-"+name)))
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	return map[string]*proc.View{
		at("old"):    {What: at("new"), At: at("old"), Dir: at("new")},
		at("to-old"): {What: at("to-new"), At: at("to-old"), Dir: at("new")},
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestView(t *testing.T) {
	for path, view := range views(t) {
		got, err := lines(t, proc.Command{Shell: `cat "$1/page"`, Args: []string{path}, View: view})
		if err != nil || !slices.Equal(got, []string{"new"}) {
			t.Errorf("%s in its view: %q, %v", path, got, err)
		}
		if data, err := os.ReadFile(filepath.Join(path, "page")); err != nil || string(data) != "old\n" {
			t.Errorf("%s: %q, %v", path, data, err)
		}
	}
}

// A command in a view is as it would be outside, but for what it sees.
func TestViewChangesNothingElse(t *testing.T) {
	hold, err := os.Create(filepath.Join(t.TempDir(), "lock"))
	must(t, err)
	defer hold.Close()
	const tell = `id; umask; pwd; env; grep -E '^(Cap(Inh|Prm|Eff|Amb)|Sig(Blk|Ign|Cgt)|NoNewPrivs)' /proc/self/status
		ulimit -a; ls -l /proc/self/fd | sed -n 's/.* \([0-9]* -> [^ 0-9]*\).*/\1/p'; exec 3<&3; exit 7`
	for _, view := range views(t) {
		c := proc.Command{Shell: tell, Dir: "/usr", Env: []string{"PATH=/usr/bin:/bin", "A=b c\nd"}, Hold: hold}
		want, plainErr := lines(t, c)
		c.View = view
		got, err := lines(t, c)
		if !slices.Equal(got, want) {
			t.Errorf("in a view:\n%s\nwithout:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if err == nil || err.Error() != plainErr.Error() {
			t.Errorf("in a view: %v; without: %v", err, plainErr)
		}
	}
}

func TestViewAs(t *testing.T) {
	needRoot(t)
	web := lookup(t, "www-data")
	for _, view := range views(t) {
		got, err := lines(t, proc.Command{Shell: credentials, View: view, As: &web, Dir: "/"})
		if err != nil || len(got) != 5 || strings.Join([]string{strings.TrimSpace(got[0]), strings.TrimSpace(got[1]), strings.TrimSpace(got[2])}, "|") != wantCredentials(web) ||
			!strings.HasSuffix(got[4], " 0000000000000000") {
			t.Errorf("as www-data: %q, %v", got, err)
		}
	}
}

func TestViewRefused(t *testing.T) {
	for path, view := range views(t) {
		for _, test := range []struct {
			c    proc.Command
			want string
		}{
			{proc.Command{Path: "/no/such", View: view}, "such: fork/exec /no/such: no such file or directory"},
			{proc.Command{Name: "a", Shell: ":", Dir: "/no/such", View: view}, "a: cannot run in /no/such: fork/exec /bin/sh: no such file or directory"},
			{proc.Command{Name: "a", Shell: ":", View: &proc.View{What: view.What, At: path + "-none", Dir: view.Dir}}, "a: mount over " + path + "-none: no such file or directory"},
			{proc.Command{Name: "a", Shell: ":", View: &proc.View{What: view.What, At: path, Dir: "/usr"}}, "a: mounted over " + path + ", and it is not /usr"},
		} {
			if _, err := lines(t, test.c); err == nil || err.Error() != test.want {
				t.Errorf("%v, want %s", err, test.want)
			}
		}
	}
}

func BenchmarkView(b *testing.B) {
	dir := b.TempDir()
	for name, view := range map[string]*proc.View{"without": nil, "in": {What: "/usr", At: dir, Dir: "/usr"}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := (proc.Command{Shell: ":", Env: []string{"PATH=/usr/bin:/bin"}, View: view}).Run(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
