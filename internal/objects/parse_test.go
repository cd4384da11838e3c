package objects

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestCommitTagTree(t *testing.T) {
	for _, format := range []string{SHA1, SHA256} {
		dir := newRepo(t, 3, "--object-format="+format)
		write(t, dir+"/odd name\n\t'\"", "odd")
		git(t, dir, "add", "-A")
		git(t, dir, "commit", "-q", "-m", "odd")
		git(t, dir, "tag", "-a", "-m", "a tag of a tag", "twice", "v1.2")
		s := open(t, dir)
		head, err := s.Ref("HEAD")
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.Commit(head)
		if err != nil {
			t.Fatal(err)
		}
		const layout = "%T %P %an %ae %aI %cn %ce %cI %B"
		got := fmt.Sprintf("%s %s %s %s %s %s %s %s %s", c.Tree, c.Parents[0], c.Author.Name, c.Author.Email, c.Author.When.Format(time.RFC3339),
			c.Committer.Name, c.Committer.Email, c.Committer.When.Format(time.RFC3339), strings.TrimSpace(c.Message))
		if want := git(t, dir, "log", "-1", "--format="+layout); got != want {
			t.Errorf("%s\ngit: %s", got, want)
		}
		id, err := s.Ref("refs/tags/twice")
		if err != nil {
			t.Fatal(err)
		}
		outer, err := s.Tag(id)
		if err != nil || outer.Kind != KindTag || outer.Name != "twice" || outer.Message != "a tag of a tag\n" || outer.Tagger.Email != "com@example.org" {
			t.Errorf("%+v, %v", outer, err)
		}
		if peeled, err := s.Peel(id); err != nil || peeled.String() != git(t, dir, "rev-parse", "v1.2^{commit}") {
			t.Errorf("peeled to %s, %v", peeled, err)
		}
		compareTree(t, s, dir, c.Tree)
		if _, err := s.Tree(head); err == nil || !strings.Contains(err.Error(), "a commit, not a tree") {
			t.Errorf("a commit read as a tree: %v", err)
		}
		if _, err := s.Commit(c.Tree); err == nil {
			t.Error("a tree read as a commit")
		}
		if _, err := s.Tag(head); err == nil {
			t.Error("a commit read as a tag")
		}
	}
}

func compareTree(t *testing.T, s *Store, dir string, id ID) {
	t.Helper()
	entries, err := s.Tree(id)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, e := range entries {
		kind := "blob"
		if e.Mode == 0o040000 {
			kind = "tree"
		}
		fmt.Fprintf(&got, "%06o %s %s\t%s\x00", e.Mode, kind, e.ID, e.Name)
	}
	if want := git(t, dir, "ls-tree", "-z", id.String()); got.String() != want {
		t.Errorf("%q\ngit: %q", got.String(), want)
	}
}

func TestSignatures(t *testing.T) {
	at := time.Unix(1700000000, 0)
	for line, want := range map[string]Signature{
		"A B <a@b> 1700000000 +0130":              {"A B", "a@b", at.In(time.FixedZone("", 90*60))},
		"A B <a@b> 1700000000 -0500":              {"A B", "a@b", at.In(time.FixedZone("", -300*60))},
		"<a@b> 1700000000 +0000":                  {"", "a@b", at.UTC()},
		"A <a<b>c> 1700000000 nonsense":           {"A", "a<b>c", at.UTC()},
		"A <a@b>":                                 {"A", "a@b", time.Time{}},
		"A <a@b> 99999999999999999999 +0000":      {"A", "a@b", time.Time{}},
		"A <a@b> -5 +0000":                        {"A", "a@b", time.Time{}},
		"nobody at all":                           {"nobody at all", "", time.Time{}},
		"A <no end 1700000000 +0000":              {"A", "", time.Time{}},
		"A B <a@b> 1700000000 +999999999999999":   {"A B", "a@b", at.UTC()},
		"A B <a@b> 1700000000":                    {"A B", "a@b", at.UTC()},
		"A B <a@b>   1700000000   +0100 and more": {"A B", "a@b", at.UTC()},
	} {
		got := ParseSignature(line)
		if got.Name != want.Name || got.Email != want.Email || !got.When.Equal(want.When) ||
			got.When.Format(time.RFC3339) != want.When.Format(time.RFC3339) {
			t.Errorf("%q: %+v, want %+v", line, got, want)
		}
	}
}

func TestHeadersThatAreNotAsTheyShouldBe(t *testing.T) {
	tree := "tree " + strings.Repeat("a", 40) + "\n"
	for _, bad := range []string{
		"", "\n\nmessage", "tree abc\n\n", "author A <a> 1 +0000\n\n", tree + tree + "\n", tree + "parent x\n\n",
		"tree " + strings.Repeat("a", 64) + "\n\n",
	} {
		if c, err := parseCommit([]byte(bad), 20); err == nil {
			t.Errorf("commit %q: %+v", bad, c)
		}
	}
	c, err := parseCommit([]byte(tree+"author A <a@b> 1 +0000\nencoding latin1\ngpgsig -----BEGIN\n parent x\n -----END\n\nmessage\n\nmore\n"), 20)
	if err != nil || c.Message != "message\n\nmore\n" || c.Encoding != "latin1" || len(c.Parents) > 0 {
		t.Errorf("%+v, %v", c, err)
	}
	object := "object " + strings.Repeat("a", 40) + "\n"
	for _, bad := range []string{"", object + "\n", "type commit\n\n", object + "type thing\n\n", object + object + "type commit\n\n"} {
		if tag, err := parseTag([]byte(bad), 20); err == nil {
			t.Errorf("tag %q: %+v", bad, tag)
		}
	}
}

func FuzzTree(f *testing.F) {
	id := strings.Repeat("\x01", 20)
	for _, s := range []string{
		"", "100644 a\x00" + id, "40000 dir\x00" + id + "120000 l\x00" + id, "100644 \x00" + id, "100644 a\x00" + id[1:],
		"100648 a\x00" + id, " a\x00" + id, "100644a\x00" + id, "0100644 ../x\x00" + id,
	} {
		f.Add([]byte(s), false)
	}
	f.Add([]byte("160000 sub\x00"+strings.Repeat("\x02", 32)), true)
	f.Fuzz(func(t *testing.T, data []byte, long bool) {
		size := 20
		if long {
			size = 32
		}
		entries, err := parseTree(data, size)
		if err != nil {
			return
		}
		for _, e := range entries {
			if e.Name == "" || strings.Contains(e.Name, "\x00") || e.Mode > 0o77777777 {
				t.Fatalf("%+v", e)
			}
		}
		var again []byte
		for _, e := range entries {
			again = append(fmt.Appendf(again, "%o %s\x00", e.Mode, e.Name), e.ID.Bytes()...)
		}
		if more, err := parseTree(again, size); err != nil || fmt.Sprint(more) != fmt.Sprint(entries) {
			t.Fatalf("%v, %v; at first %v", more, err, entries)
		}
	})
}
