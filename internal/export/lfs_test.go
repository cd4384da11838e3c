package export

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// lfsRepo is a work tree with Git LFS and what its remote is: a bare repository served by git lfs itself through file://.
func lfsRepo(t testing.TB) (work repo, remote string) {
	t.Helper()
	if _, err := exec.LookPath("git-lfs"); err != nil {
		t.Skip("needs git-lfs (Debian package git-lfs)")
	}
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	t.Setenv("HOME", t.TempDir()) // what rel runs has the owner's configuration
	work, remote = newRepo(t), t.TempDir()
	work.git("init", "-q", "--bare", remote)
	work.git("remote", "add", "origin", "file://"+remote)
	work.git("lfs", "install", "--local")
	return work, remote
}

// push commits all, as tag, and pushes it with its content.
func (r repo) push(tag string) {
	r.t.Helper()
	r.git("add", "-A")
	r.git("commit", "-q", "-m", tag)
	r.git("tag", tag)
	r.git("push", "-q", "origin", "HEAD", tag)
}

// bare is a bare clone of remote, which has no content.
func bare(t testing.TB, remote string) repo {
	t.Helper()
	r := repo{t, t.TempDir()}
	r.git("clone", "-q", "--bare", "file://"+remote, r.dir)
	return r
}

// checkout is what a clone by git lfs has.
func checkout(t testing.TB, remote, tag string) string {
	t.Helper()
	r := repo{t, t.TempDir()}
	r.git("clone", "-q", "--no-checkout", "file://"+remote, r.dir)
	r.git("lfs", "install", "--local")
	r.git("checkout", "-q", tag)
	must(t, os.RemoveAll(filepath.Join(r.dir, ".git")))
	return r.dir
}

func oidOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// kept is the path of content in a repository.
func (r repo) kept(content string) string {
	oid := oidOf(content)
	return filepath.Join(r.gitDir(), "lfs/objects", oid[:2], oid[2:4], oid)
}

func noise(n int) string {
	data := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{byte(n)})
	rng.Read(data)
	return string(data)
}

func TestLFSIsAsInACheckout(t *testing.T) {
	work, remote := lfsRepo(t)
	work.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n*.txt filter=lfs text eol=crlf ident\n*.gone filter=lfs export-ignore\n")
	work.write("plain", "plain\n")
	work.write("a.bin", noise(1000))
	work.write("again.bin", noise(1000))
	work.write("empty.bin", "")
	work.write("large.bin", noise(streamOver+12345))
	work.write("deep/d ir,[x]*?é/odd name,!#\\.bin", noise(77))
	work.write("run.bin", "#!/bin/sh\necho $Id$\n")
	work.write("lines.txt", "one\ntwo $Id$\n")
	work.write("not.gone", noise(55))
	work.git("add", "-A")
	// Content that somebody without git lfs has committed is content.
	work.write("raw.bin", "no pointer\n")
	work.write("damaged.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 5\n")
	must(t, os.WriteFile(filepath.Join(work.dir, ".git/info/attributes"), []byte("*.bin !filter\n"), 0o644))
	work.git("add", "raw.bin", "damaged.bin")
	must(t, os.Remove(filepath.Join(work.dir, ".git/info/attributes")))
	work.git("commit", "-q", "-m", "all")
	work.git("tag", "v1")
	work.git("push", "-q", "origin", "v1")

	r := bare(t, remote)
	src := r.source("v1")
	plan, err := Survey(context.Background(), src)
	must(t, err)
	if want := int64(1000 + streamOver + 12345 + 77 + 20 + 13); plan.lfs.missingBytes() != want || plan.Bytes < want || plan.Need(4096) < 2*want {
		t.Errorf("missing %d, not %d, bytes %d, need %d", plan.lfs.missingBytes(), want, plan.Bytes, plan.Need(4096))
	}
	if _, err := os.Stat(filepath.Join(r.dir, "lfs/objects")); err == nil {
		t.Error("a survey has fetched")
	}
	want := checkout(t, remote, "v1")
	must(t, os.Remove(filepath.Join(want, "not.gone")))
	for range 2 { // fetched; and there, with no remote to be asked
		got, entries, err := export(t, src)
		must(t, err)
		same(t, got, want)
		checkEntries(t, r, got, entries)
		must(t, os.RemoveAll(remote))
	}
	if _, err := os.Stat(r.kept(noise(55))); err == nil {
		t.Error("what is not exported was fetched")
	}
	if hooks, err := filepath.Glob(filepath.Join(r.dir, "hooks/*-push")); err != nil || len(hooks) > 0 {
		t.Errorf("hooks were installed: %v %v", hooks, err)
	}
}

