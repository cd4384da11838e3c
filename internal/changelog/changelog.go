// Package changelog owns the reading and promoting of a CHANGELOG.md in the form of Keep a Changelog: a heading of level two
// for each version, "Unreleased" for what is to come, link references at the end. It touches no file.
package changelog

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Log is a parsed changelog. It keeps the bytes it was parsed from: everything else is offsets into them.
type Log struct {
	data     []byte
	sections []section
	link     reference // of Unreleased; zero where there is none
	labels   map[string]bool
}

// section is a heading of level two and what follows it, to the next heading of level one or two.
type section struct {
	name       string // "Unreleased", "1.2.0": without brackets, link and date
	heading    string // the heading's text
	start      int    // of the heading's line
	body, stop int    // what follows the heading's line
}

// reference is a line "[label]: url".
type reference struct {
	url        string
	start, end int // of the url
	next       int // start of the next line
}

var (
	linkLine = regexp.MustCompile(`^ {0,3}\[([^\]]+)\]:[ \t]*<?(\S+?)>?[ \t]*$`)
	isoDate  = regexp.MustCompile(`\b\d{4}-\d{2}-\d{2}\b`)
)

// ErrBinary is wrapped by the error for data that is no text.
var ErrBinary = errors.New("not a text file")

const unreleased = "unreleased"

// Parse reads a changelog. Data that is no text and a second Unreleased section are errors that name the line; anything else is
// a changelog, if only one without versions. The Log keeps data, which must not be changed afterwards.
func Parse(data []byte) (*Log, error) {
	if at := bytes.IndexByte(data, 0); at >= 0 {
		return nil, fmt.Errorf("line %d: %w", lineNumber(data, at), ErrBinary)
	}
	l := &Log{data: data, labels: map[string]bool{}}
	for s := (scanner{data: data}); s.scan(); {
		if s.inert {
			continue
		}
		if level, text := heading(s.text()); level == 1 || level == 2 {
			l.close(s.start)
			if level == 2 {
				l.sections = append(l.sections, section{name: headingName(text), heading: text, start: s.start, body: s.next, stop: -1})
			}
		} else if m := linkLine.FindStringSubmatchIndex(s.text()); m != nil {
			l.addLink(s, m)
		}
	}
	l.close(len(data))
	return l, l.checkUnreleased()
}

// close ends the section that is open, if one is.
func (l *Log) close(at int) {
	if n := len(l.sections); n > 0 && l.sections[n-1].stop < 0 {
		l.sections[n-1].stop = at
	}
}

func (l *Log) addLink(s scanner, m []int) {
	label := normal(s.text()[m[2]:m[3]])
	if label == unreleased && !l.labels[label] { // the first definition of a label counts, as in Markdown
		l.link = reference{url: s.text()[m[4]:m[5]], start: s.start + m[4], end: s.start + m[5], next: s.next}
	}
	l.labels[label] = true
}

func (l *Log) checkUnreleased() error {
	first := -1
	for _, s := range l.sections {
		if normal(s.name) != unreleased {
			continue
		}
		if first >= 0 {
			return fmt.Errorf("line %d: a second Unreleased section; the first is in line %d", lineNumber(l.data, s.start), lineNumber(l.data, first))
		}
		first = s.start
	}
	return nil
}

// Unreleased is the text of the Unreleased section as release notes: without comments, empty subsections and link references.
// It is empty where there is no such section or nothing in it.
func (l *Log) Unreleased() string {
	text, _ := l.Section(unreleased)
	return text
}

// Section is the text of a version's section as release notes. "v1.2.0" finds "1.2.0" and the other way round.
func (l *Log) Section(version string) (text string, ok bool) {
	s, ok := l.find(version)
	if !ok {
		return "", false
	}
	return notes(l.data[s.body:s.stop]), true
}

// Date is the day that the heading of a version's section gives, in UTC.
func (l *Log) Date(version string) (day time.Time, ok bool) {
	s, ok := l.find(version)
	if !ok {
		return time.Time{}, false
	}
	found := isoDate.FindAllString(s.heading, -1)
	if len(found) == 0 {
		return time.Time{}, false
	}
	day, err := time.Parse(time.DateOnly, found[len(found)-1])
	return day, err == nil
}

func (l *Log) find(version string) (section, bool) {
	for _, s := range l.sections {
		if normal(s.name) == normal(version) {
			return s, true
		}
	}
	return section{}, false
}

// normal is how names are compared: in lower case and without the "v" before a number.
func normal(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	if len(name) > 1 && name[0] == 'v' && name[1] >= '0' && name[1] <= '9' {
		return name[1:]
	}
	return name
}

func lineNumber(data []byte, at int) int { return bytes.Count(data[:at], []byte("\n")) + 1 }
