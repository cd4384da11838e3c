package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/git-rel/rel/internal/release"
)

// story makes runs one after another, as an engine would.
type story struct {
	run  int
	live Item
	l    Ledger
}

func id(tag string) release.ID { return release.ID("20261123T020845Z-" + tag) }

func item(tag string) Item { return Item{Tag: tag, Commit: "commit of " + tag, ID: id(tag)} }

func (s *story) next(command string, to Item, outcome release.Outcome, now release.ID) release.Run {
	s.run++
	run := release.Run{
		Run: s.run, Command: command, From: s.live.Tag, FromID: s.live.ID, To: to.Tag, Commit: to.Commit, Release: to.ID,
		Now: now, Outcome: outcome,
	}
	if now == to.ID && outcome != release.Staged {
		s.live = to
	}
	s.l.Apply(run)
	return run
}

func (s *story) activate(tag string) release.Run {
	return s.next("activate", item(tag), release.Live, id(tag))
}

func (s *story) rollback(tag string) release.Run {
	return s.next("rollback", item(tag), release.Live, id(tag))
}

// fails is an activation that does not work out and leaves what was live.
func (s *story) fails(tag string, outcome release.Outcome) release.Run {
	return s.next("activate", item(tag), outcome, s.live.ID)
}

func (s *story) stack() string {
	var tags []string
	for _, item := range s.l.Stack {
		tags = append(tags, item.Tag)
	}
	return strings.Join(tags, " ")
}

func (s *story) previous() string {
	item, _ := s.l.Previous()
	return item.Tag
}

func (s *story) expect(t *testing.T, stack, previous string) {
	t.Helper()
	if s.stack() != stack || s.previous() != previous {
		t.Errorf("run %d: stack %q, previous %q, want %q, %q", s.run, s.stack(), s.previous(), stack, previous)
	}
}

func TestGoingBackTwice(t *testing.T) {
	var s story
	s.expect(t, "", "")
	s.activate("v1.2")
	s.expect(t, "v1.2", "")
	s.activate("v1.3")
	s.activate("v1.4")
	s.expect(t, "v1.2 v1.3 v1.4", "v1.3")
	s.rollback(s.previous())
	s.expect(t, "v1.2 v1.3", "v1.2")
	s.rollback(s.previous())
	s.expect(t, "v1.2", "")
	for _, tag := range []string{"v1.3", "v1.4"} {
		if state := s.l.Tags[tag]; !state.Left || !state.WasLive {
			t.Errorf("%s: %+v", tag, state)
		}
	}
	s.activate("v1.4") // by name
	s.expect(t, "v1.2 v1.4", "v1.2")
	if s.l.Tags["v1.4"].Left {
		t.Error("v1.4 is live again")
	}
}

