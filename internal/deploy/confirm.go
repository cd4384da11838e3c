package deploy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/release"
)

// confirmPath is where rel confirm says that the release of a run is kept, and rel rollback that it is not.
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
	r.rec.Step = release.StepConfirm
	r.note("rel confirm keeps it, rel rollback does not; until %s", r.rec.ConfirmBy.Local().Format(time.TimeOnly))
	return r.step(release.StepConfirm, "", func() (string, error) {
		for {
			late := !r.Now().Before(r.rec.ConfirmBy) // looked at first: what came in time counts
			switch r.answer() {
			case answerKeep:
				return "confirmed", nil
			case answerBack:
				return "", errors.New("a rollback came instead of rel confirm")
			}
			if late {
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

// The answers to a run that waits, before its number in the file.
const (
	answerKeep = "keep"
	answerBack = "back"
)

// answer is what somebody has said of this run; empty if nobody has.
func (r *run) answer() string {
	if r.told != "" {
		return r.told
	}
	data, err := os.ReadFile(r.confirmPath())
	if err != nil {
		return ""
	}
	word, number, _ := strings.Cut(strings.TrimSpace(string(data)), " ")
	if number != strconv.Itoa(r.rec.Run.Run) {
		return ""
	}
	return word
}

// say answers a run that waits.
func (s *Site) say(word string, run int) error {
	text := fmt.Appendf(nil, "%s %d\n", word, run)
	err := disk.WriteFile(s.confirmPath(), text, 0o644)
	if disk.IsFull(err) && disk.SpendReserve(s.Root.State()) {
		err = disk.WriteFile(s.confirmPath(), text, 0o644)
	}
	return err
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
	return rec.Run, s.say(answerKeep, rec.Run.Run)
}
