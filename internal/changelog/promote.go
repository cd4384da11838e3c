package changelog

import (
	"bytes"
	"strings"
	"time"
)

// Promote gives what stands under Unreleased to the version that tag names, and leaves an empty Unreleased above it. Bytes are
// only inserted, and in the link reference of Unreleased ("[Unreleased]: …/compare/v1.2.0...HEAD") the tag replaced: it then
// compares with the new tag, and a reference for the version follows. Brackets and the "v" follow what the file has; a tag
// with a slash ("shop/v1.2.0") is named whole. Where there is no Unreleased section, or the version already has one, the data come
// back as they are.
func (l *Log) Promote(tag string, date time.Time) []byte {
	s, ok := l.find(unreleased)
	if _, done := l.find(tag); !ok || done {
		return bytes.Clone(l.data)
	}
	name := l.label(tag)
	eol := "\n"
	if line := l.data[s.start:s.body]; bytes.HasSuffix(line, []byte("\r\n")) {
		eol = "\r\n"
	}
	title := name
	if strings.HasPrefix(s.heading, "[") {
		title = "[" + name + "]"
	}
	title = "## " + title + " - " + date.Format(time.DateOnly)

	var out bytes.Buffer
	out.Write(l.data[:s.body])
	if s.body > 0 && l.data[s.body-1] != '\n' { // the heading is the last line and has no ending
		out.WriteString(eol)
	}
	out.WriteString(eol + title + eol)
	l.copyRest(&out, s, name, tag, eol)
	return out.Bytes()
}

// copyRest writes what follows the Unreleased heading, with its link reference renewed. A reference that stands before the
// heading, or whose URL compares nothing, stays as it is.
func (l *Log) copyRest(out *bytes.Buffer, s section, name, tag, eol string) {
	newer, older, ok := compareURLs(l.link.url, tag)
	if !ok || l.link.start < s.body || l.labels[normal(name)] {
		out.Write(l.data[s.body:])
		return
	}
	out.Write(l.data[s.body:l.link.start])
	out.WriteString(newer)
	rest := l.data[l.link.end:l.link.next]
	out.Write(rest)
	if !bytes.HasSuffix(rest, []byte("\n")) {
		out.WriteString(eol)
	}
	out.WriteString("[" + name + "]: " + older + eol)
	out.Write(l.data[l.link.next:])
}

// compareURLs splits ".../compare/v1.2.0...HEAD" into ".../compare/<tag>...HEAD" and ".../compare/v1.2.0...<tag>".
func compareURLs(url, tag string) (newer, older string, ok bool) {
	const compare = "/compare/"
	at := strings.LastIndex(url, compare)
	if at < 0 {
		return "", "", false
	}
	base, spec := url[:at+len(compare)], url[at+len(compare):]
	for _, dots := range []string{"...", ".."} {
		if from, to, found := strings.Cut(spec, dots); found && from != "" && to != "" {
			return base + tag + dots + to, base + from + dots + tag, true
		}
	}
	return "", "", false
}

// label is how the file names the version of tag: "1.3.0" for v1.3.0, unless its other versions have the "v".
func (l *Log) label(tag string) string {
	bare := normal(tag)
	if strings.Contains(tag, "/") || len(bare) == len(tag) {
		return tag
	}
	for _, s := range l.sections {
		if len(normal(s.name)) < len(s.name) { // it has a v
			return tag
		}
	}
	return tag[1:]
}
