package gitrepo

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

func TestOpen(t *testing.T) {
	r := newRepo(t)
	first := r.commit("a", "1", "first")
	r.git("tag", "v1")
	bare := r.clone("--bare")
	linked := filepath.Join(t.TempDir(), "linked")
	r.git("worktree", "add", "--quiet", "--detach", linked)
	sub := filepath.Join(r.dir, "deep", "er")
	if err := os.MkdirAll(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, dir, tree string }{
		{r.dir, r.dir + "/.git", r.dir},
		{r.dir + "/.git", r.dir + "/.git", r.dir},
		{bare.dir, bare.dir, ""},
		{linked, r.dir + "/.git/worktrees/linked", linked},
		{r.dir + "/.git/worktrees/linked", r.dir + "/.git/worktrees/linked", linked},
	} {
		repo := openAt(t, c.path)
		if repo.Dir != c.dir || repo.WorkTree != c.tree {
			t.Errorf("%s: %s, %s", c.path, repo.Dir, repo.WorkTree)
		}
		if tag, err := repo.Resolve(bg, "v1"); err != nil || tag.Commit != first {
			t.Errorf("%s: %+v, %v", c.path, tag, err)
		}
	}
	for _, path := range []string{t.TempDir(), sub, filepath.Join(sub, "none"), r.dir + "/a"} {
		if _, err := Open(path); !errors.Is(err, objects.ErrNotRepo) || len(release.Hints(err)) == 0 {
			t.Errorf("%s: %v", path, err)
		}
	}
	for start, want := range map[string]string{sub: r.dir, linked: linked, bare.dir + "/refs": bare.dir, r.dir: r.dir} {
		if got, err := Find(start); err != nil || got != want {
			t.Errorf("%s: %s, %v", start, got, err)
		}
	}
	if _, err := Find(t.TempDir()); !errors.Is(err, objects.ErrNotRepo) {
		t.Error(err)
	}
	r.write("deep/.git", "gitdir: ../nowhere\n")
	if _, err := Find(sub); err == nil || !strings.Contains(err.Error(), "deep/.git: ") {
		t.Error(err)
	}
}

func TestResolve(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			r := newRepo(t, "--object-format="+format)
			first := r.commit("a", "1", "the first\n\nbody")
			r.git("tag", "light")
			r.git("tag", "-a", "-m", "the tag\n\nnotes", "v1.0")
			r.git("tag", "-a", "-m", "outer", "nested", "v1.0")
			r.git("tag", "tree", "HEAD^{tree}")
			r.git("tag", "-a", "-m", "a blob", "blob", "HEAD:a")
			second := r.commit("a", "2", "second")
			r.git("branch", "v9")
			r.git("tag", "-a", "-m", "the other", "x/v2")
			check := func() {
				t.Helper()
				repo := r.open()
				for name, want := range map[string]release.Tag{
					"light":  {Commit: first, Object: first, Subject: "the first"},
					"v1.0":   {Commit: first, Object: r.git("rev-parse", "v1.0"), Subject: "the tag", Annotated: true},
					"nested": {Commit: first, Object: r.git("rev-parse", "nested"), Subject: "outer", Annotated: true},
					"x/v2":   {Commit: second, Object: r.git("rev-parse", "x/v2"), Subject: "the other", Annotated: true},
				} {
					got, err := repo.Resolve(bg, name)
					if err != nil || got.When.IsZero() {
						t.Errorf("%s: %v, %v", name, got.When, err)
					}
					want.Name, want.When, want.Tree = name, got.When, r.git("rev-parse", name+"^{tree}")
					if got != want {
						t.Errorf("%s: %+v, not %+v", name, got, want)
					}
				}
				for name, said := range map[string]string{"tree": "tree: the tag names a tree, not a commit", "blob": "blob: the tag names a blob, not a commit"} {
					if _, err := repo.Resolve(bg, name); release.ExitCode(err) != release.ExitError || err.Error() != said {
						t.Errorf("%s: %v", name, err)
					}
				}
				// Neither branches, nor ids, nor what leads elsewhere: only tags.
				for _, name := range []string{"v9", first, "HEAD", "../heads/v9", "v1.0^{}", "v1.0~0", "", "refs/tags/v1.0", "tags/v1.0"} {
					if _, err := repo.Resolve(bg, name); release.ExitCode(err) != release.ExitNotFound {
						t.Errorf("%q: %v", name, err)
					}
				}
				tags, err := repo.Tags(bg)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, tag := range tags {
					got = append(got, tag.Name+" "+tag.Commit+" "+strconv.FormatBool(tag.Annotated))
				}
				if want := []string{"light " + first + " false", "nested " + first + " true", "v1.0 " + first + " true", "x/v2 " + second + " true"}; !slices.Equal(got, want) {
					t.Errorf("got %v, not %v", got, want)
				}
			}
			check()
			r.git("pack-refs", "--all")
			check()
			r.git("gc", "--quiet")
			check()
		})
	}
}

