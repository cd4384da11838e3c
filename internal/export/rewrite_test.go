package export

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/git-rel/rel/internal/release"
)

// old is what was a release.
type old struct {
	Dir string
	release.Manifest
}

// former exports rev into a directory, as if the manifest had been written one tick after its last change.
func former(t testing.TB, r repo, rev string) old {
	t.Helper()
	dir, entries, err := export(t, r.source(rev))
	must(t, err)
	plan, err := Survey(context.Background(), r.source(rev))
	must(t, err)
	was := old{dir, release.Manifest{Release: release.Release{NoPointers: plan.NoPointers()}, Entries: entries}}
	for _, e := range entries {
		was.Written = max(was.Written, e.CTime+1)
	}
	return was
}

func rewrite(t testing.TB, r repo, rev string, was old) (entries []release.Entry, kept int, err error) {
	t.Helper()
	src := r.source(rev)
	src.Former = was.Manifest
	plan, err := Survey(context.Background(), src)
	must(t, err)
	return plan.Rewrite(context.Background(), was.Dir, was.Dir+"-new", nil)
}

// sameAsWrite compares a rewritten release with one that was written: content, exact permissions, entries; and the entries' stat
// data with the disk. No file of it may have another name.
func sameAsWrite(t testing.TB, r repo, rev, dir string, entries []release.Entry) {
	t.Helper()
	want, wantEntries, err := export(t, r.source(rev))
	must(t, err)
	same(t, dir, want)
	if g, w := modes(t, dir), modes(t, want); g != w {
		t.Errorf("modes:\n%s\nwant\n%s", g, w)
	}
	if len(entries) != len(wantEntries) {
		t.Fatalf("%d entries, want %d", len(entries), len(wantEntries))
	}
	for i, e := range entries {
		var st unix.Stat_t
		must(t, unix.Lstat(filepath.Join(dir, e.Path), &st))
		if e.Inode != st.Ino || e.MTime != st.Mtim.Nano() || e.CTime != st.Ctim.Nano() {
			t.Errorf("%s: its entry has not the stat data that it has", e.Path)
		}
		if e.Mode != release.ModeDir && st.Nlink != 1 {
			t.Errorf("%s: %d links", e.Path, st.Nlink)
		}
		e.Inode, e.MTime, e.CTime = 0, 0, 0
		w := wantEntries[i]
		w.Inode, w.MTime, w.CTime = 0, 0, 0
		if e != w {
			t.Errorf("%+v, want %+v", e, w)
		}
	}
}

func modes(t testing.TB, dir string) string {
	t.Helper()
	var all strings.Builder
	must(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		must(t, unix.Lstat(path, &st))
		fmt.Fprintf(&all, "%o %d %d %q\n", st.Mode, st.Uid, st.Gid, strings.TrimPrefix(path, dir))
		return nil
	}))
	return all.String()
}

