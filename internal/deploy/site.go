// Package deploy is the engine: it takes a request to change what is live and carries it through, step by step, from the lock
// to the history, or back. Its files are read in the order of a run: site (what it works on), request, client and follow (who asks),
// guardian and work (the worker's life), lock, run (the run and its record), target (what is wanted), stage, gates, golive,
// services, confirm, revert, recover, prune, audit; control is start, stop and restart. The others answer questions: list, status,
// plan, diff, verify, errlog, check; hold and init change a root without a run. A push is read in the order push, facts, policy, branch
// (what it asks for), tentative and watch (how that is not lost), queue, serve, await (how it waits and becomes a run), reconcile (what
// was accepted and never asked for); hooks and harden prepare the repository for it. With push.gate, pushgate makes ready what is
// pushed before git accepts it, and unaccepted says what becomes of that.
package deploy

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/git-rel/rel/internal/config"
	"github.com/git-rel/rel/internal/gitrepo"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/store"
)

// Site is a root and its configuration: what every command works on.
type Site struct {
	Root   *store.Root
	Config *config.Config
	Found  store.Found
	Owner  proc.User // of the root's directory: everything is done as this user
	Now    func() time.Time
	Warn   func(error) // told what is wrong and does not stop what is done; never with nil
}

// Open reads the configuration of a root that was found; it changes nothing on disk.
func Open(found store.Found) (*Site, error) {
	cfg, err := config.Load(found.Dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", found.Dir, err)
	}
	return open(found, cfg)
}

// OpenState opens a root for what needs its state alone, as its history. A configuration that cannot be read is no hindrance to
// that: it is the error beside the site.
func OpenState(found store.Found) (*Site, error) {
	site, err := Open(found)
	if site != nil {
		return site, nil
	}
	site, openErr := open(found, config.Default(filepath.Base(found.Dir)))
	if openErr != nil {
		return nil, err
	}
	return site, err
}

func open(found store.Found, cfg *config.Config) (*Site, error) {
	root, err := store.Open(found.Dir, layout(cfg))
	if err != nil {
		return nil, err
	}
	uid, gid, err := root.Owner()
	if err != nil {
		return nil, err
	}
	owner, err := proc.UserOf(uint32(uid))
	if err != nil { // a number without an account, as containers have
		owner = proc.User{Name: fmt.Sprint(uid), UID: uint32(uid), GID: uint32(gid), Groups: []uint32{uint32(gid)}, Home: found.Dir}
	}
	return &Site{Root: root, Config: cfg, Found: found, Owner: owner, Now: time.Now, Warn: func(error) {}}, nil
}

func layout(cfg *config.Config) store.Layout {
	return store.Layout{
		Live: cfg.Live.Path, Mode: cfg.Live.Mode, Gap: cfg.Live.Gap,
		SharedDirs: cfg.Shared.Dirs, SharedFiles: cfg.Shared.Files,
	}
}

// BecomeOwner makes the process act as the root's owner. Run by root it drops to the owner and keeps the right to take root
// back for what the configuration asks to be done as root; any other user is refused with the line that works.
func (s *Site) BecomeOwner(command string) error {
	uid := uint32(os.Geteuid())
	switch {
	case uid == s.Owner.UID:
		return nil
	case uid == 0:
		return proc.DropTo(s.Owner)
	}
	me := fmt.Sprint(uid)
	if u, err := proc.UserOf(uid); err == nil {
		me = u.Name
	}
	return release.Errorf(release.ExitError, "%s: belongs to %s, and this is %s", s.Root.Dir, s.Owner.Name, me).
		Hint("sudo -u %s rel -C %s %s; or sudo rel, which acts as %s but for what needs root",
			s.Owner.Name, s.Root.Dir, command, s.Owner.Name)
}

// Made says whether the root has rel's state yet: in a checkout it is made by the first run.
func (s *Site) Made() bool {
	_, err := os.Stat(s.Root.State("journal"))
	return err == nil
}

// environ is the environment of a command that is about a release.
func (s *Site) environ(user proc.User, one release.Release, extra map[string]string) []string {
	env := map[string]string{
		"REL_ROOT": s.Root.Dir, "REL_TAG": one.Tag, "REL_COMMIT": one.Commit, "REL_RELEASE": string(one.ID),
	}
	if one.ID != "" {
		env["REL_RELEASE_DIR"] = s.Root.ReleaseDir(one.ID)
	}
	maps.Copy(env, extra)
	maps.Copy(env, s.Config.Env)
	return proc.Environment(user, env)
}

// RepoDir is the repository that tags come from: the configured one, or its mirror, else the one around the root.
func (s *Site) RepoDir() (string, error) {
	if remote, ok := s.Config.Remote(); ok {
		return s.mirrored(remote)
	}
	dir := s.Config.Repo
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(s.Root.Dir, dir)
	}
	_, err := os.Stat(dir)
	switch {
	case err == nil:
		return dir, nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	case s.Found.GitDir != "":
		return s.Root.Dir, nil
	}
	return "", release.Errorf(release.ExitError, "%s: no such repository", dir).
		Hint("rel init %s makes it; or set repo in rel.toml", s.Root.Dir)
}

// Repo opens the repository that tags come from.
func (s *Site) Repo() (*gitrepo.Repo, error) {
	dir, err := s.RepoDir()
	if err != nil {
		return nil, err
	}
	return gitrepo.Open(dir)
}

// runUser is the user that checks run as: the services' one where we may become it, else nil, which is the root's owner.
func (s *Site) serviceUser() (*proc.User, error) {
	for _, service := range s.Config.Service {
		if service.User == "" {
			continue
		}
		user, err := proc.LookupUser(service.User)
		if err != nil {
			return nil, release.Errorf(release.ExitError, "%s: no such user, set as user of service %s: %w",
				service.User, service.Name, err).Hint("rel.toml, [[service]] user")
		}
		return &user, nil
	}
	return nil, nil
}
