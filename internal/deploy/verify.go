package deploy

import (
	"errors"
	"fmt"

	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/store"
)

// Verified is how a release on disk compares with what was tagged.
type Verified struct {
	Tag     string        `json:"tag"`
	Commit  string        `json:"commit"`
	Release release.ID    `json:"release"`
	Files   int           `json:"files"`
	Read    int           `json:"read"`  // of them, those whose content was read
	Bytes   int64         `json:"bytes"` // of what was read
	Drift   []store.Drift `json:"drift"`
	Extra   []string      `json:"extra"` // what the service itself made there: no drift
}

// Verify compares a release, the live one or a tag's newest, with its manifest. It reads the files whose stat data differ, with
// content all of them.
func (s *Site) Verify(tag string, content bool) (Verified, error) {
	v, err := s.peek()
	if err != nil {
		return Verified{}, err
	}
	one := v.Live
	if tag != "" {
		if one = v.named(tag); one.ID == "" {
			return Verified{}, release.Errorf(release.ExitNotFound, "%s: no release of it is on disk", tag).
				Hint("rel list shows what is; rel stage %s makes one", tag)
		}
	}
	if one.ID == "" {
		return Verified{}, release.Errorf(release.ExitNotFound, "nothing is live").
			Hint("rel verify TAG looks at another release, rel verify --all at all of them")
	}
	return s.verify(one, content)
}

// named is the release with that id, or that a run made or used last of that tag, else the newest of it.
func (v view) named(name string) (found release.Release) {
	last := v.Ledger.Tags[name].ID
	for _, r := range v.Releases {
		if string(r.ID) == name || r.Tag == name && (r.ID == last || found.ID != last) {
			found = r
		}
	}
	return found
}

// VerifyAll is Verify of every release on disk, the oldest first. Those that could be looked at come with the error of those that
// could not.
func (s *Site) VerifyAll(content bool) ([]Verified, error) {
	releases, err := s.Root.Releases()
	all := []Verified{}
	for _, one := range releases {
		verified, verifyErr := s.verify(one, content)
		switch {
		case verifyErr == nil:
			all = append(all, verified)
		case release.ExitCode(verifyErr) != release.ExitNotFound: // not one that was pruned meanwhile
			err = errors.Join(err, fmt.Errorf("%s: %w", one.ID, verifyErr))
		}
	}
	return all, err
}

func (s *Site) verify(one release.Release, content bool) (Verified, error) {
	report, err := s.Root.Verify(one.ID, content)
	verified := Verified{
		Tag: one.Tag, Commit: one.Commit, Release: one.ID, Files: one.Files, Read: report.Read, Bytes: report.Bytes,
		Drift: []store.Drift{}, Extra: []string{},
	}
	for _, d := range report.Drift {
		if d.What == store.DriftExtra {
			verified.Extra = append(verified.Extra, d.Path)
		} else {
			verified.Drift = append(verified.Drift, d)
		}
	}
	return verified, err
}
