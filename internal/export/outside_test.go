package export

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// surroundings is all that is beneath dir but for what is to become the release.
func surroundings(t *testing.T, dir, release string) string {
	t.Helper()
	var b strings.Builder
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == release {
			return fs.SkipDir
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		modified := info.ModTime()
		if d.IsDir() && path == filepath.Dir(release) {
			fmt.Fprintf(&b, "%s\n", path) // its time changes with the release
			return nil
		}
		fmt.Fprintf(&b, "%s %s %d %s\n", path, info.Mode(), info.Size(), modified)
		return nil
	}))
	return b.String()
}

// Links that lead out, to a directory that the tree then fills under a name that some file systems take for the link's; names that
// a terminal would act on; a bare repository in the tree, whose configuration runs a command: all of it is made as git makes it, and
// nothing outside of the release is touched.
func TestNothingIsWrittenOutside(t *testing.T) {
	work := t.TempDir()
	victim := filepath.Join(work, "victim")
	must(t, os.MkdirAll(filepath.Join(victim, "sub"), 0o755))
	must(t, os.WriteFile(filepath.Join(victim, "passwd"), []byte("root\n"), 0o644))
	r := newRepo(t)
	blob := r.blob("x\n")
	file := func(name string) rawEntry { return rawEntry{"100644", name, blob} }
	link := func(name, target string) rawEntry { return rawEntry{"120000", name, r.blob(target)} }
	dir := func(name string, entries ...rawEntry) rawEntry { return rawEntry{"40000", name, r.tree(entries...)} }
	bare := []rawEntry{
		file("HEAD"),
		{"100644", "config", r.blob("[core]\n\tfsmonitor = \"touch " + victim + "/ran\"\n\tpager = touch " + victim + "/ran\n")},
		dir("objects", file("x")), dir("refs", file("x")),
	}
	for name, entries := range map[string][]rawEntry{
		"links": {
			link("abs", victim), link("abs-file", victim+"/passwd"), dir("down", link("up", "../../victim"), link("here", ".")),
			link("gone", "/no/such"), link("loop", "loop"), link("up", "../victim"),
		},
		"case twins of a link":     {link("A", "../victim"), dir("a", file("passwd"), dir("sub", file("new")))},
		"case twins of a file":     {file("README"), file("readme"), link("ReadMe", "../victim/passwd")},
		"composed and not":         {link("\u00e9", "../victim"), dir("e\u0301", file("passwd"))},
		"names for a terminal":     {file("\x1b[2J"), file("\x1b]0;x\x07"), file("a\nb"), file("\u202ecod.exe"), file("-rf"), file("~"), file("$(id)")},
		"names of other bytes":     {file("\xff\xfe"), file("\x01"), file(strings.Repeat("n", 255))},
		"a bare repository":        append([]rawEntry{{"100644", ".gitattributes", r.blob("f export-subst\n")}}, append(bare, rawEntry{"100644", "f", r.blob("$Format:%D %(describe)$\n")})...),
		"a bare repository in it":  {{"100644", ".gitattributes", r.blob("f export-subst\n")}, dir("d", bare...), {"100644", "f", r.blob("$Format:%D %aN$\n")}},
		"git's own files as links": {link(".gitattributes", "../victim/passwd"), link(".gitignore", victim), link(".mailmap", "../victim/passwd")},
	} {
		t.Run(name, func(t *testing.T) {
			r := repo{t, r.dir}
			to := filepath.Join(work, name)
			r.tagTree("hostile", r.tree(entries...))
			before := surroundings(t, work, to)
			plan, err := Survey(t.Context(), r.source("hostile"))
			must(t, err)
			_, err = plan.Write(t.Context(), to, nil)
			must(t, err)
			same(t, to, r.archive("hostile"))
			if after := surroundings(t, work, to); after != before {
				t.Errorf("before:\n%safter:\n%s", before, after)
			}
		})
	}
}

