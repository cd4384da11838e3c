package gate

import (
	"bytes"
	"strings"
)

// kindBytes is how much of a line its kind is made of.
const kindBytes = 1 << 10

// kindOf is a line without what differs between two of the same kind: numbers, hexadecimal ones too, times, addresses, pids, the
// release, the client that asked. Two lines are of one kind where it is the same.
func kindOf(line string) string {
	line = line[:min(len(line), kindBytes)]
	for _, tail := range []string{", client: ", ", referer: "} { // nginx and Apache tell who asked, and how
		line, _, _ = strings.Cut(line, tail)
	}
	kind := make([]byte, 0, len(line))
	for i := 0; i < len(line); {
		n := wordAt(line[i:])
		switch {
		case n == 0 && line[i] == 0x1b:
			i += escapeAt(line[i:])
			continue
		case n == 0:
			kind = append(kind, line[i])
			n = 1
		case isRelease(kind), changes(line[i:i+n], kind):
			if isRelease(kind) {
				n = strings.IndexAny(line[i:]+"/", "/ \t\"'()<>:;,")
			}
			kind = hide(kind)
		default:
			kind = append(kind, line[i:i+n]...)
		}
		i += n
	}
	return strings.TrimSpace(string(kind))
}

// wordAt is how long the word is that s begins with; 0 if it begins with none.
func wordAt(s string) int {
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' && c < 'A' || c > 'Z' && c < 'a' && c != '_' || c > 'z' {
			return i
		}
	}
	return len(s)
}

// escapeAt is how long the terminal's escape sequence is that s begins with.
func escapeAt(s string) int {
	if len(s) < 2 || s[1] != '[' {
		return 1
	}
	for i := 2; i < len(s); i++ {
		if s[i] >= '@' && s[i] <= '~' {
			return i + 1
		}
	}
	return len(s)
}

// isRelease says whether the name of a release comes next.
func isRelease(kind []byte) bool { return bytes.HasSuffix(kind, []byte("/releases/")) }

// changes says whether a word is one of those that differ. A part of a UUID may have no digit.
func changes(word string, before []byte) bool {
	if strings.ContainsAny(word, "0123456789") {
		return true
	}
	if len(word) == 3 && strings.Contains(" Mon Tue Wed Thu Fri Sat Sun Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec ", " "+word+" ") {
		return true
	}
	part := bytes.HasSuffix(before, []byte("#-")) || bytes.HasSuffix(before, []byte("#:"))
	return (part || len(word) >= 8) && strings.Trim(word, "abcdefABCDEF") == ""
}

// hide puts a "#" for what differs; several of them that nothing stands between but what joins numbers are one.
func hide(kind []byte) []byte {
	joined := bytes.TrimRight(kind, " .:,+-/")
	if bytes.HasSuffix(joined, []byte("#")) {
		return joined
	}
	return append(bytes.TrimSuffix(kind, []byte("::")), '#') // ::1
}
