package objects

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/git-rel/rel/internal/release"
)

func TestReadsWhatGitReads(t *testing.T) {
	for _, format := range []string{SHA1, SHA256} {
		t.Run(format, func(t *testing.T) {
			dir := newRepo(t, 12, "--object-format="+format)
			loose := open(t, dir)
			want := allObjects(t, dir)
			compare(t, loose, want)
			for _, how := range [][]string{
				{"gc", "-q"},
				{"repack", "-qadf", "--depth=50", "--window=100"},
				{"-c", "repack.useDeltaBaseOffset=false", "repack", "-qadf", "--depth=50"},
				{"-c", "pack.indexVersion=1", "repack", "-qadf"},
				{"repack", "-qadf", "--max-pack-size=1m", "--write-midx"},
			} {
				if format == SHA256 && how[1] == "pack.indexVersion=1" {
					continue // SHA-256 came after version 1
				}
				git(t, dir, how...)
				s := open(t, dir)
				if s.Format() != format {
					t.Fatalf("format %s", s.Format())
				}
				compare(t, s, want)
				compare(t, loose, want) // has seen none of this
			}
		})
	}
}

// With small objects treated as large ones are, everything comes from unlinked files and windows, and is the same.
func TestLargeObjects(t *testing.T) {
	dir := newRepo(t, 12)
	write(t, filepath.Join(dir, "large"), string(noise(1, 500_000))+text(9, 30_000))
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "-m", "large")
	write(t, filepath.Join(dir, "large"), string(noise(1, 500_000))+text(9, 30_100))
	git(t, dir, "commit", "-qam", "larger")
	want := allObjects(t, dir)
	temp := t.TempDir()
	for _, packed := range []bool{false, true} {
		if packed {
			git(t, dir, "repack", "-qadf", "--depth=50")
		}
		s, err := OpenWith(filepath.Join(dir, ".git"), Options{TempDir: temp, CacheBytes: 1})
		if err != nil {
			t.Fatal(err)
		}
		s.spill = 1000
		compare(t, s, want)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	left, err := os.ReadDir(temp)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestNoRoomIsNotDamage(t *testing.T) {
	dir := newRepo(t, 6)
	git(t, dir, "repack", "-qadf", "--depth=50")
	s, err := OpenWith(filepath.Join(dir, ".git"), Options{TempDir: filepath.Join(dir, "none"), CacheBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	s.spill = 1
	refused := 0
	for _, o := range allObjects(t, dir) {
		_, err := s.Read(parse(t, o.id))
		if _, damage := errors.AsType[*DamageError](err); damage {
			t.Errorf("%v", err)
		}
		if err != nil {
			refused++
		}
	}
	if refused == 0 {
		t.Error("no object needed a file")
	}
}

func TestAlternates(t *testing.T) {
	far := newRepo(t, 2)
	middle := filepath.Join(t.TempDir(), "middle")
	near := filepath.Join(t.TempDir(), "near")
	git(t, far, "clone", "-q", "-s", far, middle)
	addCommit(t, middle, 2)
	git(t, middle, "clone", "-q", "-s", middle, near)
	addCommit(t, near, 3)
	git(t, near, "gc", "-q")
	want := allObjects(t, near)
	compare(t, open(t, near), want)

	// A loop, a comment, a quoted relative path and a directory that is not there.
	write(t, filepath.Join(far, ".git/objects/info/alternates"), filepath.Join(near, ".git/objects")+"\n")
	rel, err := filepath.Rel(filepath.Join(near, ".git/objects"), filepath.Join(middle, ".git/objects"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(near, ".git/objects/info/alternates"), "# ours\n\""+strings.Replace(rel, "middle", `\155iddle`, 1)+"\"\n/does/not/exist\n")
	s := open(t, near)
	compare(t, s, want)
	if len(s.dirs) != 3 || len(s.absent) != 1 {
		t.Errorf("directories %q, absent %q", s.dirs, s.absent)
	}
	_, err = s.Read(Hash(SHA1, KindBlob, []byte("nowhere")))
	if !errors.Is(err, ErrMissing) || !strings.Contains(strings.Join(release.Hints(err), "\n"), "/does/not/exist") {
		t.Errorf("%v, %v", err, release.Hints(err))
	}
}

// As in a receiving hook, where new objects are in a directory of their own and the repository's is an alternate.
func TestExtraObjectDirectories(t *testing.T) {
	dir := newRepo(t, 2)
	main := filepath.Join(dir, ".git/objects")
	quarantine := filepath.Join(main, "incoming-x")
	if err := os.Mkdir(quarantine, 0o755); err != nil {
		t.Fatal(err)
	}
	want := allObjects(t, dir)
	write(t, filepath.Join(dir, "new"), "new\n")
	cmd := exec.Command("git", "hash-object", "-w", "new")
	cmd.Dir = dir
	cmd.Env = append(gitEnv(), "GIT_OBJECT_DIRECTORY="+quarantine, "GIT_ALTERNATE_OBJECT_DIRECTORIES="+main)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	id := parse(t, strings.TrimSpace(string(out)))
	if ok, err := open(t, dir).Has(id); ok || err != nil {
		t.Errorf("without being told: %t, %v", ok, err)
	}
	t.Setenv("GIT_OBJECT_DIRECTORY", quarantine)
	if ok, err := open(t, dir).Has(id); ok || err != nil {
		t.Errorf("the environment has an effect: %t, %v", ok, err)
	}
	s, err := OpenWith(filepath.Join(dir, ".git"), Options{ObjectDir: quarantine, Alternates: []string{main}})
	if err != nil {
		t.Fatal(err)
	}
	compare(t, s, want)
	if o, err := s.Read(id); err != nil || string(o.Data) != "new\n" {
		t.Errorf("%q, %v", o.Data, err)
	}
}

func TestReplaceRefsAreIgnored(t *testing.T) {
	dir := newRepo(t, 2)
	old := git(t, dir, "rev-parse", "v1.0^{commit}")
	git(t, dir, "replace", old, git(t, dir, "rev-parse", "v1.1^{commit}"))
	c, err := open(t, dir).Commit(parse(t, old))
	if err != nil || !strings.HasPrefix(c.Message, "commit 0") {
		t.Errorf("%q, %v", c.Message, err)
	}
}

func TestPosition(t *testing.T) {
	dir := newRepo(t, 3)
	s := open(t, dir)
	head, err := s.Ref("HEAD")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, ok := s.Position(head); ok {
		t.Error("a loose object has a position")
	}
	git(t, dir, "gc", "-q")
	s = open(t, dir)
	seen := map[int64]bool{}
	for _, o := range allObjects(t, dir) {
		pack, offset, ok := s.Position(parse(t, o.id))
		if !ok || pack != 0 || seen[offset] || offset < packHead {
			t.Fatalf("%s: pack %d, offset %d, %t", o.id, pack, offset, ok)
		}
		seen[offset] = true
	}
}

func TestClose(t *testing.T) {
	dir := newRepo(t, 2)
	git(t, dir, "gc", "-q")
	s, err := Open(filepath.Join(dir, ".git"))
	if err != nil {
		t.Fatal(err)
	}
	blob := parse(t, git(t, dir, "rev-parse", "HEAD:noise"))
	r, _, err := s.Stream(blob)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(r); err != nil || len(data) != 3000 {
		t.Errorf("a stream from before Close: %d bytes, %v", len(data), err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed stream: %v", err)
	}
	if _, err := s.Read(blob); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed store: %v", err)
	}
	if err := s.Close(); !errors.Is(err, ErrClosed) {
		t.Errorf("closed twice: %v", err)
	}
}

func TestIDsOfTheOtherHash(t *testing.T) {
	s := open(t, newRepo(t, 1))
	if _, err := s.Read(Hash(SHA256, KindBlob, nil)); !errors.Is(err, ErrMissing) {
		t.Errorf("%v", err)
	}
	if _, err := s.Read(ID{}); !errors.Is(err, ErrMissing) {
		t.Errorf("the zero ID: %v", err)
	}
	for _, bad := range []string{"", "abc", strings.Repeat("g", 40), strings.Repeat("a", 41), strings.Repeat("a", 62)} {
		if id, err := ParseID(bad); err == nil || !id.IsZero() {
			t.Errorf("%q: %v, %v", bad, id, err)
		}
	}
}

// Readers that share a store while git repacks, packs loose objects and explodes packs again see every object all the time.
func TestReadersWhileGitRepacks(t *testing.T) {
	dir := newRepo(t, 8)
	want := allObjects(t, dir)
	s := open(t, dir)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for n := range 4 {
		readers.Go(func() {
			r := rand.New(rand.NewPCG(uint64(n), 3))
			own := s
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if i%50 == 0 && n%2 == 0 { // a store that has seen nothing yet
					var err error
					if own, err = Open(filepath.Join(dir, ".git")); err != nil {
						t.Error(err)
						return
					}
					defer own.Close()
				}
				w := want[r.IntN(len(want))]
				o, err := own.Read(parse(t, w.id))
				if err != nil || !bytes.Equal(o.Data, w.data) {
					t.Errorf("%s: %v", w.id, err)
					return
				}
			}
		})
	}
	for range 3 {
		git(t, dir, "gc", "-q")
		git(t, dir, "repack", "-qadf")
		packs, err := filepath.Glob(filepath.Join(dir, ".git/objects/pack/*.pack"))
		if err != nil || len(packs) != 1 {
			t.Fatalf("%v, %v", packs, err)
		}
		data, err := os.ReadFile(packs[0])
		if err != nil {
			t.Fatal(err)
		}
		explode(t, dir, packs[0], data)
	}
	close(stop)
	readers.Wait()
	compare(t, s, want)
}

// explode turns a pack into loose objects, then removes it.
func explode(t *testing.T, dir, pack string, data []byte) {
	t.Helper()
	// git unpacks only what it does not have, so the loose objects are made elsewhere and moved in.
	other := t.TempDir()
	git(t, other, "init", "-q", "--bare")
	cmd := exec.Command("git", "unpack-objects", "-q")
	cmd.Dir, cmd.Env, cmd.Stdin = other, gitEnv(), bytes.NewReader(data)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	loose, err := filepath.Glob(filepath.Join(other, "objects/??/*"))
	if err != nil || len(loose) == 0 {
		t.Fatalf("%v, %v", loose, err)
	}
	for _, from := range loose {
		to := filepath.Join(dir, ".git/objects", filepath.Base(filepath.Dir(from)), filepath.Base(from))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	for _, ext := range []string{".idx", ".rev", ".bitmap", ".pack"} {
		if err := os.Remove(strings.TrimSuffix(pack, ".pack") + ext); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
}
