package objects

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

// smallIndex is a valid index of three objects.
func smallIndex(version, hashLen int) []byte {
	ids := [][]byte{bytes.Repeat([]byte{3}, hashLen), bytes.Repeat([]byte{3, 4}, hashLen/2), bytes.Repeat([]byte{0xff}, hashLen)}
	var fan, names, crcs, offsets, pairs []byte
	for first := range 256 {
		n := uint32(0)
		for _, id := range ids {
			if int(id[0]) <= first {
				n++
			}
		}
		fan = binary.BigEndian.AppendUint32(fan, n)
	}
	for i, id := range ids {
		names = append(names, id...)
		crcs = append(crcs, 0, 0, 0, 0)
		at := uint32(12 + i)
		if version == 2 && i == 2 {
			at = 1 << 31
		}
		offsets = binary.BigEndian.AppendUint32(offsets, at)
		pairs = append(binary.BigEndian.AppendUint32(pairs, at), id...)
	}
	sums := make([]byte, 2*hashLen)
	if version == 1 {
		return append(append(fan, pairs...), sums...)
	}
	out := append([]byte("\xfftOc\x00\x00\x00\x02"), fan...)
	out = append(append(append(out, names...), crcs...), offsets...)
	return append(binary.BigEndian.AppendUint64(out, 1<<40), sums...)
}

func TestIndex(t *testing.T) {
	for _, c := range []struct{ version, hashLen int }{{1, 20}, {2, 20}, {2, 32}} {
		data := smallIndex(c.version, c.hashLen)
		x, err := parseIndex(data, c.hashLen)
		if err != nil || x.count != 3 {
			t.Fatalf("%v: %d objects, %v", c, x.count, err)
		}
		i, ok := x.find(bytes.Repeat([]byte{0xff}, c.hashLen))
		at, err := x.offset(i)
		if want := map[int]int64{1: 14, 2: 1 << 40}[c.version]; !ok || err != nil || at != want {
			t.Errorf("%v: offset %d, %t, %v", c, at, ok, err)
		}
		for _, absent := range []byte{0, 3, 4, 0xfe} {
			if _, ok := x.find(append(bytes.Repeat([]byte{absent}, c.hashLen-1), 9)); ok {
				t.Errorf("%v: found what is not there", c)
			}
		}
		for size := range len(data) {
			short, err := parseIndex(data[:size], c.hashLen)
			if err == nil && size == len(data)-8 { // without its only 64-bit offset
				_, err = short.offset(2)
			}
			if err == nil {
				t.Errorf("%v: the first %d of %d bytes are taken for an index", c, size, len(data))
			}
		}
	}
	if _, err := parseIndex(append([]byte("\xfftOc\x00\x00\x00\x03"), smallIndex(2, 20)[8:]...), 20); !errors.Is(err, errIndex) {
		t.Errorf("version 3: %v", err)
	}
}

// FuzzIndex reads all that an index claims to have, and finds what it reads where the names are in order.
func FuzzIndex(f *testing.F) {
	f.Add(smallIndex(1, 20), false)
	f.Add(smallIndex(2, 20), false)
	f.Add(smallIndex(2, 32), true)
	f.Fuzz(func(t *testing.T, data []byte, long bool) {
		hashLen := 20
		if long {
			hashLen = 32
		}
		x, err := parseIndex(data, hashLen)
		if err != nil {
			return
		}
		for i := range x.count {
			if at, err := x.offset(i); err == nil && at < 0 {
				t.Fatalf("offset %d", at)
			}
			if at, ok := x.find(x.name(i)); ok && !bytes.Equal(x.name(at), x.name(i)) {
				t.Fatalf("object %d is found as %d", i, at)
			}
		}
		x.find(bytes.Repeat([]byte{0xff}, hashLen))
		x.find(make([]byte, hashLen))
	})
}

// FuzzPack reads every entry of a pack whose bytes are anything, with an index that says where they begin.
func FuzzPack(f *testing.F) {
	base := []byte("the quick brown fox")
	whole := append(entryHead(KindBlob, uint64(len(base))), zlibbed(f, base)...)
	delta := append(append(entryHead(offsetDelta, 11), byte(len(whole))), zlibbed(f, []byte{19, 9, 0x90, 4, 3, 'o', 'w', 'l', 0x91, 3, 2})...)
	f.Add(append(bytes.Clone(whole), delta...), uint16(12+len(whole)))
	f.Add(append(append(entryHead(refDelta, 11), bytes.Repeat([]byte{0xff}, 20)...), whole...), uint16(12))
	f.Add(append(entryHead(KindTree, 1<<40), whole...), uint16(12))
	f.Fuzz(func(t *testing.T, body []byte, at uint16) {
		if len(body) > 1<<16 {
			return
		}
		idx := smallIndex(1, 20)
		binary.BigEndian.PutUint32(idx[len(idx)-40-24:], uint32(at)) // of the last id, ff…
		x, err := parseIndex(idx, 20)
		if err != nil {
			t.Fatal(err)
		}
		p := &pack{idx: x, body: append([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x03"), body...)}
		s := &Store{spill: 1 << 25, hashLen: 20}
		s.inflaters.New = func() any { return new(inflater) }
		s.scratch.New = func() any { return new([]byte) }
		_, size, headErr := s.head(p, int64(at))
		if size > 1<<24 {
			return
		}
		_, b, err := s.unpack(p, int64(at), room{})
		defer b.free()
		if err == nil && (headErr != nil || int64(len(b.data)) != size) {
			t.Fatalf("%d bytes; its head says %d, %v", len(b.data), size, headErr)
		}
	})
}

func FuzzLoose(f *testing.F) {
	f.Add(zlibbed(f, []byte("blob 3\x00abc")))
	f.Add(zlibbed(f, []byte("commit 0\x00")))
	f.Add(zlibbed(f, []byte("tree 99999999999\x00")))
	f.Add(zlibbed(f, append([]byte("blob 3000\x00"), make([]byte, 3000)...)))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &Store{spill: 1 << 20, hashLen: 20}
		s.inflaters.New = func() any { return new(inflater) }
		s.scratch.New = func() any { return new([]byte) }
		kind, content, err := s.readLoose(loose{data: data})
		if err != nil {
			return
		}
		k, size, err := s.looseHead(loose{data: data})
		if err != nil || k != kind || size != int64(len(content)) {
			t.Fatalf("%v, %d bytes; its head says %v, %d, %v", kind, len(content), k, size, err)
		}
	})
}
