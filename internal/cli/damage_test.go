package cli

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/git-rel/rel/internal/release"
)

// damaged is a root with v1.0 live, and its repository, which is to be damaged.
type damaged struct {
	t    *testing.T
	dir  string // around both
	root string
	repo string // bare
}

func (d damaged) run(stdin, name string, args ...string) string {
	d.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdin = d.dir, strings.NewReader(stdin)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		d.t.Fatalf("%s %q: %v\n%s%s", name, args, err, out, said.Bytes())
	}
	return strings.TrimSpace(string(out))
}

func (d damaged) git(args ...string) string {
	d.t.Helper()
	return d.run("", "git", append([]string{"-C", d.repo}, args...)...)
}

// newDamaged makes the repository and the root. v1.1 has a directory of files that are alike, which git packs as a chain of deltas.
func newDamaged(t *testing.T) damaged {
	t.Helper()
	home := t.TempDir()
	must(t, os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(gitConfig+"[pack]\n\tthreads = 1\n"), 0o644))
	t.Setenv("HOME", home)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	t.Setenv("GORACE", "atexit_sleep_ms=0")
	dir := t.TempDir()
	d := damaged{t, dir, filepath.Join(dir, "root"), filepath.Join(dir, "good")}
	work := damaged{t, dir, "", filepath.Join(dir, "work")}
	d.run("", "git", "init", "-q", work.repo)
	must(t, os.WriteFile(filepath.Join(work.repo, "page"), []byte("one\n"), 0o644))
	work.git("add", "-A")
	work.git("commit", "-q", "-m", "one")
	work.git("tag", "-a", "-m", "one", "v1.0")
	must(t, os.Mkdir(filepath.Join(work.repo, "pages"), 0o755))
	for i := range 8 { // each has four fifths of its lines from the one before
		var text strings.Builder
		for line := i * 40; line < i*40+200; line++ {
			fmt.Fprintf(&text, "line %d: %x\n", line, line*2654435761)
		}
		must(t, os.WriteFile(filepath.Join(work.repo, "pages", strconv.Itoa(i)), []byte(text.String()), 0o644))
	}
	work.git("add", "-A")
	work.git("commit", "-q", "-m", "two")
	work.git("tag", "-a", "-m", "two", "v1.1")
	d.run("", "git", "clone", "-q", "--bare", "--no-hardlinks", work.repo, d.repo)
	d.git("-c", "repack.useDeltaBaseOffset=false", "repack", "-qadf")
	d.run("", "cp", "-a", d.repo, filepath.Join(dir, "repo"))
	t.Cleanup(d.quiet)
	d.run("", "rel", "init", "-q", d.root, "--repo", filepath.Join(dir, "repo"))
	d.run("", "rel", "-C", d.root, "activate", "-q", "v1.0")
	return d
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// quiet waits until no run holds the lock: what a run notes in the repository comes after its outcome is told.
func (d damaged) quiet() {
	d.t.Helper()
	lock, err := os.Open(filepath.Join(d.root, ".rel/lock"))
	must(d.t, err)
	must(d.t, unix.Flock(int(lock.Fd()), unix.LOCK_EX))
	must(d.t, lock.Close())
}

// anew is d with an undamaged repository in its place.
func (d damaged) anew(t *testing.T) damaged {
	t.Helper()
	d.t = t
	d.repo = filepath.Join(d.dir, "repo")
	d.quiet()
	must(t, os.RemoveAll(d.repo))
	d.run("", "cp", "-a", filepath.Join(d.dir, "good"), d.repo)
	return d
}

// file is the one file of the repository's pack with such an end, made writable.
func (d damaged) file(suffix string) string {
	d.t.Helper()
	list, err := filepath.Glob(filepath.Join(d.repo, "objects/pack/pack-*"+suffix))
	if err != nil || len(list) != 1 {
		d.t.Fatalf("%q, %v", list, err)
	}
	must(d.t, os.Chmod(list[0], 0o644))
	return list[0]
}

// loose unpacks all objects, and is the path of one of them.
func (d damaged) loose(id string) string {
	d.t.Helper()
	pack := d.file(".pack")
	data, err := os.ReadFile(pack)
	must(d.t, err)
	must(d.t, os.RemoveAll(filepath.Dir(pack)))
	d.run(string(data), "git", "-C", d.repo, "unpack-objects", "-q")
	path := filepath.Join(d.repo, "objects", id[:2], id[2:])
	must(d.t, os.Chmod(path, 0o644))
	return path
}

// packed is an object in the pack: a line of verify-pack.
type packed struct {
	id     string
	offset int64
	base   string // "" if it is none
}

