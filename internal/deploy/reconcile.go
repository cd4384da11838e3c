package deploy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/config"
	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/gitrepo"
	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/queue"
)

// A ref that git has accepted and whose hook never ran is found by comparing the repository's tags with those that are known: a
// file has "object tag" lines of all that a hook has seen, and of those that were there before pushes were looked at.

// hookTime is how long a hook may take from the moment that git moves a ref until it is known: a ref that is younger is not lost.
const hookTime = 30 * time.Second

// lostLookBack is how many runs are looked through for those that a push asked for.
const lostLookBack = 1000

func (s *Site) knownPath() string { return s.Root.State("pushed") }

// known are the refs' objects that a hook has seen, by tag; false where pushes are not looked at yet.
func (s *Site) known() (map[string]string, bool, error) {
	data, err := os.ReadFile(s.knownPath())
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]string{}, false, nil
	}
	known := map[string]string{}
	for line := range strings.Lines(string(data)) {
		object, tag, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		known[tag] = object
	}
	return known, true, err
}

// KnowTags begins to look at pushes, as when the hooks are installed: the tags that are there now are none that a hook has missed.
// Where it has begun already it changes nothing. The first hook that runs does it too.
func (s *Site) KnowTags() error { return s.know(nil) }

// know adds refs to those that a hook has seen, durably.
func (s *Site) know(updates []Update) (err error) {
	q, err := queue.Open(s.Root.State()) // whose lock keeps others from writing at the same time
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	known, begun, err := s.known()
	if err != nil || begun && len(updates) == 0 {
		return err
	}
	if !begun {
		if known, err = s.tagObjects(tagsPrefix); err != nil {
			return err
		}
	}
	for _, u := range updates {
		if tag, ok := strings.CutPrefix(u.Ref, tagsPrefix); ok && !u.Deleted() {
			known[tag] = u.New
		}
	}
	var text strings.Builder
	for _, tag := range slices.Sorted(maps.Keys(known)) {
		fmt.Fprintf(&text, "%s %s\n", known[tag], tag)
	}
	return disk.WriteFile(s.knownPath(), []byte(text.String()), 0o644)
}

// tagObjects are the objects that the refs below a prefix name, by the rest of their names.
func (s *Site) tagObjects(prefix string) (map[string]string, error) {
	repo, err := s.Repo()
	if err != nil {
		return nil, err
	}
	defer repo.Close()
	refs, err := repo.Objects().Refs(prefix)
	found := map[string]string{}
	for _, ref := range refs { // an error besides them is of others, which nobody can deploy either
		found[strings.TrimPrefix(ref.Name, prefix)] = ref.ID.String()
	}
	if len(refs) > 0 {
		err = nil
	}
	return found, err
}

// Lost are the refs that git has accepted and whose hook never ran: tags that a push is to deploy, that are newer than all that
// history and queue know of, oldest first; and pushes that asked for a tag again. What else a hook missed is of no interest any more.
func (s *Site) Lost() ([]Update, error) {
	known, begun, err := s.known()
	if err != nil || !begun {
		return nil, err
	}
	tags, err := s.tagObjects(tagsPrefix)
	if err != nil {
		return nil, err
	}
	retries, err := s.tagObjects(RetryPrefix)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(tags, func(tag, object string) bool { return known[tag] == object || !matches(s.Config.Push.Tags, tag) })
	if len(tags)+len(retries) == 0 {
		return nil, nil
	}
	names, err := s.newerTags(tags)
	if err != nil {
		return nil, err
	}
	var lost []Update
	for _, tag := range names {
		lost = append(lost, Update{New: tags[tag], Ref: tagsPrefix + tag})
	}
	for _, tag := range slices.Sorted(maps.Keys(retries)) {
		lost = append(lost, Update{New: retries[tag], Ref: RetryPrefix + tag})
	}
	return s.settled(lost)
}

// newerTags are those tags that are newer than all that runs were about and all that waits, oldest first.
func (s *Site) newerTags(tags map[string]string) ([]string, error) {
	ledger, err := journal.LoadLedger(s.Root.State())
	if err != nil {
		return nil, err
	}
	waiting, _, err := s.Queued()
	if err != nil {
		return nil, err
	}
	runs, err := journal.Tail(s.Root.State(), lostLookBack) // the ledger leaves out what never came to be a release
	if err != nil {
		return nil, err
	}
	done := slices.Collect(maps.Keys(ledger.Tags))
	for _, w := range waiting {
		done = append(done, w.Tag)
	}
	for _, run := range runs {
		if run.Ref != "" {
			done = append(done, run.To)
		}
	}
	order := gitrepo.Order(slices.Concat(done, slices.Collect(maps.Keys(tags))))
	newest := slices.IndexFunc(order, func(tag string) bool { return slices.Contains(done, tag) })
	if newest >= 0 {
		order = order[:newest]
	}
	slices.Reverse(order)
	return slices.Compact(order), nil
}

// settled are those refs that git has not moved just now, so that their hooks may be at work still.
func (s *Site) settled(refs []Update) ([]Update, error) {
	dir, err := s.RepoDir()
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(filepath.Join(dir, ".git")); err == nil && info.IsDir() {
		dir = filepath.Join(dir, ".git")
	}
	return slices.DeleteFunc(refs, func(u Update) bool {
		for _, path := range []string{u.Ref, "packed-refs", "reftable/tables.list"} { // the first that is there tells
			if info, err := os.Stat(filepath.Join(dir, path)); err == nil {
				return s.Now().Sub(info.ModTime()).Abs() < hookTime
			}
		}
		return false
	}), nil
}

// Reconcile offers what git has accepted and no hook has seen, or queues it, as the configuration says. What pre-receive had said yes
// to is queued in any case: see tentative. It returns what it has queued, and what is to be said. The refs of a push whose hook we
// are are not lost. A push that asked for a tag again is never made up for: what is live may be newer by now.
func (c *Client) Reconcile(ctx context.Context, ours ...Update) (queued []Waiting, notes []string, err error) {
	queued, err = c.takeUp(ctx)
	for _, w := range queued {
		notes = append(notes, w.Tag+": git had taken it in and called no hook: it goes on now")
	}
	if err != nil {
		return queued, notes, err
	}
	lost, err := c.Lost()
	if err != nil {
		return queued, notes, err
	}
	var retries []Update
	for _, u := range lost {
		retry, tag := shortName(u.Ref)
		switch {
		case slices.ContainsFunc(ours, func(our Update) bool { return our.Ref == u.Ref }):
		case retry:
			retries = append(retries, u)
			notes = append(notes, fmt.Sprintf("%s: a push asked for it again and no hook ran: push it again", tag))
		case c.Config.Push.Reconcile == config.ReconcileDeploy:
			w, err := c.Enqueue(Request{Command: Activate, Tag: tag, Ref: u.Ref, Object: u.New, By: "reconcile"}, u)
			if err == nil {
				err = c.know([]Update{u})
			}
			if err != nil {
				return queued, notes, err
			}
			queued = append(queued, w)
			notes = append(notes, fmt.Sprintf("%s: it came to the repository and no hook ran: it is deployed now", tag))
		default:
			notes = append(notes, fmt.Sprintf("%s: it came to the repository and no hook ran: rel activate %s deploys it", tag, tag))
		}
	}
	return queued, notes, c.dropRetries(ctx, retries)
}

// shortName is the tag that a ref names, or asks for again.
func shortName(ref string) (retry bool, tag string) {
	tag, retry = strings.CutPrefix(ref, RetryPrefix)
	return retry, strings.TrimPrefix(tag, tagsPrefix)
}
