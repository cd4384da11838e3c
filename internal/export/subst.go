package export

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/git-rel/rel/internal/objects"
)

// substitution expands $Format:…$ in files with the export-subst attribute. Git expands %(describe) once in an archive, in the
// first place that it comes to, and leaves it as it stands in all others; so formats are collected in the tree's order first.
type substitution struct {
	described *place            // where %(describe) is expanded
	texts     map[string]string // by format
}

// place is one $Format:…$.
type place struct{ file, nth int }

// collect takes the formats of a file's content. Files come in the order of the tree.
func (s *substitution) collect(file int, data []byte) {
	if s.texts == nil {
		s.texts = make(map[string]string)
	}
	nth := 0
	eachFormat(data, func([]byte) {}, func(format string) {
		if s.described == nil && hasDescribe(format) {
			s.described = &place{file, nth}
		}
		s.texts[s.effective(format, place{file, nth})] = ""
		nth++
	})
}

// effective is the format that git log has to be given so that it says what git archive says in this place.
func (s *substitution) effective(format string, at place) string {
	describe := 0
	if s.described != nil && *s.described == at {
		describe = 1
	}
	return forLog(format, describe)
}

// apply replaces the formats of a file's content that have been collected and expanded.
func (s *substitution) apply(file int, data []byte) []byte {
	var out bytes.Buffer
	nth := 0
	eachFormat(data, func(text []byte) { out.Write(text) }, func(format string) {
		out.WriteString(s.texts[s.effective(format, place{file, nth})])
		nth++
	})
	return out.Bytes()
}

// expand gives every collected format its text: from the commit itself where that is certain, else from git.
func (s *substitution) expand(ctx context.Context, gitDir string, env []string, id objects.ID, commit objects.Commit) error {
	var ask []string
	for format := range s.texts {
		text, ok := expandKnown(format, id, commit)
		if !ok {
			ask = append(ask, format)
			continue
		}
		s.texts[format] = text
	}
	if len(ask) == 0 {
		return nil
	}
	return askGit(ctx, gitDir, env, id, commit.Encoding, ask, s.texts)
}

// ofRefs are how placeholders begin whose text depends on refs: decorations, descriptions, and names by the .mailmap of HEAD.
var ofRefs = []string{"d", "D", "(d", "aN", "aE", "aL", "cN", "cE", "cL"}

// namesRefs tells whether a collected format has such a placeholder.
func (s *substitution) namesRefs() bool {
	found := false
	for format := range s.texts {
		eachPlaceholder(format, func(string) {}, func(_, rest string) bool {
			found = found || slices.ContainsFunc(ofRefs, func(begin string) bool { return strings.HasPrefix(rest, begin) })
			return false
		})
	}
	return found
}

// eachFormat cuts data into text and formats, in order. A format goes on to the next dollar sign, over lines if need be.
func eachFormat(data []byte, text func([]byte), format func(string)) {
	const open = "$Format:"
	for {
		at := bytes.Index(data, []byte(open))
		if at < 0 {
			break
		}
		end := bytes.IndexByte(data[at+len(open):], '$')
		if end < 0 {
			break
		}
		text(data[:at])
		f, _, _ := strings.Cut(string(data[at+len(open):at+len(open)+end]), "\x00")
		format(f)
		data = data[at+len(open)+end+1:]
	}
	text(data)
}

// hasDescribe tells whether git would try to expand a %(describe) in format.
func hasDescribe(format string) bool {
	found := false
	eachPlaceholder(format, func(string) {}, func(_, rest string) bool {
		found = found || strings.HasPrefix(rest, "(describe")
		return false
	})
	return found
}

// forLog rewrites what means something to git log and nothing to git archive: notes, the source ref, and %(describe) after the
// first so many.
func forLog(format string, describe int) string {
	var b strings.Builder
	eachPlaceholder(format, func(s string) { b.WriteString(s) }, func(magic, rest string) bool {
		switch {
		case strings.HasPrefix(rest, "(describe") && describe > 0:
			describe--
			return false
		case strings.HasPrefix(rest, "(describe"), strings.HasPrefix(rest, "N"), strings.HasPrefix(rest, "S"):
		default:
			return false
		}
		if magic == "" {
			b.WriteString("%%") // with one of "+- " git drops the sign and the percent with it
		}
		return true
	})
	return b.String()
}

// eachPlaceholder walks over format: text gets what is to be kept as it stands; placeholder gets a percent sign's "+", "-" or " "
// if it has one, and all that follows, and tells whether it has dealt with the percent sign and the magic.
func eachPlaceholder(format string, text func(string), placeholder func(magic, rest string) bool) {
	for {
		at := strings.IndexByte(format, '%')
		if at < 0 || at+1 == len(format) {
			text(format)
			return
		}
		text(format[:at])
		format = format[at:]
		if format[1] == '%' {
			text("%%")
			format = format[2:]
			continue
		}
		magic := ""
		if strings.IndexByte("+- ", format[1]) >= 0 {
			magic = format[1:2]
		}
		if !placeholder(magic, format[1+len(magic):]) {
			text(format[:1+len(magic)])
		}
		format = format[1+len(magic):]
	}
}

// expandKnown expands the placeholders that depend on nothing but ids. The others depend on git's version, on refs, on the
// repository's size, on how a damaged identity is read: git knows best.
func expandKnown(format string, id objects.ID, commit objects.Commit) (string, bool) {
	var b strings.Builder
	for {
		text, rest, found := strings.Cut(format, "%")
		b.WriteString(text)
		if !found {
			return b.String(), commit.Encoding == "" || isASCII(b.String())
		}
		if rest == "" {
			return "", false
		}
		switch rest[0] {
		case 'H':
			b.WriteString(id.String())
		case 'T':
			b.WriteString(commit.Tree.String())
		case 'P':
			for i, p := range commit.Parents {
				if i > 0 {
					b.WriteByte(' ')
				}
				b.WriteString(p.String())
			}
		case 'n':
			b.WriteByte('\n')
		case '%':
			b.WriteByte('%')
		default:
			return "", false
		}
		format = rest[1:]
	}
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > 0x7f }) < 0
}
