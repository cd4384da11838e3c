package export

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// everything is a repository with every attribute at several levels and every kind of file.
func everything(t testing.TB, args ...string) repo {
	r := newRepo(t, args...)
	r.write(".gitattributes", strings.Join([]string{
		"# a comment", "", "[attr]windows text eol=crlf", "[attr]nested windows ident", "[attr]hidden export-ignore",
		"*.txt text", "*.crlf text eol=crlf", "*.auto text=auto eol=crlf", "*.win windows", "*.nest nested", "*.bin binary eol=crlf",
		"*.input crlf=input", "*.oldcrlf crlf eol=crlf", "*.nocrlf -crlf eol=crlf", "*.eolonly eol=crlf", "*.lf text eol=lf",
		"*.id ident", "*.subst export-subst", "*.both ident text eol=crlf export-subst", "*.gone hidden", "*.lfs filter=lfs -text",
		"secret export-ignore", "docs/internal/ export-ignore", "only-dirs/ export-ignore", "/anchored export-ignore",
		"deep/**/skip export-ignore", "a/*/c export-ignore", `"odd name.txt" eol=crlf`, `"tab\there" export-ignore`,
		"*.u16 working-tree-encoding=UTF-16", "*.u16le working-tree-encoding=utf-16LE", "*.u16b working-tree-encoding=UTF-16BE-BOM eol=crlf",
		"*.u16lb working-tree-encoding=UTF-16LE-BOM", "*.u32 working-tree-encoding=UTF-32", "*.l1 working-tree-encoding=ISO-8859-1",
		"*.sjis working-tree-encoding=SHIFT-JIS", "*.none working-tree-encoding=no-such", "*.u8 working-tree-encoding=UTF8",
		"bad.bad -nope!bad export-ignore", "!neg export-ignore", "trail export-ignore\r", strings.Repeat("x", 2100) + " export-ignore",
		"[[:digit:]].cls export-ignore", "[!a-c].set export-ignore", `esc\*aped export-ignore`, "* -unknown other=1",
		"again export-ignore", "again -export-ignore", "override/* export-ignore", "unset export-ignore", "both1 text=auto", "both1 !text",
	}, "\n"))
	r.write("sub/.gitattributes", "*.txt eol=crlf\n[attr]late export-ignore\nx.late late\n*.crlf -text\n/here export-ignore\nunset !export-ignore\n")
	r.write("sub/deeper/.gitattributes", "*.txt -text\n*.gone -hidden\n*.gone -export-ignore\n")
	r.write("override/.gitattributes", "kept -export-ignore\n")
	text := "one\ntwo\r\nthree\n$Id$ $Id: old $ $Id: x y z $ $Id:$ $Id: $ $Id:a$ $Id\n$\nünï €\n"
	lf, auto := "one\ntwo\nthree\n", "one\ntwo\x00\n"
	for _, dir := range []string{"", "sub/", "sub/deeper/", "deep/a/b/", "docs/internal/", "override/"} {
		for _, ext := range []string{"txt", "crlf", "auto", "win", "nest", "bin", "input", "oldcrlf", "nocrlf", "eolonly", "lf", "id", "both", "gone", "late", "lfs"} {
			r.write(dir+"mixed."+ext, text)
			r.write(dir+"lf."+ext, lf)
			r.write(dir+"nul."+ext, auto)
			r.write(dir+"empty."+ext, "")
		}
		for _, enc := range []string{"u16", "u16le", "u16b", "u16lb", "u32", "l1", "sjis", "none", "u8"} {
			r.write(dir+"latin."+enc, "grüß\nGott\n")
			r.write(dir+"kana."+enc, "日本語 €\n")
			r.write(dir+"invalid."+enc, "\xff\xfe\n")
			r.write(dir+"empty."+enc, "")
		}
		for _, name := range []string{"secret", "anchored", "skip", "here", "trail", "1.cls", "x.cls", "d.set", "a.set", "esc*aped", "again", "kept", "unset", "both1", "bad.bad", "!neg"} {
			r.write(dir+name, name+"\n")
		}
	}
	r.write("a/b/c", "c\n")
	r.write("a/b/d/c", "c\n")
	r.write("only-dirs/x", "x\n")
	r.write("sub/only-dirs", "a file\n")
	oddFiles(r)
	substFiles(r)
	return r
}

