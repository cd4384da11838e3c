package gitrepo

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/git-rel/rel/internal/release"
)

// signersFile is a file in the format of ssh-keygen's allowed_signers.
type signersFile struct {
	path  string
	lines []signerLine
}

// signerLine is one line: who may sign, with which key, for what and when.
type signerLine struct {
	number     int
	principals patterns
	key        ssh.PublicKey
	authority  bool      // cert-authority: not the key itself signs, but keys that it has certified
	namespaces patterns  // nil for any
	after      time.Time // zero for no limit; both ends are valid
	before     time.Time
}

// parseSigners reads an allowed_signers file. Unlike ssh-keygen, which stops where it does not understand a line, it refuses the
// whole of a file that has such a line.
func parseSigners(file TrustFile) (signersFile, error) {
	f := signersFile{path: file.Path}
	number := 0
	for text := range strings.Lines(string(file.Data)) {
		number++
		text = strings.TrimRight(strings.TrimLeft(text, " \t"), " \t\r\n")
		if text == "" || text[0] == '#' {
			continue
		}
		line, err := parseSigner(text)
		if err != nil {
			return f, release.Errorf(release.ExitError, "%s:%d: %w", file.Path, number, err).
				Hint(`a line is: NAME [namespaces="git",valid-before="20271231Z"] ssh-ed25519 AAAA…; see ssh-keygen(1)`)
		}
		line.number = number
		f.lines = append(f.lines, line)
	}
	return f, nil
}

func parseSigner(text string) (signerLine, error) {
	principals, rest, err := cutPrincipals(text)
	if err != nil {
		return signerLine{}, err
	}
	if strings.ContainsRune(rest, 0) {
		return signerLine{}, errors.New("holds a NUL byte")
	}
	l := signerLine{principals: parsePatterns(principals)}
	if len(l.principals) == 0 {
		return l, errors.New("names nobody")
	}
	key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(rest))
	if err != nil {
		return l, fmt.Errorf("has no key that can be read: %w", err)
	}
	l.key = key
	seen := map[string]bool{}
	for _, option := range options {
		name, value, valued := strings.Cut(option, "=")
		name = strings.ToLower(name)
		if seen[name] {
			return l, fmt.Errorf("has %s twice", name)
		}
		seen[name] = true
		if err := l.set(name, value, valued); err != nil {
			return l, err
		}
	}
	if !l.after.IsZero() && !l.before.IsZero() && !l.before.After(l.after) {
		return l, errors.New("valid-before is not after valid-after")
	}
	return l, nil
}

// cutPrincipals cuts the first field off, which may stand in quotes.
func cutPrincipals(text string) (principals, rest string, err error) {
	ok := false
	if quoted, found := strings.CutPrefix(text, `"`); found {
		principals, rest, ok = strings.Cut(quoted, `"`)
	} else if i := strings.IndexAny(text, " \t"); i > 0 {
		principals, rest, ok = text[:i], text[i:], !strings.Contains(text[:i], `"`)
	}
	if !ok {
		return "", "", errors.New("is not a name, options and a key")
	}
	return principals, strings.TrimLeft(rest, " \t"), nil
}

// set takes over one option of a line.
func (l *signerLine) set(name, value string, valued bool) (err error) {
	if name == "cert-authority" && !valued {
		l.authority = true
		return nil
	}
	if name != "namespaces" && name != "valid-after" && name != "valid-before" {
		return fmt.Errorf("has an option that is unknown: %q", name)
	}
	if len(value) < 2 || value[0] != '"' || value[len(value)-1] != '"' {
		return fmt.Errorf("has %s without a value in quotes", name)
	}
	value = strings.ReplaceAll(value[1:len(value)-1], `\"`, `"`)
	switch name {
	case "namespaces":
		l.namespaces = parsePatterns(value)
		if len(l.namespaces) == 0 {
			return errors.New("allows no namespace")
		}
	case "valid-after":
		l.after, err = parseSignerTime(value)
	case "valid-before":
		l.before, err = parseSignerTime(value)
	}
	return err
}

// parseSignerTime reads YYYYMMDD[HHMM[SS]], in the machine's time zone, or in UTC with a Z after it.
func parseSignerTime(text string) (time.Time, error) {
	digits, zone := text, time.Local
	for _, suffix := range []string{"Z", "UTC"} {
		if n := len(text) - len(suffix); n > 0 && strings.EqualFold(text[n:], suffix) {
			digits, zone = text[:n], time.UTC
		}
	}
	for _, layout := range []string{"20060102", "200601021504", "20060102150405"} {
		if len(layout) != len(digits) {
			continue
		}
		if at, err := time.ParseInLocation(layout, digits, zone); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time: YYYYMMDD[HHMM[SS]][Z] is", text)
}

// patterns is a list as ssh_config(5) has it: "*@example.org,!eve@example.org".
type patterns []string

func parsePatterns(list string) patterns {
	var p patterns
	for one := range strings.SplitSeq(list, ",") {
		if one != "" {
			p = append(p, one)
		}
	}
	return p
}

func (p patterns) text() string { return strings.Join(p, ",") }

// names are the patterns themselves, those first that name one person.
func (p patterns) names() []string {
	var plain, wild []string
	for _, one := range p {
		if strings.ContainsAny(one, "*?!") {
			wild = append(wild, one)
		} else {
			plain = append(plain, one)
		}
	}
	return append(plain, wild...)
}

// matches is whether name is in the list, and not taken out again by a pattern with "!".
func (p patterns) matches(name string) bool {
	found := false
	for _, one := range p {
		pattern, not := strings.CutPrefix(one, "!")
		if !wildcard(pattern, name) {
			continue
		}
		if not {
			return false
		}
		found = true
	}
	return found
}

// wildcard is whether pattern, in which * stands for any text and ? for one byte, is all of s.
func wildcard(pattern, s string) bool {
	star, mark := -1, 0
	i, j := 0, 0
	for j < len(s) {
		switch {
		case i < len(pattern) && pattern[i] == '*':
			star, mark = i, j
			i++
		case i < len(pattern) && (pattern[i] == '?' || pattern[i] == s[j]):
			i++
			j++
		case star >= 0: // the last * takes one byte more
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[i:], "*") == ""
}
