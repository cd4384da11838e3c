package gitrepo

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// benchmarkTags lists, orders and picks the newest of 10,000 annotated tags.
func benchmarkTags(b *testing.B, packed bool) {
	dir := b.TempDir()
	run := func(stdin string, args ...string) {
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		cmd.Stdin = strings.NewReader(stdin)
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	var in strings.Builder
	in.WriteString("commit refs/heads/main\nmark :1\ncommitter a <a@b> 1000000000 +0000\ndata 1\nx\n")
	for i := range 10000 {
		fmt.Fprintf(&in, "tag v%d.%d.%d\nfrom :1\ntagger a <a@b> %d +0000\ndata 2\nt\n", i/1000, i/10%100, i%10, 1000000000+i)
	}
	run("", "init", "--quiet")
	run(in.String(), "fast-import", "--quiet")
	if packed {
		run("", "pack-refs", "--all")
	}
	for b.Loop() {
		repo, err := Open(dir)
		if err != nil {
			b.Fatal(err)
		}
		tags, err := repo.Tags(b.Context())
		if err != nil || len(tags) != 10000 {
			b.Fatal(len(tags), err)
		}
		names := make([]string, len(tags))
		for i, t := range tags {
			names[i] = t.Name
		}
		if newest, err := Newest(names); err != nil || newest != "v9.99.9" {
			b.Fatal(newest, err)
		}
		if err := repo.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
