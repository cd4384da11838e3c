package deploy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/queue"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/worker"
)

// Waiting is a request in the queue.
type Waiting struct {
	Number  int       `json:"number"`
	Command string    `json:"command"`
	Tag     string    `json:"tag"`
	Ref     string    `json:"ref"`
	Object  string    `json:"object"`
	By      string    `json:"by"`
	When    time.Time `json:"when"`
	Run     int       `json:"run"`     // that carries it out; 0 while it waits
	Dropped string    `json:"dropped"` // who has dropped it; history will tell
	req     Request
	item    queue.Item
}

// Again is what to push so as to ask for it again.
func (w Waiting) Again() string { return w.req.Again() }

// Enqueue puts a request that a pushed ref asks for at the end of the queue and gives it its key: the one that pre-receive gave it,
// if it did, so that one which is queued or done by somebody else already stays one. When it returns without an error the request
// is on the disk, and will be exactly one run of the history, whatever happens to whoever asked for it.
func (s *Site) Enqueue(req Request, pushed Update) (w Waiting, err error) {
	if err := s.make(req.Command); err != nil {
		return Waiting{}, err
	}
	if req.After, err = s.lastRun(); err != nil {
		return Waiting{}, err
	}
	req.Key = rand.Text()
	q, err := queue.Open(s.Root.State())
	if err != nil {
		return Waiting{}, err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	all, err := tentatives(q)
	if err != nil {
		return Waiting{}, err
	}
	if key, after, ok := keyOf(all, pushed); ok {
		req.Key, req.After = key, after
	}
	if w, err = s.put(q, req); err != nil {
		return Waiting{}, err
	}
	return w, forget(q, all, pushed)
}

// lastRun is the number of the last run that began.
func (s *Site) lastRun() (int, error) {
	rec, _, err := journal.Read(s.Root.State())
	if errors.Is(err, journal.ErrDamaged) { // then a person mends it, and what is asked for waits for that
		err = nil
	}
	return rec.Run.Run, err
}

// put puts a request at the end of the queue, unless it is in it, or was carried out.
func (s *Site) put(q *queue.Queue, req Request) (Waiting, error) {
	items, _, err := q.List()
	if err != nil {
		return Waiting{}, err
	}
	if i := slices.IndexFunc(items, func(item queue.Item) bool { return item.Key == req.Key }); i >= 0 {
		return waitingOf(items[i], req), nil
	}
	_, done, err := journal.FindKey(s.Root.State(), req.Key, req.After)
	if err != nil || done {
		return waitingOf(queue.Item{}, req), err
	}
	item, err := q.Put(req.Key, []byte(req.String()))
	return waitingOf(item, req), err
}

func waitingOf(item queue.Item, req Request) Waiting {
	return Waiting{
		Number: item.Number, Command: req.Command, Tag: req.Tag, Ref: req.Ref, Object: req.Object, By: req.By,
		When: item.When.UTC().Truncate(time.Second), Dropped: req.Dropped, req: req, item: item,
	}
}

// Queued is what is in the queue, in order, and what is in it that is no request.
func (s *Site) Queued() ([]Waiting, []queue.Bad, error) {
	items, bad, err := queue.List(s.Root.State())
	if err != nil {
		return nil, nil, err
	}
	rec, _, err := journal.Read(s.Root.State())
	if err != nil && !errors.Is(err, journal.ErrDamaged) {
		return nil, nil, err
	}
	all, more := parse(items)
	i := slices.IndexFunc(all, func(w Waiting) bool { return w.req.Key == rec.Run.Key })
	switch {
	case i >= 0 && rec.Phase == journal.Finished: // who served it is about to take it out
		all = slices.Delete(all, i, i+1)
	case i >= 0:
		all[i].Run = rec.Run.Run
	}
	return all, append(bad, more...), nil
}

// SetAside is an error that names what was taken out of the queue since it is no request: the run that told of it may be one
// that nobody looks at, and there may have been none.
func (s *Site) SetAside() error {
	paths, err := queue.Aside(s.Root.State())
	if err != nil || len(paths) == 0 {
		return err
	}
	return release.Errorf(release.ExitError, "%s: set aside: no request that this version of rel knows", strings.Join(paths, ", ")).
		Hint("look at it, and remove it: whoever pushed may push again")
}

// parse reads what items ask for.
func parse(items []queue.Item) (all []Waiting, bad []queue.Bad) {
	for _, item := range items {
		req, err := ParseRequest(string(item.Data))
		if err == nil && (req.Key != item.Key || req.Command != Activate && req.Command != Stage) {
			err = errors.New("not a request that this version of rel knows")
		}
		if err != nil {
			bad = append(bad, queue.Bad{Name: item.Name(), Err: err})
			continue
		}
		all = append(all, waitingOf(item, req))
	}
	return all, bad
}

// Drop takes a request that waits out of the queue. Who serves the queue writes that into the history.
func (s *Site) Drop(number int, by string) (dropped Waiting, err error) {
	q, err := queue.Open(s.Root.State())
	if err != nil {
		return Waiting{}, err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	all, _, err := s.Queued() // the queue is locked: none of them becomes a run meanwhile
	if err != nil {
		return Waiting{}, err
	}
	i := slices.IndexFunc(all, func(w Waiting) bool { return w.Number == number })
	if i < 0 {
		return Waiting{}, release.Errorf(release.ExitNotFound, "%d: no such request in the queue", number).Hint("rel queue lists them")
	}
	w := all[i]
	if w.Run > 0 {
		return Waiting{}, release.Errorf(release.ExitRefused, "%d: run %d carries it out already", number, w.Run).
			Hint("rel attach %d follows it, and Ctrl-C cancels it as long as nothing was touched", w.Run)
	}
	if w.Dropped == "" {
		w.Dropped, w.req.Dropped = by, by
		err = q.Replace(w.item, []byte(w.req.String()))
	}
	return w, err
}

// firstToGoOn is the name of the first thing in the queue that needs somebody who serves it; empty where nothing does. While the
// root is held that is only what is not to become a run.
func (s *Site) firstToGoOn() (string, error) {
	items, bad, err := queue.List(s.Root.State())
	if err != nil || len(items)+len(bad) == 0 {
		return "", err
	}
	hold, err := s.Hold()
	if err != nil {
		return "", err
	}
	all, more := parse(items)
	if bad = append(bad, more...); len(bad) > 0 {
		return bad[0].Name, nil
	}
	for _, w := range all {
		if hold == nil || w.Dropped != "" {
			return w.item.Name(), nil
		}
	}
	return "", nil
}

// workQueue is a worker's turn at the queue: it writes off what will not become a run, and makes one run of the first request
// that will.
func (s *Site) workQueue(ctx context.Context, j *journal.Journal, notes ...string) error {
	q, err := queue.Open(s.Root.State())
	if err != nil {
		return err
	}
	r, item, err := s.take(q, j, &notes)
	err = errors.Join(err, q.Close())
	if err != nil || r == nil {
		return err
	}
	r.finished = func() error {
		q, err := queue.Open(s.Root.State())
		if err != nil {
			return err
		}
		return errors.Join(q.Remove(item), q.Close())
	}
	r.whole(ctx, notes)
	return nil
}

// take begins the run of the first request that is to be one; none where nothing waits, or the root is held. It has the queue
// locked, so that nobody drops what it takes.
func (s *Site) take(q *queue.Queue, j *journal.Journal, notes *[]string) (*run, queue.Item, error) {
	all, err := s.sift(q, notes)
	if err != nil {
		return nil, queue.Item{}, err
	}
	hold, err := s.Hold()
	if err != nil {
		return nil, queue.Item{}, err
	}
	for i, w := range all {
		_, done, err := journal.FindKey(s.Root.State(), w.req.Key, w.req.After)
		newer := slices.IndexFunc(all[i+1:], func(other Waiting) bool { return other.Dropped == "" && other.req.supersedes(w.req) })
		switch {
		case err != nil:
		case done: // its worker was killed between the end of the run and the request's
		case w.Dropped != "":
			err = s.writeOff(j, w.req, release.Cancelled, "dropped from the queue by "+w.Dropped)
		case hold != nil:
			continue
		case newer >= 0:
			by := all[i+1+newer]
			err = s.writeOff(j, w.req, release.Superseded, fmt.Sprintf("by %s (request %d), before its turn came", by.Tag, by.Number))
		default:
			r, err := s.beginRun(j, w.req)
			return r, w.item, err
		}
		if err == nil {
			err = q.Remove(w.item)
		}
		if err != nil {
			return nil, queue.Item{}, err
		}
	}
	return nil, queue.Item{}, nil
}

// sift is what waits, with what is no request set aside.
func (s *Site) sift(q *queue.Queue, notes *[]string) ([]Waiting, error) {
	items, bad, err := q.List()
	if err != nil {
		return nil, err
	}
	all, more := parse(items)
	for _, one := range append(bad, more...) {
		*notes = append(*notes, fmt.Sprintf("%s in the queue: %v: it was set aside", one.Name, one.Err))
		if err := q.SetAside(one.Name); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// writeOff puts a request that does not become a run of its own into the history all the same, with a number, and a log for
// whoever follows it.
func (s *Site) writeOff(j *journal.Journal, req Request, outcome release.Outcome, note string) error {
	run := release.Run{
		Run: j.NextRun(), Key: req.Key, Command: req.Command, To: req.Tag, By: req.By, Ref: req.Ref, Started: s.Now().UTC(),
		Outcome: outcome, Verified: release.VerifiedNone, Exit: release.ExitCancelled, Note: note,
	}
	if v, err := s.look(); err == nil { // what is live is not touched, and is told where it is known
		run.From, run.FromID, run.Now = v.Live.Tag, v.Live.ID, v.Live.ID
	}
	err := j.Finish(run)
	var later *journal.NotYetInHistory
	if err != nil && !errors.As(err, &later) {
		return err
	}
	log, err := worker.OpenLog(s.Root.State(), run.Run)
	if err != nil {
		s.Warn(err)
	}
	log.Emit(release.Event{Kind: release.EventBegin, Run: &run})
	log.Emit(release.Event{Kind: release.EventEnd, Run: &run, Exit: run.Exit})
	return log.Close()
}
