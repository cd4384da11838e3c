package changelog

import (
	"bytes"
	"strings"
)

// scanner goes through Markdown line by line and knows which lines are inert: in a fenced code block or a comment, where a
// "## " is no heading.
type scanner struct {
	data              []byte
	start, stop, next int    // of the line: its first byte, its end without line ending, the next line's first byte
	inert             bool   // in a fence or a comment, delimiters included
	comment           bool   // the line belongs to a comment
	fence             string // that opened the code block that goes on
	open              bool   // a comment goes on
}

func (s *scanner) scan() bool {
	if s.next >= len(s.data) {
		return false
	}
	s.start = s.next
	if n := bytes.IndexByte(s.data[s.start:], '\n'); n >= 0 {
		s.stop, s.next = s.start+n, s.start+n+1
	} else {
		s.stop, s.next = len(s.data), len(s.data)
	}
	if s.stop > s.start && s.data[s.stop-1] == '\r' {
		s.stop--
	}
	s.classify(s.text())
	return true
}

// text is the line without its ending.
func (s *scanner) text() string { return string(s.data[s.start:s.stop]) }

func (s *scanner) classify(line string) {
	wasFence, wasComment := s.fence != "", s.open
	trimmed := strings.TrimLeft(line, " ")
	indented := len(line)-len(trimmed) > 3
	switch {
	case wasFence:
		if run := fenceRun(trimmed); !indented && strings.HasPrefix(run, s.fence) && strings.TrimSpace(trimmed[len(run):]) == "" {
			s.fence = ""
		}
	case wasComment:
		s.open = !strings.Contains(line, "-->")
	case indented:
	case strings.HasPrefix(trimmed, "<!--"):
		s.open = !strings.Contains(trimmed[len("<!--"):], "-->")
		wasComment = true
	default:
		run := fenceRun(trimmed)
		if run != "" && (run[0] == '~' || !strings.Contains(trimmed[len(run):], "`")) {
			s.fence = run
			wasFence = true
		}
	}
	s.comment = wasComment
	s.inert = wasFence || wasComment
}

// fenceRun is the run of three or more backticks or tildes that line begins with.
func fenceRun(line string) string {
	for _, mark := range []string{"`", "~"} {
		if n := len(line) - len(strings.TrimLeft(line, mark)); n >= 3 {
			return line[:n]
		}
	}
	return ""
}

// heading is the level, 1 to 6, and the text of an ATX heading; level 0 is any other line.
func heading(line string) (level int, text string) {
	trimmed := strings.TrimLeft(line, " ")
	if len(line)-len(trimmed) > 3 {
		return 0, ""
	}
	rest := strings.TrimLeft(trimmed, "#")
	level = len(trimmed) - len(rest)
	if level == 0 || level > 6 || rest != "" && rest[0] != ' ' && rest[0] != '\t' {
		return 0, ""
	}
	text = strings.TrimSpace(rest)
	if closed := strings.TrimRight(text, "#"); closed == "" || strings.HasSuffix(closed, " ") || strings.HasSuffix(closed, "\t") {
		text = strings.TrimSpace(closed)
	}
	return level, text
}

// headingName is the version that a heading names: "[1.2.0] - 2026-11-23", "[1.2.0](https://…)", "v1.2.0 (2026-11-23)" and
// "Version 1.2.0" give "1.2.0", "1.2.0", "v1.2.0" and "1.2.0".
func headingName(text string) string {
	if inner, ok := strings.CutPrefix(text, "["); ok {
		name, _, _ := strings.Cut(inner, "]")
		return strings.TrimSpace(name)
	}
	words := strings.Fields(text)
	if len(words) > 1 && (strings.EqualFold(words[0], "version") || strings.EqualFold(words[0], "release")) {
		words = words[1:]
	}
	if len(words) == 0 {
		return ""
	}
	return strings.TrimSuffix(words[0], ":")
}

// notes is a section's body as a reader wants it: without comments, without subsections that hold nothing, without the link
// references, and without blank lines at either end. Line endings become "\n".
func notes(body []byte) string {
	var out, pending []string // pending: a subsection's heading and blank lines, until something follows
	for s := (scanner{data: body}); s.scan(); {
		line := strings.TrimRight(s.text(), " \t")
		level, _ := heading(line)
		switch {
		case s.comment, !s.inert && linkLine.MatchString(line):
		case !s.inert && level >= 3:
			pending = dropDeeper(pending, level)
			pending = append(pending, line)
		case line == "":
			pending = append(pending, line)
		default:
			out = append(append(out, pending...), s.keep(line))
			pending = nil
		}
	}
	return strings.Trim(strings.Join(out, "\n"), "\n")
}

// keep is line, with its trailing blanks where they are code.
func (s *scanner) keep(line string) string {
	if s.inert {
		return s.text()
	}
	return line
}

// dropDeeper removes what a heading of the given level shows to be empty: pending headings of its own level or deeper.
func dropDeeper(pending []string, level int) []string {
	for i, line := range pending {
		if l, _ := heading(line); l >= level {
			return pending[:i]
		}
	}
	return pending
}
