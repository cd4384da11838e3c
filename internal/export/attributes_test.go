package export

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// ask evaluates one attribute of paths by one .gitattributes at the top.
func ask(attributes string, attr int, paths []string) []bool {
	e := newEvaluator()
	e.push("", attributes)
	out := make([]bool, len(paths))
	for i, p := range paths {
		dir := strings.HasSuffix(p, "/")
		out[i] = e.lookup(strings.TrimSuffix(p, "/"), dir)[attr].state == stateTrue
	}
	return out
}

// checkAttr has git say for which of paths export-ignore is set.
func (r repo) checkAttr(attributes string, paths []string) []bool {
	r.t.Helper()
	must(r.t, os.WriteFile(filepath.Join(r.dir, ".gitattributes"), []byte(attributes), 0o644))
	out := r.gitIn([]byte(strings.Join(paths, "\x00")+"\x00"), "check-attr", "-z", "--stdin", "export-ignore")
	fields := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	if len(fields) != 3*len(paths) {
		r.t.Fatalf("git check-attr says %q", fields)
	}
	set := make([]bool, len(paths))
	for i := range paths {
		set[i] = fields[3*i+2] == "set"
	}
	return set
}

// Patterns mean what they mean to git.
func TestPatternsAreGits(t *testing.T) {
	r := newRepo(t)
	rapid.Check(t, func(rt *rapid.T) {
		piece := rapid.SampledFrom([]string{
			"a", "b", "ab", "/", "/", "*", "**", "**/", "/**", "/**/", "?", "[ab]", "[!a]", "[^b/]", "[a-c]", "[]a]", "[a", "[[:alpha:]]", "[[:punct:]x]",
			"[[:space:]]", "[[:nope:]]", "[[:alpha:", "[[a]", "[a-\\c]", "[\\]]", "[--a]", "\\", "\\*", "\\a", "\\/", ".", "-", "!", "]", "é",
		})
		pattern := strings.Join(rapid.SliceOfN(piece, 1, 7).Draw(rt, "pattern"), "")
		name := rapid.SampledFrom([]string{"a", "b", "ab", "abc", "/", "/", "/", ".", "-", "c", "x", "]", "[", "*", "\\", "!", "é", "ba", " "})
		var paths []string
		for range 12 {
			p := strings.Join(rapid.SliceOfN(name, 1, 7).Draw(rt, "path"), "")
			for strings.Contains(p, "//") {
				p = strings.ReplaceAll(p, "//", "/")
			}
			if p = strings.TrimPrefix(p, "/"); p != "" && !strings.Contains("/"+p, "/./") && !strings.HasSuffix("/"+p, "/.") &&
				!strings.Contains("/"+p+"/", "/../") {
				paths = append(paths, p)
			}
		}
		if len(paths) == 0 {
			return
		}
		attributes := pattern + " export-ignore\n"
		got, want := ask(attributes, attrExportIgnore, paths), r.checkAttr(attributes, paths)
		for i, p := range paths {
			if got[i] != want[i] {
				rt.Errorf("%q matches %q: %v, git says %v", pattern, p, got[i], want[i])
			}
		}
	})
}

// Each class has the members that it has for git.
func TestClassesAreGits(t *testing.T) {
	r := newRepo(t)
	var paths []string
	for b := 1; b < 256; b++ {
		if b != '/' && b != '.' {
			paths = append(paths, string([]byte{byte(b)}))
		}
	}
	for _, class := range []string{
		"[[:alnum:]]", "[[:alpha:]]", "[[:blank:]]", "[[:cntrl:]]", "[[:digit:]]", "[[:graph:]]", "[[:lower:]]", "[[:print:]]", "[[:punct:]]",
		"[[:space:]]", "[[:upper:]]", "[[:xdigit:]]", "[![:upper:]0-9]", "?", "[\\a-\\f]", "[a-c-e]", "[]-a]", "[!]-a]", "[z-a]", "[\x80-\xff]",
	} {
		attributes := class + " export-ignore\n"
		got, want := ask(attributes, attrExportIgnore, paths), r.checkAttr(attributes, paths)
		for i, p := range paths {
			if got[i] != want[i] {
				t.Errorf("%s matches %q: %v, git says %v", class, p, got[i], want[i])
			}
		}
	}
}

// Lines mean what they mean to git: quotes, macros, comments, invalid names.
func TestLinesAreGits(t *testing.T) {
	r := newRepo(t)
	rapid.Check(t, func(rt *rapid.T) {
		piece := rapid.SampledFrom([]string{
			"a", "b", "*", "\"", "\\", "\\141", "\\n", "\\999", " ", " ", "\t", "\r", "\n", "\n", "[attr]m", "[attr]", "m", "-m", "!m", "export-ignore", "-export-ignore",
			"!export-ignore", "export-ignore=x", "x=y", "x=", "=", "-", "a export-ignore", "* m", "\n[attr]m export-ignore\n", "#", "!", "binary", "é", "[attr]m m export-ignore",
			"[attr]n m", "n", "-x=y", "\n\"a b\" export-ignore\n",
		})
		attributes := strings.Join(rapid.SliceOfN(piece, 1, 14).Draw(rt, "attributes"), "")
		paths := []string{"a", "b", "m", "a/b", "b/a", "aa", "a b", "\"a", "#", "é", "[attr]", "a\n", "\\"}
		got, want := ask(attributes, attrExportIgnore, paths), r.checkAttr(attributes, paths)
		for i, p := range paths {
			if got[i] != want[i] {
				rt.Errorf("%q for %q: %v, git says %v", attributes, p, got[i], want[i])
			}
		}
	})
}

// FuzzAttributes holds that no file of attributes, and no path, makes the reader fail or the matcher slow.
func FuzzAttributes(f *testing.F) {
	f.Add("*.txt text eol=crlf\n[attr]x -text\n\"a\\142\" x\n", "dir/a.txt")
	f.Add("**/a/**/[[:alpha:]-z]*?b export-ignore", "a/a/q-b")
	f.Add("*a*a*a*a*a*a*a*a*a*a*a*a*b export-ignore", strings.Repeat("a", 200))
	f.Add("[attr]a b\n[attr]b a\n* a\n", "x")
	f.Add("\"\\", "\\")
	f.Fuzz(func(t *testing.T, attributes, path string) {
		e := newEvaluator()
		e.push("", attributes)
		e.push("a/", attributes)
		for _, dir := range []bool{false, true} {
			conversionOf(e.lookup("a/"+path, dir))
		}
		for _, v := range e.lookup("a/b", false) {
			if v.state != stateText && v.text != "" {
				t.Errorf("%+v", v)
			}
		}
	})
}

// FuzzConvert holds that what conversion makes can be made again: line ends and ids do not pile up.
func FuzzConvert(f *testing.F) {
	f.Add([]byte("a\nb\r\n$Id$ $Id: x $\n"))
	f.Add([]byte("$Id:$$Format:%H$$Format:"))
	f.Fuzz(func(t *testing.T, data []byte) {
		once := expandEOL(data, eolCRLF)
		if twice := expandEOL(once, eolCRLF); string(twice) != string(once) {
			t.Errorf("%q, then %q", once, twice)
		}
		var s substitution
		s.collect(0, data)
		eachFormat(data, func([]byte) {}, func(format string) { forLog(format, 1) })
		s.apply(0, data)
		parsePointer(data)
		badName(string(data))
	})
}
