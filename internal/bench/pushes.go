//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/release"
)

// pushes prints how long a push of a small site's next tag takes until that is live, beside the same push to a bare repository.
func (b *bench) pushes(ctx context.Context, places []place) error {
	b.tell("pushes")
	rel, err := b.program(ctx)
	if err != nil {
		return err
	}
	from, err := b.generate(ctx, "tags-100", tagged(100))
	if err != nil {
		return err
	}
	for _, at := range places {
		if at.skipped != "" || at.name == "xfs" {
			continue
		}
		if err := b.pushesOn(ctx, at, rel, from); err != nil {
			return err
		}
	}
	return nil
}

// pushed is a repository that is pushed to, one tag after the other.
type pushed struct {
	from, to string // repositories
	dir      string // of the root; empty where there is none
	tags     int    // that were pushed
}

func (b *bench) pushesOn(ctx context.Context, at place, rel, from string) error {
	bare := &pushed{from: from, to: filepath.Join(at.dir, "bare.git")}
	if err := run(ctx, "git", "init", "-q", "--bare", bare.to); err != nil {
		return err
	}
	plain, err := newPushed(ctx, rel, from, filepath.Join(at.dir, "pushed"), "")
	if err != nil {
		return err
	}
	const toBare = "git push to a bare repository"
	ways, all := []*way{bare.way(toBare), plain.way("git push to a root, until it is live")}, []*pushed{bare, plain}
	gated, err := newPushed(ctx, rel, from, filepath.Join(at.dir, "gated"), "[push]\ngate = true\n")
	if err != nil {
		b.tell("without push.gate: %v", err)
	} else {
		ways, all = append(ways, gated.way("the same with push.gate")), append(all, gated)
	}
	if err := b.turns(ctx, ways, shortRounds); err != nil {
		return err
	}
	var rows [][]string
	for i, w := range ways {
		m, least, most := middle(w.samples, wall)
		row := []string{w.name, ms(m), ms(least) + "–" + ms(most), "", "", ""}
		if all[i].dir != "" {
			more, _, _ := middle(difference(w.samples, ways[0].samples), wall)
			after, err := all[i].afterAccepted()
			if err != nil {
				return err
			}
			row[3], row[4], row[5] = ms(more), ms(after), b.pushTarget(w, at, all[i] == gated, more, after)
		}
		rows = append(rows, row)
	}
	b.table("Pushes on "+at.name, fmt.Sprintf("Each pushes the next tag of a repository of 20 files, whole processes, medians of %d, taking turns; no service is "+
		"configured. \"after\" is from the moment that the tag is in the repository, by its file's time, to the moment that the run has its outcome, and prunes.", shortRounds),
		[]string{"way", "ms", "least–most", "more than bare, ms", "after, ms", ""}, rows)
	return nil
}

// pushTarget is what a push must keep to: without the gate all that it takes more than a bare one, with it what follows when git has
// taken the tag in.
func (b *bench) pushTarget(w *way, at place, gated bool, more, after time.Duration) string {
	if gated {
		return b.must(target{what: w.name + ", after acceptance, on " + at.name, figure: float64(after) / 1e6, most: 50, unit: "ms"})
	}
	return b.must(target{what: w.name + ", more than to a bare repository, on " + at.name, figure: float64(more) / 1e6, most: 150, unit: "ms"})
}

// newPushed makes a root that is pushed to, with what is given as the end of its configuration; an error where rel does not know that.
func newPushed(ctx context.Context, rel, from, dir, settings string) (*pushed, error) {
	if err := run(ctx, rel, "init", dir); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "rel.toml"), []byte(settings), 0o644); err != nil {
		return nil, err
	}
	return &pushed{from: from, to: filepath.Join(dir, "repo.git"), dir: dir}, run(ctx, rel, "-C", dir, "status")
}

// way pushes another tag each time.
func (p *pushed) way(name string) *way {
	w := &way{name: name}
	w.ready = func() error {
		w.argv = []string{"git", "--git-dir=" + p.from, "push", "-q", p.to, tagName(p.tags)}
		p.tags++
		return nil
	}
	return w
}

// difference is, turn by turn, how much longer a took than b.
func difference(a, b []sample) []sample {
	all := make([]sample, len(a))
	for i := range a {
		all[i].wall = a[i].wall - b[i].wall
	}
	return all
}

// afterAccepted is the median of the times from a tag's being in the repository to the moment that its run has made it live. The first push, which is not
// counted, was run 1.
func (p *pushed) afterAccepted() (time.Duration, error) {
	var all []time.Duration
	for n := 1; n < p.tags; n++ {
		info, err := os.Stat(filepath.Join(p.to, "refs", "tags", tagName(n)))
		if err != nil {
			return 0, err
		}
		end, err := liveAt(filepath.Join(p.dir, ".rel", "runs", fmt.Sprintf("%d.jsonl", n+1)), tagName(n))
		if err != nil {
			return 0, err
		}
		all = append(all, end.Sub(info.ModTime()))
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}

// liveAt is when the run that a log is of had made a tag live, and went on to prune.
func liveAt(log, tag string) (time.Time, error) {
	text, err := os.ReadFile(log)
	if err != nil {
		return time.Time{}, err
	}
	var pruned time.Time
	for line := range bytes.Lines(text) {
		var e release.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return time.Time{}, fmt.Errorf("%s: %w", log, err)
		}
		switch {
		case e.Kind == release.EventStep && e.Step == release.StepPrune:
			pruned = e.Time
		case e.Kind == release.EventEnd && e.Run.To == tag && e.Run.Outcome == release.Live && !pruned.IsZero():
			return pruned, nil
		}
	}
	return time.Time{}, errors.New(log + ": not live with " + tag + ": " + strings.TrimSpace(string(text)))
}
