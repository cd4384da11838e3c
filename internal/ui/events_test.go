package ui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/release"
)

var start = time.Date(2026, 11, 23, 2, 8, 45, 0, time.UTC)

func at(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

func liveRun() *release.Run {
	return &release.Run{
		Run: 12, Command: "activate", From: "v1.3", To: "v1.4", By: "deniz", Started: start,
		Outcome: release.Live, Verified: release.VerifiedAnswer,
	}
}

func goodRun() []release.Event {
	run := liveRun()
	return []release.Event{
		{Time: at(0), Kind: release.EventBegin, Run: run},
		{Time: at(0), Kind: release.EventStep, Step: release.StepResolve, Text: "v1.4"},
		{Time: at(1), Kind: release.EventDone, Step: release.StepResolve, Text: "v1.4 → 3f2a91c"},
		{Time: at(1), Kind: release.EventStep, Step: release.StepExport, Text: "214 files"},
		{Time: at(20), Kind: release.EventProgress, Step: release.StepExport, Done: 1_500_000, Total: 3_100_000},
		{Time: at(39), Kind: release.EventDone, Step: release.StepExport, Text: "214 files, 3.1 MB", MS: 38},
		{Time: at(40), Kind: release.EventStep, Step: release.StepCheck},
		{Time: at(50), Kind: release.EventOutput, Step: release.StepCheck, Text: "lib/A.pm syntax OK"},
		{Time: at(900), Kind: release.EventDone, Step: release.StepCheck, Text: "perl 41 files, apachectl configtest", MS: 860},
		{Time: at(901), Kind: release.EventDone, Step: release.StepSwitch, Text: "current → 20261123T020845Z-v1.4", MS: 2},
		{Time: at(902), Kind: release.EventWarn, Step: release.StepPrune, Text: "v1.0: kept, in use by pid 812"},
		{Time: at(903), Kind: release.EventNote, Text: "hello"},
		{Time: at(1500), Kind: release.EventEnd, Run: run},
	}
}

func show(s *screen, header bool, events []release.Event) string {
	e := s.Events(header)
	for _, ev := range events {
		e.Show(ev)
	}
	return s.err.String()
}

const goodLines = `resolve  v1.4 → 3f2a91c
export   214 files, 3.1 MB                         38 ms
check    perl 41 files, apachectl configtest       0.9 s
switch   current → 20261123T020845Z-v1.4            2 ms
prune    warning: v1.0: kept, in use by pid 812
note     hello
live     v1.4 (was v1.3), answer verified
`

func TestEventsPlain(t *testing.T) {
	s := newScreen(t, nil)
	same(t, "stderr", show(s, false, goodRun()), goodLines)
	same(t, "stdout", s.out.String(), "")
	same(t, "with header", show(newScreen(t, nil), true, goodRun()),
		"run      12: activate v1.3 → v1.4, by deniz, 2026-11-23 02:08\n"+goodLines)
}

func TestEventsVerbose(t *testing.T) {
	s := newScreen(t, func(o *Options) { o.Verbose = true })
	got := show(s, false, goodRun())
	for _, want := range []string{"run      12: activate", "\n         lib/A.pm syntax OK\ncheck    perl"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}

func TestEventsQuiet(t *testing.T) {
	s := newScreen(t, func(o *Options) { o.Quiet = true })
	same(t, "stderr", show(s, true, goodRun()), "prune    warning: v1.0: kept, in use by pid 812\n")
}

// replay shows what is left on a terminal's screen of a text with the control codes that Events uses.
func replay(text string) string {
	var lines []string
	line := ""
	for text != "" {
		switch {
		case strings.HasPrefix(text, "\r\x1b[K"):
			line, text = "", text[len("\r\x1b[K"):]
		case text[0] == '\n':
			lines, line, text = append(lines, line), "", text[1:]
		default:
			line, text = line+text[:1], text[1:]
		}
	}
	return strings.Join(append(lines, line), "\n")
}

func TestEventsTerminal(t *testing.T) {
	s := newScreen(t, terminal(100))
	got := show(s, false, goodRun())
	same(t, "screen", replay(got), goodLines)
	if strings.Contains(got, cellDone) {
		t.Error("a bar was drawn for a step of 38 ms")
	}
}

func TestProgressBar(t *testing.T) {
	s := newScreen(t, terminal(100))
	e := s.Events(false)
	e.Show(release.Event{Time: at(0), Kind: release.EventStep, Step: release.StepExport})
	draw := func(ms int, done int64) string {
		s.err.Reset()
		e.Show(release.Event{Time: at(ms), Kind: release.EventProgress, Step: release.StepExport, Done: done, Total: 4_000_000})
		return s.err.String()
	}
	same(t, "early", draw(900, 900_000), "")
	same(t, "after a second", draw(1100, 1_000_000), "\r\x1b[Kexport   "+strings.Repeat(cellDone, 6)+strings.Repeat(cellMissing, 18)+"  25 %  1.0 MB of 4.0 MB")
	same(t, "too soon after", draw(1200, 1_100_000), "")
	if got := draw(1400, 9_000_000); !strings.Contains(got, "100 %") {
		t.Errorf("more than all: %q", got)
	}
	s.err.Reset()
	e.Show(release.Event{Time: at(1500), Kind: release.EventDone, Step: release.StepExport, Text: "done", MS: 1500})
	same(t, "done", s.err.String(), "\r\x1b[Kexport   done                                      1.5 s\n")
}

func TestNoBarWhereItMayNotBe(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"no terminal": nil,
		"dumb": func(o *Options) {
			terminal(80)(o)
			o.Getenv = func(string) string { return "dumb" }
		},
		"quiet": func(o *Options) {
			terminal(80)(o)
			o.Quiet = true
		},
	} {
		s := newScreen(t, change)
		same(t, name, show(s, false, []release.Event{
			{Time: at(0), Kind: release.EventStep, Step: release.StepExport, Text: "x"},
			{Time: at(3000), Kind: release.EventProgress, Step: release.StepExport, Done: 1, Total: 2},
			{Time: at(4000), Kind: release.EventOutput, Step: release.StepExport, Text: "x"},
		}), "")
	}
}

// A line for the moment never wraps, and goes before anything else is written.
func TestMoment(t *testing.T) {
	s := newScreen(t, terminal(30))
	e := s.Events(false)
	e.Show(release.Event{Time: at(0), Kind: release.EventStep, Step: release.StepBuild, Text: "make"})
	e.Show(release.Event{Time: at(2000), Kind: release.EventOutput, Step: release.StepBuild, Text: "compiling \x1b]0;a very long line"})
	same(t, "drawn", s.err.String(), "\r\x1b[Kbuild    make\r\x1b[Kbuild    compiling \\x1b]0;a …")
	s.err.Reset()
	s.Info("interrupted")
	same(t, "after", s.err.String(), "\r\x1b[Kinterrupted\n")
	e.Close()
}

func TestFailure(t *testing.T) {
	run := liveRun()
	run.Outcome, run.Error = release.Refused, "check perl: lib/A.pm: syntax error"
	events := []release.Event{{Time: at(0), Kind: release.EventStep, Step: release.StepCheck}}
	for i := range 25 {
		events = append(events, release.Event{Time: at(i), Kind: release.EventOutput, Step: release.StepCheck, Text: fmt.Sprintf("line %d\x1b", i)})
	}
	events = append(events,
		release.Event{Time: at(30), Kind: release.EventFail, Step: release.StepCheck, Text: "perl: lib/A.pm: syntax error\nat line 3", MS: 30, Hints: []string{"perl -c lib/A.pm"}},
		release.Event{Time: at(31), Kind: release.EventEnd, Run: run, Exit: 3, Hints: []string{"perl -c lib/A.pm", "mend it"}})
	var want strings.Builder
	want.WriteString("check    perl: lib/A.pm: syntax error              30 ms\n         at line 3\n")
	for i := 5; i < 25; i++ {
		fmt.Fprintf(&want, "         line %d\\x1b\n", i)
	}
	want.WriteString("hint: perl -c lib/A.pm\nrefused  v1.4: nothing changed, v1.3 is live\nhint: mend it\n")
	same(t, "stderr", show(newScreen(t, nil), false, events), want.String())
	same(t, "quiet", show(newScreen(t, func(o *Options) { o.Quiet = true }), false, events), want.String())
}

func TestOutcomes(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*release.Run)
		want   string
	}{
		{"live first", func(r *release.Run) { r.From, r.Verified = "", release.VerifiedNone }, "live     v1.4, not verified\n"},
		{"live already", func(r *release.Run) { r.From, r.Verified = "v1.4", release.VerifiedRelease }, "live     v1.4, release verified\n"},
		{"live process", func(r *release.Run) { r.Verified, r.DowntimeMS = release.VerifiedProcess, 850 }, "live     v1.4 (was v1.3), new processes run, down 0.9 s\n"},
		{"live with a note", func(r *release.Run) { r.Note = "kept" }, "live     v1.4 (was v1.3), answer verified; kept\n"},
		{"staged", func(r *release.Run) { r.Outcome, r.To = release.Staged, "v$1" }, "staged   v$1\nhint: rel activate 'v$1' goes live with it\n"},
		{"refused", func(r *release.Run) { r.Outcome, r.From, r.Error = release.Refused, "", "held by ann" }, "refused  held by ann\n         nothing changed, nothing is live\nhint: rel log 12 shows the run\n"},
		{"cancelled", func(r *release.Run) { r.Outcome = release.Cancelled }, "cancelled v1.4: nothing changed, v1.3 is live\n"},
		{"reverted", func(r *release.Run) { r.Outcome, r.DowntimeMS = release.Reverted, 1200 }, "reverted v1.4: v1.3 is live again and healthy, down 1.2 s\nhint: rel log 12 shows the run, rel err what the service said\n"},
		{"failed first", func(r *release.Run) { r.Outcome, r.From = release.Failed, "" }, "failed   v1.4: a person is needed, nothing is at the live path\nhint: rel status shows what is live now; rel log 12 shows the run\n"},
		{"failed", func(r *release.Run) { r.Outcome, r.Now, r.FromID = release.Failed, "a", "a" }, "failed   v1.4: a person is needed, v1.3 is at the live path\nhint: rel status shows what is live now; rel log 12 shows the run\n"},
		{"interrupted", func(r *release.Run) { r.Outcome, r.Note = release.Interrupted, "v1.3 is back" }, "interrupted v1.4: v1.3 is back\nhint: rel status shows what is live now; rel log 12 shows the run\n"},
		{"restart", func(r *release.Run) { r.Outcome, r.Command, r.Note = release.Done, "restart", "" }, "done     restart\n"},
		{"stop", func(r *release.Run) {
			r.Outcome, r.Command, r.To, r.Error = release.Done, "stop", "", "web: port 80 held"
		}, "done     web: port 80 held\n         stop\n"},
	} {
		run := liveRun()
		c.change(run)
		same(t, c.name, show(newScreen(t, nil), false, []release.Event{{Kind: release.EventEnd, Run: run}}), c.want)
	}
	got := show(newScreen(t, nil), false, []release.Event{{Kind: release.EventEnd, Run: liveRun(), Text: "v1.4 is live already"}})
	failed := liveRun()
	failed.Outcome, failed.Error = release.Refused, "held"
	same(t, "text is the run's error", show(newScreen(t, nil), false, []release.Event{{Kind: release.EventEnd, Run: failed, Text: "held"}}),
		"refused  held\n         nothing changed, v1.3 is live\nhint: rel log 12 shows the run\n")
	same(t, "text of its own", got, "live     v1.4 is live already\n")
	same(t, "no run", show(newScreen(t, nil), false, []release.Event{{Kind: release.EventEnd}}), "")
}

func TestLongTextAndNarrowTerminal(t *testing.T) {
	s := newScreen(t, terminal(40))
	got := replay(show(s, false, []release.Event{
		{Kind: release.EventDone, Step: release.StepExport, Text: "3 files", MS: 5},
		{Kind: release.EventDone, Step: release.StepCheck, Text: strings.Repeat("x", 60), MS: 5},
	}))
	same(t, "stderr", got, "export   3 files                   5 ms\ncheck    "+strings.Repeat("x", 60)+"  5 ms\n")
}
