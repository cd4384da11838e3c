package gitrepo

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"

	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// Modules opens the repositories of submodules: mirrors, one for each remote, made and fetched into as they are asked for.
type Modules struct {
	Mirror Mirror                                        // what all have in common: everything but Dir and Remote
	Dir    string                                        // where the mirrors are; what it lies in is there
	Allow  []release.RemotePattern                       // remotes that may be asked
	Fetch  func(path string, remote release.Remote) bool // told before each fetch; false: do not, as in a plan
	open   map[string]*Repo                              // by directory
}

// Open opens the repository of the submodule at path (for messages), whose URL its .gitmodules has: absolute, or relative to base,
// which names the repository that the submodule is one of. Its commit is there, but where Fetch said no: then the Repo is nil. The
// remote is what relative URLs of submodules in it begin at. Refusals name the URL and what to do.
func (m *Modules) Open(ctx context.Context, base, url string, path string, commit objects.ID) (*Repo, release.Remote, error) {
	remote, err := resolveURL(base, url)
	if err != nil {
		return nil, remote, err
	}
	if !m.allowed(remote) {
		return nil, remote, release.Errorf(release.ExitRefused, "a submodule of %s, which export.submodule_urls does not allow", remote).
			Hint("add it to [export] in rel.toml if it is to be trusted: submodule_urls = [%q]", remote).
			Hint("or leave the submodule out with %q in .gitattributes", path+" export-ignore")
	}
	mirror := m.Mirror
	mirror.Remote, mirror.Dir = remote, filepath.Join(m.Dir, MirrorName(remote))
	held, err := mirror.Holds(commit.String())
	if err != nil {
		return nil, remote, err
	}
	if !held {
		if !m.Fetch(path, remote) {
			return nil, remote, nil
		}
		if err := m.fetch(ctx, mirror, commit.String()); err != nil {
			return nil, remote, err
		}
	}
	repo, err := m.opened(mirror.Dir)
	return repo, remote, err
}

// resolveURL reads the URL of a submodule.
func resolveURL(base, url string) (release.Remote, error) {
	if !release.RelativeURL(url) {
		remote, err := release.ParseRemote(url)
		if err != nil {
			return remote, badURL(url, err)
		}
		return remote, nil
	}
	from, err := release.ParseRemote(base)
	if err != nil {
		return from, release.Errorf(release.ExitRefused, "a submodule of %s, relative to %s: %w", shownURL(url), shownURL(base), err).
			Hint("git remote set-url origin URL, in the repository that tags come from, sets what it is relative to")
	}
	remote, err := from.Join(url)
	if err != nil {
		return remote, badURL(url, err)
	}
	return remote, nil
}

func badURL(url string, err error) error {
	return release.Errorf(release.ExitRefused, "a submodule of %s: %w", shownURL(url), err).
		Hint("give it an address in .gitmodules, as https://git.example.com/team/lib.git, and cut a new tag")
}

func (m *Modules) allowed(remote release.Remote) bool {
	for _, pattern := range m.Allow {
		if pattern.Match(remote) {
			return true
		}
	}
	return false
}

func (m *Modules) fetch(ctx context.Context, mirror Mirror, commit string) error {
	err := mirror.FetchCommit(ctx, commit)
	if err == nil || ctx.Err() != nil {
		return err
	}
	return wrapf(err, "a submodule, whose commit %.12s is not here yet", commit).
		Hint("git ls-remote %s, as the root's owner, shows whether it can be reached", mirror.Remote)
}

// opened opens a mirror, each once.
func (m *Modules) opened(dir string) (*Repo, error) {
	if repo, ok := m.open[dir]; ok {
		return repo, nil
	}
	repo, err := Open(dir)
	if err != nil {
		return nil, err
	}
	if m.open == nil {
		m.open = make(map[string]*Repo)
	}
	m.open[dir] = repo
	return repo, nil
}

// Opened are the directories of the mirrors that were opened, in no order.
func (m *Modules) Opened() []string { return slices.Collect(maps.Keys(m.open)) }

// Close closes what was opened.
func (m *Modules) Close() error {
	var errs []error
	for _, repo := range m.open {
		errs = append(errs, repo.Close())
	}
	m.open = nil
	return errors.Join(errs...)
}

// Origin is what relative URLs of the repository's submodules are relative to: the URL of its remote origin, else where it is.
func (r *Repo) Origin(ctx context.Context) (string, error) {
	url, err := r.line(ctx, call{}, "config", "--get", "remote.origin.url")
	switch {
	case exitOf(err) == 1 || err == nil && url == "":
		return r.top(), nil
	case err != nil:
		return "", err
	}
	return url, nil
}