func oddFiles(r repo) {
	r.write("run.sh", "#!/bin/sh\n")
	r.write("empty", "")
	r.write("odd name.txt", "a\nb\n")
	r.write("tab\there", "x")
	for _, name := range []string{"-dash", "new\nline", `quo"te'`, "ünïcode-日本", "back\\slash", "\xff\xfeinvalid", " lead", "trail ", "esc\x1b[31m", "glob[*]?", "ca:ret^"} {
		r.write(name, "x\n")
		r.write("odd/"+name+"/"+name, "y\n")
	}
	r.write("link", "-> run.sh")
	r.write("outward", "-> /etc/passwd")
	r.write("dangling.txt", "-> ../../nowhere\n")
	r.write("odd/dirlink", "-> ../deep")
	r.write(strings.Repeat("d/", 150)+"bottom", "deep\n")
	r.write(strings.Repeat("n", 255), "long\n")
}

func substFiles(r repo) {
	simple := []string{
		"H", "h", "T", "t", "P", "p", "an", "aN", "ae", "aE", "al", "ad", "aD", "ar", "at", "ai", "aI", "as", "cn", "ce", "cd", "cD",
		"ct", "ci", "cI", "cs", "d", "D", "e", "s", "f", "b", "B", "N", "m", "n", "%", "x41", "x00", "xzz", "S", "gd", "gs", "+N", "+b", "-b",
		" s", "Cred", "C(red)", "C(always,red)x", "w(20,2,4)s", "<(30)an", ">(30)an", "<(8,trunc)an", "zz", "q", "(trailers)", "(trailers:key=Signed-off-by,valueonly)", "",
	}
	var b strings.Builder
	for _, p := range simple {
		fmt.Fprintf(&b, "%s: $Format:<%%%s>$\n", strings.ReplaceAll(p, "%", "percent"), p)
	}
	b.WriteString("$Format:$ $Format:plain$ $Format:%H %an\n%ae$ $Format: unclosed\n $Id$\n")
	r.write("all.subst", b.String())
	r.write("sub/all.subst", b.String())
	r.write("utf.both", "$Id$\n$Format:%an$\n$Format:%b$\n")
	r.write("z.subst", "$Format:%(describe)$ $Format:%(describe:tags=true)$\n")
	r.write("b.subst", "$Format:%%(describe) %(describe:tags=true,match=v*) %(describe) %+(describe)$ $Format:%(describe)$\n")
	r.write(".git_archival.txt", "node: $Format:%H$\nnode-date: $Format:%cI$\ndescribe-name: $Format:%(describe:tags=true)$\nref-names: $Format:%D$\n")
}

func TestEqualsGitArchive(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			r := everything(t, "--object-format="+format)
			r.commit("v1")
			r.git("tag", "-a", "-m", "annotated", "v1.0.1")
			r.git("update-ref", "refs/other/keep", "HEAD")
			r.git("notes", "add", "-m", "a note")
			got, entries, err := export(t, r.source("v1"))
			must(t, err)
			same(t, got, r.archive("v1"))
			checkEntries(t, r, got, entries)

			r.write("later.txt", "more\n")
			r.commit("v2")
			r.git("gc", "-q")
			r.git("config", "log.excludeDecoration", "refs/tags/*")
			r.git("config", "log.showSignature", "true")
			for _, tag := range []string{"v1", "v2"} {
				got, _, err := export(t, r.source(tag))
				must(t, err)
				same(t, got, r.archive(tag))
			}
		})
	}
}

