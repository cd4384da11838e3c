package deploy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

// Hold is a freeze: activations are refused until it is off. Rollbacks work.
type Hold struct {
	By      string    `json:"by"`
	Since   time.Time `json:"since"`
	Message string    `json:"message"`
}

func (s *Site) holdPath() string { return s.Root.State("hold") }

// Hold is the freeze that is on, nil where none is. One whose file cannot be read holds all the same.
func (s *Site) Hold() (*Hold, error) {
	data, err := os.ReadFile(s.holdPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	hold := &Hold{}
	if err := json.Unmarshal(data, hold); err != nil {
		return &Hold{Message: fmt.Sprintf("%s: %v", s.holdPath(), err)}, nil
	}
	return hold, nil
}

// SetHold freezes the root.
func (s *Site) SetHold(by, message string) (*Hold, error) {
	if err := s.Root.Make(); err != nil {
		return nil, err
	}
	hold := &Hold{By: by, Since: s.Now().UTC().Truncate(time.Second), Message: message}
	data, err := json.Marshal(hold)
	if err != nil {
		return nil, err
	}
	return hold, disk.WriteFile(s.holdPath(), append(data, '\n'), 0o644)
}

// Unhold ends the freeze and says whether one was on.
func (s *Site) Unhold() (bool, error) {
	err := os.Remove(s.holdPath())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, disk.SyncDir(s.Root.State())
}

// Held refuses what a freeze refuses.
func (s *Site) Held() error {
	hold, err := s.Hold()
	if err != nil || hold == nil {
		return err
	}
	why := ""
	if hold.Message != "" {
		why = ": " + hold.Message
	}
	return release.Errorf(release.ExitRefused, "%s: held by %s since %s%s", s.Root.Dir, nonEmpty(hold.By, "somebody"),
		hold.Since.Local().Format(time.DateTime), why).Hint("rel hold --off ends it; rel rollback works meanwhile")
}
