package store

import (
	"fmt"
	"strings"
	"testing"

	"github.com/git-rel/rel/internal/release"
)

// A root with 50 releases, the live one of 2,000 files: what `rel status` and `rel list` ask of it.
func BenchmarkStatus(b *testing.B) {
	for _, mode := range []string{ModeSymlink, ModeDirectory} {
		r := open(b, b.TempDir(), Layout{Mode: mode})
		for n := range 49 {
			stage(b, r, n)
		}
		files := map[string]string{}
		for n := range 2000 {
			files[fmt.Sprintf("dir%d/file%d", n%40, n)] = "text"
		}
		live := idOf(49)
		entries := export(b, r, live, files)
		must(b, r.Publish(live), r.Seal(&release.Manifest{Release: header(live), Entries: entries}))
		doSwitch(b, r, live, "")
		b.Run(mode+"/live", func(b *testing.B) {
			for b.Loop() {
				_, err := r.Live()
				must(b, err)
			}
		})
		b.Run(mode+"/releases", func(b *testing.B) {
			for b.Loop() {
				_, err := r.Releases()
				must(b, err)
			}
		})
		b.Run(mode+"/verify", func(b *testing.B) {
			for b.Loop() {
				_, err := r.Verify(live, false)
				must(b, err)
			}
		})
	}
}

// What a manifest of 10,000 files takes to be read and to be written.
func BenchmarkManifest(b *testing.B) {
	m := release.Manifest{Release: header(idOf(1))}
	for n := range 10_000 {
		m.Entries = append(m.Entries, release.Entry{
			Path: fmt.Sprintf("dir%03d/sub/file%05d.txt", n/100, n), Kind: release.Tagged, Mode: release.ModeFile, Size: int64(n),
			ID: strings.Repeat("0123456789", 4), Inode: uint64(n), MTime: 1790000000123456789, CTime: 1790000000123456789,
		})
	}
	data, err := encodeManifest(m)
	must(b, err)
	text := string(data)
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, err := decodeManifest(text)
			must(b, err)
		}
	})
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, err := encodeManifest(m)
			must(b, err)
		}
	})
}