// checkEntries holds the entries against the disk: what the manifest says is what is there.
func checkEntries(t *testing.T, r repo, dir string, entries []release.Entry) {
	t.Helper()
	if on := content(t, dir); len(on) != len(entries) {
		t.Errorf("%d entries for %d files and directories", len(entries), len(on))
	}
	if !slices.IsSortedFunc(entries, func(a, b release.Entry) int { return strings.Compare(a.Path, b.Path) }) {
		t.Error("entries are not sorted")
	}
	for _, e := range entries {
		var st unix.Stat_t
		must(t, unix.Lstat(filepath.Join(dir, e.Path), &st))
		if st.Ino != e.Inode || st.Mtim.Nano() != e.MTime || st.Ctim.Nano() != e.CTime || e.Kind != release.Tagged {
			t.Errorf("%q: stat data differ", e.Path)
		}
		perm := uint32(st.Mode) & 0o7777
		switch e.Mode {
		case release.ModeDir:
			if perm != 0o755 || e.ID != "" || e.Size != 0 {
				t.Errorf("%q: mode %o, id %q, size %d", e.Path, perm, e.ID, e.Size)
			}
			continue
		case release.ModeFile, release.ModeExec:
			if perm != e.Mode&0o777 {
				t.Errorf("%q: mode %o, not %o", e.Path, perm, e.Mode)
			}
		}
		if st.Size != e.Size {
			t.Errorf("%q: size %d, not %d", e.Path, e.Size, st.Size)
		}
		var data []byte
		if e.Mode == release.ModeSymlink {
			target, err := os.Readlink(filepath.Join(dir, e.Path))
			must(t, err)
			data = []byte(target)
		} else {
			var err error
			data, err = os.ReadFile(filepath.Join(dir, e.Path))
			must(t, err)
		}
		format := r.git("rev-parse", "--show-object-format")
		if id := objects.Hash(format, objects.KindBlob, data).String(); id != e.ID {
			t.Errorf("%q: id %s, not %s", e.Path, e.ID, id)
		}
	}
}

func TestPath(t *testing.T) {
	r := everything(t)
	r.commit("v1")
	for _, path := range []string{"sub", "sub/deeper", "sub/deeper/", "./deep//a", "odd"} {
		t.Run(path, func(t *testing.T) {
			src := r.source("v1")
			src.Path = path
			got, _, err := export(t, src)
			must(t, err)
			same(t, got, filepath.Join(r.archive("v1", strings.TrimSuffix(path, "/")), path))
		})
	}
	for _, c := range []struct {
		path string
		exit int
	}{{"nowhere", 3}, {"run.sh", 3}, {"link", 3}, {"override/kept", 3}, {"link/x", 3}, {"run.sh/x", 3}, {"/etc", 2}, {"../x", 2}, {"a/../..", 2}, {"su", 3}} {
		src := r.source("v1")
		src.Path = c.path
		if _, _, err := export(t, src); release.ExitCode(err) != c.exit || err == nil {
			t.Errorf("%q: %v, exit %d", c.path, err, release.ExitCode(err))
		}
	}
	src := r.source("v1")
	src.Path = "docs/internal" // ignored as a whole
	got, _, err := export(t, src)
	must(t, err)
	if on := content(t, got); len(on) != 0 {
		t.Errorf("an ignored path gives %d entries", len(on))
	}
}

func TestWithoutAttributes(t *testing.T) {
	r := everything(t)
	r.commit("v1")
	src := r.source("v1")
	src.Attributes = false
	got, _, err := export(t, src)
	must(t, err)
	bare := newRepo(t, "--bare")
	bare.git("fetch", "-q", r.dir, "refs/tags/*:refs/tags/*")
	must(t, os.MkdirAll(filepath.Join(bare.dir, "info"), 0o755))
	must(t, os.WriteFile(filepath.Join(bare.dir, "info/attributes"),
		[]byte("* -text -ident !working-tree-encoding !eol !crlf !filter -export-ignore -export-subst\n"), 0o644))
	same(t, got, bare.archive("v1"))
}

// What is in the repository's directory but not in the tag has no say.
func TestAttributesOutsideTheTreeAreIgnored(t *testing.T) {
	r := newRepo(t)
	r.write("f", "a\n")
	r.commit("v1")
	want := r.archive("v1")
	must(t, os.WriteFile(filepath.Join(r.dir, ".git/info/attributes"), []byte("* export-ignore\n"), 0o644))
	r.git("config", "core.autocrlf", "true")
	r.git("config", "filter.x.smudge", "touch /tmp/must-not-run")
	got, _, err := export(t, r.source("v1"))
	must(t, err)
	same(t, got, want)
}

// A symlink called .gitattributes is read as git archive reads it.
func TestAttributesSymlink(t *testing.T) {
	r := newRepo(t)
	r.write(".gitattributes", "-> f export-ignore")
	r.write("sub/.gitattributes", "-> ../rules")
	r.write("rules", "* export-ignore\n")
	r.write("f", "a\n")
	r.write("sub/g", "a\n")
	r.commit("v1")
	got, _, err := export(t, r.source("v1"))
	must(t, err)
	same(t, got, r.archive("v1"))
}

