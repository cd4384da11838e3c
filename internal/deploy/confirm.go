package deploy

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/release"
)

// confirmPath is where rel confirm says that a release is kept: the number of the run.
func (s *Site) confirmPath() string { return s.Root.State("confirm") }

// awaitConfirm waits for rel confirm, where the run was asked to.
func (r *run) awaitConfirm(ctx context.Context) error {
	if r.req.ConfirmWithin <= 0 {
		return nil
	}
	if r.rec.ConfirmBy.IsZero() {
		r.rec.ConfirmBy = r.Now().Add(r.req.ConfirmWithin).UTC()
	}
	if err := r.mark(journal.Confirming); err != nil {
		return err
	}
	what := fmt.Sprintf("rel confirm keeps it, until %s", r.rec.ConfirmBy.Local().Format(time.TimeOnly))
	return r.step(release.StepConfirm, what, func() (string, error) {
		for {
			if r.confirmed() {
				return "confirmed", nil
			}
			if !r.Now().Before(r.rec.ConfirmBy) && !r.confirmed() {
				return "", fmt.Errorf("no rel confirm came within %s", r.req.ConfirmWithin)
			}
			if err := r.stillUp(); err != nil {
				return "", err
			}
			select {
			case <-ctx.Done():
				return "", ctx.Err()
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
}

func (r *run) confirmed() bool {
	data, err := os.ReadFile(r.confirmPath())
	return err == nil && strings.TrimSpace(string(data)) == strconv.Itoa(r.rec.Run.Run)
}

// Confirm keeps the release of the run that waits for it.
func (s *Site) Confirm() (release.Run, error) {
	rec, found, err := journal.Read(s.Root.State())
	if err != nil {
		return release.Run{}, err
	}
	if !found || rec.Phase != journal.Confirming {
		return release.Run{}, release.Errorf(release.ExitError, "no run waits to be confirmed").
			Hint("rel activate --confirm-within 60s TAG starts one; rel history shows how the last one ended")
	}
	return rec.Run, disk.WriteFile(s.confirmPath(), []byte(strconv.Itoa(rec.Run.Run)+"\n"), 0o644)
}
