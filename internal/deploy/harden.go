package deploy

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/git-rel/rel/internal/gitrepo"
)

// setting is a line of a repository's configuration.
type setting struct {
	key, value string
	several    bool // the key may have other values beside it
}

// ownSettings harden a repository that rel has made: what is pushed is whole, and stays.
var ownSettings = []setting{
	{"core.hooksPath", "hooks", false}, // whatever the person who pushes has in a configuration of their own
	{"receive.fsckObjects", "true", false},
	{"receive.denyDeletes", "true", false},
}

// pushSettings are for every repository that deploys: what was accepted is on the disk; nobody pushes what changes the content of
// tags, or rel's own refs; git push -o reaches the hooks; gc leaves what a run may still read.
var pushSettings = []setting{
	{"core.fsync", "all", false},
	{"receive.advertisePushOptions", "true", false},
	{"receive.hideRefs", "refs/rel", true},
	{"receive.hideRefs", "refs/replace", true},
	{"gc.pruneExpire", "2.weeks.ago", false},
}

const maxInputSetting = "receive.maxInputSize"

// settings are those for the root's repository, with what its configuration says.
func (s *Site) settings() []setting {
	if s.Config.Push.MaxInput == "" {
		return pushSettings
	}
	return append(slices.Clone(pushSettings), setting{maxInputSetting, s.Config.Push.MaxInput, false})
}

// ownRepo says whether a repository is the one that rel init makes.
func (s *Site) ownRepo(repo *gitrepo.Repo) bool {
	return repo.Dir == filepath.Join(s.Root.Dir, "repo.git")
}

// setByRel is the key that holds, in a repository that rel has not made, which settings it has added.
const setByRel = "rel.set"

// harden adds the settings that are missing. One that has another value was chosen by somebody, and stays: but the size of a push,
// which is the root's to say.
func (s *Site) harden(ctx context.Context, repo *gitrepo.Repo, settings []setting, remember bool, changed *HooksChanged) error {
	for _, one := range settings {
		values, err := repo.Settings(ctx, one.key)
		if err != nil {
			return err
		}
		ours := one.key == maxInputSetting
		if slices.Contains(values, one.value) || len(values) > 0 && !one.several && !ours {
			continue
		}
		if remember {
			if err := repo.AddSetting(ctx, setByRel, one.key+"="+one.value); err != nil {
				return err
			}
		}
		set := repo.AddSetting
		if ours {
			set = repo.Set
		}
		if err := set(ctx, one.key, one.value); err != nil {
			return err
		}
		changed.say("%s = %s", one.key, one.value)
	}
	return nil
}

// soften takes the settings out again that harden has remembered.
func soften(ctx context.Context, repo *gitrepo.Repo, changed *HooksChanged) error {
	added, err := repo.Settings(ctx, setByRel)
	for _, one := range added {
		key, value, _ := strings.Cut(one, "=")
		err = errors.Join(err, repo.Unset(ctx, key, value), repo.Unset(ctx, setByRel, one))
		changed.say("%s = %s taken out", key, value)
	}
	return err
}
