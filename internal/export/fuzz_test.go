package export

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// cachedAttr has git say what it makes of path by a .gitattributes at the top and one in dir, read as git archive reads them: from
// the index. A value is what check-attr prints.
func (r repo) cachedAttr(top, nested, path string, names []string) map[string]string {
	r.t.Helper()
	must(r.t, os.WriteFile(filepath.Join(r.dir, "top"), []byte(top), 0o644))
	must(r.t, os.WriteFile(filepath.Join(r.dir, "nested"), []byte(nested), 0o644))
	cmd := exec.Command("sh", append([]string{"-c", `set -e
		ids=$(git hash-object -w --no-filters top nested) && set -- $ids "$@" && rm -f .git/index
		git update-index --add --cacheinfo "100644,$1,.gitattributes" --cacheinfo "100644,$2,dir/.gitattributes"
		shift 2; exec git check-attr --cached -z --stdin "$@"`, "sh"}, names...)...)
	cmd.Dir, cmd.Env, cmd.Stdin = r.dir, testEnv(), strings.NewReader(path+"\x00")
	out, err := cmd.Output()
	must(r.t, err)
	fields := bytes.Split(bytes.TrimSuffix(out, []byte{0}), []byte{0})
	if len(fields) != 3*len(names) {
		r.t.Fatalf("git check-attr says %q", fields)
	}
	said := make(map[string]string, len(names))
	for i := range names {
		said[string(fields[3*i+1])] = string(fields[3*i+2])
	}
	return said
}

// said is a value as check-attr prints it.
func (v value) said() string {
	switch v.state {
	case stateTrue:
		return "set"
	case stateFalse:
		return "unset"
	case stateText:
		return v.text
	}
	return "unspecified"
}

// plainPath tells whether path can be one of a tree.
func plainPath(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if badName(part) != "" {
			return false
		}
	}
	return len(path) < 1000
}

// FuzzAttributesAreGits holds that a path below dir has the attributes that it has for git, by files that say anything.
func FuzzAttributesAreGits(f *testing.F) {
	f.Add("*.txt text eol=crlf\n[attr]x -text filter=y\n\"a\\142\" x\n", "a.txt !eol\n", "a.txt")
	f.Add("dir/** export-ignore\n/dir/a -export-ignore\n", "b/ export-subst\n", "b/c")
	f.Add("\xef\xbb\xbf* ident\r\n", "* binary ident=\r\n", "x")
	r := newRepo(f)
	names := []string{"export-ignore", "export-subst", "text", "crlf", "eol", "ident", "filter", "working-tree-encoding"}
	f.Fuzz(func(t *testing.T, top, nested, path string) {
		if len(top)+len(nested) > 8<<10 || !plainPath(path) {
			return
		}
		want := repo{t, r.dir}.cachedAttr(top, nested, "dir/"+path, names)
		e := newEvaluator()
		e.push("", top)
		e.push("dir/", nested)
		for i, v := range e.lookup("dir/"+path, false) {
			if v.said() != want[names[i]] {
				t.Errorf("%q: %q, git says %q", names[i], v.said(), want[names[i]])
			}
		}
	})
}
