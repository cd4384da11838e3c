package gitrepo

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

// Mirror is a bare repository that rel keeps of one that is elsewhere. One process at a time writes to it; reading is free.
//
// Git is run in it as if the machine had no other configuration than the mirror's own, which no remote writes: no helper for
// credentials, no hook, no rewritten address, no filter, no program but ssh, as its owner's ~/.ssh/config has it, which asks nobody
// anything. What a server needs beside that (http.proxy, credential.helper, fetch.fsck.*) a person sets in the mirror itself.
type Mirror struct {
	Dir     string // of the mirror. The directory it lies in is made with it; what that one lies in is there
	Remote  release.Remote
	Env     []string // git's environment, see proc.Environment; what Mirror itself needs in it is added
	Hold    *os.File // see proc.Command
	Timeout time.Duration
}

// unfinished ends the name that a mirror has while it is made, or removed.
const unfinished = ".new"

// commitRef is the ref that keeps a commit that was asked for, and says that all that it needs is here.
func commitRef(commit string) string { return "refs/rel/commits/" + commit }

// Holds tells whether a commit (a whole id) was fetched before, with all that it needs.
func (m Mirror) Holds(commit string) (bool, error) {
	return m.holds(func(store *objects.Store) (bool, error) {
		id, err := store.Ref(commitRef(commit))
		return err == nil && id.String() == commit, err
	})
}

// holds asks the mirror; where it is not there yet it holds nothing, and a ref that is not there is nothing too.
func (m Mirror) holds(ask func(*objects.Store) (bool, error)) (bool, error) {
	store, err := objects.Open(m.Dir)
	if errors.Is(err, objects.ErrNotRepo) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer store.Close()
	held, err := ask(store)
	if errors.Is(err, objects.ErrNoRef) {
		return false, nil
	}
	return held, err
}

// FetchCommit fetches one commit, its history and the tags in that: by its id, and from a server that does not give commits by id,
// by fetching all branches and tags.
func (m Mirror) FetchCommit(ctx context.Context, commit string) error {
	if !objectName.MatchString(commit) {
		return release.Errorf(release.ExitError, "%q: no commit's id", commit)
	}
	format := objects.SHA1
	if len(commit) == 64 {
		format = objects.SHA256
	}
	if err := m.prepare(ctx, format); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, m.Timeout, m.late())
	defer cancel()
	byID := m.fetch(ctx, nil, commit+":"+commitRef(commit))
	if exitOf(byID) <= 0 {
		return byID
	}
	if err := m.fetch(ctx, nil, "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"); err != nil {
		return err
	}
	err := m.git(ctx, "update-ref", commitRef(commit), commit)
	if exitOf(err) > 0 {
		return release.Errorf(release.ExitRefused, "%w; and in no branch or tag", byID).Hint("push the commit there")
	}
	return err
}

func (m Mirror) late() error {
	return release.Errorf(release.ExitRefused, "%s: not fetched within %s", m.Remote, m.Timeout).
		Hint("fetch_timeout in rel.toml gives it more time")
}

// prepare makes the mirror if it is not there, and removes what a fetch that was killed has left in it: nobody else writes here.
func (m Mirror) prepare(ctx context.Context, format string) error {
	if err := m.makeAbove(); err != nil {
		return err
	}
	if err := disk.RemoveAll(m.Dir + unfinished); err != nil {
		return err
	}
	_, err := os.Lstat(m.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return m.make(ctx, format)
	}
	if err != nil {
		return err
	}
	return m.tidy()
}

// makeAbove makes the directory that the mirror lies in.
func (m Mirror) makeAbove() error {
	dir := filepath.Dir(m.Dir)
	above, err := disk.OpenDir(filepath.Dir(dir))
	if err != nil {
		return err
	}
	made, err := above.MkdirAll(filepath.Base(dir), 0o755)
	if err == nil {
		err = made.Close()
	}
	return errors.Join(err, above.Close())
}

