package gitrepo

import (
	"context"
	"errors"
	"strings"

	"github.com/git-rel/rel/internal/changelog"
	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

const changelogName = "CHANGELOG.md"

// notes decides on the notes, and whether and how CHANGELOG.md changes: a section of the version stands already (an earlier cut
// died before it made the tag, or somebody wrote it), or Unreleased has something, or the commits must do. A file that is no
// regular file or no text counts as none.
func (c *cutting) notes(ctx context.Context) error {
	data, err := c.committed(c.base, changelogName)
	if err != nil {
		return err
	}
	log, err := changelog.Parse(data)
	if errors.Is(err, changelog.ErrBinary) { // UTF-16, say: as good as none
		log, err = changelog.Parse(nil)
	}
	if err != nil {
		return release.Errorf(release.ExitError, "%s: %w", changelogName, err)
	}
	inTree := c.WorkTree != "" && c.o.At == ""
	if inTree {
		if err := c.clean(ctx, log); err != nil {
			return err
		}
	}
	section, there := log.Section(c.Tag)
	c.Notes, c.Resumed = section, c.Resumed || there && inTree
	if !there {
		c.Notes = log.Unreleased()
		if c.Notes != "" && inTree && c.fresh == nil {
			if err := c.rewrite(); err != nil {
				return err
			}
		}
	}
	c.Promotes = c.fresh != nil
	if c.Notes == "" {
		if c.Notes, c.Since, err = c.commitNotes(ctx, c.base, c.Tag); err != nil {
			return err
		}
	}
	c.Message = c.message()
	return nil
}

// committed is a file's content in a commit; nil where there is none, or where it is no regular file.
func (r *Repo) committed(commit objects.ID, name string) ([]byte, error) {
	e, err := r.entryAt(commit, name)
	if err != nil || e.ID.IsZero() || fileType(e) != release.ModeFile&0o170000 {
		return nil, err
	}
	o, err := r.store.Read(e.ID)
	if err == nil && o.Kind != objects.KindBlob {
		err = release.Errorf(release.ExitError, "%s: a %s and not a file", name, o.Kind)
	}
	return o.Data, err
}

// lastTag is the nearest tag that commit, or history before it, carries, among those that count for the version to be cut;
// empty where there is none.
func (r *Repo) lastTag(ctx context.Context, commit objects.ID, cut string) (string, error) {
	tags, err := r.Tags(ctx)
	if err != nil && len(tags) == 0 {
		return "", err
	}
	want := readVersion(cut)
	on := map[string][]string{}
	for _, t := range tags {
		if sameSeries(want, readVersion(t.Name)) {
			on[t.Commit] = append(on[t.Commit], t.Name)
		}
	}
	if len(on) == 0 {
		return "", nil
	}
	w, err := r.newWalk()
	if err != nil {
		return "", err
	}
	if err := w.reach(commit, inTo); err != nil {
		return "", err
	}
	for len(w.queue) > 0 {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		next := w.queue[0].id
		if names := on[next.String()]; len(names) > 0 {
			return Order(names)[0], nil
		}
		if err := w.run(ctx, len(w.order)+1); err != nil {
			return "", err
		}
	}
	return "", nil
}

// commitNotes are release notes from the commits since the last tag: their subjects, newest first, merges left out.
func (r *Repo) commitNotes(ctx context.Context, commit objects.ID, cut string) (notes, since string, err error) {
	const most = 100
	since, err = r.lastTag(ctx, commit, cut)
	if err != nil {
		return "", "", err
	}
	ahead, _, err := r.Log(ctx, since, commit.String(), 3*most)
	if err != nil {
		return "", "", err
	}
	var lines []string
	for _, c := range ahead {
		switch {
		case c.Merge || c.Subject == "":
		case len(lines) == most:
			return strings.Join(append(lines, "- …"), "\n"), since, nil
		default:
			lines = append(lines, "- "+c.Subject)
		}
	}
	return strings.Join(lines, "\n"), since, nil
}