func TestFoldRules(t *testing.T) {
	tests := []struct {
		name            string
		do              func(s *story)
		stack, previous string
		tag             string
		want            TagState // Commit, ID and Run aside
	}{
		{"staged", func(s *story) { s.next("stage", item("v4"), release.Staged, s.live.ID) }, "v1 v2 v3", "v2", "v4", TagState{Staged: true}},
		{"staged, then live", func(s *story) {
			s.next("stage", item("v4"), release.Staged, s.live.ID)
			s.activate("v4")
		}, "v1 v2 v3 v4", "v3", "v4", TagState{WasLive: true}},
		{"refused", func(s *story) { s.fails("v4", release.Refused) }, "v1 v2 v3", "v2", "v4", TagState{Refused: true}},
		{"refused, then staged", func(s *story) {
			s.fails("v4", release.Refused)
			s.next("stage", item("v4"), release.Staged, s.live.ID)
		}, "v1 v2 v3", "v2", "v4", TagState{Staged: true}},
		{"refused, and was live", func(s *story) { s.fails("v2", release.Refused) }, "v1 v2 v3", "v2", "v2", TagState{WasLive: true}},
		{"cancelled", func(s *story) { s.fails("v4", release.Cancelled) }, "v1 v2 v3", "v2", "v4", TagState{}},
		{"reverted", func(s *story) { s.fails("v4", release.Reverted) }, "v1 v2 v3", "v2", "v4", TagState{Failed: true}},
		{"failed, what was before is live", func(s *story) { s.fails("v4", release.Failed) }, "v1 v2 v3", "v2", "v4", TagState{Failed: true}},
		{"failed, and it is live", func(s *story) { s.next("activate", item("v4"), release.Failed, id("v4")) }, "v1 v2 v3 v4", "v3", "v4", TagState{Failed: true}},
		{"failed, and nothing is live", func(s *story) { s.next("activate", item("v4"), release.Failed, "") }, "v1 v2 v3", "v2", "v4", TagState{Failed: true}},
		{"failed live, passed over later", func(s *story) {
			s.next("activate", item("v4"), release.Failed, id("v4"))
			s.activate("v5")
		}, "v1 v2 v3 v4 v5", "v3", "v4", TagState{Failed: true}},
		{"failed again, then works", func(s *story) {
			s.fails("v4", release.Reverted)
			s.activate("v4")
		}, "v1 v2 v3 v4", "v3", "v4", TagState{WasLive: true}},
		{"the live one again", func(s *story) { s.activate("v3") }, "v1 v2 v3", "v2", "v3", TagState{WasLive: true}},
		{"the live one again, reverted", func(s *story) { s.fails("v3", release.Reverted) }, "v1 v2 v3", "v2", "v3", TagState{WasLive: true}},
		{"interrupted, recovered to it", func(s *story) { s.next("activate", item("v4"), release.Interrupted, id("v4")) }, "v1 v2 v3 v4", "v3", "v4", TagState{WasLive: true}},
		{"interrupted, reverted", func(s *story) { s.fails("v4", release.Interrupted) }, "v1 v2 v3", "v2", "v4", TagState{}},
		{"interrupted rollback, recovered to it", func(s *story) { s.next("rollback", item("v2"), release.Interrupted, id("v2")) }, "v1 v2", "v1", "v3", TagState{WasLive: true, Left: true}},
		{"interrupted rollback, reverted", func(s *story) { s.next("rollback", item("v2"), release.Interrupted, id("v3")) }, "v1 v2 v3", "v2", "v2", TagState{WasLive: true}},
		{"rollback by name", func(s *story) { s.rollback("v1") }, "v1", "", "v2", TagState{WasLive: true, Left: true}},
		{"rollback to one never live", func(s *story) { s.rollback("v0") }, "v1 v2 v0", "v2", "v3", TagState{WasLive: true, Left: true}},
		{"reverted rollback: the same next time", func(s *story) { s.next("rollback", item("v2"), release.Reverted, id("v3")) }, "v1 v2 v3", "v2", "v2", TagState{WasLive: true}},
		{"an old one by name, then back", func(s *story) {
			s.activate("v1")
			s.rollback("v3")
		}, "v1 v2 v3", "v2", "v1", TagState{WasLive: true, Left: true}},
		{"left ones further down are passed over", func(s *story) {
			s.activate("v2")
			s.rollback("v3")
		}, "v1 v2 v3", "v1", "v2", TagState{WasLive: true, Left: true}},
		{"pruned and exported again", func(s *story) {
			again := item("v2")
			again.ID = "20261124T000000Z-v2"
			s.next("rollback", again, release.Live, again.ID)
		}, "v1 v2", "v1", "v2", TagState{WasLive: true}},
		{"restart", func(s *story) { s.next("restart", Item{}, release.Done, "") }, "v1 v2 v3", "v2", "v3", TagState{WasLive: true}},
		{"restart failed", func(s *story) { s.next("restart", Item{}, release.Failed, "") }, "v1 v2 v3", "v2", "v3", TagState{WasLive: true}},
		{"restart interrupted", func(s *story) { s.next("restart", Item{}, release.Interrupted, "") }, "v1 v2 v3", "v2", "v3", TagState{WasLive: true}},
		{"somebody moved the link back", func(s *story) { s.l.Observe(id("v1"), "v1", "commit of v1") }, "v1", "", "v3", TagState{WasLive: true}},
		{"somebody moved the link on", func(s *story) { s.l.Observe(id("v9"), "v9", "commit of v9") }, "v1 v2 v3 v9", "v3", "v3", TagState{WasLive: true}},
		{"somebody removed the link", func(s *story) { s.l.Observe("", "", "") }, "v1 v2 v3", "v2", "v3", TagState{WasLive: true}},
		{"somebody removed the link, and it is put back", func(s *story) {
			s.l.Observe("", "", "")
			s.activate("v3")
		}, "v1 v2 v3", "v2", "v3", TagState{WasLive: true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var s story
			for _, tag := range []string{"v1", "v2", "v3"} {
				s.activate(tag)
			}
			test.do(&s)
			s.expect(t, test.stack, test.previous)
			got := s.l.Tags[test.tag]
			got.Commit, got.ID, got.Run = "", "", 0
			if got != test.want {
				t.Errorf("%s: %+v, want %+v", test.tag, got, test.want)
			}
		})
	}
}

