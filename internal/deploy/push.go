package deploy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/git-rel/rel/internal/config"
	"github.com/git-rel/rel/internal/release"
)

// Update is one ref that a push changes, as git tells its hooks.
type Update struct {
	Old string `json:"old"` // object ids; all zeros where the ref is made
	New string `json:"new"` // and where it is deleted
	Ref string `json:"ref"` // whole, as refs/tags/v1.4
}

// Deleted says whether the push takes the ref away.
func (u Update) Deleted() bool { return strings.Trim(u.New, "0") == "" }

// Created says whether the push makes the ref.
func (u Update) Created() bool { return strings.Trim(u.Old, "0") == "" }

// ReadUpdates reads what git gives pre-receive and post-receive: a line "old new ref" for each ref.
func ReadUpdates(r io.Reader) ([]Update, error) {
	var updates []Update
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		old, rest, ok := strings.Cut(lines.Text(), " ")
		id, ref, more := strings.Cut(rest, " ")
		if !ok || !more || old == "" || id == "" || !strings.HasPrefix(ref, "refs/") {
			return nil, release.Errorf(release.ExitUsage, "%q: not a line that git gives a hook", lines.Text())
		}
		updates = append(updates, Update{Old: old, New: id, Ref: ref})
	}
	return updates, lines.Err()
}

// Where git keeps tags and branches.
const (
	tagsPrefix  = "refs/tags/"
	headsPrefix = "refs/heads/"
)

// RetryPrefix is where a tag, or a branch, is pushed to so as to ask for it again: git runs no hook for what is there already.
const RetryPrefix = "refs/retry/"

// Accept queues what a push that git has accepted asks for, and sees that somebody serves the queue. The notes are for whoever
// pushed. It is not cancelled: a request that is queued with an error is queued all the same.
func (c *Client) Accept(ctx context.Context, updates []Update, by string) (waiting []Waiting, notes []string, err error) {
	_, earlierErr := c.takeUp(ctx)
	d := c.decide(ctx, updates)
	if earlierErr != nil {
		d.note("%v", earlierErr)
	}
	if c.Config.Push.Reconcile == config.ReconcileDeploy { // before ours, which takes its place
		d.Notes = append(d.Notes, c.reconcileBeside(ctx, updates)...)
	}
	for _, req := range d.Requests {
		req.By = by
		w, err := c.Enqueue(req, req.pushedIn(updates))
		if err != nil {
			return waiting, d.Notes, release.Errorf(release.ExitError, "%s: git has it, and it could not be queued: %w", req.Tag, err).
				Hint("rel -C %s activate %s on the server puts it live", c.Root.Dir, req.Tag)
		}
		waiting = append(waiting, w)
	}
	_, err = c.Serve()
	err = errors.Join(err, c.know(updates), c.dropRetries(context.WithoutCancel(ctx), d.Retries))
	if c.Config.Push.Reconcile == config.ReconcileReport { // after ours, which need not wait for it
		d.Notes = append(d.Notes, c.reconcileBeside(ctx, updates)...)
	}
	return waiting, d.Notes, err
}

// reconcileBeside is Reconcile beside a push that is being accepted, which must not suffer from it.
func (c *Client) reconcileBeside(ctx context.Context, updates []Update) []string {
	_, notes, err := c.Reconcile(context.WithoutCancel(ctx), updates...)
	if err != nil {
		notes = append(notes, err.Error())
	}
	return notes
}

// dropRetries takes refs away that were pushed to ask for a tag again, so that they can be pushed again.
func (s *Site) dropRetries(ctx context.Context, retries []Update) error {
	if len(retries) == 0 {
		return nil
	}
	repo, err := s.Repo()
	if err != nil {
		return err
	}
	for _, u := range retries {
		err = errors.Join(err, repo.DropRef(ctx, u.Ref, u.New))
	}
	return errors.Join(err, repo.Close())
}
