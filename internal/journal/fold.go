package journal

import (
	"slices"

	"github.com/git-rel/rel/internal/release"
)

const commandRollback = "rollback"

// Apply adds a finished run up. Runs are applied in order; one that is added up already changes nothing. A ledger that a
// run was left out of is never saved.
func (l *Ledger) Apply(run release.Run) {
	l.gap = l.gap || run.Run > l.Run+1
	l.apply(run)
}

func (l *Ledger) apply(run release.Run) {
	if run.Run <= l.Run {
		return
	}
	l.Run = run.Run
	if l.Tags == nil {
		l.Tags = map[string]TagState{}
	}
	to := Item{Tag: run.To, Commit: run.Commit, ID: run.Release}
	switch run.Outcome {
	case release.Live:
		l.live(run, to)
	case release.Interrupted:
		if run.Release != "" && run.Now == run.Release {
			l.live(run, to)
		} else {
			l.settle(run)
		}
	case release.Reverted, release.Failed:
		l.settle(run)
		top, ok := l.top()
		again := ok && top.same(to) && (run.Outcome == release.Reverted || run.FromID == run.Release)
		// A release that worked once is not to blame for a way back that fails: the machine may be, and it is tried again.
		state := l.Tags[run.To]
		wayBack := run.Command == commandRollback && state.WasLive && state.Commit == run.Commit
		if !again && !wayBack { // else it was live before, and is the best there is
			l.mark(run, func(s *TagState) { s.Failed, s.Staged = true, false })
		}
	case release.Staged:
		l.mark(run, func(s *TagState) { s.Staged, s.Refused = true, false })
	case release.Refused:
		was := l.Tags[run.To] // a release that was live stays what a rollback goes to
		if run.Release != "" && run.Checked == "" && !(was.WasLive && was.Commit == run.Commit) {
			l.mark(run, func(s *TagState) { s.Refused, s.Staged = true, false })
		}
	case release.Cancelled, release.Superseded, release.Done:
		// Nothing changed.
	}
}

// live adds up a run after which the release it wanted is live.
func (l *Ledger) live(run release.Run, to Item) {
	if to.ID == "" {
		return // start, restart and the like: no release was wanted
	}
	if run.FromID != "" && run.FromID != to.ID { // somebody may have moved the link, or adopted what was there, since the last run
		l.Observe(run.FromID, run.From, l.Tags[run.From].Commit)
	}
	switch at := l.find(to); {
	case run.Command != commandRollback:
		l.push(to)
	case at >= 0:
		for _, left := range l.Stack[at+1:] {
			l.leave(run.Run, left)
		}
		l.Stack = l.Stack[:at+1]
		l.Stack[at] = to // it may have been exported again
	default:
		if top, ok := l.top(); ok {
			l.leave(run.Run, top)
			l.Stack = l.Stack[:len(l.Stack)-1]
		}
		l.push(to)
	}
	l.mark(run, func(s *TagState) { s.WasLive, s.Left, s.Failed, s.Staged, s.Refused = true, false, false, false, false })
}

// settle makes the top what is live after a run that did not get what it wanted.
func (l *Ledger) settle(run release.Run) {
	if run.Release == "" && run.To == "" {
		return // start, restart and the like: such a run does not change what is live
	}
	switch run.Now {
	case run.Release:
		l.Observe(run.Now, run.To, run.Commit)
	case run.FromID:
		l.Observe(run.Now, run.From, l.Tags[run.From].Commit)
	default:
		l.Observe(run.Now, "", "")
	}
}

// Observe tells that the disk has another release live than the top of the stack, because somebody moved the link: the
// stack is cut to where that release is, or gets it on top. Where nothing is live the stack stays: a link that is lost must not
// lose the way back.
func (l *Ledger) Observe(live release.ID, tag, commit string) {
	if live == "" {
		return
	}
	seen := Item{Tag: tag, Commit: commit, ID: live}
	if at := l.find(seen); at >= 0 {
		l.Stack = l.Stack[:at+1]
		l.Stack[at].ID = live
		return
	}
	l.push(seen)
}

// Previous is where a bare rollback goes: the entry below the top, passing over those that were left by a rollback or
// failed since, which are chosen by name only. False where there is none.
func (l Ledger) Previous() (Item, bool) {
	top, ok := l.top()
	if !ok {
		return Item{}, false
	}
	for _, item := range slices.Backward(l.Stack[:len(l.Stack)-1]) {
		state := l.Tags[item.Tag]
		bad := item.Tag != "" && state.Commit == item.Commit && (state.Left || state.Failed)
		if !bad && !item.same(top) {
			return item, true
		}
	}
	return Item{}, false
}

func (l *Ledger) top() (Item, bool) {
	if len(l.Stack) == 0 {
		return Item{}, false
	}
	return l.Stack[len(l.Stack)-1], true
}

// push puts item on top, unless it is there.
func (l *Ledger) push(item Item) {
	if top, ok := l.top(); ok && top.same(item) {
		l.Stack[len(l.Stack)-1] = item
		return
	}
	l.Stack = append(l.Stack, item)
	if len(l.Stack) > stackMax {
		l.Stack = slices.Clone(l.Stack[len(l.Stack)-stackMax:])
	}
}

// find is the highest index of item in the stack, -1 if it is not there. A release with that id is found before another
// export of the same tag.
func (l *Ledger) find(item Item) int {
	for i, have := range slices.Backward(l.Stack) {
		if have.ID == item.ID {
			return i
		}
	}
	for i, have := range slices.Backward(l.Stack) {
		if have.same(item) {
			return i
		}
	}
	return -1
}

// same is whether two items are the same release, or exports of the same tag with the same commit.
func (i Item) same(other Item) bool {
	return i.ID == other.ID || (i.Tag != "" && i.Tag == other.Tag && i.Commit == other.Commit)
}

// leave marks a release that a rollback left.
func (l *Ledger) leave(run int, item Item) {
	state, known := l.Tags[item.Tag]
	if item.Tag == "" || (known && state.Commit != item.Commit) {
		return
	}
	if !known {
		state.Commit, state.ID = item.Commit, item.ID
	}
	state.Left, state.Run = true, run
	l.Tags[item.Tag] = state
}

// mark changes the state of the tag that run wanted. A tag that names another commit by now starts anew.
func (l *Ledger) mark(run release.Run, change func(*TagState)) {
	if run.To == "" {
		return
	}
	state := l.Tags[run.To]
	if state.Commit != run.Commit {
		state = TagState{Commit: run.Commit}
	}
	if run.Release != "" && run.Release != state.ID {
		state.ID, state.Checked = run.Release, ""
	}
	if run.Checked != "" {
		state.Checked = run.Checked
	}
	if run.Signer != "" {
		state.Signer = run.Signer
	}
	state.Run = run.Run
	change(&state)
	l.Tags[run.To] = state
}
