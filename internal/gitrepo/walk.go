package gitrepo

import (
	"container/heap"
	"context"
	"time"

	"github.com/git-rel/rel/internal/objects"
)

// marks say from where a commit was reached.
type marks uint8

const (
	inFrom marks = 1 << iota
	inTo
	inBoth = inFrom | inTo
)

// slop is how far a commit's clock may be behind that of its children without a wrong result.
const slop = 24 * time.Hour

// walk goes through history from newer to older commits, painting each with the side that reaches it.
type walk struct {
	store   *objects.Store
	shallow map[objects.ID]bool
	seen    map[objects.ID]*node
	queue   dateQueue
	order   []*node // in the order of their first visit
	open    int     // queued nodes that are not in both
	oldest  time.Time
}

type node struct {
	id      objects.ID
	when    time.Time
	parents []objects.ID
	marks   marks
	queued  bool
	visited bool
	number  int // order of discovery: what decides between commits of one second
}

func (r *Repo) newWalk() (*walk, error) {
	cut, err := r.store.Shallow()
	if err != nil {
		return nil, err
	}
	w := &walk{store: r.store, shallow: map[objects.ID]bool{}, seen: map[objects.ID]*node{}}
	for _, id := range cut {
		w.shallow[id] = true
	}
	return w, nil
}

// reach paints a commit, and queues it if that is news.
func (w *walk) reach(id objects.ID, m marks) error {
	n := w.seen[id]
	if n == nil {
		c, err := w.store.Commit(id)
		if err != nil {
			return err
		}
		n = &node{id: id, when: c.Committer.When, parents: c.Parents, number: len(w.seen)}
		if w.shallow[id] {
			n.parents = nil
		}
		w.seen[id] = n
	}
	before := n.marks
	n.marks |= m
	if n.marks == before {
		return nil
	}
	switch {
	case !n.queued:
		n.queued = true
		heap.Push(&w.queue, n)
		if n.marks != inBoth {
			w.open++
		}
	case n.marks == inBoth:
		w.open--
	}
	return nil
}

// run walks until no queued commit can change what is known, or until enough commits were visited (0: no limit).
func (w *walk) run(ctx context.Context, enough int) error {
	for steps := 0; len(w.queue) > 0; steps++ {
		if steps%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if w.open == 0 && (w.oldest.IsZero() || w.queue[0].when.Add(slop).Before(w.oldest)) || enough > 0 && len(w.order) >= enough {
			break
		}
		n := heap.Pop(&w.queue).(*node)
		n.queued = false
		if n.marks != inBoth {
			w.open--
			if w.oldest.IsZero() || n.when.Before(w.oldest) {
				w.oldest = n.when
			}
		}
		if !n.visited {
			n.visited = true
			w.order = append(w.order, n)
		}
		for _, p := range n.parents {
			if err := w.reach(p, n.marks); err != nil {
				return err
			}
		}
	}
	return nil
}

// only are the visited commits that one side alone reaches, newest first.
func (w *walk) only(m marks) []objects.ID {
	var ids []objects.ID
	for _, n := range w.order {
		if n.marks == m {
			ids = append(ids, n.id)
		}
	}
	return ids
}

// dateQueue is a heap with the newest commit first.
type dateQueue []*node

func (q dateQueue) Len() int      { return len(q) }
func (q dateQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *dateQueue) Push(n any)   { *q = append(*q, n.(*node)) }
func (q dateQueue) Less(i, j int) bool {
	if !q[i].when.Equal(q[j].when) {
		return q[i].when.After(q[j].when)
	}
	return q[i].number < q[j].number
}

func (q *dateQueue) Pop() any {
	last := len(*q) - 1
	n := (*q)[last]
	*q = (*q)[:last]
	return n
}
