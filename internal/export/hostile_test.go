package export

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

// rawEntry is an entry of a tree that git itself would not make.
type rawEntry struct{ mode, name, id string }

// tree writes a tree object as it is given, whatever git thinks of it.
func (r repo) tree(entries ...rawEntry) string {
	r.t.Helper()
	var raw bytes.Buffer
	for _, e := range entries {
		id, err := hex.DecodeString(e.id)
		must(r.t, err)
		fmt.Fprintf(&raw, "%s %s\x00%s", e.mode, e.name, id)
	}
	return r.gitIn(raw.Bytes(), "hash-object", "-t", "tree", "-w", "--literally", "--stdin")
}

func (r repo) blob(content string) string {
	return r.gitIn([]byte(content), "hash-object", "-w", "--stdin")
}

func (r repo) tagTree(tag, tree string) {
	r.git("tag", "-f", tag, r.git("commit-tree", "-m", "hostile", tree))
}

func TestHostileNames(t *testing.T) {
	r := newRepo(t)
	blob := r.blob("x\n")
	sub := r.tree(rawEntry{"100644", "f", blob})
	for _, name := range []string{
		".git", ".GIT", ".Git", "git~1", "GIT~1", ".git ", ".git.", ".git...", ".git . .", "git~1.", ".git::$INDEX_ALLOCATION",
		".git:stream", "git~1:x", `.git\x`, ".g\u200cit", "\u200d.git", ".gi\u206et\ufeff", ".G\u202eIT", "..", ".", "", "/", "/etc", "a/b", "../x",
		strings.Repeat("n", 256),
	} {
		for _, kind := range []rawEntry{{"100644", name, blob}, {"40000", name, sub}, {"120000", name, blob}} {
			for depth, tree := range []string{r.tree(kind), r.tree(rawEntry{"40000", "d", r.tree(kind)})} {
				r.tagTree("bad", tree)
				refused(t, r.source("bad"), fmt.Sprintf("%q, depth %d, mode %s", name, depth, kind.mode), "")
			}
		}
	}
	for _, name := range []string{".gitx", ".gitignore", "git~2", "git", ".git~1", "x.git", "git~10", "...", ".. ", "-rf", "\x1b[2J", ".g\u200bit"} {
		r.tagTree("good", r.tree(rawEntry{"100644", name, blob}))
		if _, _, err := export(t, r.source("good")); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// refused wants an error with ExitRefused, a hint, and nothing written.
func refused(t *testing.T, src Source, what, text string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "in", "release")
	must(t, os.Mkdir(filepath.Dir(dir), 0o755))
	before := surroundings(t, filepath.Dir(filepath.Dir(dir)), dir)
	plan, err := Survey(context.Background(), src)
	if err == nil {
		_, err = plan.Write(context.Background(), dir, nil)
	}
	if err == nil || release.ExitCode(err) != release.ExitRefused || len(release.Hints(err)) == 0 || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: %v (exit %d, hints %q)", what, err, release.ExitCode(err), release.Hints(err))
	}
	if err != nil && strings.ContainsAny(err.Error(), "\x1b\n") {
		t.Errorf("%s: control characters in %q", what, err)
	}
	if after := surroundings(t, filepath.Dir(filepath.Dir(dir)), dir); after != before {
		t.Errorf("%s: before:\n%safter:\n%s", what, before, after)
	}
}