// From any tree to any other, whatever a build or a service left in the old one: the same as written anew.
func TestRewriteRandomTrees(t *testing.T) {
	rng := rand.New(rand.NewPCG(20261123, 2))
	names := []string{"a", "b", "c.txt", "d.sub", "e.id", "f g", "é"}
	attributes := []string{"*.txt eol=crlf text", "*.sub export-subst", "*.id ident", "b export-ignore", "*.txt working-tree-encoding=UTF-16", "*.txt text=auto"}
	contents := []string{"one\n", "two\n", "#!/bin/sh\n", "$Id$\n", "$Format:%H$\n", "$Format:%T$ \r\n", "-> one", "-> ../b", ""}
	kept := 0
	for round := range 10 {
		r := newRepo(t)
		for n, tag := range []string{"v1", "v2"} {
			randomTree(r, rng, "", names, contents, 3, []int{8, 3}[n])
			if n == 0 || rng.IntN(3) == 0 {
				must(t, os.RemoveAll(filepath.Join(r.dir, ".gitattributes")))
				r.write(".gitattributes", attributes[rng.IntN(len(attributes))]+"\n"+attributes[rng.IntN(len(attributes))]+"\n")
			}
			r.commit(tag)
		}
		was := former(t, r, "v1")
		disturb(t, rng, was.Dir, names)
		entries, n, err := rewrite(t, r, "v2", was)
		must(t, err)
		kept += n
		if sameAsWrite(t, r, "v2", was.Dir, entries); t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
	if kept < 30 {
		t.Errorf("only %d files were kept in all", kept)
	}
}

// A former release may turn out to be of no use after all: the plan then writes all that is in it, in the order of the packs.
func TestWriteAfterFormer(t *testing.T) {
	r := newRepo(t)
	for i := range 100 {
		r.write(fmt.Sprintf("d%d/f%d", i%7, i), fmt.Sprint("text ", i, "\n"))
	}
	r.commit("v1")
	r.write("d1/new", "new\n")
	r.commit("v2")
	r.git("repack", "-adfq")
	src := r.source("v2")
	src.Former = former(t, r, "v1").Manifest
	plan, err := Survey(context.Background(), src)
	must(t, err)
	if !src.Former.NoPointers || !plan.NoPointers() {
		t.Error("plain files may be pointers")
	}
	if !plan.known {
		t.Error("no size is taken from the former release")
	}
	dir := filepath.Join(t.TempDir(), "release")
	entries, err := plan.Write(context.Background(), dir, nil)
	must(t, err)
	sameAsWrite(t, r, "v2", dir, entries)
	whole, err := Survey(context.Background(), r.source("v2"))
	must(t, err)
	if !slices.Equal(plan.order, whole.order) || plan.Bytes != whole.Bytes {
		t.Errorf("%v, %d bytes; want %v, %d", plan.order, plan.Bytes, whole.order, whole.Bytes)
	}
}

// randomTree puts something else at often in ten of the names, in a directory and those beneath.
func randomTree(r repo, rng *rand.Rand, dir string, names, contents []string, depth, often int) {
	for _, name := range names {
		at := filepath.Join(r.dir, dir, name)
		isDir := depth > 0 && !strings.Contains(name, ".") && rng.IntN(3) == 0
		if rng.IntN(10) < often || isDir {
			must(r.t, os.RemoveAll(at))
		}
		if isDir { // with less in it, at times nothing
			randomTree(r, rng, dir+name+"/", names, contents, depth-1, often)
			continue
		}
		c := contents[rng.IntN(len(contents))]
		if _, err := os.Lstat(at); err == nil || rng.IntN(10) >= often {
			continue
		}
		if c == "" || strings.HasPrefix(c, "-> ") && strings.Contains(name, ".") {
			c = "filler"
		}
		r.write(dir+name, c)
	}
}

// disturb does to a release what a build, a service or an operator does.
func disturb(t testing.TB, rng *rand.Rand, top string, names []string) {
	t.Helper()
	var all []string
	must(t, filepath.WalkDir(top, func(path string, _ fs.DirEntry, err error) error {
		all = append(all, path)
		return err
	}))
	for range rng.IntN(12) {
		p := all[rng.IntN(len(all))]
		info, err := os.Lstat(p)
		if err != nil {
			continue // gone by an earlier turn
		}
		switch what := rng.IntN(8); {
		case what == 0 && p != top:
			must(t, os.RemoveAll(p))
		case what == 1 && p != top:
			must(t, errors.Join(os.RemoveAll(p), unix.Mkfifo(p, 0o600)))
		case what == 2 && p != top:
			must(t, errors.Join(os.RemoveAll(p), os.Symlink("..", p)))
		case what == 3 && info.Mode()&os.ModeSymlink == 0:
			must(t, os.Chmod(p, []os.FileMode{0o700, 0o777, 0o2755, 0o1777}[rng.IntN(4)]))
		case what == 4 && info.Mode().IsRegular():
			must(t, errors.Join(os.WriteFile(p, []byte("ONE\n"), 0o644), os.Chtimes(p, info.ModTime(), info.ModTime())))
		case what == 5 && info.Mode().IsRegular():
			_ = os.Link(p, filepath.Join(top, "link-to-it"))
		case what == 6 && info.IsDir():
			must(t, errors.Join(os.MkdirAll(filepath.Join(p, "cache/deep"), 0o700), os.WriteFile(filepath.Join(p, "cache/deep/x"), []byte("x"), 0)))
		case what == 7 && info.IsDir():
			_ = os.WriteFile(filepath.Join(p, names[rng.IntN(len(names))]), []byte("one\n"), 0o644)
		}
	}
}

// What stays is what can be believed; each of these files has the right content in the end, by being written again.
func TestRewriteKeepsOnlyWhatIsSure(t *testing.T) {
	r := newRepo(t)
	files := []string{"same", "edited", "linked", "chmod", "racy", "replaced", "built", "gone", "sub/a", "sub/b"}
	for _, name := range files {
		r.write(name, name+" content\n")
	}
	r.write("link", "-> same")
	r.commit("v1")
	was := former(t, r, "v1")
	before := inodes(t, was.Dir)
	at := func(name string) string { return filepath.Join(was.Dir, name) }
	info, err := os.Stat(at("edited"))
	must(t, err)
	must(t, errors.Join(os.WriteFile(at("edited"), []byte("EDITED content\n"), 0o644), os.Chtimes(at("edited"), info.ModTime(), info.ModTime())))
	elsewhere := filepath.Join(t.TempDir(), "other-name")
	must(t, errors.Join(os.Link(at("linked"), elsewhere), os.Chmod(at("chmod"), 0o666)))
	must(t, errors.Join(os.Remove(at("replaced")), os.WriteFile(at("replaced"), []byte("replaced content\n"), 0o644), os.Remove(at("gone"))))
	for i := range was.Entries {
		switch e := &was.Entries[i]; e.Path {
		case "racy": // as if the manifest had been written when it changed
			var st unix.Stat_t
			for st.Ctim.Nano() < was.Written { // until the clock of the file system moves
				must(t, os.Chmod(at("racy"), 0o644))
				must(t, unix.Lstat(at("racy"), &st))
			}
			e.CTime, was.Written = st.Ctim.Nano(), st.Ctim.Nano()
		case "built":
			e.Kind = release.Built
		}
	}
	entries, kept, err := rewrite(t, r, "v1", was)
	must(t, err)
	sameAsWrite(t, r, "v1", was.Dir, entries)
	after := inodes(t, was.Dir)
	var stayed []string
	for p, st := range after {
		if b := before[p]; b.Ino == st.Ino && b.Ctim == st.Ctim && st.Mode&unix.S_IFMT != unix.S_IFDIR {
			stayed = append(stayed, p)
		}
	}
	slices.Sort(stayed)
	if got := strings.Join(stayed, " "); got != "link same sub/a sub/b" || kept != 4 {
		t.Errorf("%d kept: %s", kept, got)
	}
	if data, err := os.ReadFile(elsewhere); err != nil || string(data) != "linked content\n" {
		t.Errorf("the file's other name: %q, %v", data, err)
	}
}

func inodes(t testing.TB, dir string) map[string]unix.Stat_t {
	t.Helper()
	all := map[string]unix.Stat_t{}
	must(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		must(t, unix.Lstat(path, &st))
		all[strings.TrimPrefix(strings.TrimPrefix(path, dir), "/")] = st
		return nil
	}))
	return all
}

