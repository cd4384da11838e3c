package ui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/release"
)

// end shows the last line of a run: its outcome, what that means for the service, and what to type.
func (e *Events) end(ev release.Event) {
	if ev.Run == nil {
		e.Close()
		return
	}
	r := *ev.Run
	good := r.Outcome == release.Live || r.Outcome == release.Staged || r.Outcome == release.Done && r.Error == ""
	if e.p.o.Quiet && good {
		e.Close()
		return
	}
	text := OutcomeText(r, e.failed)
	if ev.Text != "" && ev.Text != r.Error {
		text = ev.Text
	}
	e.p.errLine(e.format(string(r.Outcome), e.p.errPaint.state, escapeLines(text), ""))
	hints := slices.Clone(ev.Hints)
	if len(hints) == 0 && len(e.hinted) == 0 {
		hints = defaultHints(r)
	}
	if e.header { // of a run that is looked at
		this := fmt.Sprintf("rel log %d ", r.Run)
		hints = slices.DeleteFunc(hints, func(hint string) bool { return strings.HasPrefix(hint, this) })
	}
	e.hints(hints)
}

// OutcomeText says in a sentence how a run ended, without the word for the outcome itself. With told, why it went wrong has
// been said already.
func OutcomeText(r release.Run, told bool) string {
	switch r.Outcome {
	case release.Live:
		return strings.TrimSuffix(liveText(r)+"; "+r.Note, "; ")
	case release.Staged:
		return r.To
	case release.Refused, release.Cancelled:
		if r.Error == "" && r.Note != "" { // it never began
			return subject(r) + ": " + r.Note
		}
		return because(r, told, "nothing changed, "+stays(r.From))
	case release.Superseded:
		return subject(r) + ": " + r.Note
	case release.Reverted:
		text := because(r, told, r.From+" is live again and healthy")
		return text + down(r)
	case release.Failed:
		return because(r, told, "a person is needed, "+atLivePath(r))
	case release.Interrupted:
		if r.Note != "" {
			return subject(r) + ": " + r.Note
		}
		return because(r, told, atLivePath(r))
	}
	if r.Error != "" {
		return because(r, told, r.Command)
	}
	return strings.TrimSuffix(r.Command+": "+r.Note, ": ") + down(r)
}

func liveText(r release.Run) string {
	text := r.To
	switch {
	case r.From == r.To && r.From != "":
	case r.From != "":
		text += " (was " + r.From + ")"
	}
	switch r.Verified {
	case release.VerifiedProcess:
		text += ", new processes run"
	case release.VerifiedAnswer:
		text += ", answer verified"
	case release.VerifiedRelease:
		text += ", release verified"
	default:
		return text + ", not verified"
	}
	return text + down(r)
}

func down(r release.Run) string {
	if r.DowntimeMS <= 0 {
		return ""
	}
	return ", down " + Duration(time.Duration(r.DowntimeMS)*time.Millisecond)
}

// subject is what a run was about.
func subject(r release.Run) string {
	if r.To != "" {
		return r.To
	}
	return r.Command
}

func because(r release.Run, told bool, result string) string {
	if told || r.Error == "" {
		return subject(r) + ": " + result
	}
	return r.Error + "\n" + result
}

func stays(tag string) string {
	if tag == "" {
		return "nothing is live"
	}
	return tag + " is live"
}

// atLivePath says what a person who comes to help will find.
func atLivePath(r release.Run) string {
	switch {
	case r.Now == "":
		return "nothing is at the live path"
	case r.Now == r.FromID && r.From != "":
		return r.From + " is at the live path"
	case r.Now == r.Release && r.To != "":
		return r.To + " is at the live path"
	}
	return string(r.Now) + " is at the live path"
}

// defaultHints are what to type where the run itself gave no hint.
func defaultHints(r release.Run) []string {
	log := fmt.Sprintf("rel log %d shows the run", r.Run)
	switch r.Outcome {
	case release.Staged:
		if strings.HasPrefix(r.Ref, "refs/heads/") { // of which no tag tells
			return nil
		}
		return []string{"rel activate " + Shell(r.To) + " goes live with it"}
	case release.Refused:
		return []string{log}
	case release.Reverted:
		return []string{log + ", rel err what the service said"}
	case release.Failed, release.Interrupted:
		return []string{"rel status shows what is live now; " + log}
	}
	return nil
}