func TestResolveNear(t *testing.T) {
	r := newRepo(t)
	r.commit("a", "1", "first")
	repo := r.open()
	_, err := repo.Resolve(bg, "v1")
	if h := release.Hints(err); release.ExitCode(err) != release.ExitNotFound || err.Error() != "v1: no such tag" || !slices.Equal(h, []string{"rel list shows the tags"}) {
		t.Errorf("%v, %v", err, h)
	}
	for _, tag := range []string{"v1.4.0", "v1.4.1", "v1.3.0", "release-candidate", "shop/v7"} {
		r.git("tag", tag)
	}
	for name, want := range map[string]string{
		"1.4.0": "did you mean v1.4.0 or ", "V1.3.0": "did you mean v1.3.0 or ", "v1.4": "did you mean v1.4.1 or v1.4.0?",
		"relaese-candidate": "did you mean release-candidate?", "v7": "did you mean shop/v7?", "something": "rel list",
	} {
		_, err := repo.Resolve(bg, name)
		if h := release.Hints(err); !strings.HasPrefix(h[0], want) {
			t.Errorf("%s: %v", name, h)
		}
	}
}

func TestBrokenTagIsTold(t *testing.T) {
	r := newRepo(t)
	r.commit("a", "1", "first")
	r.git("tag", "good")
	r.write(".git/refs/tags/bad", strings.Repeat("ab", 20)+"\n")
	tags, err := r.open().Tags(bg)
	if len(tags) != 1 || tags[0].Name != "good" || err == nil || !strings.Contains(err.Error(), "bad") {
		t.Errorf("%v, %v", tags, err)
	}
}

func TestValidTagNameIsGits(t *testing.T) {
	r := newRepo(t)
	names := []string{
		"v1", "a/b", "a//b", "/a", "a/", ".a", "a/.b", "a.lock", "a.lock/b", "a..b", "a b", "a~", "a^", "a:", "a?", "a*", "a[", `a\`, "a.", "a.b.", "a@{b", "@", "-x",
		"v$(id)", "v;x", "a\tb", "a\x7f", "é", "\xff", "v\u202e1", "a{", "lock", "a/b.c", "x.lockx",
	}
	for _, name := range names {
		_, err := r.try("check-ref-format", "refs/tags/"+name)
		if validTagName(name) != (err == nil) {
			t.Errorf("%q: git says %v", name, err)
		}
	}
	for _, name := range []string{"", "-x", "v\u202e1", "v\u200b1", "\xff", "a\u0085b", "HEAD", strings.Repeat("0a", 20), "a b", "refs/tags/x"} {
		if err := checkNewName(name); release.ExitCode(err) != release.ExitUsage || strings.ContainsFunc(err.Error(), hidden) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"v1.4.0", "shop/v1", "2026.11.23-1", "ünï"} {
		if err := checkNewName(name); err != nil {
			t.Error(err)
		}
	}
}

func TestPin(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			r := newRepo(t, "--object-format="+format)
			first := r.commit("a", "1", "first")
			second := r.commit("a", "2", "second")
			repo := r.open()
			pin := func(commits ...string) string {
				t.Helper()
				if err := repo.Pin(bg, "ROOT", commits); err != nil {
					t.Fatal(err)
				}
				out, _ := r.try("rev-parse", "--verify", "--quiet", keepPrefix+"ROOT")
				return out
			}
			if got := pin(); got != "" {
				t.Errorf("pinned %s", got)
			}
			both := pin(first, second, first)
			if got := strings.Fields(r.git("rev-list", "--parents", "-1", both))[1:]; len(got) != 2 || !slices.Contains(got, first) || !slices.Contains(got, second) {
				t.Errorf("parents %v", got)
			}
			if again := pin(second, first); again != both {
				t.Errorf("%s, then %s", both, again)
			}
			r.git("fsck", "--strict")
			// What the branch no longer has survives gc by the pin, and only by it.
			r.git("reset", "--hard", "--quiet", first)
			gc := func() { r.git("reflog", "expire", "--expire=now", "--all"); r.git("gc", "--quiet", "--prune=now") }
			gc()
			if _, err := r.try("cat-file", "-e", second); err != nil {
				t.Error("gc took a pinned commit")
			}
			pin(first)
			gc()
			if _, err := r.try("cat-file", "-e", second); err == nil {
				t.Error("gc left a commit that is no longer pinned")
			}
			before := pin(first)
			if err := repo.Pin(bg, "ROOT", []string{first, strings.Repeat("ab", len(first)/2)}); err == nil {
				t.Error("pinned what is not there")
			}
			if pin(first) != before {
				t.Error("the pin has changed")
			}
			if out := pin(); out != "" {
				t.Errorf("still pinned: %s", out)
			}
		})
	}
}

func TestPinManyInBare(t *testing.T) {
	r := newRepo(t)
	for i := range 30 {
		r.commit("a", strconv.Itoa(i), "c")
	}
	bare := r.clone("--bare")
	all := strings.Fields(bare.git("rev-list", "--all"))
	if err := openAt(t, bare.dir).Pin(bg, "ROOT", all); err != nil {
		t.Fatal(err)
	}
	if got := len(strings.Fields(bare.git("rev-list", "--parents", "-1", keepPrefix+"ROOT"))) - 1; got != 30 {
		t.Errorf("%d parents", got)
	}
}

func BenchmarkTags(b *testing.B) {
	for _, packed := range []bool{true, false} {
		b.Run("packed="+strconv.FormatBool(packed), func(b *testing.B) { benchmarkTags(b, packed) })
	}
}