// A link swapped in for a directory leads nothing out of the spare.
func TestRewriteFollowsNoLink(t *testing.T) {
	r := newRepo(t)
	r.write("d/e/file", "content\n")
	r.write("f/file", "content\n")
	r.commit("v1")
	was := former(t, r, "v1")
	out := t.TempDir()
	must(t, errors.Join(os.Rename(filepath.Join(was.Dir, "d"), filepath.Join(out, "d")), os.Symlink(filepath.Join(out, "d"), filepath.Join(was.Dir, "d"))))
	must(t, errors.Join(os.WriteFile(filepath.Join(out, "mine"), []byte("mine"), 0o600), os.Symlink(out, filepath.Join(was.Dir, "f/out"))))
	entries, kept, err := rewrite(t, r, "v1", was)
	must(t, err)
	if kept != 1 {
		t.Errorf("%d kept", kept)
	}
	sameAsWrite(t, r, "v1", was.Dir, entries)
	if got := content(t, out); len(got) != 4 || got["mine"] != "file mine" || got["d/e/file"] != "file content\n" {
		t.Errorf("%q", got)
	}
}

// A Git LFS pointer that one tag means to deploy as it is, or does not show to be one, is refused by another that does not, though its
// file is there.
func TestRewriteRefusesPointers(t *testing.T) {
	pointer := "version https://git-lfs.github.com/spec/v1\noid sha256:" + strings.Repeat("a", 64) + "\nsize 12\n"
	for attributes, content := range map[string]string{
		"big -filter\n":         pointer,
		"big text eol=crlf\n":   strings.ReplaceAll(pointer, "\n", "\r\n"),
		"big text=auto ident\n": pointer,
	} {
		r := newRepo(t)
		r.write("big", content)
		r.write("small", "text\n")
		r.commit("v0")
		r.write(".gitattributes", attributes)
		r.commit("v1")
		was := former(t, r, "v1")
		if was.NoPointers {
			t.Errorf("%s: no pointers", attributes)
		}
		if _, _, err := rewrite(t, r, "v0", was); release.ExitCode(err) != release.ExitRefused {
			t.Errorf("%s: %v", attributes, err)
		}
	}
}