func TestUmask(t *testing.T) {
	r := newRepo(t)
	r.write("d/f", "a\n")
	r.write("d/x", "#!x\n")
	r.commit("v1")
	for _, mask := range []int{0, 0o77, 0o777} {
		dir := filepath.Join(t.TempDir(), "release")
		plan, err := Survey(context.Background(), r.source("v1"))
		must(t, err)
		old := syscall.Umask(mask)
		entries, err := plan.Write(context.Background(), dir, nil)
		syscall.Umask(old)
		must(t, err)
		checkEntries(t, r, dir, entries)
	}
}

func TestPlan(t *testing.T) {
	r := newRepo(t)
	r.write(".gitattributes", "*.txt text eol=crlf\nwide working-tree-encoding=UTF-32\n")
	r.write("a/b.txt", strings.Repeat("\n", 5000))
	r.write("wide", strings.Repeat("x", 9000))
	r.write("a/link", "-> b.txt")
	r.commit("v1")
	plan, err := Survey(context.Background(), r.source("v1"))
	must(t, err)
	if plan.Files != 4 || plan.Inodes != 6 {
		t.Errorf("%d files, %d inodes", plan.Files, plan.Inodes)
	}
	dir := filepath.Join(t.TempDir(), "r")
	var last, calls int64
	entries, err := plan.Write(context.Background(), dir, func(done, total int64) {
		if calls++; done < last || total != plan.Bytes {
			t.Errorf("progress: %d of %d after %d", done, total, last)
		}
		last = done
	})
	must(t, err)
	if last != plan.Bytes || calls > 300 {
		t.Errorf("progress ended at %d of %d after %d calls", last, plan.Bytes, calls)
	}
	for _, block := range []int64{512, 4096, 65536} {
		var used int64
		for _, e := range entries {
			used += (e.Size + block - 1) / block * block
		}
		if plan.Need(block) < used {
			t.Errorf("block %d: need %d, used %d", block, plan.Need(block), used)
		}
	}
}

func TestCancel(t *testing.T) {
	r := newRepo(t)
	for i := range 200 {
		r.write(fmt.Sprintf("d%d/e/f%d", i%10, i), "content\n")
	}
	r.commit("v1")
	plan, err := Survey(context.Background(), r.source("v1"))
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	_, err = plan.Write(ctx, filepath.Join(t.TempDir(), "r"), func(int64, int64) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err = Survey(ctx, r.source("v1")); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// Large files stream, large files that are converted come out right too.
func TestLargeFiles(t *testing.T) {
	r := newRepo(t)
	r.write(".gitattributes", "*.crlf text eol=crlf\n")
	r.write("big.bin", strings.Repeat("0123456789abcdef\n", 400_000))
	r.write("big.crlf", strings.Repeat("0123456789abcdef\n", 400_000))
	r.commit("v1")
	r.git("gc", "-q")
	got, entries, err := export(t, r.source("v1"))
	must(t, err)
	same(t, got, r.archive("v1"))
	checkEntries(t, r, got, entries)
}

// The way of systems without syncfs.
func TestSyncEach(t *testing.T) {
	r := newRepo(t)
	for i := range 200 {
		r.write(fmt.Sprintf("d%d/e/f%d", i%10, i), "content\n")
	}
	r.commit("v1")
	plan, err := Survey(context.Background(), r.source("v1"))
	must(t, err)
	dir := filepath.Join(t.TempDir(), "r")
	_, err = plan.Write(context.Background(), dir, nil)
	must(t, err)
	w := reopened(t, plan, dir)
	must(t, w.syncEach(context.Background()))
}

func TestCommitInAnotherEncoding(t *testing.T) {
	r := newRepo(t)
	r.git("config", "i18n.commitEncoding", "ISO-8859-1")
	r.write(".gitattributes", "f export-subst\n")
	r.write("f", "$Format:%an %s %b$\n")
	r.git("add", "-A")
	r.gitIn([]byte("gr\xfc\xdfe\n\nbody \xe4\n"), "commit", "-q", "-F", "-")
	r.git("tag", "v1")
	got, _, err := export(t, r.source("v1"))
	must(t, err)
	same(t, got, r.archive("v1"))
}
