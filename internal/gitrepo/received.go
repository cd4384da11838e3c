package gitrepo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// Received is an object that a push brings for a ref.
type Received struct {
	Kind      objects.Kind // of what the object leads to, through tags: a commit, for what can be a release
	Commit    string       // where it is one
	Annotated bool         // a tag object leads there
}

// Received looks at an object that is named by its id.
func (r *Repo) Received(object string) (Received, error) {
	id, err := objects.ParseID(object)
	if err != nil {
		return Received{}, err
	}
	end, err := r.store.Peel(id)
	if err != nil {
		return Received{}, err
	}
	kind, _, err := r.store.Header(end)
	found := Received{Kind: kind, Annotated: end != id}
	if kind == objects.KindCommit {
		found.Commit = end.String()
	}
	return found, err
}

// Ancestor says whether everything in the history of commit old is in that of commit new too: the way there is forward.
func (r *Repo) Ancestor(ctx context.Context, old, new string) (bool, error) {
	from, err := objects.ParseID(old)
	if err != nil {
		return false, err
	}
	to, err := objects.ParseID(new)
	if err != nil {
		return false, err
	}
	w, err := r.newWalk()
	if err != nil {
		return false, err
	}
	if err := w.reach(from, inFrom); err != nil {
		return false, err
	}
	if err := w.reach(to, inTo); err != nil {
		return false, err
	}
	err = w.run(ctx, 0)
	return len(w.only(inFrom)) == 0, err
}

// CheckName refuses a name for a tag that git refuses, and one that would mislead.
func CheckName(name string) error { return checkNewName(name) }

// NextDated is the name of the next dated tag: the day, in UTC, and a number that no tag of the day has reached.
func NextDated(tags []string, now time.Time) string {
	day := now.UTC().Format("2006.01.02")
	most := ""
	for _, tag := range tags {
		number, ok := strings.CutPrefix(tag, day+"-")
		if v := readVersion(tag); ok && v.kind == dated && v.numbers[3] == number && compareNumbers(number, most) > 0 {
			most = number
		}
	}
	return day + "-" + increment(most)
}

// CutAt makes an annotated tag of a commit without asking who the account is: by names the person in it, and about says why.
func (r *Repo) CutAt(ctx context.Context, name, commit, by, about string, now time.Time) error {
	at := fmt.Sprintf("%d +0000", now.Unix())
	who := []string{"GIT_COMMITTER_NAME=" + by, "GIT_COMMITTER_EMAIL=rel@localhost", "GIT_COMMITTER_DATE=" + at}
	in := call{stdin: name + "\n\n" + about + "\n", env: who}
	if _, err := r.git(ctx, in, "tag", "--annotate", "--no-sign", "--cleanup=verbatim", "-F", "-", "--", name, commit); err != nil {
		return wrapf(err, "%s", name)
	}
	made, err := r.Resolve(ctx, name)
	if err == nil && made.Commit != commit {
		err = release.Errorf(release.ExitError, "%s: names %s and not %s: somebody else made it at the same time", name, short(made.Commit), short(commit))
	}
	return err
}

// Head is a commit as a tag of the name would be, for what is made ready without one.
func (r *Repo) Head(name, commit string) (release.Tag, error) {
	id, err := objects.ParseID(commit)
	if err != nil {
		return release.Tag{}, err
	}
	found, err := r.store.Commit(id)
	if err != nil {
		return release.Tag{}, wrapf(err, "%s", name)
	}
	return release.Tag{
		Name: name, Object: commit, Commit: commit, Tree: found.Tree.String(), When: found.Committer.When,
		Subject: subject(found.Encoding, found.Message),
	}, nil
}