// Repositories that the caller names, from each of some tags to the next: REL_TEST_REPOS=/a:/b.git
func TestRewriteOnRepositories(t *testing.T) {
	repos := os.Getenv("REL_TEST_REPOS")
	if repos == "" {
		t.Skip("REL_TEST_REPOS names no repositories to compare with")
	}
	for _, dir := range filepath.SplitList(repos) {
		t.Run(filepath.Base(filepath.Dir(dir)), func(t *testing.T) {
			r := repo{t, dir}
			tags := strings.Fields(r.git("for-each-ref", "--sort=-creatordate", "--format=%(refname:short)", "refs/tags"))
			var was old
			for i := 0; i < len(tags); i += len(tags)/4 + 1 {
				src := r.source(tags[i])
				src.Former = was.Manifest
				plan, err := Survey(context.Background(), src)
				if release.ExitCode(err) == release.ExitRefused {
					t.Logf("%s: %v", tags[i], err)
					continue
				}
				must(t, err)
				if was.Dir != "" {
					entries, kept, err := plan.Rewrite(context.Background(), was.Dir, was.Dir+"-new", nil)
					must(t, err)
					t.Logf("%s: %d of %d kept", tags[i], kept, plan.Files)
					sameAsWrite(t, r, tags[i], was.Dir, entries)
				}
				was = former(t, r, tags[i])
			}
		})
	}
}

// Content that Git LFS keeps stays by what it is, not by its pointer.
func TestRewriteLFS(t *testing.T) {
	work, _ := lfsRepo(t)
	work.write(".gitattributes", "*.bin filter=lfs -text\n")
	work.write("same.bin", "the same")
	work.write("other.bin", "one")
	work.push("v1")
	work.write("other.bin", "two")
	work.push("v2")
	was := former(t, work, "v1")
	entries, kept, err := rewrite(t, work, "v2", was)
	must(t, err)
	if kept != 2 { // with .gitattributes
		t.Errorf("%d kept", kept)
	}
	sameAsWrite(t, work, "v2", was.Dir, entries)
	was = former(t, work, "v2")
	must(t, os.Chmod(work.kept("the same"), 0o644))
	must(t, os.WriteFile(work.kept("the same"), []byte("not same"), 0o644))
	if _, _, err := rewrite(t, work, "v1", was); release.ExitCode(err) != release.ExitRefused {
		t.Errorf("damaged content: %v", err)
	}
}
