package gitrepo

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func (m Mirror) packs(t *testing.T) []string {
	t.Helper()
	packs, err := filepath.Glob(filepath.Join(m.Dir, "objects/pack/*.pack"))
	if err != nil {
		t.Fatal(err)
	}
	return packs
}

func TestRepack(t *testing.T) {
	r := newRepo(t)
	m := mirrorOf(t, r.dir)
	var want []string
	fetch := func(n int, text string) {
		t.Helper()
		tag := fmt.Sprintf("v%d", n)
		want = append(want, tag)
		r.commit("a"+tag, text, tag)
		r.git("tag", tag)
		m.fetches(t, tag, strings.Join(want, " "))
	}
	noise := make([]byte, 100<<10)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise) // never an error
	fetch(0, string(noise))
	big := m.packs(t)
	for n := 1; n < 6; n++ {
		fetch(n, "text")
	}
	before := openAt(t, m.Dir)
	if err := m.repack(bg, 7, 64<<10); err != nil || len(m.packs(t)) != 6 {
		t.Errorf("%q, %v: they are not many yet", m.packs(t), err)
	}
	if err := m.repack(bg, 6, 64<<10); err != nil {
		t.Fatal(err)
	}
	if len(m.packs(t)) != 2 {
		t.Errorf("%q", m.packs(t))
	}
	if _, err := os.Stat(big[0]); err != nil {
		t.Error(err)
	}
	if out, err := before.line(bg, call{}, "fsck", "--full"); err != nil {
		t.Errorf("%s, %v", out, err)
	}
	if got, err := before.Tags(bg); err != nil || len(got) != 6 { // by who opened it before
		t.Errorf("%v, %v", got, err)
	}
	fetch(6, "text")
}