// chain are a blob that is a delta, and its base, which is one too.
func (d damaged) chain() (upper, lower packed) {
	d.t.Helper()
	all := map[string]packed{}
	var deep string
	for _, line := range strings.Split(d.git("verify-pack", "-v", d.file(".idx")), "\n") {
		f := strings.Fields(line)
		if len(f) < 5 || f[1] != "blob" {
			continue
		}
		at, err := strconv.ParseInt(f[4], 10, 64)
		must(d.t, err)
		p := packed{id: f[0], offset: at}
		if len(f) == 7 {
			if p.base = f[6]; f[5] != "1" {
				deep = p.id
			}
		}
		all[p.id] = p
	}
	if deep == "" {
		d.t.Fatal("git made no chain of deltas")
	}
	return all[deep], all[all[deep].base]
}

// patch changes the pack at an entry's offset: change is given the entry's head, and what comes after it.
func (d damaged) patch(p packed, change func(head, rest []byte)) {
	d.t.Helper()
	path := d.file(".pack")
	data, err := os.ReadFile(path)
	must(d.t, err)
	entry := data[p.offset:]
	n := 1
	for entry[n-1]&0x80 != 0 {
		n++
	}
	change(entry[:n], entry[n:])
	must(d.t, os.WriteFile(path, data, 0o644))
}

// blob is the id of a file of v1.1.
func (d damaged) blob(path string) string { return d.git("rev-parse", "v1.1:"+path) }

// state is all that a stage that fails may not change: what is around the root, and in it but for the records of runs.
func (d damaged) state() string {
	d.t.Helper()
	var b strings.Builder
	must(d.t, filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := strings.TrimPrefix(path, d.dir)
		if path == d.repo {
			return filepath.SkipDir
		}
		if name, in := strings.CutPrefix(rel, "/root/.rel/"); in && !strings.HasPrefix(name, "links") && !strings.HasPrefix(name, "manifests") {
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %s ", rel, info.Mode())
		switch {
		case e.Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			fmt.Fprintf(&b, "-> %s\n", target)
			return err
		case e.IsDir():
			b.WriteString("\n")
			return nil
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%d %q\n", info.ModTime().UnixNano(), data)
		return err
	}))
	return b.String()
}

