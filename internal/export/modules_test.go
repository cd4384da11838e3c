package export

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// submodule adds a submodule to the index and to .gitmodules, as git submodule add does, and names the repository as its URL.
func (r repo) submodule(path string, of repo, rev string) {
	r.t.Helper()
	at := filepath.Join(r.dir, ".gitmodules")
	old, err := os.ReadFile(at)
	if err != nil && !os.IsNotExist(err) {
		r.t.Fatal(err)
	}
	must(r.t, os.WriteFile(at, fmt.Appendf(old, "[submodule %q]\n\tpath = %s\n\turl = %s\n", path, path, of.dir), 0o644))
	r.git("update-index", "--add", "--cacheinfo", "160000,"+of.git("rev-parse", rev)+","+path)
	must(r.t, os.MkdirAll(filepath.Join(r.dir, path), 0o755)) // so that git add does not take it for deleted
}

// opener opens submodules where they are, by a URL that is a path.
func opener(t testing.TB) Opener {
	var open Opener
	open = func(_ context.Context, s Submodule) (Module, error) {
		dir := filepath.Join(s.URL, ".git")
		store, err := objects.Open(dir)
		if err != nil {
			return Module{}, release.Errorf(release.ExitRefused, "%w", err).Hint("none")
		}
		t.Cleanup(func() { must(t, store.Close()) })
		return Module{Store: store, GitDir: dir, Module: open}, nil
	}
	return open
}

func (r repo) fetching(rev string) Source {
	src := r.source(rev)
	src.Submodules, src.Module = SubmodulesFetch, opener(r.t)
	return src
}

// family is a repository with submodules, one of which has one itself.
func family(t *testing.T) (top, lib, deep repo) {
	deep = newRepo(t)
	deep.write("deep.txt", "$Format:%H %s %(describe)$\n")
	deep.write("empty.c", "$Id$\n")
	deep.write(".gitattributes", "*.txt export-subst\n")
	deep.commit("d1")

	lib = newRepo(t)
	lib.write("run", "#!/bin/sh\n$Format:%H$\n")
	lib.write("a/b/x.txt", "$Format:%H %(describe) %(describe)$\n$Id$\n")
	lib.write("a/skip/x", "not for release\n")
	lib.write("link", "-> a/b/x.txt")
	lib.write("dos.bat", "a\nb\n")
	lib.write(".gitattributes", "[attr]mine export-subst ident\n*.txt mine\n/a/skip export-ignore\n*.bat text eol=crlf\n/deps/none export-ignore\n")
	lib.submodule("deps/deep", deep, "d1")
	lib.submodule("deps/none", deep, "d1")
	lib.commit("l1")

	top = newRepo(t)
	// Patterns that would change the submodule's files, were they asked about them.
	top.write(".gitattributes", "*.txt export-ignore\n*.bat export-ignore\nvendor/lib/run export-ignore\n/ignored export-ignore\nx.sub export-subst\n")
	top.write("x.sub", "$Format:%H %(describe)$\n")
	top.write("main.go", "package main\n")
	top.submodule("vendor/lib", lib, "l1")
	top.submodule("ignored", lib, "l1")
	top.submodule("zlib", deep, "d1")
	top.commit("v1")
	return top, lib, deep
}

func TestSubmodulesAsGitArchiveInEach(t *testing.T) {
	top, lib, deep := family(t)
	want := top.archive("v1")
	for path, sub := range map[string]string{"vendor/lib": lib.archive("l1"), "zlib": deep.archive("d1")} {
		put(t, sub, filepath.Join(want, path))
	}
	put(t, deep.archive("d1"), filepath.Join(want, "vendor/lib/deps/deep"))

	got, entries, err := export(t, top.fetching("v1"))
	must(t, err)
	same(t, got, want)
	for _, e := range entries {
		if e.Kind != release.Tagged {
			t.Errorf("%s: %v", e.Path, e.Kind)
		}
	}
	plan, err := Survey(context.Background(), top.fetching("v1"))
	must(t, err)
	if files := len(plan.files) + len(plan.links); plan.Files != files || files != 16 || plan.Inodes != int64(len(entries))+1 {
		t.Errorf("%d files of %d, %d inodes of %d entries", plan.Files, files, plan.Inodes, len(entries))
	}

	// A part of the release that leads into a submodule.
	for path, sub := range map[string]string{"vendor/lib": "", "vendor/lib/a": "a", "vendor/lib/deps/deep": "deps/deep"} {
		src := top.fetching("v1")
		src.Path = path
		got, _, err := export(t, src)
		must(t, err)
		same(t, got, filepath.Join(want, "vendor/lib", sub))
	}
}

