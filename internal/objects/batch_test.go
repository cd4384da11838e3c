package objects

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// readBatch reads objects as a batch with so much memory. Each is handed over once, with its content or an error; it counts the
// errors.
func readBatch(t testing.TB, s *Store, limit int64, want []gitObject) (failed int) {
	t.Helper()
	var wanted []Wanted
	for _, o := range want {
		w := Wanted{ID: parse(t, o.id)}
		var ok bool
		if w.Pack, w.Offset, ok = s.Position(w.ID); !ok {
			w.Pack = -1
		}
		wanted = append(wanted, w)
	}
	b, err := s.Batch(wanted)
	if err != nil {
		t.Fatal(err)
	}
	seen := make([]bool, len(want))
	m := NewScratch(limit)
	for family := range b.Families() {
		err := b.Read(family, m, func(n int, o Object, err error) error {
			if seen[n] {
				t.Fatalf("%s: twice", want[n].id)
			}
			if seen[n] = true; err != nil {
				failed++
				return nil
			}
			if o.Kind.String() != want[n].kind || !bytes.Equal(o.Data, want[n].data) {
				t.Fatalf("%s: wrong content", want[n].id)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for n, o := range want {
		if !seen[n] {
			t.Fatalf("%s: not handed over", o.id)
		}
	}
	if m.used > limit {
		t.Errorf("%d bytes used, where %d are the limit", m.used, limit)
	}
	return failed
}

// Families of every shape come out as git has them, with much memory, little or none.
func TestBatch(t *testing.T) {
	dir := newRepo(t, 12)
	for i, how := range [][]string{
		{"gc", "-q"},
		{"repack", "-qadf", "--depth=50", "--window=100"},
		{"-c", "repack.useDeltaBaseOffset=false", "repack", "-qadf", "--depth=50"},
		{"repack", "-qadf", "--max-pack-size=1m"},
	} {
		git(t, dir, how...)
		addCommit(t, dir, 100+i) // loose
		want := allObjects(t, dir)
		for _, limit := range []int64{32 << 20, 4 * leastScratch, 0} {
			if n := readBatch(t, open(t, dir), limit, want); n > 0 {
				t.Errorf("%q, %d bytes: %d not read", how, limit, n)
			}
		}
		if n := readBatch(t, open(t, dir), 32<<20, want[:len(want)/3]); n > 0 { // bases that are not wanted
			t.Errorf("%q: %d not read", how, n)
		}
	}
}

// A chain is read with the memory of two objects, and one that branches at every object with that of a few.
func TestBatchOfChains(t *testing.T) {
	dir, objectDir := emptyRepo(t)
	content := strings.Repeat("a line that all have\n", 5000)
	base := []byte(content)
	list := []packedObject{{Hash(SHA1, KindBlob, base), append(entryHead(KindBlob, uint64(len(base))), zlibbed(t, base)...)}}
	want := []gitObject{{list[0].id.String(), "blob", base}}
	for i := range 400 {
		on := i
		if i > 200 {
			on = i - 1 // two on each
		}
		from, tail := want[on].data, fmt.Appendf(nil, "%3d", i)
		delta := appendVarint(appendVarint(nil, len(from)), len(from)+3)
		for at := 0; at < len(from); at += 0xffff {
			n := min(0xffff, len(from)-at)
			delta = append(delta, 0xb7, byte(at), byte(at>>8), byte(at>>16), byte(n), byte(n>>8))
		}
		delta = append(append(delta, 3), tail...)
		data := append(bytes.Clone(from), tail...)
		entry := append(append(entryHead(refDelta, uint64(len(delta))), list[on].id.Bytes()...), zlibbed(t, delta)...)
		list = append(list, packedObject{Hash(SHA1, KindBlob, data), entry})
		want = append(want, gitObject{list[i+1].id.String(), "blob", data})
	}
	writePack(t, objectDir, 1<<30, list)
	if n := readBatch(t, open(t, dir), 1<<20, want); n > 0 {
		t.Errorf("%d not read", n)
	}
}

func appendVarint(b []byte, n int) []byte {
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// An index that gives two ids for one object has each read by its own.
func TestBatchOfOneOffset(t *testing.T) {
	dir := newRepo(t, 3)
	git(t, dir, "gc", "-q")
	s := open(t, filepath.Join(dir, ".git"))
	want := allObjects(t, dir)
	pack, offset, _ := s.Position(parse(t, want[0].id))
	b, err := s.Batch([]Wanted{{parse(t, want[0].id), pack, offset}, {parse(t, want[1].id), pack, offset}, {parse(t, want[2].id), pack, 1 << 40}})
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for family := range b.Families() {
		err := b.Read(family, NewScratch(1<<20), func(n int, o Object, err error) error {
			read++
			if err != nil || !bytes.Equal(o.Data, want[n].data) {
				t.Errorf("%d: %v", n, err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	if read != 3 {
		t.Errorf("%d of 3 read", read)
	}
}
