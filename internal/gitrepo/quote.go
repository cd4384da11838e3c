package gitrepo

import (
	"fmt"
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

// password matches what stands before the host of a URL: a user, a password, or a token in the place of either.
var password = regexp.MustCompile(`[^/@:]*:?[^/@]*@`)

// shownURL is somebody else's URL as a message has it: on one line, without an end that is nowhere, without a password.
func shownURL(url string) string {
	if before, after, ok := strings.Cut(url, "://"); ok {
		url = before + "://" + password.ReplaceAllString(after, "…@")
	}
	return fmt.Sprintf("%.300q", url)
}
