package deploy

import (
	"slices"

	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/store"
)

// Verified is how a release on disk compares with what was tagged.
type Verified struct {
	Tag     string        `json:"tag"`
	Commit  string        `json:"commit"`
	Release release.ID    `json:"release"`
	Files   int           `json:"files"`
	Drift   []store.Drift `json:"drift"`
	Extra   []string      `json:"extra"` // what the service itself made there: no drift
}

// Verify reads every file of a release, the live one or a tag's newest, and compares it with its manifest.
func (s *Site) Verify(tag string) (Verified, error) {
	v, err := s.peek()
	if err != nil {
		return Verified{}, err
	}
	one := v.Live
	if tag != "" {
		at := slices.IndexFunc(v.Releases, func(r release.Release) bool { return r.Tag == tag || string(r.ID) == tag })
		if at < 0 {
			return Verified{}, release.Errorf(release.ExitNotFound, "%s: no release of it is on disk", tag).
				Hint("rel list shows what is; rel stage %s makes one", tag)
		}
		for _, r := range v.Releases[at:] {
			if r.Tag == v.Releases[at].Tag {
				one = r
			}
		}
	}
	if one.ID == "" {
		return Verified{}, release.Errorf(release.ExitNotFound, "nothing is live").Hint("rel verify TAG looks at another release")
	}
	verified := Verified{Tag: one.Tag, Commit: one.Commit, Release: one.ID, Files: one.Files}
	verified.Drift, verified.Extra = []store.Drift{}, []string{}
	report, err := s.Root.Verify(one.ID, true)
	for _, d := range report.Drift {
		if d.What == store.DriftExtra {
			verified.Extra = append(verified.Extra, d.Path)
		} else {
			verified.Drift = append(verified.Drift, d)
		}
	}
	return verified, err
}