func TestLFSInAWorkTree(t *testing.T) {
	work, remote := lfsRepo(t)
	work.write(".gitattributes", "*.bin filter=lfs -text\n")
	work.write("sub/a.bin", noise(2000))
	work.push("v1")
	must(t, os.RemoveAll(remote))
	src := work.source("v1")
	got, _, err := export(t, src)
	must(t, err)
	same(t, got, checkoutIn(t, work, "v1"))
	src.Path = "sub"
	sub, _, err := export(t, src)
	must(t, err)
	same(t, sub, filepath.Join(got, "sub"))

	// A linked worktree has the content of its repository, wherever that is kept.
	linked := repo{t, filepath.Join(t.TempDir(), "linked")}
	work.git("worktree", "add", "-q", "--detach", linked.dir)
	must(t, os.Rename(filepath.Join(work.dir, ".git/lfs"), filepath.Join(work.dir, ".git/elsewhere")))
	work.git("config", "lfs.storage", "elsewhere")
	got, _, err = export(t, linked.source("v1"))
	must(t, err)
	same(t, got, checkoutIn(t, work, "v1"))
}

// checkoutIn is a tag as git lfs checks it out from the repository itself.
func checkoutIn(t testing.TB, work repo, tag string) string {
	t.Helper()
	dir := t.TempDir()
	work.git("--work-tree="+dir, "checkout", "-q", "-f", tag, "--", ".")
	return dir
}

func TestLFSFetchedFromWhereTheTagSays(t *testing.T) {
	work, remote := lfsRepo(t)
	work.write(".gitattributes", "*.bin filter=lfs -text\n")
	work.write("dir/a.bin", noise(300))
	work.write(".lfsconfig", "[lfs]\n\turl = file://"+remote+"\n")
	work.push("v1")
	r := bare(t, remote)
	r.git("remote", "rm", "origin")
	r.git("config", "lfs.fetchexclude", "*")
	r.git("symbolic-ref", "HEAD", "refs/heads/none")
	src := r.source("v1")
	src.Path = "dir"
	got, _, err := export(t, src)
	must(t, err)
	same(t, got, filepath.Join(checkoutIn(t, work, "v1"), "dir"))

	// Of several remotes the one that has it counts.
	r = bare(t, remote)
	r.git("remote", "add", "another", "file://"+remote)
	r.git("remote", "set-url", "origin", "file:///nowhere/at/all")
	work.git("rm", "-q", ".lfsconfig")
	work.push("v2")
	r.git("fetch", "-q", "another", "--tags")
	got, _, err = export(t, r.source("v2"))
	must(t, err)
	same(t, got, checkoutIn(t, work, "v2"))
}

