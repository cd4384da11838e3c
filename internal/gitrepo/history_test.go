package gitrepo

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/git-rel/rel/internal/release"
)

func ids(list []Commit) []string {
	out := []string{}
	for _, c := range list {
		out = append(out, c.ID)
	}
	return out
}

// randomHistory makes branches and merges, and tags every commit t<n>.
func randomHistory(r *testRepo, commits int) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var made []string
	tree := r.git("write-tree")
	for i := range commits {
		args := []string{"commit-tree", tree, "-m", fmt.Sprintf("c%d", i)}
		if i > 0 {
			parents := []string{made[max(0, i-1-rnd.IntN(4))]}
			if other := made[rnd.IntN(i)]; rnd.IntN(3) == 0 && other != parents[0] {
				parents = append(parents, other)
			}
			for _, p := range parents {
				args = append(args, "-p", p)
			}
		}
		id := r.git(args...)
		made = append(made, id)
		r.git("tag", "t"+strconv.Itoa(i), id)
	}
}

func TestLogEqualsGit(t *testing.T) {
	r := newRepo(t)
	const commits = 40
	randomHistory(r, commits)
	repo := r.open()
	for a := 0; a < commits; a += 7 {
		for b := 0; b < commits; b += 5 {
			from, to := "t"+strconv.Itoa(a), "t"+strconv.Itoa(b)
			ahead, back, err := repo.Log(bg, from, to, 0)
			if err != nil {
				t.Fatal(err)
			}
			if want := strings.Fields(r.git("rev-list", "--date-order", from+".."+to)); !slices.Equal(ids(ahead), want) {
				t.Errorf("%s..%s: %v, not %v", from, to, ids(ahead), want)
			}
			if want := strings.Fields(r.git("rev-list", "--date-order", to+".."+from)); !slices.Equal(ids(back), want) {
				t.Errorf("%s..%s: %v, not %v", to, from, ids(back), want)
			}
		}
	}
}