func TestMovedTagStartsAnew(t *testing.T) {
	var s story
	s.activate("v1")
	moved := Item{Tag: "v1", Commit: "another", ID: "20261124T000000Z-v1"}
	s.next("activate", moved, release.Reverted, s.live.ID)
	s.expect(t, "v1", "")
	s.rollback("v0") // leaves v1 as it was, not what the tag names now
	if got := s.l.Tags["v1"]; got.Left || got.Commit != "another" || !got.Failed || got.WasLive {
		t.Errorf("got %+v", got)
	}
	s = story{}
	s.activate("v1")
	s.next("activate", moved, release.Reverted, s.live.ID)
	s.activate("v2")
	s.expect(t, "v1 v2", "v1") // what failed was another commit
	if item, _ := s.l.Previous(); item.Commit != "commit of v1" {
		t.Errorf("got %+v", item)
	}
}

func TestCheckedBelongsToTheRelease(t *testing.T) {
	var l Ledger
	run := release.Run{Run: 1, Command: "stage", To: "v1", Commit: "c", Release: "a", Outcome: release.Staged, Checked: "digest"}
	l.Apply(run)
	run.Run, run.Command, run.Outcome, run.Now, run.Checked = 2, "activate", release.Live, "a", ""
	l.Apply(run)
	if got := l.Tags["v1"].Checked; got != "digest" {
		t.Errorf("same release: %q", got)
	}
	run.Run, run.Release, run.Now = 3, "b", "b"
	l.Apply(run)
	if got := l.Tags["v1"]; got.Checked != "" || got.ID != "b" {
		t.Errorf("another export: %+v", got)
	}
}

// The signer is the last that a run verified, of the commit that the tag names.
func TestSignerBelongsToTheCommit(t *testing.T) {
	var s story
	run := release.Run{Run: 1, Command: "stage", To: "v1", Commit: "a", Release: id("v1"), Outcome: release.Staged, Signer: "dana@example.org"}
	s.l.Apply(run)
	run.Run, run.Signer = 2, ""
	s.l.Apply(run)
	if got := s.l.Tags["v1"].Signer; got != "dana@example.org" {
		t.Errorf("%q", got)
	}
	run.Run, run.Commit = 3, "b"
	s.l.Apply(run)
	if got := s.l.Tags["v1"].Signer; got != "" {
		t.Errorf("%q of another commit", got)
	}
}

func TestStackIsBounded(t *testing.T) {
	var s story
	for range 3 * stackMax {
		s.activate("a")
		s.activate("b")
	}
	if len(s.l.Stack) != stackMax || s.previous() != "a" {
		t.Errorf("%d items, previous %q", len(s.l.Stack), s.previous())
	}
}

// A ledger that was loaded before another run finished does not make that run forgotten.
func TestLedgerThatMissedARun(t *testing.T) {
	j := open(t, t.TempDir())
	var s story
	must(t, j.Finish(s.activate("v1")))
	stale, err := LoadLedger(j.dir)
	must(t, err)
	must(t, j.Finish(s.activate("v2")))
	third := s.activate("v3")
	must(t, j.Finish(third))
	stale.Apply(third)
	must(t, SaveLedger(j.dir, stale))
	if l, err := LoadLedger(j.dir); err != nil || !slices.Equal(l.Stack, s.l.Stack) {
		t.Errorf("got %v, %v, want %v", l.Stack, err, s.l.Stack)
	}
}