func TestLFSThatCannotBeHad(t *testing.T) {
	work, remote := lfsRepo(t)
	work.write(".gitattributes", "*.bin filter=lfs -text\n")
	for i := range 8 {
		work.write(fmt.Sprintf("dir/%d.bin", i), noise(100+i))
	}
	work.push("v1")
	r := bare(t, remote)
	src := r.source("v1")
	for i := range 7 {
		must(t, os.Remove(repo{t, remote}.kept(noise(100+i))))
	}
	refused(t, src, "gone from the remote", "v1: dir/0.bin, dir/1.bin, dir/2.bin, dir/3.bin, dir/4.bin and 2 more: Git LFS content is not in "+
		filepath.Join(r.dir, "lfs/objects")+", and git lfs fetch origin did not bring it: ")
	refused(t, src, "gone from the remote", "remote missing object")
	r.git("remote", "rm", "origin")
	r.git("config", "lfs.url", "file://me:secret@/nowhere")
	refused(t, src, "no server", "git lfs fetch file:///nowhere did not bring it: ")
	r.git("config", "--unset", "lfs.url")
	refused(t, src, "no remote", "and nothing says where to fetch it")

	// The hint's line, as it is typed in a clone.
	work.git("lfs", "push", "file://"+r.dir, "v1")
	got, _, err := export(t, src)
	must(t, err)
	same(t, got, checkoutIn(t, work, "v1"))

	must(t, os.Remove(r.kept(noise(100))))
	dir := t.TempDir() // git is there, git lfs is not
	git, err := exec.LookPath("git")
	must(t, err)
	must(t, os.Symlink(git, filepath.Join(dir, "git")))
	t.Setenv("PATH", dir)
	refused(t, src, "not installed", "dir/0.bin: Git LFS content is not in "+filepath.Join(r.dir, "lfs/objects")+", and git lfs, which could fetch it, is not installed")
}

func TestLFSDamaged(t *testing.T) {
	work, remote := lfsRepo(t)
	work.write(".gitattributes", "*.bin filter=lfs -text\n")
	work.write("a.bin", noise(5000))
	work.push("v1")
	r := bare(t, remote)
	r.git("lfs", "fetch", "origin", "v1")
	src, path := r.source("v1"), r.kept(noise(5000))
	replace := func(content string) {
		must(t, os.Remove(path)) // it may be a hard link to the remote's
		must(t, os.WriteFile(path, []byte(content), 0o644))
	}

	replace("x" + noise(5000)[1:])
	refused(t, src, "one byte", "a.bin: Git LFS content is damaged: its SHA-256 is not "+oidOf(noise(5000)))
	replace("half")
	got, _, err := export(t, src)
	must(t, err) // fetched again
	same(t, got, checkout(t, remote, "v1"))

	secret := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(secret, []byte(noise(5000)), 0o600))
	must(t, os.Remove(path))
	must(t, os.Symlink(secret, path))
	refused(t, src, "a link", "a.bin: Git LFS content cannot be read: ")
	above := filepath.Dir(path)
	must(t, os.RemoveAll(above))
	must(t, os.Mkdir(filepath.Join(filepath.Dir(secret), "sub"), 0o755))
	must(t, os.Rename(secret, filepath.Join(filepath.Dir(secret), "sub", filepath.Base(path))))
	must(t, os.Symlink(filepath.Join(filepath.Dir(secret), "sub"), above))
	refused(t, src, "a directory that is a link", "a.bin: Git LFS content cannot be read: ")

	must(t, os.Remove(above))
	plan, err := Survey(context.Background(), src)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dir := filepath.Join(t.TempDir(), "release")
	if _, err := plan.Write(ctx, dir, nil); err == nil {
		t.Error("cancelled, and no error")
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("something was made")
	}
}

// What a pointer names must be what is written, also where the pointer is made up.
func TestLFSPointersThatLie(t *testing.T) {
	pointer := func(content string, size int64) string {
		return fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", oidOf(content), size)
	}
	for _, c := range []struct{ name, pointer, text string }{
		{"empty with content", pointer("x", 0), "bad.bin: Git LFS content is damaged"},
		{"endless", pointer("x", 1<<62), "bad.bin: Git LFS content of 4611686018427387904 bytes"},
		{"another size", pointer("content", 6), "bad.bin: Git LFS content is not in "},
		{
			"extended", "version https://git-lfs.github.com/spec/v1\next-0-foo sha256:" + oidOf("y") + "\noid sha256:" + oidOf("x") + "\nsize 1\n",
			"bad.bin: Git LFS content made by an extension",
		},
	} {
		r := newRepo(t)
		r.write(".gitattributes", "*.bin filter=lfs -text\n")
		r.write("bad.bin", c.pointer)
		r.commit("v1")
		must(t, os.MkdirAll(filepath.Dir(r.kept("content")), 0o755))
		must(t, os.WriteFile(r.kept("content"), []byte("content"), 0o644))
		refused(t, r.source("v1"), c.name, c.text)
	}
}

