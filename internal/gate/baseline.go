package gate

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	rateWindow = 10 * time.Minute // before the last line: what errors are counted in
	rateSpan   = time.Minute      // a log that tells of less time tells no rate
)

// behind gives the last lines of a file before the mark. Where the log was rotated a short while ago, those of the file before it
// come first.
func (m LogMark) behind() ([]string, error) {
	f, info, err := openLog(m.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return newestRotated(m.Path, logWindow), nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if !m.continues(f, info) {
		return nil, nil
	}
	lines, _, err := readLines(f, max(0, m.Offset-logWindow), m.Offset, true)
	if rest := logWindow - m.Offset; rest > 0 {
		lines = slices.Concat(newestRotated(m.Path, rest), lines)
	}
	return lines, err
}

// compressed files cannot be looked into.
var compressed = regexp.MustCompile(`\.(gz|bz2|xz|zst|lz4)$`)

// newestRotated gives the last lines of the file that the log was before it was rotated: none where there is no such file, or none
// that may be read.
func newestRotated(path string, limit int64) []string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	beside, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil
	}
	newest, when := "", time.Time{}
	for _, e := range beside {
		rest, ok := strings.CutPrefix(e.Name(), filepath.Base(path))
		if !ok || rest == "" || !strings.ContainsAny(rest[:1], ".-") || compressed.MatchString(rest) {
			continue
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && info.ModTime().After(when) {
			newest, when = e.Name(), info.ModTime()
		}
	}
	if newest == "" {
		return nil
	}
	f, info, err := openLog(filepath.Join(filepath.Dir(path), newest))
	if err != nil {
		return nil
	}
	defer f.Close()
	lines, _, err := readLines(f, max(0, info.Size()-limit), info.Size(), true)
	if err != nil {
		return nil
	}
	return lines
}

// The times that lines begin with, as servers and frameworks write them.
var (
	stamp = regexp.MustCompile(`\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d|` + // ISO 8601, nginx, Python, journald
		`[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)? \d{4}|` + // Apache
		`\d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d|` + // PHP
		`[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d`) // syslog
	stampLayouts = []string{
		time.DateTime, "2006-01-02T15:04:05", "2006/01/02 15:04:05", "Mon Jan _2 15:04:05 2006", "Mon Jan _2 15:04:05.999999 2006",
		"02-Jan-2006 15:04:05", time.Stamp,
	}
)

// stampBytes is how far into a line its time may stand.
const stampBytes = 80

// timeOf is the time that a line begins with, in a zone that nobody knows: good for differences only.
func timeOf(line string) (time.Time, bool) {
	text := stamp.FindString(shortLine(line, stampBytes))
	for _, layout := range stampLayouts {
		if at, err := time.Parse(layout, text); text != "" && err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

// errorRate is how many errors a second there were in the last minutes that the lines tell of. It is not known of lines without
// times, nor of less than a minute.
func errorRate(lines []string, rules LogRules) (perSecond float64, known bool) {
	var newest, oldest time.Time
	first := len(lines)
	for i, line := range slices.Backward(lines) {
		at, ok := timeOf(line)
		if ok && newest.IsZero() {
			newest, oldest = at, at
		}
		if ok && newest.Sub(at) > rateWindow {
			break
		}
		if ok && at.Before(oldest) {
			oldest = at
		}
		first = i
	}
	span := newest.Sub(oldest)
	if span < rateSpan {
		return 0, false
	}
	n, trace := 0, traceback{}
	for _, line := range lines[first:] {
		if rules.isError(line, &trace) {
			n++
		}
	}
	return float64(n) / span.Seconds(), true
}
