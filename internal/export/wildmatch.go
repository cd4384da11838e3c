package export

import "strings"

// The shell patterns of .gitattributes, as git's wildmatch has them. A pattern is compiled into tokens and run as a set of
// states over the text, so that no pattern, however hostile, costs more than its length times the text's.

type tokenKind uint8

const (
	tokenByte  tokenKind = iota // one given byte
	tokenSet                    // one byte of a set: "?" and "[…]"
	tokenStar                   // any bytes but a slash
	tokenDeep                   // any bytes
	tokenGate                   // nothing: leads to the next token and past the two after it, which makes "**/" optional
	tokenNever                  // matches nothing: what follows a malformed class
)

type token struct {
	kind tokenKind
	b    byte
	set  *byteSet
}

type byteSet [4]uint64

func (s *byteSet) add(b byte)      { s[b>>6] |= 1 << (b & 63) }
func (s *byteSet) has(b byte) bool { return s[b>>6]&(1<<(b&63)) != 0 }

// glob is a compiled pattern.
type glob []token

// compileGlob reads a pattern. With pathname, only "**" between slashes matches a slash.
func compileGlob(pattern string, pathname bool) glob {
	var g glob
	for i := 0; i < len(pattern); {
		switch c := pattern[i]; c {
		case '\\':
			if i+1 == len(pattern) {
				return append(g, token{kind: tokenNever})
			}
			g = append(g, token{kind: tokenByte, b: pattern[i+1]})
			i += 2
		case '?':
			g = append(g, token{kind: tokenSet, set: notSlash(byteSet{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}, pathname)})
			i++
		case '*':
			g, i = compileStars(g, pattern, i, pathname)
		case '[':
			set, next := compileClass(pattern, i+1)
			if next < 0 {
				return append(g, token{kind: tokenNever})
			}
			g = append(g, token{kind: tokenSet, set: notSlash(set, pathname)})
			i = next
		default:
			g = append(g, token{kind: tokenByte, b: c})
			i++
		}
	}
	return g
}

func notSlash(s byteSet, pathname bool) *byteSet {
	if pathname {
		s['/'>>6] &^= 1 << ('/' & 63)
	}
	return &s
}

// compileStars reads the run of asterisks at i and returns where the pattern goes on.
func compileStars(g glob, pattern string, i int, pathname bool) (glob, int) {
	start := i
	for i < len(pattern) && pattern[i] == '*' {
		i++
	}
	rest := pattern[i:]
	switch {
	case !pathname:
		return append(g, token{kind: tokenDeep}), i
	case i-start == 1, start > 0 && pattern[start-1] != '/':
		return append(g, token{kind: tokenStar}), i
	case rest == "", strings.HasPrefix(rest, `\/`):
		return append(g, token{kind: tokenDeep}), i
	case rest[0] == '/':
		return append(g, token{kind: tokenGate}, token{kind: tokenDeep}, token{kind: tokenByte, b: '/'}), i + 1
	}
	return append(g, token{kind: tokenStar}), i
}

// compileClass reads a bracket expression from behind its "[" and returns where the pattern goes on, -1 if it is malformed.
func compileClass(pattern string, i int) (set byteSet, next int) {
	at := func(i int) int { // the byte at i, -1 at the end
		if i < len(pattern) {
			return int(pattern[i])
		}
		return -1
	}
	negated := at(i) == '!' || at(i) == '^'
	if negated {
		i++
	}
	prev := 0 // the byte that a range may begin with, 0 where none may
	for first := true; first || at(i) != ']'; first = false {
		c := at(i)
		switch {
		case c < 0:
			return set, -1
		case c == '\\':
			i++
			if c = at(i); c < 0 {
				return set, -1
			}
			set.add(byte(c))
			prev = c
		case c == '-' && prev != 0 && at(i+1) >= 0 && at(i+1) != ']':
			i++
			if at(i) == '\\' {
				i++
			}
			if at(i) < 0 {
				return set, -1
			}
			for b := prev; b <= at(i); b++ {
				set.add(byte(b))
			}
			prev = 0
		case c == '[' && at(i+1) == ':':
			end := i + 2
			for at(end) >= 0 && at(end) != ']' {
				end++
			}
			if at(end) < 0 {
				return set, -1
			}
			if end-1 < i+2 || pattern[end-1] != ':' { // not a named class after all
				set.add('[')
				prev = '['
				break
			}
			if !addNamed(&set, pattern[i+2:end-1]) {
				return set, -1
			}
			i, prev = end, 0
		default:
			set.add(byte(c))
			prev = c
		}
		i++
	}
	if negated {
		for w := range set {
			set[w] = ^set[w]
		}
	}
	return set, i + 1
}