func TestHostileTrees(t *testing.T) {
	r := newRepo(t)
	blob, commit := r.blob("x\n"), r.git("commit-tree", "-m", "c", r.tree())
	sub := r.tree(rawEntry{"100644", "passwd", blob})
	out := r.blob("/etc")
	for _, c := range []struct {
		what, text string
		entries    []rawEntry
	}{
		{"a submodule", "vendor/lib: a submodule", []rawEntry{{"40000", "vendor", r.tree(rawEntry{"160000", "lib", commit})}}},
		{"a file twice", "twice", []rawEntry{{"100644", "f", blob}, {"100644", "f", blob}}},
		{"a file and a directory", "twice", []rawEntry{{"100644", "f", blob}, {"40000", "f", sub}}},
		{"a symlink and a directory behind it", "twice", []rawEntry{{"120000", "etc", out}, {"40000", "etc", sub}}},
		{"a directory and then a symlink", "twice", []rawEntry{{"40000", "etc", sub}, {"120000", "etc", out}}},
		{"a device", "mode 20644", []rawEntry{{"20644", "f", blob}}},
		{"mode 0", "mode 0", []rawEntry{{"0", "f", blob}}},
		{"a file that is a tree", "a tree where a file should be", []rawEntry{{"100644", "f", sub}}},
		{"a link that is a tree", "symlink", []rawEntry{{"120000", "f", sub}}},
		{"an empty link", "symlink with a target of 0 bytes", []rawEntry{{"120000", "f", r.blob("")}}},
		{"a long link", "symlink with a target of 5000 bytes", []rawEntry{{"120000", "f", r.blob(strings.Repeat("x", 5000))}}},
		{"a link with NUL", "NUL", []rawEntry{{"120000", "f", r.blob("a\x00b")}}},
		{"an encoding of true", "working-tree-encoding", []rawEntry{
			{"100644", ".gitattributes", r.blob("f working-tree-encoding\n")}, {"100644", "f", blob},
		}},
		{"a control character", "submodule", []rawEntry{{"160000", "\x1b[2J\n", commit}}},
	} {
		r.tagTree("bad", r.tree(c.entries...))
		refused(t, r.source("bad"), c.what, c.text)
	}
}

// A few small trees that name each other make a tree of 10^8 files.
func TestTreeBomb(t *testing.T) {
	r := newRepo(t)
	entry := rawEntry{"100644", "", r.blob("x\n")}
	for range 8 {
		var entries []rawEntry
		for i := range 10 {
			entries = append(entries, rawEntry{entry.mode, fmt.Sprint(i), entry.id})
		}
		entry = rawEntry{"40000", "", r.tree(entries...)}
	}
	r.tagTree("bad", entry.id)
	src := r.source("bad")
	w := newWalker(context.Background(), &Plan{src: src}, "")
	w.most = 5000
	commit, err := src.Store.Commit(src.Commit)
	must(t, err)
	if err := w.part(Module{Store: src.Store}, src.Commit, commit, ""); release.ExitCode(err) != release.ExitRefused || !strings.Contains(err.Error(), "more than 5000 files") {
		t.Errorf("%v", err)
	}
}

func TestOddModesAreNormalised(t *testing.T) {
	r := newRepo(t)
	blob := r.blob("x\n")
	r.tagTree("v1", r.tree(
		rawEntry{"100664", "a", blob}, rawEntry{"100666", "b", blob}, rawEntry{"100777", "c", blob}, rawEntry{"104755", "d", blob},
		rawEntry{"100600", "e", blob}, rawEntry{"040000", "f", r.tree(rawEntry{"100644", "x", blob})}, rawEntry{"120777", "g", blob},
		rawEntry{"40000", "empty", r.tree()}, rawEntry{"100654", "h", blob},
	))
	got, entries, err := export(t, r.source("v1"))
	must(t, err)
	checkEntries(t, r, got, entries)
	same(t, got, r.archive("v1"))
}

func TestPointers(t *testing.T) {
	pointer := "version https://git-lfs.github.com/spec/v1\noid sha256:" + strings.Repeat("a", 64) + "\nsize 12345\n"
	for _, c := range []struct {
		name, attributes string
		refused          bool
	}{
		{"with the attribute", "*.bin filter=lfs diff=lfs merge=lfs -text\n", true},
		{"without", "", true},
		{"ignored", "*.bin export-ignore\n", false},
		{"meant", "*.bin -filter\n", false},
	} {
		r := newRepo(t)
		r.write(".gitattributes", c.attributes)
		r.write("a/big.bin", pointer)
		r.write("a/small.bin", "version https://git-lfs.github.com/spec/v1\nwhich is not one\n")
		r.commit("v1")
		src := r.source("v1")
		src.LFS = LFSRefuse
		if c.refused {
			refused(t, src, c.name, "a/big.bin: a Git LFS pointer")
			src.LFS = LFSPointer
		}
		got, _, err := export(t, src)
		must(t, err)
		same(t, got, r.archive("v1"))
		if c.refused {
			continue
		}
		src.LFS = LFSAuto
		got, _, err = export(t, src)
		must(t, err)
		same(t, got, r.archive("v1"))
	}
}

