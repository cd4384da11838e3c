package objects

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/git-rel/rel/internal/release"
)

func zlibbed(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// packedObject is an object for writePack: its entry as it is to stand in the pack.
type packedObject struct {
	id    ID
	entry []byte
}

// entryHead is the head of a pack's entry.
func entryHead(kind Kind, size uint64) []byte {
	b := []byte{byte(kind)<<4 | byte(size&15)}
	for size >>= 4; size > 0; size >>= 7 {
		b[len(b)-1] |= 0x80
		b = append(b, byte(size&0x7f))
	}
	return b
}

// writePack writes a pack and its index (version 2) with the offsets above far as 64-bit ones, without checks of any kind.
func writePack(t testing.TB, objectDir string, far int, list []packedObject) string {
	t.Helper()
	pack := append([]byte("PACK\x00\x00\x00\x02"), binary.BigEndian.AppendUint32(nil, uint32(len(list)))...)
	offsets := map[ID]int{}
	for _, o := range list {
		offsets[o.id] = len(pack)
		pack = append(pack, o.entry...)
	}
	sum := bytes.Repeat([]byte{0xab}, 20)
	pack = append(pack, sum...)
	sort.Slice(list, func(i, j int) bool { return bytes.Compare(list[i].id.Bytes(), list[j].id.Bytes()) < 0 })
	idx := []byte("\xfftOc\x00\x00\x00\x02")
	for first := range 256 {
		n := 0
		for _, o := range list {
			if int(o.id.Bytes()[0]) <= first {
				n++
			}
		}
		idx = binary.BigEndian.AppendUint32(idx, uint32(n))
	}
	var crcs, small, large []byte
	for _, o := range list {
		idx = append(idx, o.id.Bytes()...)
		crcs = binary.BigEndian.AppendUint32(crcs, crc32.ChecksumIEEE(o.entry))
		at := uint64(offsets[o.id])
		if int(at) <= far {
			small = binary.BigEndian.AppendUint32(small, uint32(at))
			continue
		}
		small = binary.BigEndian.AppendUint32(small, 1<<31|uint32(len(large)/8))
		large = binary.BigEndian.AppendUint64(large, at)
	}
	idx = append(append(append(append(append(idx, crcs...), small...), large...), sum...), sum...)
	path := filepath.Join(objectDir, "pack", fmt.Sprintf("pack-%040x.pack", len(pack)))
	write(t, path, string(pack))
	write(t, strings.TrimSuffix(path, ".pack")+".idx", string(idx))
	return path
}

func emptyRepo(t testing.TB) (gitDir, objectDir string) {
	t.Helper()
	dir := t.TempDir()
	git(t, dir, "init", "-q", "--bare")
	return dir, filepath.Join(dir, "objects")
}

func TestOffsetsOf64Bits(t *testing.T) {
	dir, objectDir := emptyRepo(t)
	var list []packedObject
	for i := range 300 {
		data := []byte(fmt.Sprintf("object %d", i))
		list = append(list, packedObject{Hash(SHA1, KindBlob, data), append(entryHead(KindBlob, uint64(len(data))), zlibbed(t, data)...)})
	}
	writePack(t, objectDir, 2000, list)
	s := open(t, dir)
	for i := range 300 {
		data := fmt.Sprintf("object %d", i)
		if o, err := s.Read(Hash(SHA1, KindBlob, []byte(data))); err != nil || string(o.Data) != data {
			t.Fatalf("%q, %v", o.Data, err)
		}
	}
}

func TestDamagedEntries(t *testing.T) {
	base := []byte("the quick brown fox")
	baseID := Hash(SHA1, KindBlob, base)
	baseEntry := append(entryHead(KindBlob, uint64(len(base))), zlibbed(t, base)...)
	delta := []byte{19, 9, 0x90, 4, 3, 'o', 'w', 'l', 0x91, 3, 2}
	result := Hash(SHA1, KindBlob, []byte("the owl q"))
	other := Hash(SHA1, KindBlob, []byte("other"))
	refTo := func(id ID, delta []byte) []byte {
		return append(append(entryHead(refDelta, uint64(len(delta))), id.Bytes()...), zlibbed(t, delta)...)
	}
	for _, c := range []struct {
		name  string
		list  []packedObject
		cause error // nil: it can be read
	}{
		{"a good delta", []packedObject{{result, refTo(baseID, delta)}, {baseID, baseEntry}}, nil},
		{"a base that is not there", []packedObject{{result, refTo(other, delta)}}, errBase},
		{"a circle", []packedObject{{result, refTo(other, delta)}, {other, refTo(result, delta)}}, errCycle},
		{"its own base", []packedObject{{result, refTo(result, delta)}}, errCycle},
		{"a base of another size", []packedObject{{result, refTo(baseID, append([]byte{20}, delta[1:]...))}, {baseID, baseEntry}}, errDeltaBase},
		{"a result of another size", []packedObject{{result, refTo(baseID, append([]byte{19, 10}, delta[2:]...))}, {baseID, baseEntry}}, errDeltaSize},
		{"a huge result", []packedObject{
			{result, refTo(baseID, []byte{19, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 'x'})}, {baseID, baseEntry},
		}, errDeltaSize},
		{"other content", []packedObject{{result, baseEntry}}, errID},
		{"an offset before the pack", []packedObject{{result, append(append(entryHead(offsetDelta, 11), 0x85, 1), zlibbed(t, delta)...)}}, errBase},
		{"an offset to itself", []packedObject{{result, append(append(entryHead(offsetDelta, 11), 0), zlibbed(t, delta)...)}}, errBase},
		{"an unknown kind", []packedObject{{result, append(entryHead(5, 19), zlibbed(t, base)...)}}, errEntry},
		{"kind 0", []packedObject{{result, append(entryHead(0, 19), zlibbed(t, base)...)}}, errEntry},
		{"a huge size", []packedObject{{result, append(entryHead(KindBlob, 1<<50), zlibbed(t, base)...)}}, errEntrySize},
		{"a size without end", []packedObject{{result, append(bytes.Repeat([]byte{0xbf}, 20), zlibbed(t, base)...)}}, errEntry},
		{"a size too large", []packedObject{{result, append(entryHead(KindBlob, 20), zlibbed(t, base)...)}}, errShort},
		{"a size too small", []packedObject{{result, append(entryHead(KindBlob, 18), zlibbed(t, base)...)}}, errLong},
		{"no zlib", []packedObject{{result, append(entryHead(KindBlob, 19), base...)}}, errZlib},
		{"nothing", []packedObject{{result, entryHead(KindBlob, 19)}}, errEntrySize},
	} {
		dir, objectDir := emptyRepo(t)
		path := writePack(t, objectDir, 1<<20, c.list)
		s := open(t, dir)
		for _, spill := range []int64{defaultSpill, 1} {
			s.spill = spill
			_, err := s.Read(result)
			checkDamage(t, c.name, err, c.cause, result, path)
			r, _, err := s.Stream(result)
			if err == nil {
				_, err = io.ReadAll(r)
				_ = r.Close()
			}
			checkDamage(t, c.name+", streamed", err, c.cause, result, path)
			s.cache.clear()
		}
		if _, _, err := s.Header(result); err != nil {
			if _, ok := errors.AsType[*DamageError](err); !ok {
				t.Errorf("%s: header: %v", c.name, err)
			}
		}
	}
}

// checkDamage checks that err names object, file and cause and says what to do.
func checkDamage(t *testing.T, name string, err, cause error, id ID, path string) {
	t.Helper()
	if cause == nil {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return
	}
	damage, ok := errors.AsType[*DamageError](err)
	switch {
	case !ok || !errors.Is(err, cause):
		t.Errorf("%s: %v, want %v", name, err, cause)
	case damage.ID != id || damage.Path != path || !strings.Contains(err.Error(), id.String()) || !strings.Contains(err.Error(), path):
		t.Errorf("%s: it does not name object and file: %v", name, err)
	case !strings.Contains(strings.Join(release.Hints(err), "\n"), "fsck"):
		t.Errorf("%s: hints %q", name, release.Hints(err))
	}
}

func TestDamagedLooseObjects(t *testing.T) {
	data := []byte(text(1, 100))
	id := Hash(SHA1, KindBlob, data)
	good := zlibbed(t, append([]byte(fmt.Sprintf("blob %d\x00", len(data))), data...))
	flipped := bytes.Clone(good)
	flipped[len(good)/2] ^= 4
	for _, c := range []struct {
		name    string
		content []byte
		cause   error // nil: any
	}{
		{"empty", nil, errEmpty},
		{"cut short", good[:len(good)/2], errShort},
		{"not zlib", []byte("blob 3\x00abc"), errZlib},
		{"a flipped bit", flipped, nil},
		{"other content", zlibbed(t, []byte("blob 3\x00abc")), errID},
		{"a shorter size", zlibbed(t, append([]byte("blob 9\x00"), data...)), errLong},
		{"a longer size", zlibbed(t, []byte("blob 9\x00abc")), errShort},
		{"a huge size", zlibbed(t, []byte("blob 99999999999999\x00abc")), nil},
		{"a negative size", zlibbed(t, []byte("blob -3\x00abc")), errLooseHead},
		{"an unknown kind", zlibbed(t, []byte("glob 3\x00abc")), errLooseHead},
		{"no head", zlibbed(t, data), errLooseHead},
	} {
		dir, objectDir := emptyRepo(t)
		path := filepath.Join(objectDir, id.String()[:2], id.String()[2:])
		write(t, path, string(c.content))
		s := open(t, dir)
		_, err := s.Read(id)
		if c.cause == nil && err != nil {
			c.cause = errors.Unwrap(errors.Unwrap(errors.Unwrap(err)))
		}
		checkDamage(t, c.name, err, c.cause, id, path)
		r, _, err := s.Stream(id)
		if err == nil {
			_, err = io.ReadAll(r)
			_ = r.Close()
		}
		if _, ok := errors.AsType[*DamageError](err); !ok {
			t.Errorf("%s, streamed: %v", c.name, err)
		}

		// A good copy in a pack is as good.
		writePack(t, objectDir, 1<<20, []packedObject{{id, append(entryHead(KindBlob, uint64(len(data))), zlibbed(t, data)...)}})
		if o, err := s.Read(id); err != nil || !bytes.Equal(o.Data, data) {
			t.Errorf("%s, with a good copy: %v", c.name, err)
		}
	}
}

// Whatever byte of a pack or an index is wrong, what is read is right or an error.
func TestFlippedBytes(t *testing.T) {
	dir := newRepo(t, 6)
	git(t, dir, "repack", "-qadf", "--depth=50")
	want := allObjects(t, dir)
	files, err := filepath.Glob(filepath.Join(dir, ".git/objects/pack/pack-*"))
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, path := range files {
		if !strings.HasSuffix(path, ".pack") && !strings.HasSuffix(path, ".idx") {
			continue
		}
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		failed := 0
		for range 60 {
			bad := bytes.Clone(good)
			bad[r.IntN(len(bad))] ^= 1 << r.IntN(8)
			write(t, path, string(bad))
			failed += readDamaged(t, filepath.Join(dir, ".git"), want)
		}
		if failed == 0 {
			t.Errorf("%s: no damage was noticed", filepath.Base(path))
		}
		for _, size := range []int{0, 1, 11, 12, 1000, len(good) / 2, len(good) - 20, len(good) - 1} {
			write(t, path, string(good[:size]))
			if readDamaged(t, filepath.Join(dir, ".git"), want) == 0 {
				t.Errorf("%s: cut to %d bytes, and all is well", filepath.Base(path), size)
			}
		}
		write(t, path, string(good))
	}
	compare(t, open(t, dir), want)
}

// readDamaged reads all objects and counts those that give an error.
func readDamaged(t *testing.T, gitDir string, want []gitObject) (failed int) {
	t.Helper()
	s, err := Open(gitDir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, w := range want {
		o, err := s.Read(parse(t, w.id))
		if err == nil && !bytes.Equal(o.Data, w.data) {
			t.Fatalf("%s: wrong content", w.id)
		}
		if err != nil {
			failed++
		}
	}
	if n := readBatch(t, s, 32<<20, want); n != failed {
		t.Fatalf("%d objects give an error one by one, %d in a batch", failed, n)
	}
	return failed
}

// A file that becomes shorter under its mapping is what a disk that cannot be read is too: a memory fault.
func TestPackCutShortWhileMapped(t *testing.T) {
	dir := newRepo(t, 6)
	git(t, dir, "repack", "-qadf")
	want := allObjects(t, dir)
	s := open(t, dir)
	if _, err := s.Ref("HEAD"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(parse(t, want[0].id)); err != nil {
		t.Fatal(err)
	}
	packs, err := filepath.Glob(filepath.Join(dir, ".git/objects/pack/*.pack"))
	if err != nil || len(packs) != 1 {
		t.Fatalf("%v, %v", packs, err)
	}
	if err := os.Truncate(packs[0], 0); err != nil {
		t.Fatal(err)
	}
	faults := 0
	for _, w := range want[1:] {
		if _, err := s.Read(parse(t, w.id)); errors.Is(err, errFault) {
			faults++
		}
	}
	if faults == 0 {
		t.Error("no fault was noticed")
	}
}
