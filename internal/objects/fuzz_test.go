package objects

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzHeaders reads commits and tags: what is taken has what git would need of it, and the message is the data's own end.
func FuzzHeaders(f *testing.F) {
	id := strings.Repeat("a", 40)
	f.Add([]byte("tree "+id+"\nparent "+id+"\nauthor A <a@b> 1 +0000\ncommitter C <c@d> 2 -0330\nencoding latin1\n\nsubject\n"), false)
	f.Add([]byte("object "+id+"\ntype commit\ntag v1\ntagger T <t@u> 3 +0200\n\nmessage\n"), false)
	f.Fuzz(func(t *testing.T, data []byte, long bool) {
		size := 20
		if long {
			size = 32
		}
		commit, err := parseCommit(data, size)
		if err == nil && (int(commit.Tree.len) != size || !bytes.HasSuffix(data, []byte(commit.Message))) {
			t.Errorf("%+v", commit)
		}
		for _, parent := range commit.Parents {
			if err == nil && int(parent.len) != size {
				t.Errorf("%+v", commit)
			}
		}
		tag, err := parseTag(data, size)
		if err == nil && (int(tag.Object.len) != size || tag.Kind == 0 || !bytes.HasSuffix(data, []byte(tag.Message))) {
			t.Errorf("%+v", tag)
		}
	})
}

// FuzzPackedRefs reads packed-refs to its end or its first fault, and never a name that git would not take.
func FuzzPackedRefs(f *testing.F) {
	id := strings.Repeat("b", 40)
	f.Add([]byte(id + " refs/heads/main\n" + id + " refs/tags/v1\n^" + id + "\n"))
	f.Add([]byte(id + " refs/tags/../../HEAD\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p := packed{path: "packed-refs", tags: true}
		for rest := text; len(rest) > 0; {
			mayBegin(rest, "refs/tags/", 20)
			r, after, err := p.next(rest, 20)
			if err != nil {
				return
			}
			if len(after) >= len(rest) || !bytes.HasSuffix(rest, after) || !validRef(r.Name) || r.ID.IsZero() && r.ID.len != 20 {
				t.Fatalf("%+v of %q", r, rest)
			}
			rest = after
		}
	})
}
