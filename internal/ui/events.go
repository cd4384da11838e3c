package ui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/release"
)

const (
	labelWidth  = 9               // of the step's name and the space after it
	timeColumn  = 56              // where the time of a step ends
	tailLines   = 20              // of output, shown when a step goes wrong
	barAfter    = time.Second     // no bar for what is over sooner
	barEvery    = time.Second / 5 //
	barCells    = 24
	cellDone    = "█"
	cellMissing = "░"
)

// Events shows the log of a run as it happens, on stderr: a line for each step that is done, what went wrong with the last
// lines of output, the outcome at the end with what to type. It looks at no clock but the events' own.
type Events struct {
	p      *Printer
	header bool
	step   release.Step
	what   string // the step does
	began  time.Time
	drawn  time.Time
	tail   []string
	failed bool // what went wrong has been shown
	hinted []string
}

// Events starts showing a run. With header its number and what it wants come first, as for a run of the past.
func (p *Printer) Events(header bool) *Events {
	return &Events{p: p, header: header || p.o.Verbose}
}

// Show shows one event.
func (e *Events) Show(ev release.Event) {
	switch ev.Kind {
	case release.EventBegin:
		e.begin(ev)
	case release.EventStep:
		e.step, e.what, e.began, e.drawn, e.tail = ev.Step, ev.Text, ev.Time, time.Time{}, nil
		e.moment(string(ev.Step), Escape(ev.Text))
	case release.EventProgress:
		e.progress(ev)
	case release.EventOutput:
		e.output(ev)
	case release.EventDone:
		if ev.Text == "" && ev.Step == e.step {
			ev.Text = e.what
		}
		e.line(ev, e.p.errPaint.bold, "", e.p.o.Quiet)
	case release.EventNote:
		e.line(ev, e.p.errPaint.bold, "", e.p.o.Quiet)
	case release.EventWarn:
		e.line(ev, e.p.errPaint.yellow, "warning: ", false)
	case release.EventFail:
		e.fail(ev)
	case release.EventEnd:
		e.end(ev)
	}
}

// Close takes away what is drawn for the moment, when the run is not followed to its end.
func (e *Events) Close() {
	e.p.mu.Lock()
	defer e.p.mu.Unlock()
	e.p.erase()
}

func (e *Events) begin(ev release.Event) {
	if !e.header || e.p.o.Quiet || ev.Run == nil {
		return
	}
	r := ev.Run
	text := fmt.Sprintf("%d: %s", r.Run, r.Command)
	if r.To != "" {
		text += " " + arrow(r.From, r.To)
	}
	if r.By != "" {
		text += ", by " + r.By
	}
	if at := e.p.Time(r.Started); at != "" {
		text += ", " + at
	}
	e.p.errLine(e.format("run", e.p.errPaint.bold, Escape(text), ""))
}

func arrow(from, to string) string {
	if from == "" || from == to {
		return to
	}
	return from + " → " + to
}

func (e *Events) output(ev release.Event) {
	text := output(ev.Text)
	if e.tail = append(e.tail, text); len(e.tail) > tailLines {
		e.tail = e.tail[1:]
	}
	switch {
	case e.p.o.Verbose:
		e.p.errLine(e.p.errPaint.dim(indent(text)))
	case e.due(ev.Time):
		e.moment(string(ev.Step), text)
	}
}

// due tells whether to draw for the moment: not before the step has taken long, and then not too often.
func (e *Events) due(now time.Time) bool {
	if !e.p.cursor || now.Sub(e.began) < barAfter || now.Sub(e.drawn) < barEvery {
		return false
	}
	e.drawn = now
	return true
}

// moment draws what a step is doing, until its line takes the place.
func (e *Events) moment(label, text string) {
	if e.p.cursor && !e.p.o.Quiet && !e.p.o.Verbose && label != "" {
		e.p.draw(strings.TrimRight(pad(label, labelWidth)+text, " "))
	}
}

func (e *Events) progress(ev release.Event) {
	if ev.Total <= 0 || e.p.o.Quiet || !e.due(ev.Time) {
		return
	}
	done := min(max(ev.Done, 0), ev.Total)
	cells := int(float64(done) / float64(ev.Total) * barCells)
	e.p.draw(fmt.Sprintf("%s%s%s %3d %%  %s of %s", pad(string(ev.Step), labelWidth),
		strings.Repeat(cellDone, cells), strings.Repeat(cellMissing, barCells-cells),
		int(float64(done)/float64(ev.Total)*100), Size(done), Size(ev.Total)))
}

// line shows an event that has a text: its step, the text, how long it took.
func (e *Events) line(ev release.Event, label func(string) string, prefix string, quiet bool) {
	if quiet {
		e.Close()
		return
	}
	took := ""
	if ev.MS > 0 {
		took = Duration(time.Duration(ev.MS) * time.Millisecond)
	}
	name := string(ev.Step)
	if name == "" {
		name = string(ev.Kind)
	}
	text := strings.TrimPrefix(ev.Text, name+": ") // the label says it
	e.p.errLine(e.format(name, label, prefix+escapeLines(text), took))
	e.hints(ev.Hints)
}

// format lays out a line. The time stands in a column of its own, or after a text that reaches into it.
func (e *Events) format(name string, label func(string) string, text, took string) string {
	lines := strings.Split(text, "\n")
	first := pad(name, labelWidth)
	name, space := strings.TrimRight(first, " "), first[len(strings.TrimRight(first, " ")):]
	head := label(name) + space + lines[0]
	if took != "" {
		column := timeColumn
		if w := e.p.o.Err.Width; w > 0 {
			column = min(column, w-1)
		}
		fill := column - width(first) - width(lines[0]) - width(took)
		head += strings.Repeat(" ", max(fill, 2)) + e.p.errPaint.dim(took)
	}
	out := []string{strings.TrimRight(head, " ")}
	for _, line := range lines[1:] {
		out = append(out, indent(line))
	}
	return strings.Join(out, "\n")
}

func indent(s string) string { return strings.TrimRight(strings.Repeat(" ", labelWidth)+s, " ") }

// pad fills s with spaces to n columns, at least one.
func pad(s string, n int) string { return s + strings.Repeat(" ", max(n-width(s), 1)) }

func (e *Events) fail(ev release.Event) {
	e.failed = true
	if ev.Step == "" {
		ev.Step = e.step
	}
	hints := ev.Hints
	ev.Hints = nil
	e.line(ev, e.p.errPaint.red, "", false)
	told := len(e.tail) > 0 && strings.Contains(ev.Text, strings.TrimSpace(e.tail[len(e.tail)-1]))
	if !e.p.o.Verbose && !told {
		for _, line := range e.tail {
			e.p.errLine(e.p.errPaint.dim(indent(line)))
		}
	}
	e.tail = nil
	e.hints(hints)
}

// hints shows those that were not shown yet in this run.
func (e *Events) hints(hints []string) {
	for _, hint := range hints {
		if !slices.Contains(e.hinted, hint) {
			e.hinted = append(e.hinted, hint)
			e.p.Hint(hint)
		}
	}
}
