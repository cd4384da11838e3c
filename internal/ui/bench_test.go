package ui

import (
	"fmt"
	"io"
	"testing"
)

func BenchmarkTable10000Rows(b *testing.B) {
	p, err := New(Options{Out: Stream{W: io.Discard, Terminal: true, Width: 100}, Err: Stream{W: io.Discard}, Color: "always"})
	if err != nil {
		b.Fatal(err)
	}
	rows := make([][]string, 10_000)
	for i := range rows {
		rows[i] = []string{fmt.Sprintf("v1.%d", i), "3f2a91c", "unstaged", "", "a subject that is neither short nor long"}
	}
	for b.Loop() {
		if err := p.Table([]string{"tag", "commit", "state", "release", "subject"}, rows); err != nil {
			b.Fatal(err)
		}
	}
}
