//go:build linux

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/store"
)

// reuse is rel turning a spare, the release of the earlier tag, into the one wanted. Each time it gets a spare that was made anew.
func (b *bench) reuse(ctx context.Context, s stage) *way {
	dir := filepath.Join(s.dir, "root")
	return &way{
		name:  reused,
		argv:  b.child("reuse", s.repo.gitDir, s.repo.commit, dir),
		ready: func() error { return run(ctx, b.child("spare", s.repo.gitDir, s.repo.old, dir)...) },
		clean: func() error { return os.RemoveAll(dir) },
	}
}

// makeSpare makes a root at dir, a release of the commit in it, and that release the spare.
func makeSpare(gitDir, commit, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	root, err := store.Open(dir, store.Layout{})
	if err != nil {
		return err
	}
	if err := root.Make(); err != nil {
		return err
	}
	objs, plan, err := survey(gitDir, commit, release.Manifest{})
	if err != nil {
		return err
	}
	id := release.NewID(time.Now(), "spare")
	entries, err := plan.Write(context.Background(), root.TempDir(id), nil)
	if err != nil {
		return err
	}
	if err := root.Publish(id); err != nil {
		return err
	}
	one := release.Release{ID: id, Tag: "spare", Commit: commit, Created: time.Now().UTC(), NoPointers: plan.NoPointers()}
	if err := root.Seal(&release.Manifest{Release: one, Entries: entries}); err != nil {
		return err
	}
	return errors.Join(root.SetAside(id), root.Close(), objs.Close())
}

// reuseSpare is rel's export into the spare of the root at dir.
func reuseSpare(gitDir, commit, dir string) error {
	root, err := store.Open(dir, store.Layout{})
	if err != nil {
		return err
	}
	spare, whole, err := root.Spare()
	if err != nil || !whole {
		return errors.Join(err, errors.New(dir+": no spare"))
	}
	objs, plan, err := survey(gitDir, commit, spare.Manifest)
	if err == nil {
		err = root.TakeSpare()
	}
	if err != nil {
		return err
	}
	if _, _, err := plan.Rewrite(context.Background(), spare.Dir, filepath.Join(dir, "releases", "new"), nil); err != nil {
		return err
	}
	return errors.Join(objs.Close(), root.Close())
}
