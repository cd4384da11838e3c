package export

import "strings"

// pattern is the left side of a line of .gitattributes.
type pattern struct {
	text    string // without a trailing slash
	literal int    // length of what has no wildcard at its start
	dir     bool   // ended with a slash: matches directories only
	base    bool   // has no slash: matches the last part of a path
	suffix  bool   // is "*" and then nothing special
	glob    glob   // compiled where text has a wildcard that literal and suffix do not cover
}

// parsePattern reads a pattern; ok is false for a negative one, which git ignores.
func parsePattern(s string) (p pattern, ok bool) {
	if nul := strings.IndexByte(s, 0); nul >= 0 {
		s = s[:nul]
	}
	if strings.HasPrefix(s, "!") {
		return pattern{}, false
	}
	p.suffix = strings.HasPrefix(s, "*") && literalLen(s[1:]) == len(s)-1
	p.text, p.dir = strings.CutSuffix(s, "/")
	p.base = !strings.Contains(p.text, "/")
	p.literal = min(literalLen(p.text), len(p.text))
	switch {
	case p.base && p.literal < len(p.text) && !p.suffix:
		p.glob = compileGlob(p.text, false)
	case !p.base:
		// The slash at the start only anchors. Git matches what has no wildcard first and hands the rest to its matcher as if it
		// were a pattern of its own, so that "a**/b" is "a" and then a "**/" at the start.
		if strings.HasPrefix(p.text, "/") {
			p.text, p.literal = p.text[1:], p.literal-1
		}
		p.glob = compileGlob(p.text[p.literal:], true)
	}
	return p, true
}

// literalLen is the length of s up to its first wildcard.
func literalLen(s string) int {
	if i := strings.IndexAny(s, `*?[\`); i >= 0 {
		return i
	}
	return len(s)
}

// match tells whether the pattern matches path, which is relative to the directory of its .gitattributes.
func (p *pattern) match(path string, isDir bool) bool {
	if p.dir && !isDir {
		return false
	}
	if !p.base {
		return strings.HasPrefix(path, p.text[:p.literal]) && p.glob.match(path[p.literal:])
	}
	name := path[strings.LastIndexByte(path, '/')+1:]
	switch {
	case p.literal == len(p.text):
		return name == p.text
	case p.suffix:
		return strings.HasSuffix(name, p.text[1:])
	}
	return p.glob.match(name)
}