// What git lfs takes for a pointer is one here, and nothing else.
func TestPointersAreThoseOfGitLFS(t *testing.T) {
	oid := strings.Repeat("0a", 32)
	good := "version https://git-lfs.github.com/spec/v1\noid sha256:" + oid + "\nsize 12345\n"
	ext := "ext-0-foo sha256:" + oid + "\n"
	swap := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	cases := []string{
		good, "\n" + good + "\n\n", strings.TrimSpace(good), strings.ReplaceAll(good, "\n", "\r\n"), swap("\n", "\n\n"),
		swap("https://git-lfs.github.com/spec/v1", "https://hawser.github.com/spec/v1"),
		swap("https://git-lfs.github.com/spec/v1", "http://git-media.io/v/2"), swap("spec/v1", "spec/v2"), swap("https", "http"),
		swap("oid", ext+"oid"), swap("oid", ext+"ext-1-bar sha256:"+oid+"\noid"), ext + good, swap("size", ext+"size"), swap("oid", "ext-0-foo md5:12\noid"),
		good + ext, good + "more x\n", good + "size 5\n", swap("oid", "aaa b\noid"), swap("size 12345\n", ""), swap("oid sha256:"+oid+"\n", ""),
		swap("12345", "0"), swap("12345", "-1"), swap("12345", "1e3"), swap("12345", ""), swap("12345", "99999999999999999999"), swap("12345", "+5"),
		swap("sha256", "sha1"), swap("0a", "0A"), swap("0a", "0g"), swap("0a", ""), swap("oid ", "oid  "), swap("oid ", "oid\t"),
		"size 12345\noid sha256:" + oid + "\nversion https://git-lfs.github.com/spec/v1\n", "version", "version ", "x", "\x00",
		good + strings.Repeat("\n", maxPointer-len(good)-1), strings.Repeat(" ", maxPointer),
	}
	lfs, err := exec.LookPath("git-lfs")
	if err != nil {
		t.Skip("needs git-lfs (Debian package git-lfs)")
	}
	r := newRepo(t)
	for _, c := range cases {
		r.write("pointer", c)
		cmd := exec.Command(lfs, "pointer", "--check", "--file=pointer")
		cmd.Dir, cmd.Env = r.dir, testEnv()
		said, err := cmd.CombinedOutput()
		if _, ok := parsePointer([]byte(c)); ok != (err == nil) {
			t.Errorf("%q: a pointer: %v; git lfs: %v %s", c, ok, err, said)
		}
	}
	p, ok := parsePointer([]byte(good))
	if want := (lfsPointer{oid, 12345, false}); !ok || p != want || p.place() != "0a/0a/"+oid {
		t.Errorf("%+v %s", p, p.place())
	}
}

func TestInclude(t *testing.T) {
	if got := include([]lfsFile{{path: "a/b.bin"}, {path: "[x], é\n/*y"}}); got != "/a/b.bin,/*x*/*y" {
		t.Error(got)
	}
	if got := include(slices.Repeat([]lfsFile{{path: strings.Repeat("x", 1000)}}, 100)); got != "" {
		t.Errorf("%d bytes", len(got))
	}
}

// The file is read once, whatever its size, and written as it is read.
func BenchmarkLFSContent(b *testing.B) {
	r := newRepo(b)
	content := bytes.Repeat([]byte(noise(1<<20)), 64)
	pointer := fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", oidOf(string(content)), len(content))
	r.write(".gitattributes", "*.bin filter=lfs -text\n")
	r.write("a.bin", pointer)
	r.commit("v1")
	must(b, os.MkdirAll(filepath.Dir(r.kept(string(content))), 0o755))
	must(b, os.WriteFile(r.kept(string(content)), content, 0o644))
	src := r.source("v1")
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		dir, entries, err := export(b, src)
		must(b, err)
		if id := objects.Hash(objects.SHA1, objects.KindBlob, content); !slices.ContainsFunc(entries, func(e release.Entry) bool { return e.ID == id.String() }) {
			b.Fatal("another id")
		}
		must(b, os.RemoveAll(dir))
	}
}