// refusesToStage stages v1.1, which must end with an error that has these texts and leave nothing behind.
func (d damaged) refusesToStage(texts ...string) {
	d.t.Helper()
	before := d.state()
	cmd := exec.Command("rel", "-C", d.root, "stage", "v1.1")
	var said bytes.Buffer
	cmd.Stderr = &said
	err := cmd.Run()
	if cmd.ProcessState.ExitCode() != release.ExitError {
		d.t.Errorf("%v, want exit code %d", err, release.ExitError)
	}
	for _, text := range append(texts, "hint: ", "nothing changed, v1.0 is live") {
		if !strings.Contains(said.String(), text) {
			d.t.Errorf("it does not say %q:\n%s", text, &said)
		}
	}
	if after := d.state(); after != before {
		d.t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if files, err := filepath.Glob(filepath.Join(d.root, "releases", "*")); err != nil || len(files) != 1 {
		d.t.Errorf("releases: %q, %v", files, err)
	}
}

// A repository with each kind of damage, through the whole program: the error names the object, the file and the offset where
// there is one, and what to run; nothing is left behind and what is live stays as it is.
func TestDamage(t *testing.T) {
	site := newDamaged(t)
	fsck := "hint: git -C " + filepath.Join(site.dir, "repo") + " fsck --full"
	for _, c := range []struct {
		name   string
		damage func(d damaged) (texts []string)
	}{
		{"bad zlib data", func(d damaged) []string {
			_, lower := d.chain()
			d.patch(lower, func(_, rest []byte) { copy(rest[20:], "\xff\xff\xff\xff") })
			return []string{"object " + lower.id, d.file(".pack"), "offset ", fsck}
		}},
		{"a cycle in a delta chain", func(d damaged) []string {
			upper, lower := d.chain()
			id, err := hex.DecodeString(upper.id)
			must(d.t, err)
			d.patch(lower, func(_, rest []byte) { copy(rest, id) })
			return []string{": object ", d.file(".pack"), "offset ", fsck}
		}},
		{"a base that is not there", func(d damaged) []string {
			_, lower := d.chain()
			d.patch(lower, func(_, rest []byte) { copy(rest, "nowhere nowhere") })
			return []string{lower.id, d.file(".pack"), "offset ", fsck}
		}},
		{"a wrong size in a delta chain", func(d damaged) []string {
			_, lower := d.chain()
			d.patch(lower, func(head, _ []byte) { head[0] ^= 1 })
			return []string{": object ", d.file(".pack"), "offset ", fsck}
		}},
		{"a huge size", func(d damaged) []string {
			_, lower := d.chain()
			d.patch(lower, func(head, rest []byte) { head[0], head[len(head)-1], rest[0] = head[0]|0x80, 0xff, 0xff })
			return []string{": object ", d.file(".pack"), "offset ", fsck}
		}},
		{"a truncated pack", func(d damaged) []string {
			must(d.t, os.Truncate(d.file(".pack"), 1500))
			return []string{d.file(".pack"), fsck}
		}},
		{"a pack of nothing", func(d damaged) []string {
			must(d.t, os.Truncate(d.file(".pack"), 0))
			return []string{d.file(".pack"), fsck}
		}},
		{"a truncated index", func(d damaged) []string {
			must(d.t, os.Truncate(d.file(".idx"), 1100))
			return []string{d.file(".idx"), fsck}
		}},
		{"a pack without an index", func(d damaged) []string {
			must(d.t, os.Remove(d.file(".idx")))
			return []string{"no such object", fsck}
		}},
		{"an index without a pack", func(d damaged) []string {
			must(d.t, os.Remove(d.file(".pack")))
			return []string{"no such object", fsck}
		}},
		{"a missing loose object", func(d damaged) []string {
			id := d.blob("pages/3")
			must(d.t, os.Remove(d.loose(id)))
			return []string{"v1.1: pages/3: object " + id + ": no such object", fsck}
		}},
		{"a missing tree", func(d damaged) []string {
			id := d.blob("pages")
			must(d.t, os.Remove(d.loose(id)))
			return []string{id, "no such object", fsck}
		}},
		{"an empty loose object", func(d damaged) []string {
			id := d.blob("pages/3")
			path := d.loose(id)
			must(d.t, os.Truncate(path, 0))
			return []string{"pages/3: object " + id, path, fsck}
		}},
		{"a wrong object under an id", func(d damaged) []string {
			id, other := d.blob("pages/3"), d.blob("pages/4")
			path := d.loose(id)
			d.run("", "cp", "-f", filepath.Join(d.repo, "objects", other[:2], other[2:]), path)
			return []string{"pages/3: object " + id, path, fsck}
		}},
		{"alternates that loop", func(d damaged) []string {
			id := d.blob("pages/3")
			must(d.t, os.Remove(d.loose(id)))
			other := filepath.Join(d.dir, "repo", "other.git")
			d.run("", "git", "init", "-q", "--bare", other)
			must(d.t, os.WriteFile(filepath.Join(other, "objects/info/alternates"), []byte(d.repo+"/objects\n"), 0o644))
			must(d.t, os.WriteFile(filepath.Join(d.repo, "objects/info/alternates"), []byte(other+"/objects\n"), 0o644))
			return []string{"object " + id + ": no such object", fsck}
		}},
		{"alternates that are gone", func(d damaged) []string {
			id := d.blob("pages/3")
			must(d.t, os.Remove(d.loose(id)))
			must(d.t, os.WriteFile(filepath.Join(d.repo, "objects/info/alternates"), []byte("/no/such/objects\n"), 0o644))
			return []string{"object " + id + ": no such object", "hint: the object directory /no/such/objects does not exist"}
		}},
		{"a partial clone", func(d damaged) []string {
			must(d.t, os.RemoveAll(d.repo))
			d.run("", "git", "-C", filepath.Join(d.dir, "good"), "config", "uploadpack.allowFilter", "true")
			d.run("", "git", "clone", "-q", "--bare", "--filter=blob:none", "file://"+filepath.Join(d.dir, "good"), d.repo)
			if strings.Contains(d.git("cat-file", "--batch-all-objects", "--batch-check"), " blob ") {
				d.t.Fatal("the clone is not partial")
			}
			return []string{"no such object", "hint: the repository is a partial clone: git -C " + d.repo + " fetch --refetch"}
		}},
		{"a shallow clone", func(d damaged) []string {
			id := d.blob("pages/3")
			must(d.t, os.RemoveAll(d.repo))
			d.run("", "git", "clone", "-q", "--bare", "--depth=1", "-b", "v1.1", "file://"+filepath.Join(d.dir, "good"), d.repo)
			must(d.t, os.Remove(d.loose(id)))
			return []string{"object " + id + ": no such object", "hint: the repository is shallow: git -C " + d.repo + " fetch --unshallow"}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := site.anew(t)
			texts := c.damage(d)
			d.refusesToStage(texts...)
		})
	}
	d := site.anew(t) // and with a repository that is whole all is well
	d.run("", "rel", "-C", d.root, "verify", "--content")
	d.run("", "rel", "-C", d.root, "stage", "v1.1")
}
