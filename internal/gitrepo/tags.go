package gitrepo

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"golang.org/x/text/encoding/ianaindex"

	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

const tagPrefix = "refs/tags/"

// Tags lists the tags that name a commit, by name, with Name, Object, Commit and Annotated filled in. An error besides a list
// tells of tags that cannot be read; the list is of the others.
func (r *Repo) Tags(ctx context.Context) ([]release.Tag, error) {
	refs, err := r.store.Refs(tagPrefix)
	bad := []error{err}
	tags := make([]release.Tag, 0, len(refs))
	for _, ref := range refs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		name := strings.TrimPrefix(ref.Name, tagPrefix)
		commit, kind, err := r.peel(ref)
		if err != nil {
			bad = append(bad, wrapf(err, "%s", name))
		} else if kind == objects.KindCommit {
			object := ref.ID.String()
			tags = append(tags, release.Tag{Name: name, Object: object, Commit: commit.String(), Annotated: commit != ref.ID})
		}
	}
	return tags, errors.Join(bad...)
}

func (r *Repo) peel(ref objects.Ref) (objects.ID, objects.Kind, error) {
	id := ref.Peeled
	if id.IsZero() {
		var err error
		if id, err = r.store.Peel(ref.ID); err != nil {
			return id, 0, err
		}
	}
	kind, _, err := r.store.Header(id)
	return id, kind, err
}

// wrapf puts the thing before err and keeps err's exit code and hints.
func wrapf(err error, format string, args ...any) *release.Error {
	e := release.Errorf(release.ExitCode(err), format+": %w", append(args, err)...)
	e.Hints = release.Hints(err)
	return e
}

// Resolve reads the tag refs/tags/NAME, and nothing else that git would take the name for. A tag that is not there is exit 10,
// with names that are near; one of a tree or a blob is refused.
func (r *Repo) Resolve(ctx context.Context, name string) (release.Tag, error) {
	if !validTagName(name) {
		return release.Tag{}, release.Errorf(release.ExitNotFound, "%q: no tag can have this name", name).Hint("rel list shows the tags")
	}
	id, err := r.store.Ref(tagPrefix + name)
	if errors.Is(err, objects.ErrNoRef) {
		return release.Tag{}, r.noSuchTag(ctx, name)
	}
	if err != nil {
		return release.Tag{}, err
	}
	tag := release.Tag{Name: name, Object: id.String()}
	commitID, kind, err := r.peel(objects.Ref{ID: id})
	if err != nil {
		return release.Tag{}, wrapf(err, "%s", name)
	}
	if kind != objects.KindCommit {
		return release.Tag{}, release.Errorf(release.ExitError, "%s: the tag names a %s, not a commit", name, kind).
			Hint("only a tag of a commit can be a release")
	}
	commit, err := r.store.Commit(commitID)
	if err != nil {
		return release.Tag{}, wrapf(err, "%s", name)
	}
	tag.Commit, tag.Tree = commitID.String(), commit.Tree.String()
	tag.When, tag.Subject = commit.Committer.When, subject(commit.Encoding, commit.Message)
	if commitID == id {
		return tag, nil
	}
	object, err := r.store.Tag(id)
	if err != nil {
		return release.Tag{}, wrapf(err, "%s", name)
	}
	tag.Annotated, tag.Subject = true, subject("", object.Message)
	if !object.Tagger.When.IsZero() {
		tag.When = object.Tagger.When
	}
	return tag, nil
}

// subject is a message's first line that is not empty, in UTF-8 where its encoding is known.
func subject(encoding, message string) string {
	line, _, _ := strings.Cut(strings.TrimLeft(message, " \t\r\n"), "\n")
	line = strings.TrimRight(line, " \t\r")
	if encoding == "" {
		return line
	}
	enc, err := ianaindex.IANA.Encoding(encoding)
	if err != nil || enc == nil { // an encoding that nobody knows: the bytes are shown as they are
		return line
	}
	decoded, err := enc.NewDecoder().String(line)
	if err != nil {
		return line
	}
	return decoded
}

func (r *Repo) noSuchTag(ctx context.Context, name string) error {
	e := release.Errorf(release.ExitNotFound, "%s: no such tag", name)
	refs, err := r.store.Refs(tagPrefix)
	if err != nil && len(refs) == 0 {
		return wrapf(err, "%s", name)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	tags := make([]string, len(refs))
	for i, ref := range refs {
		tags[i] = strings.TrimPrefix(ref.Name, tagPrefix)
	}
	if near := nearest(name, tags); len(near) > 0 {
		e.Hint("did you mean %s?", strings.Join(near, " or "))
	}
	return e.Hint("rel list shows the tags")
}

// nearest are at most three tags whose names are like name: the same but for case and "v", longer versions of it (v1.4.2 for
// v1.4), or with few letters changed.
func nearest(name string, tags []string) []string {
	type match struct {
		tag  string
		cost int
	}
	fold := func(s string) string { return strings.TrimPrefix(strings.ToLower(s), "v") }
	most := 1 + len(name)/5
	var found []match
	for _, tag := range Order(tags) {
		switch cost := distance(fold(name), fold(tag), most); {
		case strings.HasPrefix(tag, name+"."), strings.HasSuffix(tag, "/"+name):
			found = append(found, match{tag, min(1, cost)})
		case cost <= most:
			found = append(found, match{tag, cost})
		}
	}
	slices.SortStableFunc(found, func(a, b match) int { return cmp.Compare(a.cost, b.cost) })
	var near []string
	for _, m := range found[:min(3, len(found))] {
		near = append(near, m.tag)
	}
	return near
}

// distance is how many bytes to insert, delete or change make a into b; most+1 when it is more than most.
func distance(a, b string, most int) int {
	if len(a)-len(b) > most || len(b)-len(a) > most {
		return most + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return min(row[len(b)], most+1)
}
