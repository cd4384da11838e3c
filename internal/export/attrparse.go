package export

import "strings"

// Git's limits on .gitattributes: a longer line, a larger file are ignored.
const (
	maxAttributesLine = 2048
	maxAttributesFile = 100 << 20
)

const blank = " \t\r\n"

// state of an attribute.
type state uint8

const (
	stateUnspecified state = iota // nothing said anything
	stateUnset                    // "!name": as if nothing had been said
	stateFalse                    // "-name"
	stateTrue                     // "name"
	stateText                     // "name=text"
)

// value is what a line gives to an attribute.
type value struct {
	state state
	text  string
}

// is tells whether the value is the given text.
func (v value) is(text string) bool { return v.state == stateText && v.text == text }

// assignment is one attribute of a line.
type assignment struct {
	name  string
	value value
}

// line is one line of .gitattributes: a pattern, or a macro's name, and what it assigns.
type line struct {
	macro   string // "" for a pattern
	pattern pattern
	assigns []assignment
}

// parseAttributes reads a .gitattributes file. What git warns of and ignores, it ignores; macros count at the top only.
func parseAttributes(data string, macros bool) []line {
	if len(data) >= maxAttributesFile {
		return nil
	}
	if nul := strings.IndexByte(data, 0); nul >= 0 {
		data = data[:nul]
	}
	var lines []line
	for text := range strings.SplitSeq(data, "\n") {
		if l, ok := parseLine(text, macros); ok {
			lines = append(lines, l)
		}
	}
	return lines
}

func parseLine(text string, macros bool) (l line, ok bool) {
	text = strings.TrimLeft(text, blank)
	if text == "" || text[0] == '#' || len(text) >= maxAttributesLine {
		return line{}, false
	}
	name, rest, quoted := unquote(text)
	if !quoted {
		name, rest = cutBlank(text)
	}
	if macro, is := strings.CutPrefix(name, "[attr]"); is && macro != "" {
		if !macros {
			return line{}, false
		}
		l.macro, _ = cutBlank(strings.TrimLeft(macro, blank))
		if !validName(l.macro) {
			return line{}, false
		}
	} else if l.pattern, ok = parsePattern(name); !ok {
		return line{}, false
	}
	for rest = strings.TrimLeft(rest, blank); rest != ""; rest = strings.TrimLeft(rest, blank) {
		var word string
		word, rest = cutBlank(rest)
		a, ok := parseAssignment(word)
		if !ok {
			return line{}, false // one bad attribute voids its line
		}
		l.assigns = append(l.assigns, a)
	}
	return l, true
}

func cutBlank(s string) (word, rest string) {
	if i := strings.IndexAny(s, blank); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

func parseAssignment(word string) (assignment, bool) {
	name, text, equals := strings.Cut(word, "=")
	a := assignment{name: name, value: value{state: stateTrue}}
	switch {
	case strings.HasPrefix(name, "-"):
		a.name, a.value.state = name[1:], stateFalse
	case strings.HasPrefix(name, "!"):
		a.name, a.value.state = name[1:], stateUnset
	case equals:
		a.value = value{stateText, text}
	}
	return a, validName(a.name)
}

func validName(s string) bool {
	if s == "" || s[0] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_') {
			return false
		}
	}
	return true
}

// unquote reads a C-style quoted string at the start of s. Where s does not begin with a valid one, ok is false.
func unquote(s string) (text, rest string, ok bool) {
	if s == "" || s[0] != '"' {
		return "", "", false
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		c := s[i]
		switch c {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			i++
			if i == len(s) {
				return "", "", false
			}
			if at := strings.IndexByte(`abfnrtv\"`, s[i]); at >= 0 {
				b.WriteByte("\a\b\f\n\r\t\v\\\""[at])
				continue
			}
			if !octal(s, i) {
				return "", "", false
			}
			b.WriteByte((s[i]-'0')<<6 | (s[i+1]-'0')<<3 | (s[i+2] - '0'))
			i += 2
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// octal tells whether three octal digits of a byte stand at i.
func octal(s string, i int) bool {
	return i+2 < len(s) && s[i] >= '0' && s[i] <= '3' && s[i+1] >= '0' && s[i+1] <= '7' && s[i+2] >= '0' && s[i+2] <= '7'
}