// TestLogWithWrongClocks has commits up to some hours older than their parents.
func TestLogWithWrongClocks(t *testing.T) {
	r := newRepo(t)
	rnd := rand.New(rand.NewPCG(5, 6))
	const commits = 60
	var in strings.Builder
	var parents [commits][]int
	for i := range commits {
		if i > 0 {
			parents[i] = []int{max(0, i-1-rnd.IntN(4))}
			if other := rnd.IntN(i); rnd.IntN(3) == 0 && other != parents[i][0] {
				parents[i] = append(parents[i], other)
			}
		}
		fmt.Fprintf(&in, "reset refs/tags/t%d\ncommit refs/tags/t%d\nmark :%d\ncommitter a <a@b> %d +0000\ndata 1\nx\n", i, i, i+1, 1_700_000_000+i*600+rnd.IntN(20_000))
		for j, p := range parents[i] {
			fmt.Fprintf(&in, "%s :%d\n", []string{"from", "merge"}[j], p+1)
		}
	}
	r.write("stream", in.String())
	if out, err := exec.Command("sh", "-c", `git -C "$1" fast-import --quiet <"$1/stream"`, "sh", r.dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var reach func(seen map[int]bool, i int)
	reach = func(seen map[int]bool, i int) {
		if !seen[i] {
			seen[i] = true
			for _, p := range parents[i] {
				reach(seen, p)
			}
		}
	}
	repo := r.open()
	for a := 0; a < commits; a += 2 {
		for b := 0; b < commits; b += 3 {
			inA, inB := map[int]bool{}, map[int]bool{}
			reach(inA, a)
			reach(inB, b)
			wantAhead, wantBack := 0, 0
			for i := range commits {
				if inB[i] && !inA[i] {
					wantAhead++
				}
				if inA[i] && !inB[i] {
					wantBack++
				}
			}
			ahead, back, err := repo.Log(bg, "t"+strconv.Itoa(a), "t"+strconv.Itoa(b), 0)
			if err != nil || len(ahead) != wantAhead || len(back) != wantBack {
				t.Fatalf("t%d, t%d: %d and %d, not %d and %d, %v", a, b, len(ahead), len(back), wantAhead, wantBack, err)
			}
		}
	}
}

func TestLog(t *testing.T) {
	r := newRepo(t)
	first := r.commit("a", "1", "first")
	r.git("tag", "v1")
	r.commit("a", "2", "second")
	r.git("checkout", "--quiet", "-b", "side", first)
	side := r.commit("b", "1", "on the side")
	r.git("tag", "-am", "t", "side-1")
	r.git("checkout", "--quiet", "main")
	r.git("merge", "--quiet", "--no-edit", "side")
	r.git("-c", "i18n.commitEncoding=ISO-8859-1", "commit", "--quiet", "--allow-empty", "-m", "caf\xe9")
	r.git("tag", "v2")
	repo := r.open()
	ahead, back, err := repo.Log(bg, "side-1", "v2", 2)
	if err != nil || len(ahead) != 2 || len(back) != 0 || ahead[0].Subject != "café" || !ahead[1].Merge || ahead[0].Author != "A Person" {
		t.Errorf("%+v, %+v, %v", ahead, back, err)
	}
	ahead, back, err = repo.Log(bg, "v2", "side-1", 0)
	if err != nil || len(ahead) != 0 || len(back) != 3 {
		t.Errorf("%+v, %+v, %v", ahead, back, err)
	}
	if ahead, _, err = repo.Log(bg, "", side, 0); err != nil || !slices.Equal(ids(ahead), []string{side, first}) {
		t.Errorf("%+v, %v", ahead, err)
	}
	if ahead, _, err = repo.Log(bg, "", "v2", 1); err != nil || len(ahead) != 1 {
		t.Errorf("%+v, %v", ahead, err)
	}
	if _, _, err = repo.Log(bg, "v1", "v3", 0); release.ExitCode(err) != release.ExitNotFound {
		t.Error(err)
	}
	if _, _, err = repo.Log(bg, "v1", strings.Repeat("ab", 20), 0); err == nil {
		t.Error("a commit that is not there has a history")
	}
}

func TestLogShallow(t *testing.T) {
	r := newRepo(t)
	for i := range 5 {
		r.commit("a", strconv.Itoa(i), "c"+strconv.Itoa(i))
		r.git("tag", "v"+strconv.Itoa(i))
	}
	shallow := r.clone("--depth=2")
	repo := openAt(t, shallow.dir)
	ahead, _, err := repo.Log(bg, "", shallow.git("rev-parse", "HEAD"), 0)
	if err != nil || len(ahead) != 2 {
		t.Errorf("%v, %v", ids(ahead), err)
	}
	if _, err := repo.Resolve(bg, "v4"); err != nil {
		t.Error(err)
	}
	shallow.git("config", "user.name", "x")
	shallow.git("config", "user.email", "x@y")
	if cut, err := repo.Cut(bg, CutOptions{Tag: "v5"}); err != nil || !strings.Contains(cut.Message, "v5") {
		t.Errorf("%+v, %v", cut, err)
	}
}

func TestChanges(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			r := newRepo(t, "--object-format="+format)
			r.write("lib/a.pm", "1\n2\n3\n4\n")
			r.write("lib/gone.pm", "x\ny\n")
			r.write("lib/moved.pm", "m\n")
			r.write("tool", "#!/bin/sh\n")
			r.write("bin", "a\x00b")
			r.write("kind", "to be a link")
			r.write("turns", "a directory")
			r.write("same/deep/file", "s\n")
			r.commit("noeol", "a\nb", "first")
			r.git("tag", "v1")
			r.write("lib/a.pm", "1\n2b\n3\n4\n5\n")
			r.write("bin", "a\x00c")
			r.write("new", "n\n")
			r.write("noeol", "a\nb\n")
			r.git("mv", "lib/moved.pm", "same/moved.pm")
			r.git("rm", "--quiet", "lib/gone.pm", "turns")
			r.write("turns/x", "1\n")
			for _, err := range []error{
				os.Chmod(filepath.Join(r.dir, "tool"), 0o755), os.Remove(filepath.Join(r.dir, "kind")), os.Symlink("new", filepath.Join(r.dir, "kind")),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			r.commit("empty", "", "second")
			r.git("tag", "v2")
			got, err := r.open().Changes(bg, "v1", "v2")
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, c := range got {
				lines = append(lines, fmt.Sprintf("%s %s %s +%d -%d %v", c.Status, c.Path, c.From, c.Added, c.Deleted, c.Binary))
			}
			want := []string{
				"M bin  +0 -0 true", "A empty  +0 -0 false", "T kind  +1 -1 false", "M lib/a.pm  +2 -1 false", "D lib/gone.pm  +0 -2 false", "A new  +1 -0 false",
				"M noeol  +1 -1 false", "R same/moved.pm lib/moved.pm +0 -0 false", "M tool  +0 -0 false", "D turns  +0 -1 false", "A turns/x  +1 -0 false",
			}
			if !slices.Equal(lines, want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
			}
			if all, err := r.open().Changes(bg, "", "v2"); err != nil || len(all) != 10 {
				t.Errorf("%d files, %v", len(all), err)
			}
			if none, err := r.open().Changes(bg, "v2", r.git("rev-parse", "v2")); err != nil || len(none) != 0 {
				t.Errorf("%v, %v", none, err)
			}
		})
	}
}

// TestCountChangesEqualsGit compares with git's --minimal, which is a shortest edit too.
func TestCountChangesEqualsGit(t *testing.T) {
	r := newRepo(t)
	rnd := rand.New(rand.NewPCG(3, 4))
	text := func() string {
		var b strings.Builder
		for range rnd.IntN(40) {
			fmt.Fprintln(&b, rnd.IntN(6))
		}
		return b.String()
	}
	for i := range 60 {
		for f := range 10 {
			r.write("f"+strconv.Itoa(f), text())
		}
		r.git("add", "-A")
		r.git("commit", "--quiet", "--allow-empty", "-m", strconv.Itoa(i))
		if i%2 == 0 {
			continue
		}
		changes, err := r.open().Changes(bg, r.git("rev-parse", "HEAD~1"), r.git("rev-parse", "HEAD"))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range changes {
			got = append(got, fmt.Sprintf("%d\t%d\t%s", c.Added, c.Deleted, c.Path))
		}
		want := r.git("diff-tree", "-r", "--no-commit-id", "--numstat", "--minimal", "--no-renames", "HEAD")
		if strings.Join(got, "\n") != want {
			t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
		}
	}
}

func TestCountChangesOfStrangers(t *testing.T) {
	lines := func(prefix string, n int) [][]byte {
		out := make([][]byte, n)
		for i := range out {
			out[i] = []byte(prefix + strconv.Itoa(i))
		}
		return out
	}
	if a, d := countChanges(lines("a", 3*maxEdits), lines("b", maxEdits)); a != maxEdits || d != 3*maxEdits {
		t.Errorf("+%d -%d", a, d)
	}
	if a, d := countChanges(nil, lines("b", 5)); a != 5 || d != 0 {
		t.Errorf("+%d -%d", a, d)
	}
}
