package gate

import (
	"regexp"
	"slices"
	"strings"
)

// Severity is how bad a line of a log is.
type Severity string

// The severities: a line that is neither has none.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
)

// clue is what tells a severity: a pattern, and the words of which a line that matches has at least one. Looking for words first is
// fifty times as fast.
type clue struct {
	pattern *regexp.Regexp
	words   []string // in lower case
}

func clueOf(pattern string, words ...string) clue { return clue{regexp.MustCompile(pattern), words} }

// An error is what a line itself calls so, in the ways of servers and loggers; or what the interpreters of Perl, PHP, Python, Ruby,
// Node.js, Java and Go print when code dies. What Perl's warn prints is none: nothing tells it from a note.
var errorClues = []clue{
	clueOf(`(?i)\[(?:[a-z0-9_]*:)?(?:error|err|crit|critical|alert|emerg|fatal)\]`, // Apache, nginx, gunicorn
		"error]", "err]", "crit]", "critical]", "alert]", "emerg]", "fatal]"),
	clueOf(`\b(?:ERROR|FATAL|CRITICAL|CRIT|ALERT|EMERG|EMERGENCY|SEVERE|PANIC)\b|(?:^|[\s\]])(?:[Ee]rror|[Ff]atal):\s|^[EF], \[`,
		"error", "fatal", "crit", "alert", "emerg", "severe", "panic", "e, [", "f, ["),
	clueOf(`(?i)\b(?:level|lvl|severity)"?\s*[=:]\s*"?(?:(?:error|err|fatal|crit|critical|panic|alert|emerg)\b|[56]0\b)`,
		"level", "lvl", "severity"),
	clueOf(`Can't locate \S+ in @INC|Can't locate object method|Can't call method|Undefined subroutine|Global symbol "\S+" requires`,
		"can't locate", "can't call", "undefined subroutine", "global symbol"),
	clueOf(`BEGIN failed--|Compilation failed in require|syntax error at \S+ line \d`, "begin failed", "compilation failed", "syntax error"),
	clueOf(`PHP (?:Fatal|Parse|Recoverable|Core|Compile)\b`, "php "),
	clueOf(`\b[Uu]ncaught\b|UnhandledPromiseRejection|unhandled rejection`, "uncaught", "unhandled"),
	clueOf(`Traceback \(most recent call last\)|Exception in thread`, "traceback", "exception in"),
	clueOf(`(?:^|[\s\]:(<#])(?:[A-Za-z_]\w*(?:\.|::))*(?:[A-Z]\w*)?(?:Error|Exception)\b(?:$|[:)>,]| \()`, "error", "exception"),
	clueOf(`\bpanic(?:ked|king)?[: ]|\bfatal error\b`, "panic", "fatal error"),
	clueOf(`exit signal|\bsegfault\b|[Ss]egmentation fault|core dumped|\bSIG(?:SEGV|ABRT|BUS|ILL)\b|[Oo]ut of memory`,
		"exit signal", "segfault", "segmentation", "core dumped", "sig", "out of memory"),
}

var warningClues = []clue{
	clueOf(`(?i)\[(?:[a-z0-9_]*:)?warn(?:ing)?\]|\b(?:level|lvl|severity)"?\s*[=:]\s*"?warn(?:ing)?\b`, "warn"),
	clueOf(`\bWARN(?:ING)?\b|(?:^|[\s\]])(?:[A-Za-z]*Warning|warning|warn):\s`, "warn"),
	clueOf(`"level":\s*40\b`, "level"),
	clueOf(`^W, \[|PHP (?:Warning|Notice|Deprecated)\b`, "w, [", "php "),
}

// SeverityOf is how bad a line is, by the words in its first kibibyte.
func SeverityOf(line string) Severity {
	line = shortLine(line, kindBytes)
	lower := strings.ToLower(line)
	switch {
	case anyClue(errorClues, line, lower):
		return SeverityError
	case anyClue(warningClues, line, lower):
		return SeverityWarning
	}
	return ""
}

func anyClue(clues []clue, line, lower string) bool {
	return slices.ContainsFunc(clues, func(c clue) bool {
		return slices.ContainsFunc(c.words, func(w string) bool { return strings.Contains(lower, w) }) && c.pattern.MatchString(line)
	})
}

// LogRules say what else is an error, and what is none whatever it says.
type LogRules struct{ Fail, Ignore []*regexp.Regexp }

func matches(patterns []*regexp.Regexp, line string) bool {
	for _, p := range patterns {
		if p.MatchString(line) {
			return true
		}
	}
	return false
}

// isError says whether a line is an error, after the lines that t has seen.
func (r LogRules) isError(line string, t *traceback) bool {
	ends := t.ends(line)
	return !matches(r.Ignore, line) && (ends || matches(r.Fail, line) || SeverityOf(line) == SeverityError)
}

// traceback follows Python's tracebacks to their last line, which has the error and need not look like one: "app.Missing: no shop".
type traceback struct{ head int } // where "Traceback" began in its line; 0 outside, counted from 1

// ends says whether line is the last one of a traceback. A server's own words before it are as long in each line of it.
func (t *traceback) ends(line string) bool {
	if at := strings.Index(line, "Traceback (most recent call last)"); at >= 0 {
		t.head = at + 1
		return false
	}
	if t.head == 0 || t.head-1 < len(line) && strings.HasPrefix(line[t.head-1:], "  ") {
		return false
	}
	t.head = 0
	return true
}
