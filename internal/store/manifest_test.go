package store

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/git-rel/rel/internal/release"
)

func sampleManifest() release.Manifest {
	m := release.Manifest{Release: header(idOf(1))}
	m.Inode, m.Birth, m.Files, m.Bytes = 12, 34, 3, 100
	m.Created = time.Date(2026, 11, 23, 2, 8, 45, 123, time.UTC)
	id := strings.Repeat("0123456789", 4)
	m.Entries = []release.Entry{
		{Path: "\x1b[31m", Mode: release.ModeFile, Kind: release.Tagged, Size: 1, ID: id},
		{Path: "a\tb\nc", Mode: release.ModeExec, Kind: release.Tagged, Size: 2, ID: id, Inode: 1, MTime: -5, CTime: 6},
		{Path: "bin", Mode: release.ModeDir, Kind: release.Built},
		{Path: "bin/\xff\xfe", Mode: release.ModeFile, Kind: release.Built, Size: 3},
		{Path: "log", Mode: release.ModeSymlink, Kind: release.Shared, Size: 9},
		{Path: "naïve \"q\" \\", Mode: release.ModeFile, Kind: release.Tagged, ID: strings.Repeat("a", 64)},
	}
	return m
}

func TestManifestRoundTrip(t *testing.T) {
	m := sampleManifest()
	data, err := encodeManifest(m)
	must(t, err)
	got, err := decodeManifest(string(data))
	must(t, err)
	if !reflect.DeepEqual(got, m) {
		t.Errorf("got %+v\nwant %+v", got, m)
	}
	for n := range data {
		if _, err := decodeManifest(string(data[:n])); err == nil {
			t.Fatalf("taken when cut after %d of %d bytes:\n%s", n, len(data), data[:n])
		}
	}
}

func TestManifestAnyPath(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := release.Entry{Kind: release.Built, Mode: release.ModeFile, Path: string(rapid.SliceOfN(rapid.Byte(), 1, 30).Draw(t, "path"))}
		m := release.Manifest{Release: header(idOf(1)), Entries: []release.Entry{e}}
		data, err := encodeManifest(m)
		if err != nil {
			return // not a plain path
		}
		got, err := decodeManifest(string(data))
		if err != nil || got.Entries[0] != e {
			t.Fatalf("%q: %+v, %v", e.Path, got.Entries, err)
		}
	})
}

func TestManifestRefuses(t *testing.T) {
	good, err := encodeManifest(sampleManifest())
	must(t, err)
	replace := func(old, new string) string {
		if !bytes.Contains(good, []byte(old)) {
			t.Fatalf("no %q in %s", old, good)
		}
		return strings.Replace(string(good), old, new, 1)
	}
	for name, data := range map[string]string{
		"empty":          "",
		"not JSON":       "x\n",
		"format":         replace(`"format":1`, `"format":2`),
		"unknown key":    replace(`"format":1`, `"format":1,"more":1`),
		"spaces":         replace(`"format":1`, `"format": 1`),
		"fewer entries":  replace(`"entries":6`, `"entries":5`),
		"more entries":   replace(`"entries":6`, `"entries":7`),
		"many entries":   replace(`"entries":6`, `"entries":2000000000`),
		"no entries":     replace(`"entries":6`, `"entries":-1`),
		"more lines":     string(good) + "\n",
		"kind":           replace("b\t040000", "x\t040000"),
		"mode":           replace("040000", "40000"),
		"plus":           replace("\t040000\t0\t", "\t040000\t+0\t"),
		"parent":         replace("\tbin\n", "\t../bin\n"),
		"absolute":       replace("\tbin\n", "\t/bin\n"),
		"needless quote": replace("\tbin\n", "\t\"bin\"\n"),
		"order":          replace("\tbin\n", "\tzzz\n"),
		"id":             replace("0123456789", "012345678g"),
	} {
		if m, err := decodeManifest(data); err == nil {
			t.Errorf("%s: taken: %+v", name, m)
		}
	}
	m := sampleManifest()
	m.Tag = "v\xff"
	if _, err := encodeManifest(m); err == nil {
		t.Error("a tag that is not UTF-8 was written as another")
	}
}

func FuzzManifest(f *testing.F) {
	good, err := encodeManifest(sampleManifest())
	must(f, err)
	f.Add(good)
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decodeManifest(string(data))
		if err != nil {
			return
		}
		again, err := encodeManifest(m)
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("%v: read\n%s\nwrote\n%s", err, data, again)
		}
	})
}
