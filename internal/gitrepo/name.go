package gitrepo

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/git-rel/rel/internal/release"
)

var objectName = regexp.MustCompile(`^([0-9a-fA-F]{40}|[0-9a-fA-F]{64})$`)

// validTagName is git's rule for refs/tags/NAME, as git check-ref-format has it.
func validTagName(name string) bool {
	if name == "" || strings.HasSuffix(name, ".") || strings.Contains(name, "..") || strings.Contains(name, "@{") {
		return false
	}
	for _, c := range []byte(name) {
		if c < ' ' || c == 0x7f || strings.IndexByte(" ~^:?*[\\", c) >= 0 {
			return false
		}
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return true
}

// checkNewName refuses names that git refuses, and those that would mislead: options, ids, HEAD, and characters that do not
// show or turn the reading direction.
func checkNewName(name string) error {
	why := ""
	switch {
	case !utf8.ValidString(name):
		why = "it is not UTF-8"
	case strings.ContainsFunc(name, hidden):
		why = "it has a character that does not show"
	case !validTagName(name):
		why = "git check-ref-format refuses it"
	case strings.HasPrefix(name, "-"):
		why = "it looks like an option"
	case name == "HEAD" || strings.HasPrefix(name, "refs/") || objectName.MatchString(name):
		why = "git takes it for something else"
	default:
		return nil
	}
	return release.Errorf(release.ExitUsage, "%q: no name for a tag: %s", name, why).
		Hint("letters, digits, '.', '-', '_' and '/' are safe, as in v1.4.0")
}

// hidden is true for control characters and for those of Unicode's format class, among them the bidirectional overrides.
func hidden(c rune) bool {
	return unicode.In(c, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}