func TestSubmodulesWithoutAttributes(t *testing.T) {
	top, lib, _ := family(t)
	src := top.fetching("v1")
	src.Attributes = false
	got, _, err := export(t, src)
	must(t, err)
	for _, path := range []string{"vendor/lib/a/skip/x", "vendor/lib/deps/none/deep.txt", "ignored/run"} {
		if _, err := os.Stat(filepath.Join(got, path)); err != nil {
			t.Error(err)
		}
	}
	raw, err := os.ReadFile(filepath.Join(got, "vendor/lib/a/b/x.txt"))
	must(t, err)
	if want := lib.git("show", "l1:a/b/x.txt") + "\n"; string(raw) != want {
		t.Errorf("%q", raw)
	}
}

// put copies a tree over another, as tar would.
func put(t *testing.T, from, to string) {
	t.Helper()
	must(t, os.MkdirAll(to, 0o755))
	if out, err := exec.Command("cp", "-a", from+"/.", to).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestSubmodulesEmpty(t *testing.T) {
	top, _, _ := family(t)
	src := top.source("v1")
	src.Submodules = SubmodulesEmpty
	got, _, err := export(t, src)
	must(t, err)
	same(t, got, top.archive("v1"))
	if left, err := os.ReadDir(filepath.Join(got, "vendor/lib")); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
	refused(t, top.source("v1"), "no word of submodules", "vendor/lib: a submodule")

	// What a plan that must not fetch makes of one that is not here.
	src.Submodules = SubmodulesFetch
	src.Module = func(context.Context, Submodule) (Module, error) { return Module{}, nil }
	got, _, err = export(t, src)
	must(t, err)
	same(t, got, top.archive("v1"))
}

const honest = "[submodule \"lib\"]\n\tpath = vendor/lib\n\turl = ../lib.git\n"

// The patterns by which submodules were used against git, and their like: each is refused before a repository is asked for.
func TestHostileSubmodules(t *testing.T) {
	r := newRepo(t)
	commit := r.git("commit-tree", "-m", "c", r.tree())
	blob := r.blob("x\n")
	gitlink := func(name string) rawEntry { return rawEntry{"160000", name, commit} }
	vendor := rawEntry{"40000", "vendor", r.tree(gitlink("lib"))}
	modules := func(text string) rawEntry { return rawEntry{"100644", ".gitmodules", r.blob(text)} }
	add := func(more string) []rawEntry { return []rawEntry{modules(honest + more), vendor} }
	other := func(name, path, url string) []rawEntry {
		return add(fmt.Sprintf("[submodule %s]\n\tpath = %s\n\turl = %s\n", name, path, url))
	}
	for _, c := range []struct {
		what, text string
		entries    []rawEntry
	}{
		{"a bare gitlink", "vendor/lib: a submodule that .gitmodules does not name", []rawEntry{vendor}},
		{"a gitlink beside the one that is named", "extra: a submodule that .gitmodules does not name", append(add(""), gitlink("extra"))},

		// CVE-2018-11235: a name that leads out of .git/modules.
		{"a name with ..", `a name with ".."`, other(`"../../x"`, "x", "u")},
		{"a name that is ..", `a name with ".."`, other(`".."`, "x", "u")},
		{"a name with .. inside", `a name with ".."`, other(`"a/../b"`, "x", "u")},
		{"a name with .. by backslashes", `a name with ".."`, other(`"a\\..\\b"`, "x", "u")},
		{"an absolute name", `a name with "..", "." or an empty part`, other(`"/etc"`, "x", "u")},
		{"an empty name", "cannot be read", other(`""`, "x", "u")},

		// CVE-2018-17456: what git would take for an option.
		{"a url that is an option", "its url looks like an option", other(`"x"`, "x", "-u./payload")},
		{"a quoted url that is an option", "its url looks like an option", other(`"x"`, "x", `"--upload-pack=id"`)},
		{"a path that is an option", "looks like an option", other(`"x"`, "-sub", "u")},
		{"a name that is an option", "looks like an option", other(`"--help"`, "x", "u")},

		// CVE-2025-48384 and CVE-2020-5260, CVE-2020-11008: control characters.
		{"a path with CR", "a control character in line 5", other(`"x"`, "\"x\r\"", "u")},
		{"a path with CR at its end", "a control character in line 5", other(`"x"`, "x\r\r", "u")},
		{"a name with CR", "a control character in line 4", other("\"x\r\"", "x", "u")},
		{"a url with CR", "a control character in line 6", other(`"x"`, "x", "\"https://h/\r\"")},
		{"a url with an escaped newline", "its url holds a control character", other(`"x"`, "x", `"https://h?x\nhost=evil"`)},
		{"a path with an escaped newline", "control character", other(`"x"`, `"a\nb"`, "u")},
		{"an escape sequence", "a control character in line 5", other(`"x"`, "\x1b[2J", "u")},
		{"a NUL", "a control character in line 5", other(`"x"`, "x\x00", "u")},

		// CVE-2019-19604: a command in the file.
		{"an update that is a command", "its update is a command", add("[submodule \"lib\"]\n\tupdate = !touch /tmp/x\n")},

		// CVE-2019-1387, CVE-2024-32002 and their like: places that are taken.
		{"two at one path", "two submodules at vendor/lib", other(`"x"`, "vendor/lib", "u")},
		{"two at one path, with a slash", "two submodules at vendor/lib", other(`"x"`, "vendor/lib/", "u")},
		{"one in the other", "vendor/lib/x lies in that at vendor/lib", other(`"x"`, "vendor/lib/x", "u")},
		{"one above the other", "vendor/lib lies in that at vendor", other(`"x"`, "vendor", "u")},
		{"a path with ..", `the name ".."`, other(`"x"`, "../x", "u")},
		{"a path with .. inside", `the name ".."`, other(`"x"`, "a/../x", "u")},
		{"an absolute path", "an empty name", other(`"x"`, "/etc", "u")},
		{"no path", "an empty name", add("[submodule \"x\"]\n\turl = u\n")},
		{"a path into .git", "take for .git", other(`"x"`, ".git/hooks", "u")},
		{"a path into .GIT", "take for .git", other(`"x"`, "a/.GIT/x", "u")},
		{"a path into git~1", "take for .git", other(`"x"`, "git~1", "u")},
		{"a path without end", "bytes, where", other(`"x"`, strings.Repeat("a/", 3000)+"x", "u")},
		{"a path through a symlink", "a/link: a symlink where .gitmodules has a submodule", append(other(`"x"`, "a/link/x", "u"),
			rawEntry{"40000", "a", r.tree(rawEntry{"120000", "link", r.blob("../.git/hooks")})})},
		{"a path that is a symlink", "link: a symlink where", append(other(`"x"`, "link", "u"), rawEntry{"120000", "link", r.blob(".git")})},
		{"a symlink that a file system takes for the directory above", "Vendor: a symlink where", append(add(""), rawEntry{"120000", "Vendor", r.blob(".git")})},
		{"a file that a file system takes for the submodule", "take vendor/LIB for the same", []rawEntry{
			modules(honest), {"40000", "vendor", r.tree(rawEntry{"100644", "LIB", blob}, gitlink("lib"))},
		}},
		{"a directory that a file system takes for the one above", "take VENDOR for the same", append(add(""),
			rawEntry{"40000", "VENDOR", r.tree(rawEntry{"100644", "f", blob})})},
		{"two submodules that a file system takes for one", "for the same", []rawEntry{
			modules("[submodule \"a\"]\npath=sub\nurl=../a\n[submodule \"b\"]\npath=SUB\nurl=../b\n"), gitlink("SUB"), gitlink("sub"),
		}},
		{"letters composed differently", "for the same", []rawEntry{
			modules("[submodule \"a\"]\npath=\u00e9\nurl=../a\n"), gitlink("\u00e9"), {"100644", "e\u0301", blob},
		}},
		{"a gitlink and a directory of one name", "twice", []rawEntry{modules(honest), vendor, {"40000", "vendor", r.tree()}}},
		{"a gitlink called .git", "take for .git", []rawEntry{modules(honest), gitlink(".git")}},

		// The file itself.
		{"a .gitmodules that is a symlink", ".gitmodules: a symlink", []rawEntry{{"120000", ".gitmodules", r.blob("x")}, vendor}},
		{"a .gitmodules that is a directory", ".gitmodules: it is not a regular file", []rawEntry{{"40000", ".gitmodules", r.tree()}, vendor}},
		{"a .gitmodules that is a submodule", ".gitmodules: it is not a regular file", []rawEntry{{"160000", ".gitmodules", commit}, vendor}},
		{"a huge .gitmodules", "bytes, where 262144 are allowed", add("#" + strings.Repeat("x", 300<<10))},
		{"settings of git", `settings beside those of [submodule "NAME"]: ["core"]`, add("[core]\n\tfsmonitor = id\n")},
		{"an include", `settings beside`, add("[include]\n\tpath = /etc/passwd\n")},
		{"settings of no submodule", `settings beside`, add("[submodule]\n\tactive = .\n")},
		{"a section smuggled into a name", "cannot be read", add("[submodule \"x\n[core]\n\tfsmonitor = id\n\"]\n")},
		{"two urls", "two settings of url", add("[submodule \"lib\"]\n\tURL = https://evil/x\n")},
		{"two paths", "two settings of path", add("[submodule \"lib\"]\n\tpath = x\n")},
		{"no configuration at all", "cannot be read", add("<html>")},
		{"no UTF-8", "cannot be read", other("\"\xff\"", "x", "u")},
	} {
		r.tagTree("bad", r.tree(c.entries...))
		src := r.source("bad")
		src.Submodules = SubmodulesFetch
		src.Module = func(_ context.Context, s Submodule) (Module, error) {
			if !strings.Contains(c.text, "for the same") && !strings.Contains(c.text, "symlink where") && s.Path != "vendor/lib" {
				t.Errorf("%s: it was asked for %+v", c.what, s)
			}
			return Module{}, nil
		}
		refused(t, src, c.what, c.text)
	}
	r.tagTree("good", r.tree(add("[submodule \"old\"]\n\tpath = gone\n\turl = u\n\tbranch = x\n\tupdate = rebase\n\tshallow = true\n")...))
	src := r.source("good")
	src.Submodules = SubmodulesFetch
	asked := 0
	src.Module = func(_ context.Context, s Submodule) (Module, error) {
		asked++
		if s.Path != "vendor/lib" || s.URL != "../lib.git" || s.Commit.String() != commit {
			t.Errorf("%+v", s)
		}
		return Module{}, nil
	}
	if _, _, err := export(t, src); err != nil || asked != 1 {
		t.Errorf("%v, asked %d times", err, asked)
	}
}

// The tree of a submodule is as little believed as that of the tag.
func TestHostileTreesOfSubmodules(t *testing.T) {
	lib := newRepo(t)
	blob := lib.blob("x\n")
	for _, c := range []struct {
		what, text string
		entries    []rawEntry
	}{
		{"a .git directory", "lib/.git: a name that some file systems take for .git", []rawEntry{{"40000", ".git", lib.tree(rawEntry{"100644", "config", blob})}}},
		{"a .git file", "lib/.Git: a name", []rawEntry{{"100644", ".Git", blob}}},
		{"a way out", `lib/..: the name ".."`, []rawEntry{{"40000", "..", lib.tree()}}},
		{"a link and a directory behind it", "twice", []rawEntry{{"120000", "a", lib.blob("/etc")}, {"40000", "a", lib.tree(rawEntry{"100644", "x", blob})}}},
	} {
		lib.tagTree("bad", lib.tree(c.entries...))
		top := newRepo(t)
		top.submodule("lib", lib, "bad")
		top.commit("v1")
		refused(t, top.fetching("v1"), c.what, c.text)
	}
}

func TestSubmodulesInEachOther(t *testing.T) {
	r := newRepo(t)
	r.write("f", "0")
	r.commit("v0")
	for i := range maxNesting + 1 { // each version has the one before it as a submodule
		must(t, os.RemoveAll(filepath.Join(r.dir, ".gitmodules")))
		r.submodule("again", r, fmt.Sprintf("v%d", i))
		r.commit(fmt.Sprintf("v%d", i+1))
	}
	if _, _, err := export(t, r.fetching(fmt.Sprintf("v%d", maxNesting))); err != nil {
		t.Error(err)
	}
	refused(t, r.fetching(fmt.Sprintf("v%d", maxNesting+1)), "one more", "a submodule beyond 10 in each other")
}

func TestSubmoduleWithoutItsCommit(t *testing.T) {
	lib, top := newRepo(t), newRepo(t)
	lib.write("f", "x")
	lib.commit("l1")
	top.submodule("lib", lib, "l1^{tree}") // no commit at all
	top.commit("v1")
	_, _, err := export(t, top.fetching("v1"))
	if err == nil || !strings.Contains(err.Error(), "v1: lib: ") {
		t.Errorf("%v", err)
	}
	must(t, os.RemoveAll(lib.dir))
	refused(t, top.fetching("v1"), "a repository that is gone", "v1: lib: ")
}

func FuzzModules(f *testing.F) {
	f.Add([]byte(honest))
	f.Add([]byte("[submodule \"a\"]\r\n\tpath = \"a b\" ; x\r\n\turl = ../a \\\n\r\n"))
	f.Add([]byte("[submodule \"a\\\"\\\\b\"]path\n[submodule]\n[x.y]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		modules, err := parseModules(data)
		if err != nil && release.ExitCode(err) != release.ExitRefused {
			t.Errorf("%q: %v", data, err)
		}
		for at, url := range modules {
			if !filepath.IsLocal(at) || badModulePath(at) != "" || strings.ContainsAny(at+url, "\r\n\x00") {
				t.Errorf("%q gives %q, %q", data, at, url)
			}
		}
	})
}

// The content of Git LFS in a submodule would come from an address that the submodule itself names.
func TestLFSInASubmodule(t *testing.T) {
	lib, top := newRepo(t), newRepo(t)
	lib.write(".gitattributes", "*.bin filter=lfs\n")
	lib.write("a.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:"+strings.Repeat("1", 64)+"\nsize 5\n")
	lib.commit("l1")
	top.submodule("lib", lib, "l1")
	top.commit("v1")
	src := top.fetching("v1")
	refused(t, src, "content", "lib/a.bin: Git LFS content in a submodule")
	src.LFS = LFSRefuse
	refused(t, src, "no content", "lib/a.bin: a Git LFS pointer")
	src.LFS = LFSPointer
	if _, _, err := export(t, src); err != nil {
		t.Error(err)
	}
}

// A former release with a submodule becomes one with another commit of it.
func TestRewriteWithSubmodules(t *testing.T) {
	top, lib, _ := family(t)
	lib.write("a/b/new.txt", "$Format:%H$\n")
	lib.write("dos.bat", "c\n")
	lib.commit("l2")
	top.git("update-index", "--cacheinfo", "160000,"+lib.git("rev-parse", "l2")+",vendor/lib")
	top.git("commit", "-q", "-m", "l2")
	top.git("tag", "v2")

	dir, entries, err := export(t, top.fetching("v1"))
	must(t, err)
	src := top.fetching("v2")
	src.Former.Entries = entries
	src.Former.Written = time.Now().Add(time.Hour).UnixNano() // so that no file is too young to be believed
	plan, err := Survey(context.Background(), src)
	must(t, err)
	_, kept, err := plan.Rewrite(context.Background(), dir, dir+"-new", nil)
	must(t, err)
	if kept == 0 || kept == len(entries) {
		t.Errorf("%d files of %d were kept", kept, len(entries))
	}
	want, _, err := export(t, top.fetching("v2"))
	must(t, err)
	same(t, dir, want)
}