// Git ignores a .gitattributes of 100 MiB and more. One that names very many attributes counts, and is no slower than it must be.
func TestHugeAttributes(t *testing.T) {
	var many strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&many, "*.x a%d=%d b%d c%d\n", i, i, i, i)
	}
	for name, c := range map[string]struct {
		attributes string
		ignored    bool
	}{
		"100 MiB":             {"f export-ignore\n" + strings.Repeat("#\n", 50<<20), false},
		"many attributes":     {many.String() + "f export-ignore\n", true},
		"one line of all":     {"f export-ignore " + strings.Repeat("a ", 1<<20) + "\n", false},
		"one endless pattern": {strings.Repeat("*", 1<<20) + " export-ignore\nf export-ignore\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			r.write(".gitattributes", c.attributes)
			r.write("f", "x\n")
			r.write("g.x", "x\n")
			r.commit("v1")
			got, _, err := export(t, r.source("v1"))
			must(t, err)
			must(t, os.Remove(filepath.Join(got, ".gitattributes")))
			want := r.archive("v1")
			must(t, os.Remove(filepath.Join(want, ".gitattributes")))
			same(t, got, want)
			if _, err := os.Lstat(filepath.Join(got, "f")); os.IsNotExist(err) != c.ignored {
				t.Errorf("%v", err)
			}
		})
	}
}

// As deep as a path may be, and one deeper.
func TestDeepTree(t *testing.T) {
	r := newRepo(t)
	below := strings.Repeat("d/", maxPath/2-1)
	r.git("update-index", "--add", "--cacheinfo", "100644,"+r.blob("x\n")+","+below+"f")
	deep := r.git("write-tree")
	r.tagTree("deep", deep)
	got, entries, err := export(t, r.source("deep"))
	must(t, err)
	if len(entries) != maxPath/2 {
		t.Errorf("%d entries", len(entries))
	}
	must(t, os.RemoveAll(got))
	r.tagTree("deeper", r.tree(rawEntry{"40000", "d", deep}))
	refused(t, r.source("deeper"), "a deeper tree", "bytes, where 3584 are possible")
}

// A graft is no part of what was tagged.
func TestGraftsAreIgnored(t *testing.T) {
	r := newRepo(t)
	r.write("f", "one\n")
	r.commit("v1")
	r.write(".gitattributes", "f export-subst\n")
	r.write("f", "$Format:%(describe) %P %aN$\n")
	r.commit("between")
	r.git("tag", "-d", "between")
	src := r.source("HEAD")
	want := r.archive("HEAD")
	must(t, os.WriteFile(filepath.Join(r.dir, ".git/info/grafts"), []byte(r.git("rev-parse", "HEAD")+"\n"), 0o644))
	got, _, err := export(t, src)
	must(t, err)
	same(t, got, want)
}

// Git archive refuses it, and so do we, under each name that some file system takes for it.
func TestGitmodulesLink(t *testing.T) {
	r := newRepo(t)
	blob := r.blob("/etc/passwd")
	for _, name := range []string{
		".gitmodules", ".GitModules", ".gitmodules ", ".gitmodules...", ".gitmodules:$DATA", "gitmod~1", "GITMOD~4", "gi7eba~1", "gi7eb~10", "~1000000",
		".git\u200cmodules",
	} {
		r.tagTree("bad", r.tree(rawEntry{"40000", "d", r.tree(rawEntry{"120000", name, blob})}))
		refused(t, r.source("bad"), name, "a symlink that some file systems take for .gitmodules")
	}
	for _, name := range []string{"gitmodules", ".gitmodulesx", "gitmod~5", "gi7eba~0", "gi7ebax1", ".gitmodule"} {
		r.tagTree("good", r.tree(rawEntry{"120000", name, blob}, rawEntry{"100644", ".gitmodules", blob}))
		got, _, err := export(t, r.source("good"))
		must(t, err)
		same(t, got, r.archive("good"))
	}
}
