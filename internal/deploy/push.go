package deploy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/git-rel/rel/internal/config"
	"github.com/git-rel/rel/internal/gitrepo"
	"github.com/git-rel/rel/internal/release"
)

// Update is one ref that a push changes, as git tells its hooks.
type Update struct {
	Old, New string // object ids; all zeros where the ref is made or deleted
	Ref      string // whole, as refs/tags/v1.4
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

const tagsPrefix = "refs/tags/"

// RetryPrefix is where a tag is pushed to so as to ask for it again: git runs no hook for a tag that is there already.
const RetryPrefix = "refs/retry/"

// Decision is what a push asks for.
type Decision struct {
	Requests []Request // in the order in which they are to be queued; Key, By and After are not filled in
	Retries  []Update  // refs that were pushed to ask for a tag again: they are taken away once the request is queued
	Notes    []string  // what else is to be said to whoever pushed
}

// Decide says what an accepted push asks for. It looks at nothing but its arguments.
func Decide(policy config.Push, updates []Update) Decision {
	var d Decision
	pushed := map[string]Update{} // by tag
	var names []string
	for _, u := range updates {
		tag, ok := strings.CutPrefix(u.Ref, tagsPrefix)
		if retry, again := strings.CutPrefix(u.Ref, RetryPrefix); again && !u.Deleted() {
			tag, ok = retry, true
			d.Retries = append(d.Retries, u)
		}
		switch {
		case !ok || u.Deleted():
		case !matches(policy.Tags, tag):
			d.Notes = append(d.Notes, fmt.Sprintf("%s: not deployed: it is none of %s", tag, strings.Join(policy.Tags, ", ")))
		default:
			if _, twice := pushed[tag]; !twice {
				names = append(names, tag)
			}
			pushed[tag] = u
		}
	}
	for i, tag := range gitrepo.Order(names) {
		if i > 0 {
			d.Notes = append(d.Notes, fmt.Sprintf("%s: not deployed: %s came with it", tag, d.Requests[0].Tag))
			continue
		}
		d.Requests = append(d.Requests, Request{Command: Activate, Tag: tag, Ref: tagsPrefix + tag, Object: pushed[tag].New})
	}
	return d
}

// Accept queues what a push that git has accepted asks for, and sees that somebody serves the queue. The notes are for whoever
// pushed. It is not cancelled: a request that is queued with an error is queued all the same.
func (c *Client) Accept(ctx context.Context, updates []Update, by string) (waiting []Waiting, notes []string, err error) {
	d := Decide(c.Config.Push, updates)
	if c.Config.Push.Reconcile == config.ReconcileDeploy { // before ours, which takes its place
		d.Notes = append(d.Notes, c.reconcileBeside(ctx, updates)...)
	}
	for _, req := range d.Requests {
		req.By = by
		w, err := c.Enqueue(req)
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
func (c *Client) dropRetries(ctx context.Context, retries []Update) error {
	if len(retries) == 0 {
		return nil
	}
	repo, err := c.Repo()
	if err != nil {
		return err
	}
	for _, u := range retries {
		err = errors.Join(err, repo.DropRef(ctx, u.Ref, u.New))
	}
	return errors.Join(err, repo.Close())
}

// matches says whether a ref's short name is one that patterns stand for.
func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return err == nil && ok
	})
}
