package ui

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/release"
)

const (
	plotRows   = 8
	plotLabels = 10                     // columns left of the drawing
	plotMargin = 100 * time.Millisecond // shown at least before and after
	plotFailed = "×"
)

var bars = []string{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}

// Plot draws what a run's prober saw: the latencies around the switch, worst of each column, on a logarithmic scale.
func (p *Printer) Plot(run release.Run, trace release.Trace) {
	columns := p.o.Out.Width
	if columns == 0 {
		columns = defaultWidth
	}
	var lines []string
	for _, line := range probeLines(run) {
		lines = append(lines, p.outPaint.bold(pad(line[0], plotLabels))+Escape(line[1]))
	}
	g := newPlot(trace, max(columns-plotLabels-1, 20))
	lines = append(lines, "")
	for row := range plotRows {
		lines = append(lines, g.label(row)+g.bar(plotRows-1-row))
	}
	lines = append(lines, label("failed", "│")+p.outPaint.red(g.failures()), label("", "└")+g.axis(), pad("", plotLabels+1)+g.times())
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	p.write(strings.Join(lines, "\n") + "\n")
}

// probeLines are the figures of a run that was measured, each with what it is of.
func probeLines(run release.Run) [][2]string {
	probe := run.Probe
	if probe == nil {
		return nil
	}
	down := "never"
	switch {
	case probe.Before.Answers == 0:
		down = "before the run already"
	case run.DowntimeMS > 0:
		down = Duration(time.Duration(run.DowntimeMS) * time.Millisecond)
	}
	lines := [][2]string{
		{"run", fmt.Sprintf("%d: %s %s, %s", run.Run, run.Command, arrow(run.From, run.To), run.Outcome)},
		{"asked", fmt.Sprintf("%s, every %s", probe.Asked, shortTime(probe.IntervalMS))},
		{"requests", fmt.Sprintf("%s, %s failed", Number(probe.Requests), Number(probe.Failures))},
		{"down", fmt.Sprintf("%s; longest time without an answer %s", down, shortTime(probe.GapMS))},
	}
	if run.SwitchMS > 0 {
		lines = append(lines, [2]string{"switch", shortTime(run.SwitchMS) + " between stop and start"})
	}
	return append(lines, [2]string{"before", latencyText(probe.Before)}, [2]string{"after", latencyText(probe.After)})
}

func latencyText(l release.Latency) string {
	if l.Answers == 0 {
		return "no answer"
	}
	return fmt.Sprintf("median %s, worst %s, of %s", shortTime(l.MedianMS), shortTime(l.WorstMS), Count(l.Answers, "answer"))
}

// shortTime shows milliseconds: "0.4 ms", "12 ms", "1.2 s".
func shortTime(ms float64) string {
	if ms < 10 {
		return fmt.Sprintf("%.2g ms", ms)
	}
	return Duration(time.Duration(ms * float64(time.Millisecond)))
}

// plot is a drawing: columns, each of a part of the time.
type plot struct {
	trace      release.Trace
	from, each int64     // where it begins, and what a column is of, in microseconds
	worst      []float64 // latency of a column's answers, in microseconds; 0 where there is none
	failed     []bool
	wide       int // characters of a column
	low, high  float64
}

func newPlot(trace release.Trace, width int) *plot {
	from, to := around(trace)
	every := max(int64(trace.IntervalMS*1000), 1)
	n := int(min(max((to-from)/every, 1), int64(width)))
	g := &plot{
		trace: trace, from: from, each: (to-from)/int64(n) + 1, wide: max(width/n, 1), worst: make([]float64, n), failed: make([]bool, n),
	}
	for _, s := range trace.Samples {
		i, seen := g.column(s.At)
		switch {
		case !seen:
		case s.Answered():
			g.worst[i] = max(g.worst[i], float64(max(s.Took, 1)))
		default:
			g.failed[i] = true
		}
	}
	g.low, g.high = math.Inf(1), 1
	for _, w := range g.worst {
		if w > 0 {
			g.low, g.high = min(g.low, w), max(g.high, w)
		}
	}
	g.low = math.Pow(10, math.Floor(math.Log10(min(g.low, g.high))))
	g.high = max(g.high, g.low*10)
	return g
}

// around is the time that is drawn: from the first touch to where the service answers again, and half as much on both sides.
func around(trace release.Trace) (from, to int64) {
	from, to = trace.Touched, trace.Touched
	for _, s := range trace.Steps {
		if s.Step == release.StepSwitch || s.Step == release.StepStart {
			to = max(to, s.End())
		}
	}
	for _, s := range trace.Samples {
		if !s.Answered() {
			to = max(to, s.End())
		}
	}
	margin := max((to-from)/2, plotMargin.Microseconds())
	return max(from-margin, 0), min(to+margin, max(trace.Ended, to))
}

// column is where a moment is drawn; false where it is not.
func (g *plot) column(at int64) (int, bool) {
	i := (at - g.from) / g.each
	return int(i), at >= g.from && i < int64(len(g.worst))
}

// level is how high a latency is drawn, in rows.
func (g *plot) level(us float64) float64 {
	return math.Log(us/g.low) / math.Log(g.high/g.low) * (plotRows - 0.5)
}

// bar is a row of the drawing, counted from below.
func (g *plot) bar(row int) string {
	var b strings.Builder
	for _, w := range g.worst {
		cell := 0
		if w > 0 { // what was answered is seen, however fast
			cell = min(max(int((g.level(w)-float64(row))*8)+1, 0), 8)
		}
		b.WriteString(strings.Repeat(bars[cell], g.wide))
	}
	return b.String()
}

// label names the latencies of some rows, counted from above.
func (g *plot) label(row int) string {
	if up := plotRows - 1 - row; row == 0 || up == 0 || up == plotRows/2 {
		us := g.low * math.Pow(g.high/g.low, float64(up)/(plotRows-0.5))
		return label(shortTime(us/1000), "┤")
	}
	return label("", "│")
}

func label(text, line string) string {
	return strings.Repeat(" ", max(plotLabels-1-width(text), 0)) + text + " " + line
}

func (g *plot) failures() string {
	var b strings.Builder
	for _, failed := range g.failed {
		b.WriteString(strings.Repeat(map[bool]string{true: plotFailed, false: " "}[failed], g.wide))
	}
	return b.String()
}

// axis is the line below, with the steps where they began.
func (g *plot) axis() string {
	line := slices.Repeat([]rune{'─'}, len(g.worst)*g.wide)
	free := 0
	for _, s := range g.trace.Steps {
		i, seen := g.column(s.At)
		at, name := i*g.wide, []rune("┬"+string(s.Step)+" ")
		if seen && at >= free && at+len(name) <= len(line) {
			free = at + copy(line[at:], name)
		}
	}
	return string(line)
}

// times are those at both ends of the axis, counted from the first touch.
func (g *plot) times() string {
	left := Duration(time.Duration(g.from-g.trace.Touched) * time.Microsecond)
	right := Duration(time.Duration(g.from+g.each*int64(len(g.worst))-g.trace.Touched) * time.Microsecond)
	return left + strings.Repeat(" ", max(len(g.worst)*g.wide-len(left)-len(right), 1)) + right
}
