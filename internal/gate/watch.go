package gate

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

const (
	quoteLines   = 6      // of what is new in a log, that are told
	quoteBytes   = 300    // of each
	kindsLimit   = 10_000 // new kinds that are told apart: more is a flood, whatever it says
	rateSlack    = 3      // errors more than chance would explain, before a rate counts as higher
	pauseOfLooks = 10     // times as long as a look takes
)

// LogWatch finds out what an error log gains that it did not have before: errors of a new kind, or more errors than there were.
// It is not safe for concurrent use.
type LogWatch struct {
	log    Log
	mark   LogMark   // after what was looked at
	next   time.Time // the earliest of the next look
	rules  LogRules
	began  time.Time
	before []string                               // lines
	rate   func() (perSecond float64, known bool) // of errors in before: it takes a moment, once
	kinds  map[string]bool                        // of all lines so far
	trace  traceback
	report LogReport
}

// LogReport is what a watch has found.
type LogReport struct {
	Path   string
	Errors int      // since the mark
	Kinds  int      // of the errors that were not there before
	Quote  []string // from the first new error on; where there is none, the first of too many; each cut to 300 bytes
	Before float64  // errors a minute; negative if that is not known
	Since  float64  // errors a minute since the mark
	More   bool     // than there were before
}

// Watch begins to watch a log from the mark on. It reads what was there before.
func (l Log) Watch(ctx context.Context, mark LogMark, rules LogRules) (*LogWatch, error) {
	w := &LogWatch{log: l, mark: mark, rules: rules, began: time.Now(), kinds: map[string]bool{}, report: LogReport{Path: l.Path}}
	var err error
	w.before, err = l.before(ctx, mark)
	w.rate = sync.OnceValues(func() (float64, bool) { return errorRate(w.before, rules) })
	for _, line := range w.before {
		w.kinds[kindOf(line)] = true
	}
	return w, err
}

// Look reads what the log has gained; not at each call where that takes long. The last look takes a line that is not ended, too.
func (w *LogWatch) Look(ctx context.Context, last bool) error {
	began := time.Now()
	if !last && began.Before(w.next) {
		return nil
	}
	lines, mark, err := w.log.read(ctx, w.mark, last)
	w.mark, w.next = mark, time.Now().Add(pauseOfLooks*time.Since(began))
	for _, line := range lines {
		w.take(line)
	}
	return err
}

func (w *LogWatch) take(line string) {
	r := &w.report
	if w.rules.isError(line, &w.trace) {
		r.Errors++
		if kind := kindOf(line); !w.kinds[kind] && r.Kinds < kindsLimit {
			if r.Kinds == 0 {
				r.Quote = nil
			}
			w.kinds[kind] = true
			r.Kinds++
		}
	}
	if r.Errors > 0 && len(r.Quote) < quoteLines && !matches(w.rules.Ignore, line) {
		r.Quote = append(r.Quote, shortLine(line, quoteBytes))
	}
}

// Report is what was found so far.
func (w *LogWatch) Report() LogReport {
	r := w.report
	r.Quote = slices.Clone(r.Quote)
	seconds := max(time.Since(w.began).Seconds(), 1)
	r.Since, r.Before = float64(r.Errors)*60/seconds, -1
	if r.Errors <= rateSlack {
		return r
	}
	if rate, known := w.rate(); known {
		expected := rate * seconds
		r.Before, r.More = rate*60, float64(r.Errors) > expected+3*math.Sqrt(expected)+rateSlack
	}
	return r
}

// New says whether something is in the log that was not there before.
func (r LogReport) New() bool { return r.Kinds > 0 || r.More }

// String says in a sentence what is new, with the first line of it; what was looked at, if nothing is.
func (r LogReport) String() string {
	switch {
	case r.Kinds > 0:
		return fmt.Sprintf("a new kind of error in %s: %s", r.Path, r.Quote[0])
	case r.More:
		return fmt.Sprintf("more errors in %s, %.0f a minute where there were %.1f: %s", r.Path, r.Since, r.Before, r.Quote[0])
	case r.Errors > 0:
		return fmt.Sprintf("no new kind of error in %s", r.Path)
	}
	return fmt.Sprintf("no error in %s", r.Path)
}
