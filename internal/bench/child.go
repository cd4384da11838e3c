//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/git-rel/rel/internal/export"
	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// report is what a child prints of itself, as JSON: durations in nanoseconds.
type report struct {
	Call time.Duration
	CPU  time.Duration
	Only bool // the call alone is what is measured, not the process
}

// child is one of the processes that are measured: what it is, then its arguments.
func child(args []string) error {
	began := time.Now()
	r := report{}
	err := fmt.Errorf("child %q: no such child", args)
	switch what, rest := args[0], args[1:]; {
	case what == "export" && len(rest) == 3:
		err = exportTree(rest[0], rest[1], rest[2])
	case what == "spare" && len(rest) == 3:
		err = makeSpare(rest[0], rest[1], rest[2])
	case what == "reuse" && len(rest) == 3:
		err = reuseSpare(rest[0], rest[1], rest[2])
	case what == "go-git" && len(rest) == 3:
		err = exportByGoGit(rest[0], rest[1], rest[2])
	case what == "floor" && len(rest) == 2:
		r, err = writeFloor(rest[0], rest[1])
	case what == "resolve" && len(rest) == 2:
		err = resolve(rest[0], rest[1])
	case what == "peel" && len(rest) == 2:
		err = peelTags(rest[0], rest[1] == "packed-refs")
	}
	if err != nil {
		return err
	}
	if r.Call == 0 {
		r.Call = time.Since(began)
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// exportTree is rel's full export.
func exportTree(gitDir, commit, dir string) error {
	store, plan, err := survey(gitDir, commit, release.Manifest{})
	if err != nil {
		return err
	}
	if _, err := plan.Write(context.Background(), dir, nil); err != nil {
		return err
	}
	return store.Close()
}

func survey(gitDir, commit string, former release.Manifest) (*objects.Store, *export.Plan, error) {
	store, err := objects.Open(gitDir)
	if err != nil {
		return nil, nil, err
	}
	id, err := objects.ParseID(commit)
	if err != nil {
		return nil, nil, err
	}
	plan, err := export.Survey(context.Background(), export.Source{
		Store: store, Commit: id, Tag: commit, GitDir: gitDir, Attributes: true, Former: former,
	})
	return store, plan, err
}

// exportByGoGit writes the same tree with go-git as it comes, in the plainest way that its documentation shows.
func exportByGoGit(gitDir, commit, dir string) error {
	repo, err := git.PlainOpen(gitDir)
	if err != nil {
		return err
	}
	c, err := repo.CommitObject(plumbing.NewHash(commit))
	if err != nil {
		return err
	}
	files, err := c.Files()
	if err != nil {
		return err
	}
	return files.ForEach(func(f *object.File) error {
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		in, err := f.Reader()
		if err != nil {
			return err
		}
		defer in.Close()
		mode, err := f.Mode.ToOSFileMode()
		if err != nil {
			return err
		}
		out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode.Perm())
		if err != nil {
			return err
		}
		if _, err := io.Copy(out, in); err != nil {
			return err
		}
		return out.Close()
	})
}

// resolve opens a repository and resolves a tag to its tree, as every command of rel does first.
func resolve(gitDir, tag string) error {
	store, err := objects.Open(gitDir)
	if err != nil {
		return err
	}
	id, err := store.Ref("refs/tags/" + tag)
	if err != nil {
		return err
	}
	if id, err = store.Peel(id); err != nil {
		return err
	}
	if _, err := store.Commit(id); err != nil {
		return err
	}
	return store.Close()
}

// peelTags opens a repository and peels every tag: as packed-refs tells, or, without its help, by reading the tag objects.
func peelTags(gitDir string, packedRefs bool) error {
	store, err := objects.Open(gitDir)
	if err != nil {
		return err
	}
	refs, err := store.Refs("refs/tags/")
	if err != nil {
		return err
	}
	for _, r := range refs {
		id := r.Peeled
		if !packedRefs || id.IsZero() {
			if id, err = store.Peel(r.ID); err != nil {
				return err
			}
		}
		if id == r.ID {
			return fmt.Errorf("%s: not an annotated tag", r.Name)
		}
	}
	return store.Close()
}
