package objects

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// ReadInto gives what Read does, in the memory that it was given or its own, and leaves nothing of that memory in the cache.
func TestReadInto(t *testing.T) {
	dir := t.TempDir()
	git(t, dir, "init", "-q", "-b", "main")
	var ids []ID
	text := strings.Repeat("a line that all have\n", 200)
	for i := range 20 {
		text += fmt.Sprintf("and one more, %d\n", i)
		ids = append(ids, parse(t, gitIn(t, dir, text, "hash-object", "-w", "--stdin")))
	}
	var list strings.Builder
	for _, id := range ids {
		list.WriteString(id.String() + "\n")
	}
	for _, packed := range []bool{false, true} {
		if packed {
			gitIn(t, dir, list.String(), "pack-objects", "-q", filepath.Join(dir, ".git/objects/pack/pack"))
			git(t, dir, "prune-packed", "-q")
		}
		s, err := Open(filepath.Join(dir, ".git"))
		if err != nil {
			t.Fatal(err)
		}
		small, large := make([]byte, 16), make([]byte, 64<<10)
		for i := range 3 * len(ids) {
			o, err := s.ReadInto(ids[i%len(ids)], [][]byte{nil, small, large}[i%3])
			if err != nil || Hash(SHA1, o.Kind, o.Data) != ids[i%len(ids)] {
				t.Fatalf("packed %t, %d: %v", packed, i, err)
			}
			clear(large)
			if o, err = s.Read(ids[(i+7)%len(ids)]); err != nil || Hash(SHA1, o.Kind, o.Data) != ids[(i+7)%len(ids)] {
				t.Fatalf("packed %t, %d: after the buffer was used again: %v", packed, i, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
