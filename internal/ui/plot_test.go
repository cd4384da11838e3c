package ui

import (
	"strings"
	"testing"

	"github.com/git-rel/rel/internal/release"
)

// The drawing of a stop of 60 ms, as a person sees it.
func TestPlot(t *testing.T) {
	trace := release.Trace{
		Asked: "GET http://localhost/", IntervalMS: 20, Touched: 100_000, Ended: 300_000,
		Steps: []release.Span{
			{Step: release.StepStop, At: 100_000, Took: 20_000},
			{Step: release.StepSwitch, At: 121_000, Took: 1000},
			{Step: release.StepStart, At: 122_000, Took: 60_000},
			{Step: release.StepHealth, At: 182_000, Took: 90_000},
		},
	}
	for at := int64(0); at < 300_000; at += 20_000 {
		s := release.Sample{At: at, Took: 1000 + at/100}
		if at >= 100_000 && at < 160_000 {
			s = release.Sample{At: at, Took: 100, Error: "connection refused"}
		}
		trace.Samples = append(trace.Samples, s)
	}
	run := release.Run{
		Run: 12, Command: "activate", From: "v1.3", To: "v1.4", Outcome: release.Live, DowntimeMS: 62, SwitchMS: 2,
		Probe: &release.Probe{
			Asked: trace.Asked, IntervalMS: 20, Requests: 15, Failures: 3, GapMS: 80.9,
			Before: release.Latency{Answers: 5, MedianMS: 1.4, WorstMS: 1.8}, After: release.Latency{Answers: 5, MedianMS: 3.4, WorstMS: 3.8},
		},
	}
	want := strings.TrimPrefix(`
run       12: activate v1.3 → v1.4, live
asked     GET http://localhost/, every 20 ms
requests  15, 3 failed
down      62 ms; longest time without an answer 81 ms
switch    2 ms between stop and start
before    median 1.4 ms, worst 1.8 ms, of 5 answers
after     median 3.4 ms, worst 3.8 ms, of 5 answers

`, "\n")
	got := plotted(t, Stream{Terminal: true, Width: 60}, run, trace)
	head, drawing, _ := strings.Cut(got, "\n\n")
	if head+"\n\n" != want {
		t.Errorf("got:\n%s\nwant:\n%s", head, want)
	}
	t.Log("\n" + drawing)
	lines := strings.Split(strings.TrimSuffix(drawing, "\n"), "\n")
	if len(lines) != plotRows+3 {
		t.Fatalf("%d lines", len(lines))
	}
	if failed := lines[plotRows]; !strings.HasPrefix(failed, "   failed │ ") || strings.Count(failed, plotFailed) != 3*3 {
		t.Errorf("failures: %q", failed)
	}
	if axis := lines[plotRows+1]; !strings.Contains(axis, "┬stop ") || !strings.Contains(axis, "┬health ") {
		t.Errorf("axis: %q", axis)
	}
	for _, line := range lines {
		if width(line) >= 60 {
			t.Errorf("%d columns: %q", width(line), line)
		}
	}
}

// Whatever was seen can be drawn, on any terminal.
func TestPlotOfLittle(t *testing.T) {
	one := release.Sample{At: 5, Took: 0}
	for name, trace := range map[string]release.Trace{
		"nothing": {}, "one answer": {Ended: 10, Samples: []release.Sample{one}}, "an hour": {Touched: 1, Ended: 3600e6, IntervalMS: 1000},
		"one failure": {IntervalMS: 20, Touched: 1, Ended: 9, Samples: []release.Sample{{At: 2, Took: 1, Error: "\x1b[31mno"}}},
	} {
		for _, columns := range []int{0, 1, 30, 400} {
			if got := plotted(t, Stream{Width: columns}, release.Run{}, trace); strings.Count(got, "\n") < plotRows {
				t.Errorf("%s, %d columns: %q", name, columns, got)
			}
		}
	}
}

func plotted(t *testing.T, out Stream, run release.Run, trace release.Trace) string {
	t.Helper()
	var text strings.Builder
	out.W = &text
	p, err := New(Options{Out: out, Err: Stream{W: &strings.Builder{}}})
	if err != nil {
		t.Fatal(err)
	}
	p.Plot(run, trace)
	return text.String()
}
