package deploy

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/gitrepo"
	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/queue"
	"github.com/git-rel/rel/internal/worker"
)

// git tells its client of a push before it calls post-receive, and is ended by that where the client has gone: the refs are taken
// in then, and no hook runs. So pre-receive writes down what it has decided, a tentative request for each request, and whoever comes
// first makes it one: post-receive; a watcher, which pre-receive leaves behind and which waits for the end of git's receive-pack; or
// the next rel that does something in the root. The key is the same for all three, so that it is one run.

// tentative is a request that depends on git's taking the push in.
type tentative struct {
	Request  Request  `json:"request"` // with its key
	Pushed   Update   `json:"pushed"`  // the ref that asks for it
	Receiver receiver `json:"receiver"`
	Number   int      `json:"number"` // more than that of any written before; files' times can be the same
	entry    queue.Tentative
}

// receiver is git's receive-pack: after its end no ref is taken in, and no hook begins.
type receiver struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"`
	Boot  string `json:"boot"`
}

// alive says whether it has not ended yet, or might not have.
func (r receiver) alive() bool {
	if r.Boot != proc.BootID() {
		return false
	}
	p, err := proc.Lookup(r.PID)
	return err == nil && p.Start == r.Start || err != nil && !errors.Is(err, proc.ErrGone)
}

// isReceivePack says whether a command line is git's receive-pack: git receive-pack DIR, or git-receive-pack DIR.
func isReceivePack(cmdline string) bool {
	words := strings.Fields(cmdline)
	if len(words) < 2 {
		return false
	}
	program := filepath.Base(words[0])
	return program == "git-receive-pack" || program == "git" && slices.Contains(words[1:], "receive-pack")
}

// takenKept is how long it is kept in mind that a tentative request has become a request: its post-receive may run although its
// receive-pack has ended.
const takenKept = time.Hour

// WriteTentative leaves a watcher behind, asks the gate, and writes down, durably, what a push asks for that git is about to take in.
// Where git's receive-pack cannot be found, as on systems without /proc, it only asks the gate.
func (c *Client) WriteTentative(ctx context.Context, updates []Update, requests []Request, by string, gate func() error) error {
	pack, found := proc.Ancestor(isReceivePack)
	if !found || len(requests) == 0 {
		return gate()
	}
	if err := c.make(requests[0].Command); err != nil {
		return err
	}
	_, _ = c.TakeUp(ctx)                  // what was pushed before comes before; if not now, the next one tries
	_, err := worker.Start(worker.Launch{ // first, so that nothing is ever written that nobody watches
		Program: c.Program, Args: WatchArgs(c.Root.Dir, pack), Dir: c.Root.Dir,
		Env: proc.Environment(c.Owner, nil), Unit: "rel-watch-" + rand.Text(), User: c.Owner,
	})
	if err != nil {
		return err
	}
	if err := gate(); err != nil {
		return err
	}
	from := receiver{PID: pack.PID, Start: pack.Start, Boot: proc.BootID()}
	if err := c.writeTentative(updates, requests, by, from); err != nil || from.alive() {
		return err
	}
	_, err = c.TakeUp(ctx) // the watcher may have looked before we wrote
	c.tidyUnaccepted(ctx)
	return err
}

