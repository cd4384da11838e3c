package export

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// Random attributes at three levels on random content: what comes out is what git makes of it.
func TestRandomTreesEqualGit(t *testing.T) {
	rng := rand.New(rand.NewPCG(20261123, 1))
	pick := func(from []string, most int) string {
		var b strings.Builder
		for range rng.IntN(most + 1) {
			b.WriteString(from[rng.IntN(len(from))])
		}
		return b.String()
	}
	text := []string{
		"\n", "\n", "\r\n", "\r", "a", "line\n", "$Id$", "$Id:", "$Id: x $", "$", " ", "Id", ":", "\x00", "\x01", "\x7f", "\x1a", "é", "日", "\xff", "\t\b\x1b\f",
		strings.Repeat("printable ", 20), "$Format:%H$", "$Format:%T%n$", "$Format:", "%", "𝄞",
	}
	attributes := []string{
		" text", " -text", " !text", " text=auto", " text=input", " text=other", " crlf", " -crlf", " crlf=input", " crlf=auto", " eol=lf", " eol=crlf", " eol=x", " -eol", " eol",
		" ident", " -ident", " ident=x", " export-subst", " -export-subst", " binary", " -binary", " !binary", " working-tree-encoding=UTF-16",
		" working-tree-encoding=utf8", " working-tree-encoding=UTF-32BE", " working-tree-encoding=", " !working-tree-encoding", " export-ignore", " -export-ignore",
		" !export-ignore", " m", " -m", " !m", " m=x", " filter=x",
	}
	patterns := []string{"*", "a*", "*.t", "*.b", "d/*", "d/", "/e", "**/f*", "d/**", "e/**/g*", "*[0-4].*", "[!a-e]*", "e", "d/e/", "?1.*"}
	for round := range 12 {
		r := newRepo(t)
		for _, dir := range []string{"", "d/", "d/e/"} {
			lines := "[attr]m" + pick(attributes, 3) + "\n"
			for range rng.IntN(8) {
				lines += patterns[rng.IntN(len(patterns))] + pick(attributes, 3) + "\n"
			}
			r.write(dir+".gitattributes", lines)
			for i := range 12 {
				r.write(fmt.Sprintf("%s%c%d.%s", dir, 'a'+rng.IntN(8), i, []string{"t", "b"}[rng.IntN(2)]), "."+pick(text, 12))
			}
		}
		r.commit("v1")
		got, _, err := export(t, r.source("v1"))
		must(t, err)
		if same(t, got, r.archive("v1")); t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
}