// make makes the mirror under another name, which it has until it is whole.
func (m Mirror) make(ctx context.Context, format string) error {
	build := m
	build.Dir = m.Dir + unfinished
	if err := os.Mkdir(build.Dir, 0o755); err != nil {
		return err
	}
	err := build.git(ctx, "init", "--quiet", "--bare", "--template=", "--initial-branch=main", "--object-format="+format, ".")
	if err != nil {
		return errors.Join(err, disk.RemoveAll(build.Dir))
	}
	if err := os.Rename(build.Dir, m.Dir); err != nil {
		return err
	}
	return disk.SyncDir(filepath.Dir(m.Dir))
}

// tidy removes lock files, which git leaves when it is killed and then waits for, and half-written packs of a fetch or a repack.
func (m Mirror) tidy() error {
	return filepath.WalkDir(m.Dir, func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if name := d.Name(); strings.HasSuffix(name, ".lock") || strings.HasPrefix(name, "tmp_") || strings.HasPrefix(name, ".tmp-") {
			return os.Remove(at)
		}
		return nil
	})
}

// fetch runs git fetch for refspecs. A tag moves only where a refspec says so.
func (m Mirror) fetch(ctx context.Context, flags []string, refspecs ...string) error {
	args := []string{"fetch", "--quiet", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance"}
	if m.Remote.Protocol == "file" {
		// It was named, so it may be another user's. Git's upload-pack runs nothing that a repository names.
		args = append(args, "--upload-pack=git -c 'safe.directory=*' upload-pack")
	}
	err := m.git(ctx, slices.Concat(args, flags, []string{"--", m.Remote.String()}, refspecs)...)
	if exitOf(err) > 0 {
		return release.Errorf(release.ExitRefused, "%s: %w", m.Remote, err)
	}
	return err
}

// mirrorSettings hold for every call, whatever the mirror's own configuration says.
var mirrorSettings = []string{
	"safe.bareRepository=all", "core.fsync=all", "core.hooksPath=" + os.DevNull, "core.fsmonitor=false", "gc.auto=0",
	"maintenance.auto=false", "fetch.fsckObjects=true", "fetch.unpackLimit=1", "fetch.writeCommitGraph=false",
	"fetch.recurseSubmodules=false", "http.followRedirects=false", "protocol.version=2",
	"http.lowSpeedLimit=1", "http.lowSpeedTime=60",
}

func (m Mirror) git(ctx context.Context, args ...string) error {
	_, err := proc.Command{
		Name: "git " + args[0], Path: "git", Args: append(configured(mirrorSettings), args...), Dir: m.Dir, Hold: m.Hold,
		Env: append(append([]string{}, m.Env...), m.environment()...),
	}.Run(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if exit, ok := errors.AsType[*proc.ExitError](err); ok {
		return &gitError{command: args[0], code: exit.Code, text: strings.Join(exit.Tail, "\n")}
	}
	if err != nil {
		return release.Errorf(release.ExitError, "%w", err).Hint("rel needs git 2.32 or later for this")
	}
	return nil
}

func (m Mirror) environment() []string {
	return []string{
		"GIT_DIR=.", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_ATTR_NOSYSTEM=1", "GIT_NO_REPLACE_OBJECTS=1",
		"GIT_NO_LAZY_FETCH=1", "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "SSH_ASKPASS=", "LC_ALL=C",
		// This one protocol, redirects included: it outranks every configuration.
		"GIT_ALLOW_PROTOCOL=" + m.Remote.Protocol,
		"GIT_SSH_COMMAND=ssh -oBatchMode=yes -oConnectTimeout=30 -oServerAliveInterval=20", "GIT_SSH_VARIANT=ssh",
	}
}

// MirrorName is a name for the mirror of a remote: what tells it from all others, and what a person knows it by.
func MirrorName(r release.Remote) string {
	base := strings.TrimSuffix(path.Base(r.Path), ".git")
	return fmt.Sprintf("%.8x-%s.git", sha256.Sum256([]byte(r.String())), base[:min(len(base), 64)])
}
