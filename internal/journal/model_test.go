package journal

import (
	"os"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/git-rel/rel/internal/release"
)

// model is the simplest thing that says where a bare rollback goes: what was activated, in order, and what is not to be
// chosen.
type model struct {
	live []string
	bad  map[string]bool // left or failed since it was last live
}

func (m *model) top() string {
	if len(m.live) == 0 {
		return ""
	}
	return m.live[len(m.live)-1]
}

func (m *model) activate(tag string) {
	if m.top() != tag {
		m.live = append(m.live, tag)
	}
	delete(m.bad, tag)
}

func (m *model) rollback(tag string) {
	if at := lastIndex(m.live, tag); at >= 0 {
		for _, left := range m.live[at+1:] {
			m.bad[left] = true
		}
		m.live = m.live[:at+1]
	} else {
		if len(m.live) > 0 {
			m.bad[m.top()] = true
			m.live = m.live[:len(m.live)-1]
		}
		m.activate(tag)
	}
	delete(m.bad, tag)
}

func (m *model) previous() string {
	for i := len(m.live) - 2; i >= 0; i-- {
		if tag := m.live[i]; tag != m.top() && !m.bad[tag] {
			return tag
		}
	}
	return ""
}

func lastIndex(s []string, want string) int {
	for i, have := range slices.Backward(s) {
		if have == want {
			return i
		}
	}
	return -1
}

// Whatever is done, in whatever order, with crashes between: the ledger says what the model says, and from any checkpoint
// it is what the whole history adds up to. Bare rollbacks alone never come back to a release that one of them left.
func TestLedgerAgainstModel(t *testing.T) {
	base := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(base, "")
		check(rt, err)
		j, err := Open(dir)
		check(rt, err)
		defer func() { check(rt, j.Close()) }()
		s, m := story{}, model{bad: map[string]bool{}}
		tag := func() string { return rapid.SampledFrom([]string{"v1.2", "v1.3", "v1.4", "v1.5"}).Draw(rt, "tag") }
		leftInARow := map[string]bool{}
		rt.Repeat(map[string]func(*rapid.T){
			"activate": func(rt *rapid.T) {
				to := tag()
				m.activate(to)
				clear(leftInARow)
				record(rt, j, s.activate(to))
			},
			"rollback": func(rt *rapid.T) {
				to := s.previous()
				if to == "" {
					return
				}
				if leftInARow[to] {
					rt.Fatalf("back to %s, which was left", to)
				}
				leftInARow[m.top()] = true
				m.rollback(to)
				record(rt, j, s.rollback(to))
			},
			"rollbackTo": func(rt *rapid.T) {
				to := tag()
				m.rollback(to)
				clear(leftInARow)
				record(rt, j, s.rollback(to))
			},
			"reverted": func(rt *rapid.T) {
				to := tag()
				if to != m.top() {
					m.bad[to] = true
				}
				record(rt, j, s.fails(to, release.Reverted))
			},
			"refused": func(rt *rapid.T) { record(rt, j, s.fails(tag(), release.Refused)) },
			"crash": func(rt *rapid.T) {
				check(rt, j.Close())
				j, err = Open(dir)
				check(rt, err)
			},
			"checkpoint": func(rt *rapid.T) {
				l, err := LoadLedger(dir)
				check(rt, err)
				check(rt, SaveLedger(dir, l))
			},
			"": func(rt *rapid.T) {
				l, err := LoadLedger(dir)
				check(rt, err)
				if previous, _ := l.Previous(); previous.Tag != m.previous() {
					rt.Fatalf("previous of %v: %q, want %q", m.live, previous.Tag, m.previous())
				}
				if top, _ := l.top(); top.Tag != m.top() || !slices.Equal(l.Stack, s.l.Stack) || len(l.Tags)+len(s.l.Tags) > 0 && !reflect.DeepEqual(l.Tags, s.l.Tags) {
					rt.Fatalf("\n got %+v\nwant %+v\nmodel %v", l, s.l, m.live)
				}
			},
		})
	})
}

// record finishes a run, sometimes as a worker does that dies before the history.
func record(t *rapid.T, j *Journal, run release.Run) {
	if rapid.Bool().Draw(t, "dies") {
		check(t, j.Write(Record{Run: run, Phase: Finished}))
		return
	}
	check(t, j.Finish(run))
}

func check(t *rapid.T, err error) {
	if err != nil {
		t.Fatal(err)
	}
}