func (c *Client) writeTentative(updates []Update, requests []Request, by string, from receiver) (err error) {
	after, err := c.lastRun()
	if err != nil {
		return err
	}
	repo, err := c.Repo()
	if err != nil {
		return err
	}
	q, err := queue.Open(c.Root.State())
	if err != nil {
		return errors.Join(err, repo.Close())
	}
	defer func() { err = errors.Join(err, q.Close(), repo.Close()) }()
	all, err := tentatives(q)
	if err != nil {
		return err
	}
	number := 0
	if len(all) > 0 {
		number = all[len(all)-1].Number
	}
	for i, req := range requests {
		req.Key, req.After, req.By = rand.Text(), after, by
		t := tentative{Request: req, Pushed: req.pushedIn(updates), Receiver: from, Number: number + 1 + i}
		if already, err := t.accepted(repo); err != nil {
			return err
		} else if already { // by another push: git rejects this one. One that comes from now on forgets what we write
			continue
		}
		text, err := json.Marshal(t)
		if err == nil {
			err = q.PutTentative(req.Key, text)
		}
		if err != nil {
			return err
		}
		for _, old := range all { // a hook of that push does not come any more
			if old.entry.Taken && old.Pushed.Ref == t.Pushed.Ref {
				err = errors.Join(err, q.Forget(old.entry))
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pushedIn is the ref of a push that a request is for.
func (req Request) pushedIn(updates []Update) Update {
	i := slices.IndexFunc(updates, func(u Update) bool {
		return u.New == req.Object && (u.Ref == req.Ref || u.Ref == RetryPrefix+req.Tag)
	})
	if i < 0 {
		return Update{New: req.Object, Ref: req.Ref}
	}
	return updates[i]
}

// tentatives reads all there are. The queue is locked.
func tentatives(q *queue.Queue) ([]tentative, error) {
	entries, err := q.Tentatives()
	if err != nil {
		return nil, err
	}
	var all []tentative
	for _, entry := range entries {
		var t tentative
		if json.Unmarshal(entry.Data, &t) != nil || t.Request.Key != entry.Key {
			err = errors.Join(err, q.Forget(entry)) // of another version of rel
			continue
		}
		t.entry = entry
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b tentative) int { return cmp.Compare(a.Number, b.Number) })
	return all, err
}

// asks says whether both are of the same ref, pushed as the same object.
func (t tentative) asks(u Update) bool { return t.Pushed.Ref == u.Ref && t.Pushed.New == u.New }

// keyOf is the key of the request that pre-receive has written for a pushed ref, and the last run there was then; false where it has
// written none. The queue is locked.
func keyOf(all []tentative, pushed Update) (key string, after int, ok bool) {
	for _, t := range all {
		if t.asks(pushed) && (!ok || !t.entry.Taken) { // a push that has just come before one that has become a request
			key, after, ok = t.Request.Key, t.Request.After, true
		}
	}
	return key, after, ok
}

// forget removes what was written for a pushed ref, which a request in the queue stands for now.
func forget(q *queue.Queue, all []tentative, pushed Update) (err error) {
	for _, t := range all {
		if t.asks(pushed) {
			err = errors.Join(err, q.Forget(t.entry))
		}
	}
	return err
}

// takeUp makes requests of what git has taken in of pushes whose receive-pack has ended and whose post-receive did not come, and
// forgets what it has not taken in. That is certain: git had asked us, we had said yes, and the ref names what was pushed.
func (s *Site) takeUp(ctx context.Context) (queued []Waiting, err error) {
	if has, err := queue.HasTentative(s.Root.State()); err != nil || !has {
		return nil, err
	}
	repo, err := s.Repo()
	if err != nil {
		return nil, err
	}
	q, err := queue.Open(s.Root.State())
	if err != nil {
		return nil, errors.Join(err, repo.Close())
	}
	queued, taken, err := s.takeUpAll(q, repo)
	err = errors.Join(err, q.Close(), repo.Close())
	if len(taken) == 0 {
		return queued, err
	}
	retries := slices.DeleteFunc(slices.Clone(taken), func(u Update) bool { return !strings.HasPrefix(u.Ref, RetryPrefix) })
	return queued, errors.Join(err, s.know(taken), s.dropRetries(context.WithoutCancel(ctx), retries))
}

func (s *Site) takeUpAll(q *queue.Queue, repo *gitrepo.Repo) (queued []Waiting, taken []Update, err error) {
	all, err := tentatives(q)
	if err != nil {
		return nil, nil, err
	}
	for i, t := range all {
		var accepted bool
		switch {
		case t.entry.Taken && s.Now().Sub(t.entry.When) < takenKept, !t.entry.Taken && t.Receiver.alive():
			continue
		case !t.entry.Taken && !anotherAsks(all, i):
			accepted, err = t.accepted(repo)
		}
		if err == nil && !accepted {
			err = q.Forget(t.entry)
		} else if err == nil {
			var w Waiting
			if w, err = s.put(q, s.late(t)); err == nil {
				queued, taken, err = append(queued, w), append(taken, t.Pushed), q.Take(t.entry)
			}
		}
		if err != nil {
			return queued, taken, err
		}
	}
	return queued, taken, nil
}

// anotherAsks says whether another push of the same object to the same ref was the one, has become a request, or is to be asked.
// Git takes one of them in only.
func anotherAsks(all []tentative, i int) bool {
	for j, other := range all {
		if j != i && other.asks(all[i].Pushed) && (j > i || other.entry.Taken || other.Receiver.alive()) {
			return true
		}
	}
	return false
}

// accepted says whether the ref names what was pushed.
func (t tentative) accepted(repo *gitrepo.Repo) (bool, error) {
	at, err := repo.Objects().Ref(t.Pushed.Ref)
	if errors.Is(err, objects.ErrNoRef) {
		return false, nil
	}
	return err == nil && at.String() == t.Pushed.New, err
}

// late is the request as it is queued. One that is found long after it was pushed is not to take the place of what is newer: then
// it is in the history, and nothing else.
func (s *Site) late(t tentative) Request {
	req := t.Request
	if s.Now().Sub(t.entry.When) < hookTime || req.Command != Activate || !strings.HasPrefix(req.Ref, tagsPrefix) {
		return req
	}
	if v, err := s.look(); err == nil && gitrepo.Newer(v.Live.Tag, req.Tag) {
		req.Dropped = "rel: it was found late, and " + v.Live.Tag + " is live"
	}
	return req
}