// addNamed adds a POSIX class, in the C locale but for white space, which git takes to be blank, tab, LF and CR only.
func addNamed(set *byteSet, name string) bool {
	in, ok := namedClass(name)
	if !ok {
		return false
	}
	for b := range byte(128) {
		if in(b) {
			set.add(b)
		}
	}
	return true
}

func namedClass(name string) (in func(b byte) bool, ok bool) {
	lower := func(b byte) bool { return b >= 'a' && b <= 'z' }
	upper := func(b byte) bool { return b >= 'A' && b <= 'Z' }
	digit := func(b byte) bool { return b >= '0' && b <= '9' }
	alnum := func(b byte) bool { return lower(b) || upper(b) || digit(b) }
	graph := func(b byte) bool { return b > ' ' && b < 0x7f }
	switch name {
	case "alnum":
		return alnum, true
	case "alpha":
		return func(b byte) bool { return lower(b) || upper(b) }, true
	case "blank":
		return func(b byte) bool { return b == ' ' || b == '\t' }, true
	case "cntrl":
		return func(b byte) bool { return b < ' ' || b == 0x7f }, true
	case "digit":
		return digit, true
	case "graph":
		return graph, true
	case "lower":
		return lower, true
	case "print":
		return func(b byte) bool { return b == ' ' || graph(b) }, true
	case "punct":
		return func(b byte) bool { return graph(b) && !alnum(b) }, true
	case "space":
		return func(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\r' }, true
	case "upper":
		return upper, true
	case "xdigit":
		return func(b byte) bool { return digit(b) || b >= 'a' && b <= 'f' || b >= 'A' && b <= 'F' }, true
	}
	return nil, false
}

// match tells whether the whole text matches.
func (g glob) match(text string) bool {
	for len(g) > 0 && g[0].kind == tokenByte {
		if text == "" || text[0] != g[0].b {
			return false
		}
		g, text = g[1:], text[1:]
	}
	now, next := make([]bool, len(g)+1), make([]bool, len(g)+1)
	now[0] = true
	for i := 0; i < len(text); i++ {
		g.skip(now)
		clear(next)
		if !g.step(now, next, text[i]) {
			return false
		}
		now, next = next, now
	}
	g.skip(now)
	return now[len(g)]
}

// skip adds the states that are reached without a byte.
func (g glob) skip(states []bool) {
	for i, t := range g {
		if !states[i] {
			continue
		}
		switch t.kind {
		case tokenStar, tokenDeep:
			states[i+1] = true
		case tokenGate:
			states[i+1], states[i+3] = true, true
		}
	}
}

// step sets the states that byte b leads to, and tells whether there is one.
func (g glob) step(now, next []bool, b byte) (alive bool) {
	for i, t := range g {
		if !now[i] {
			continue
		}
		stay, on := false, false
		switch t.kind {
		case tokenByte:
			on = t.b == b
		case tokenSet:
			on = t.set.has(b)
		case tokenStar:
			stay = b != '/'
		case tokenDeep:
			stay = true
		}
		next[i] = next[i] || stay
		next[i+1] = next[i+1] || on
		alive = alive || stay || on
	}
	return alive
}
