package objects

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// git runs git in dir, apart from the user's own configuration, and returns what it printed.
func git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	return gitIn(t, dir, "", args...)
}

// gitIn is git with something on its standard input.
func gitIn(t testing.TB, dir, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = gitEnv()
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

func gitEnv() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C",
		"GIT_AUTHOR_NAME=Ann O'Nym", "GIT_AUTHOR_EMAIL=ann@example.org", "GIT_AUTHOR_DATE=1700000000 +0130",
		"GIT_COMMITTER_NAME=Com Mitter", "GIT_COMMITTER_EMAIL=com@example.org", "GIT_COMMITTER_DATE=1700000100 -0500",
	}
}

// newRepo makes a work tree with n commits that change growing files, so that gc finds deltas, and a tag on each commit: annotated
// on the even ones. Flags go to git init.
func newRepo(t testing.TB, n int, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	git(t, dir, append([]string{"init", "-q", "-b", "main"}, flags...)...)
	git(t, dir, "config", "gc.auto", "0")
	for i := range n {
		addCommit(t, dir, i)
	}
	return dir
}

func addCommit(t testing.TB, dir string, i int) {
	t.Helper()
	for f := range 4 {
		write(t, filepath.Join(dir, fmt.Sprintf("lib/part%d", f), "text.txt"), text(uint64(f), 200+10*i))
	}
	write(t, filepath.Join(dir, "version"), fmt.Sprintf("%d\n", i))
	write(t, filepath.Join(dir, "noise"), string(noise(uint64(i), 3000)))
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "-m", fmt.Sprintf("commit %d\n\nwith a body", i))
	if i%2 == 0 {
		git(t, dir, "tag", "-a", "-m", fmt.Sprintf("release %d", i), fmt.Sprintf("v1.%d", i))
	} else {
		git(t, dir, "tag", fmt.Sprintf("v1.%d", i))
	}
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// text is so many lines that compress well; more lines begin as fewer do.
func text(seed uint64, lines int) string {
	r := rand.New(rand.NewPCG(seed, 7))
	var b strings.Builder
	for i := range lines {
		fmt.Fprintf(&b, "line %d of the text that says %x\n", i, r.Uint32())
	}
	return b.String()
}

// noise does not compress.
func noise(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 9))
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	return data
}

func open(t testing.TB, dir string) *Store {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, ".git")); err == nil {
		dir = filepath.Join(dir, ".git")
	}
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func parse(t testing.TB, hex string) ID {
	t.Helper()
	id, err := ParseID(hex)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// gitObject is what git says of an object.
type gitObject struct {
	id   string
	kind string
	data []byte
}

// allObjects reads every object of a repository with git.
func allObjects(t testing.TB, dir string) []gitObject {
	t.Helper()
	cmd := exec.Command("git", "cat-file", "--batch-all-objects", "--batch")
	cmd.Dir, cmd.Env = dir, gitEnv()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var list []gitObject
	for r := bufio.NewReader(bytes.NewReader(out)); ; {
		var o gitObject
		var size int
		if _, err := fmt.Fscanf(r, "%s %s %d\n", &o.id, &o.kind, &size); err != nil {
			break
		}
		o.data = make([]byte, size+1)
		if _, err := io.ReadFull(r, o.data); err != nil {
			t.Fatal(err)
		}
		o.data = o.data[:size]
		list = append(list, o)
	}
	if len(list) == 0 {
		t.Fatal("git knows no objects")
	}
	return list
}

// compare reads all objects with s, each in every way, and compares them with what git read.
func compare(t testing.TB, s *Store, want []gitObject) {
	t.Helper()
	for _, w := range want {
		id := parse(t, w.id)
		kind, size, err := s.Header(id)
		if err != nil || kind.String() != w.kind || size != int64(len(w.data)) {
			t.Fatalf("header of %s: %v %d %v, want %s %d", id, kind, size, err, w.kind, len(w.data))
		}
		o, err := s.Read(id)
		if err != nil || o.Kind.String() != w.kind || !bytes.Equal(o.Data, w.data) {
			t.Fatalf("%s: %v, %d bytes, %v; want %s, %d bytes", id, o.Kind, len(o.Data), err, w.kind, len(w.data))
		}
		r, size, err := s.Stream(id)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(data, w.data) || size != int64(len(data)) {
			t.Fatalf("stream of %s: %d bytes, %v; want %d bytes", id, len(data), err, len(w.data))
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
