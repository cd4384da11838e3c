package gitrepo

import (
	"regexp"
	"strings"
)

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./@:+,%=-]+$`)

// shellQuote is word as a person can paste it into a shell. It is for hints only: rel itself never builds command lines.
func shellQuote(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
