package gitrepo

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// keepPrefix is where each root has one ref, to a commit whose parents are the commits to keep: refs on the commits themselves would
// show in %D and change exported bytes.
const keepPrefix = "refs/rel/pins/"

// Pin keeps git's gc away from the commits (whole ids) that the root of the given id needs, and from no others that were pinned for it
// before; without any the pin goes. It changes nothing when they are pinned already. A commit that is not there is an error, and the
// pin stays as it was.
func (r *Repo) Pin(ctx context.Context, root string, commits []string) error {
	keepRef := keepPrefix + root
	ids, err := r.pinned(commits)
	if err != nil {
		return err
	}
	old, err := r.store.Ref(keepRef)
	if err != nil && !errors.Is(err, objects.ErrNoRef) {
		return err
	}
	was := old.String()
	if old.IsZero() {
		was = strings.Repeat("0", len(objects.Hash(r.store.Format(), objects.KindTree, nil).String()))
	} else if c, err := r.store.Commit(old); err == nil && slices.Equal(c.Parents, ids) {
		return nil
	}
	if len(ids) == 0 {
		if old.IsZero() {
			return nil
		}
		_, err := r.git(ctx, call{}, "update-ref", "--no-deref", "-d", keepRef, was)
		return err
	}
	pin, err := r.writePin(ctx, ids)
	if err != nil {
		return err
	}
	_, err = r.git(ctx, call{}, "update-ref", "--no-deref", keepRef, pin, was)
	return err
}

// DropRef takes a ref away, if it still names what it is said to.
func (r *Repo) DropRef(ctx context.Context, ref, object string) error {
	_, err := r.git(ctx, call{}, "update-ref", "--no-deref", "-d", ref, object)
	return err
}

// pinned is commits sorted, each once, all of them there.
func (r *Repo) pinned(commits []string) ([]objects.ID, error) {
	sorted := slices.Compact(slices.Sorted(slices.Values(commits)))
	ids := make([]objects.ID, 0, len(sorted))
	for _, c := range sorted {
		id, err := objects.ParseID(c)
		if err != nil {
			return nil, err
		}
		kind, _, err := r.store.Header(id)
		if err != nil {
			return nil, err
		}
		if kind != objects.KindCommit {
			return nil, release.Errorf(release.ExitError, "object %s: it is a %s, not a commit", c, kind)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// writePin writes the commit. Its author and time are fixed, so that the same parents give the same commit; it goes through
// stdin, so that no number of parents is too large for an argument list.
func (r *Repo) writePin(ctx context.Context, parents []objects.ID) (string, error) {
	tree, err := r.line(ctx, call{}, "hash-object", "-t", "tree", "-w", "--stdin")
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("tree " + tree + "\n")
	for _, p := range parents {
		b.WriteString("parent " + p.String() + "\n")
	}
	b.WriteString("author rel <rel@localhost> 0 +0000\ncommitter rel <rel@localhost> 0 +0000\n\ncommits of releases that rel keeps\n")
	return r.line(ctx, call{stdin: b.String()}, "hash-object", "-t", "commit", "-w", "--stdin")
}

// entryAt is the entry of a commit's tree under name; the zero entry where there is none.
func (r *Repo) entryAt(commit objects.ID, name string) (objects.TreeEntry, error) {
	c, err := r.store.Commit(commit)
	if err != nil {
		return objects.TreeEntry{}, err
	}
	at := objects.TreeEntry{Mode: release.ModeDir, ID: c.Tree}
	for part := range strings.SplitSeq(name, "/") {
		if !isTree(at) {
			return objects.TreeEntry{}, nil
		}
		entries, err := r.store.Tree(at.ID)
		if err != nil {
			return objects.TreeEntry{}, err
		}
		i := slices.IndexFunc(entries, func(e objects.TreeEntry) bool { return e.Name == part })
		if i < 0 {
			return objects.TreeEntry{}, nil
		}
		at = entries[i]
	}
	return at, nil
}
