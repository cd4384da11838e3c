package queue

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, state string) *Queue {
	t.Helper()
	q, err := Open(state)
	must(t, err)
	return q
}

func put(t *testing.T, state, key, data string) Item {
	t.Helper()
	q := open(t, state)
	item, err := q.Put(key, []byte(data))
	must(t, err)
	must(t, q.Close())
	return item
}

func keys(items []Item) string {
	var all []string
	for _, item := range items {
		all = append(all, fmt.Sprint(item.Number, item.Key, " ", string(item.Data)))
	}
	return strings.Join(all, ", ")
}

func TestOrderAndNumbers(t *testing.T) {
	state := t.TempDir()
	items, bad, err := List(state)
	if len(items)+len(bad) != 0 || err != nil {
		t.Fatal(items, bad, err)
	}
	first := put(t, state, "b", "one")
	second := put(t, state, "a", "two\nlines\n")
	put(t, state, "c", "")
	items, _, err = List(state)
	must(t, err)
	if got, want := keys(items), "1b one, 2a two\nlines\n, 3c "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	q := open(t, state)
	must(t, q.Replace(second, []byte("other")))
	items, _, err = q.List()
	must(t, err)
	for _, item := range slices.Backward(items) { // the highest first: its number must not come again
		must(t, q.Remove(item))
	}
	if err := q.Remove(first); err == nil {
		t.Error("removed twice")
	}
	if err := q.Replace(first, nil); err == nil {
		t.Error("replaced what is gone")
	}
	must(t, q.Close())
	if got := put(t, state, "d", "four"); got.Number != 4 {
		t.Errorf("number %d, want 4", got.Number)
	}
	entries, err := os.ReadDir(filepath.Join(state, dirName))
	must(t, err)
	if len(entries) != 2 {
		t.Errorf("left: %v", entries)
	}
}

// What is no request, is torn or is hostile is told, can be set aside, and hinders no other.
func TestBad(t *testing.T) {
	state := t.TempDir()
	good := put(t, state, "good", "data")
	dir := filepath.Join(state, dirName)
	whole, err := os.ReadFile(filepath.Join(dir, good.Name()))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "00000000000000000000-torn"), whole[:len(whole)-5], 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "00000000000000000002-empty"), nil, 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "00000000000000000003-long"), make([]byte, 2*maxSize), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "99999999999999999999-many"), sealed(nil), 0o600))
	must(t, os.Symlink("/dev/zero", filepath.Join(dir, "00000000000000000004-link")))
	must(t, os.Mkdir(filepath.Join(dir, "00000000000000000005-dir"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "notes\x1b"), nil, 0o600))
	must(t, os.WriteFile(filepath.Join(dir, ".tmp-1-0-x"), nil, 0o600))

	q := open(t, state)
	items, bad, err := q.List()
	must(t, err)
	if keys(items) != "1good data" || len(bad) != 7 {
		t.Errorf("got %q and %v", keys(items), bad)
	}
	for _, one := range bad {
		must(t, q.SetAside(one.Name))
	}
	_, bad, err = q.List()
	if len(bad) != 0 || err != nil {
		t.Errorf("left: %v, %v", bad, err)
	}
	if aside, err := Aside(state); len(aside) != 7 || err != nil || !strings.HasPrefix(aside[0], filepath.Join(dir, badPrefix)) {
		t.Errorf("set aside: %v, %v", aside, err)
	}
	if _, err := q.Put("../x", nil); err == nil {
		t.Error("a key that is a path")
	}
	if _, err := q.Put("x", make([]byte, maxSize+1)); err == nil {
		t.Error("too long")
	}
	must(t, q.Close())
}

// Many writers at once: every request is there, each with a number of its own.
func TestManyWriters(t *testing.T) {
	state := t.TempDir()
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			q, err := Open(state)
			if err == nil {
				_, err = q.Put(fmt.Sprint("key", i), nil)
				_ = q.Close()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	items, bad, err := List(state)
	must(t, err)
	if len(items) != 20 || len(bad) != 0 {
		t.Errorf("%d items, %v", len(items), bad)
	}
	for i, item := range items {
		if item.Number != i+1 {
			t.Errorf("item %d has number %d", i+1, item.Number)
		}
	}
}

// What may become a request is no request, whatever becomes of it, and what is damaged hinders nothing.
func TestTentative(t *testing.T) {
	state := t.TempDir()
	wantHas := func(want bool) {
		t.Helper()
		if has, err := HasTentative(state); has != want || err != nil {
			t.Errorf("has: %v, %v", has, err)
		}
	}
	wantHas(false)
	put(t, state, "a", "one")
	wantHas(false)
	q := open(t, state)
	must(t, q.PutTentative("K", []byte("two\n")))
	must(t, q.PutTentative("L", []byte("three")))
	must(t, os.WriteFile(filepath.Join(state, dirName, tentativePrefix+"M"), []byte("torn"), 0o600))
	must(t, os.Symlink("/dev/zero", filepath.Join(state, dirName, takenPrefix+"N")))
	wantHas(true)
	all, err := q.Tentatives()
	must(t, err)
	slices.SortFunc(all, func(x, y Tentative) int { return strings.Compare(x.Key, y.Key) })
	if len(all) != 2 || all[0].Key != "K" || string(all[0].Data) != "two\n" || all[1].Key != "L" || all[0].Taken {
		t.Errorf("got %+v", all)
	}
	must(t, q.Take(all[0]))
	must(t, q.Forget(all[1]))
	must(t, q.Forget(all[1]))
	all, err = q.Tentatives()
	must(t, err)
	if len(all) != 1 || all[0].Key != "K" || !all[0].Taken {
		t.Errorf("got %+v", all)
	}
	must(t, q.Forget(all[0]))
	wantHas(false)
	items, bad, err := q.List()
	must(t, err)
	if got := keys(items); got != "1a one" || len(bad) != 0 {
		t.Errorf("got %q, %v", got, bad)
	}
	must(t, q.Close())
}