func TestCheckpoint(t *testing.T) {
	dir := t.TempDir()
	if l, err := LoadLedger(dir); err != nil || !reflect.DeepEqual(l, newLedger()) {
		t.Fatalf("without anything: %+v, %v", l, err)
	}
	j := open(t, dir)
	var s story
	runs := []release.Run{s.activate("v1"), s.activate("v2"), s.fails("v3", release.Reverted), s.activate("v4"), s.rollback("v2")}
	for _, run := range runs[:4] {
		must(t, j.Write(Record{Run: run, Phase: Begun}))
		must(t, j.Finish(run))
	}
	must(t, j.Write(Record{Run: runs[4], Phase: Finished})) // in the journal only
	full, err := LoadLedger(dir)
	must(t, err)
	if !slices.Equal(full.Stack, s.l.Stack) || !reflect.DeepEqual(full.Tags, s.l.Tags) || full.Run != 5 || full.Line != 4 {
		t.Fatalf("got %+v, want %+v", full, s.l)
	}
	must(t, SaveLedger(dir, full))
	size := full.Offset
	same := func(when string, want Ledger) {
		t.Helper()
		if got, err := LoadLedger(dir); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", when, err, got, want)
		}
	}
	same("from the checkpoint", full)
	j = reopen(t, j) // appends run 5: it is added up already
	full.Offset, full.Line = j.history.size, 5
	same("after the line was appended", full)

	path := filepath.Join(dir, ledgerName)
	file, err := os.ReadFile(path)
	must(t, err)
	good, _, _ := strings.Cut(string(file), "\n")
	// The checkpoint is believed: so the following are seen to derive anew, not to read it.
	lie := strings.Replace(good, `"tag":"v1"`, `"tag":"lie"`, 1)
	must(t, os.WriteFile(path, sealCheckpoint([]byte(lie)), 0o644))
	if got, err := LoadLedger(dir); err != nil || got.Stack[0].Tag != "lie" {
		t.Fatalf("%v, %v", got.Stack, err)
	}
	offset := regexp.MustCompile(`"offset":[0-9]+`).FindString(lie)
	for name, bad := range map[string]string{
		"later format":              strings.Replace(lie, `"format":1`, `"format":2`, 1),
		"offset too far":            strings.Replace(lie, offset, offset+"0", 1),
		"offset in a line":          strings.Replace(lie, offset, offset[:len(offset)-1], 1),
		"offset before the newline": strings.Replace(lie, offset, fmt.Sprint(`"offset":`, size-1), 1),
		"negative offset":           strings.Replace(lie, `"offset":`, `"offset":-`, 1),
		"no offset":                 strings.Replace(lie, offset, `"offset":0`, 1),
		"another line":              strings.Replace(lie, `"line":4`, `"line":3`, 1),
		"a run too far":             strings.Replace(lie, `"run":5,"offset"`, `"run":6,"offset"`, 1),
		"no tags":                   strings.Replace(lie, `"tags":`, `"other":`, 1),
		"not JSON":                  lie[1:],
	} {
		if bad == lie {
			t.Fatalf("%s: nothing replaced in %s", name, lie)
		}
		must(t, os.WriteFile(path, sealCheckpoint([]byte(bad)), 0o644))
		same(name, full)
	}
	sealed := sealCheckpoint([]byte(lie))
	for n := 0; n < len(sealed); n += 20 {
		must(t, os.WriteFile(path, sealed[:n], 0o644))
		same("torn", full)
	}
	must(t, os.WriteFile(path, []byte(strings.Replace(string(file), `"tag":"v1"`, `"tag":"lie"`, 1)), 0o644))
	same("rotten", full)
	must(t, os.Remove(path))
	same("without checkpoint", full)
}
