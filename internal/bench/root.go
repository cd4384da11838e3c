//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/export"
	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/store"
)

// root is a root to run rel in.
type root struct {
	dir string
	rel string // the program
}

func (r root) command(args ...string) []string {
	return append([]string{r.rel, "-C", r.dir}, args...)
}

// make makes the root with a repository of its own, nothing ever pruned, and its first two releases.
func (r root) make(ctx context.Context, gitDir string) error {
	if err := os.Mkdir(r.dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(r.dir, "rel.toml"), []byte("keep = 100000\n"), 0o644); err != nil {
		return err
	}
	for _, argv := range [][]string{
		{"git", "clone", "-q", "--bare", "--shared", gitDir, filepath.Join(r.dir, "repo.git")},
		r.command("-q", "activate", tagName(1)),
		r.command("-q", "activate", tagName(0)),
	} {
		if err := run(ctx, argv...); err != nil {
			return err
		}
	}
	return nil
}

func tagName(n int) string { return fmt.Sprintf("v%d.%d", n/100, n%100) }

// switches are going live with the last but one of so many releases, and back: both are on disk already.
func (r root) switches(size string, releases int) []*way {
	return []*way{
		{name: "rel activate: " + size, argv: r.command("-q", "activate", tagName(releases-1))},
		{name: "rel rollback: " + size, argv: r.command("-q", "rollback")},
	}
}

// age gives the root so many releases and so many runs in its history. They are written as rel writes them, without the runs.
func (r root) age(ctx context.Context, releases, runs int) (err error) {
	disk, err := store.Open(r.dir, store.Layout{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, disk.Close()) }()
	objs, err := objects.Open(filepath.Join(r.dir, "repo.git"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, objs.Close()) }()
	made := make([]release.Release, releases)
	for n := range made {
		if made[n], err = stageOne(ctx, disk, objs, n); err != nil {
			return err
		}
	}
	if err := writeHistory(disk.State("history"), made, runs); err != nil {
		return err
	}
	return run(ctx, r.command("-q", "activate", tagName(releases-2))...)
}

// stageOne is what rel stage does for the nth tag, but for the run around it.
func stageOne(ctx context.Context, disk *store.Root, objs *objects.Store, n int) (release.Release, error) {
	tag := tagName(n)
	at, err := objs.Ref("refs/tags/" + tag)
	if err != nil {
		return release.Release{}, err
	}
	if at, err = objs.Peel(at); err != nil {
		return release.Release{}, err
	}
	c, err := objs.Commit(at)
	if err != nil {
		return release.Release{}, err
	}
	when := time.Date(2026, 1, 1, 0, 0, n, 0, time.UTC)
	id := release.NewID(when, tag)
	plan, err := export.Survey(ctx, export.Source{Store: objs, Commit: at, Tag: tag, GitDir: objs.GitDir(), Attributes: true})
	if err != nil {
		return release.Release{}, err
	}
	entries, err := plan.Write(ctx, disk.TempDir(id), nil)
	if err != nil {
		return release.Release{}, err
	}
	one := release.Release{ID: id, Tag: tag, Commit: at.String(), Tree: c.Tree.String(), Created: when}
	return one, errors.Join(disk.Publish(id), disk.Seal(&release.Manifest{Release: one, Entries: entries}))
}

// writeHistory appends runs, the last of which is number runs: the releases went live in turn, again and again.
func writeHistory(path string, made []release.Release, runs int) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	lines := bytes.NewBuffer(old)
	for n := strings.Count(string(old), "\n") + 1; n <= runs; n++ {
		from, to := made[(n-1)%len(made)], made[n%len(made)]
		line, err := json.Marshal(release.Run{
			Run: n, Command: "activate", From: from.Tag, To: to.Tag, Commit: to.Commit, Tree: to.Tree,
			Release: to.ID, FromID: from.ID, Now: to.ID, Outcome: release.Live, Verified: release.VerifiedNone, By: "deploy",
			Started: to.Created.Add(time.Duration(n) * time.Minute), Seconds: 1.25, DowntimeMS: 40, Checked: strings.Repeat("c", 64),
		})
		if err != nil {
			return err
		}
		lines.Write(append(line, '\n'))
	}
	return os.WriteFile(path, lines.Bytes(), 0o644)
}
