package disk

import (
	"os"
	"path/filepath"
	"testing"
)

func TestReserve(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		if whole, err := MakeReserve(dir); err != nil || !whole {
			t.Fatalf("got %v, %v", whole, err)
		}
		info, err := os.Stat(filepath.Join(dir, reserveName))
		if err != nil || Allocated(info) < ReserveSize {
			t.Errorf("got %v, %v", info, err)
		}
	}
	if !SpendReserve(dir) || SpendReserve(dir) {
		t.Error("a reserve can be spent once")
	}
}