// An ignored submodule needs no remedy.
func TestIgnoredSubmodule(t *testing.T) {
	r := newRepo(t)
	r.tagTree("v1", r.tree(
		rawEntry{"100644", ".gitattributes", r.blob("lib export-ignore\n")},
		rawEntry{"160000", "lib", r.git("commit-tree", "-m", "c", r.tree())},
	))
	got, _, err := export(t, r.source("v1"))
	must(t, err)
	same(t, got, r.archive("v1"))
}

func TestCollision(t *testing.T) {
	r := newRepo(t)
	r.write("dir/Name", "a")
	r.write("dir/name", "b")
	r.write("plain", "c")
	r.commit("v1")
	plan, err := Survey(context.Background(), r.source("v1"))
	must(t, err)
	dir := t.TempDir()
	d, err := disk.OpenDir(dir)
	must(t, err)
	w := newWriter(plan, d, nil)
	must(t, w.makeDirs(context.Background()))
	// What a file system does that does not tell case apart: the second name is there already.
	must(t, os.WriteFile(filepath.Join(dir, "dir/name"), nil, 0o644))
	err = w.writeFiles(context.Background())
	if release.ExitCode(err) != release.ExitRefused || !strings.Contains(err.Error(), "dir/name and dir/Name: one name") {
		t.Errorf("%v", err)
	}
	// A link that somebody puts in the way is not followed.
	must(t, os.RemoveAll(filepath.Join(dir, "dir")))
	must(t, os.RemoveAll(filepath.Join(dir, "plain")))
	victim := t.TempDir()
	must(t, os.Symlink(victim, filepath.Join(dir, "dir")))
	must(t, os.Symlink(filepath.Join(victim, "plain"), filepath.Join(dir, "plain")))
	for i := range plan.files {
		if err := w.writeFile(context.Background(), &openDirs{root: d, most: 4}, i, nil); err == nil {
			t.Errorf("%s: written through a link", plan.files[i].path)
		}
	}
	must(t, w.close())
	if left, err := os.ReadDir(victim); err != nil || len(left) > 0 {
		t.Errorf("written outside: %v %v", left, err)
	}
}

// A release that is there already, or a missing parent, is an error and nothing is touched.
func TestTargetTaken(t *testing.T) {
	r := newRepo(t)
	r.write("f", "a")
	r.commit("v1")
	plan, err := Survey(context.Background(), r.source("v1"))
	must(t, err)
	if _, err := plan.Write(context.Background(), t.TempDir(), nil); !errors.Is(err, os.ErrExist) {
		t.Errorf("%v", err)
	}
	if _, err := plan.Write(context.Background(), filepath.Join(t.TempDir(), "no/where"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestMissingObject(t *testing.T) {
	r := newRepo(t)
	r.write("dir/f", "the content\n")
	r.commit("v1")
	id := r.git("rev-parse", "v1:dir/f")
	src := r.source("v1")
	must(t, os.Remove(filepath.Join(r.dir, ".git/objects", id[:2], id[2:])))
	_, _, err := export(t, src)
	if err == nil || !strings.Contains(err.Error(), "v1: dir/f: ") || !strings.Contains(err.Error(), id) {
		t.Errorf("%v", err)
	}
}

// No descriptor stays open, however Write ends.
func TestDescriptors(t *testing.T) {
	open := func() int {
		names, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("no /proc here")
		}
		return len(names)
	}
	r := newRepo(t)
	r.write("a/b/f", "x")
	r.write("a/c/link", "-> f")
	r.write("a/c/d/f", "x")
	r.commit("v1")
	src := r.source("v1")
	plan, err := Survey(context.Background(), src)
	must(t, err)
	before := open()
	for i := range 20 {
		ctx, cancel := context.WithCancel(context.Background())
		_, err := plan.Write(ctx, filepath.Join(t.TempDir(), "r"), func(int64, int64) {
			if i%2 == 0 {
				cancel()
			}
		})
		cancel()
		if i%2 == 1 {
			must(t, err)
		}
	}
	if after := open(); after > before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}
