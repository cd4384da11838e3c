//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// way is one of the things that are compared.
type way struct {
	name    string
	argv    []string
	ready   func() error // before each time, untimed; may be nil
	clean   func() error // after each time, untimed; may be nil
	bounds  []bound
	samples []sample
	memory  int64 // peak anonymous memory, bytes
}

// bound is a target: the time of rel's way called of, divided by this way's time, must not be over most.
type bound struct {
	of   string
	most float64
}

const (
	full    = "rel, full export"
	reused  = "rel, reuse of a spare"
	archive = `git archive \| tar x`

	untar = `mkdir "$3" && git --git-dir="$1" archive "$2" | tar -x -C "$3"` // for sh: repository, commit, directory
)

// manyFiles is over how many files a tree is not put on a disk in every way: that would take many minutes.
const manyFiles = 20_000

// stage is where the exports of one repository to one file system happen.
type stage struct {
	repo repository
	work repository // with the same objects, for what writes to a repository
	dir  string
	out  string // made by each way, and removed
	tree string // rel's export, to copy from

	onTmpfs bool
}

// exports prints the table of one repository on one file system.
func (b *bench) exports(ctx context.Context, named string, at place) error {
	r, err := b.repository(ctx, named)
	if err != nil {
		return err
	}
	b.tell("exports of %s on %s", r.name, at.name)
	s := stage{repo: r, dir: filepath.Join(at.dir, "exports"), onTmpfs: at.name == "tmpfs"}
	s.out, s.tree = filepath.Join(s.dir, "out"), filepath.Join(s.dir, "tree")
	if err := os.Mkdir(s.dir, 0o755); err != nil {
		return err
	}
	ways, err := b.ways(ctx, s, at)
	if err == nil {
		err = b.race(ctx, ways, s)
	}
	if err == nil {
		b.exportTable(r, at, ways)
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// ways are all that are compared, set up.
func (b *bench) ways(ctx context.Context, s stage, at place) ([]*way, error) {
	r := s.repo
	if err := run(ctx, b.child("export", r.gitDir, r.commit, s.tree)...); err != nil {
		return nil, err
	}
	ways := []*way{
		{name: full, argv: b.child("export", r.gitDir, r.commit, s.out)},
		{name: archive, argv: []string{"sh", "-c", untar, "sh", r.gitDir, r.commit, s.out}},
		{name: "cp -a", argv: []string{"cp", "-a", s.tree, s.out}},
		{name: "write floor", argv: b.child("floor", s.tree, s.out)},
	}
	if s.onTmpfs {
		ways[0].bounds, ways[1].bounds = []bound{{reused, 0.25}}, []bound{{full, 0.7}}
		ways[2].bounds, ways[3].bounds = []bound{{full, 1.2}}, []bound{{full, 2.3}}
	} else {
		durable := &way{name: archive + "; sync -f", argv: []string{"sh", "-c", untar + ` && sync -f "$3"`, "sh", r.gitDir, r.commit, s.out}}
		if at.name == "ext4" {
			durable.bounds = []bound{{full, 0.8}}
		}
		ways = append(ways, durable)
	}
	if r.old != "" {
		ways = append(ways, b.reuse(ctx, s))
	}
	if !s.onTmpfs && r.files > manyFiles {
		return ways, nil
	}
	ways = append(ways, &way{name: "go-git as it comes", argv: b.child("go-git", r.gitDir, r.commit, s.out)})
	checkouts, err := b.checkouts(ctx, &s)
	return append(ways, checkouts...), err
}

// checkouts are the ways that need a work tree, and those that begin with an earlier tag where one is named.
func (b *bench) checkouts(ctx context.Context, s *stage) ([]*way, error) {
	var err error
	if s.work, err = b.borrowed(ctx, s.repo, filepath.Join(s.dir, "work.git")); err != nil {
		return nil, err
	}
	add := func(dir, commit string) []string {
		return s.work.git("worktree", "add", "-q", "--detach", dir, commit)
	}
	ways := []*way{{name: "git worktree add", argv: add(s.out, s.repo.commit), clean: func() error {
		return errors.Join(os.RemoveAll(s.out), run(ctx, s.work.git("worktree", "prune")...))
	}}}
	if s.repo.old == "" {
		return ways, nil
	}
	tree := filepath.Join(s.dir, "worktree")
	if err := run(ctx, add(tree, s.repo.old)...); err != nil {
		return nil, err
	}
	inTree := func(args ...string) []string { return append([]string{"git", "-C", tree}, args...) }
	reset := &way{name: "git reset --hard", argv: inTree("reset", "-q", "--hard", s.repo.commit), ready: func() error {
		return errors.Join(run(ctx, inTree("reset", "-q", "--hard", s.repo.old)...), run(ctx, inTree("update-index", "-q", "--refresh")...))
	}}
	if s.onTmpfs {
		reset.bounds = []bound{{reused, 0.8}}
	}
	link, err := b.linkDest(ctx, s, tree, reset)
	if link == nil {
		return append(ways, reset), err
	}
	return append(ways, reset, link), err
}

// linkDest is rsync with the earlier tag's tree to link to. It goes by times, so that both trees come from one work tree, where
// files that are the same have the same.
func (b *bench) linkDest(ctx context.Context, s *stage, tree string, reset *way) (*way, error) {
	if _, err := exec.LookPath("rsync"); err != nil {
		b.tell("no rsync (Debian package rsync)")
		return nil, nil
	}
	from, to := filepath.Join(s.dir, "old"), filepath.Join(s.dir, "new")
	for _, argv := range [][]string{{"cp", "-a", tree, from}, reset.argv, {"cp", "-a", tree, to}} {
		if err := run(ctx, argv...); err != nil {
			return nil, err
		}
	}
	for _, dir := range []string{from, to} {
		if err := os.Remove(filepath.Join(dir, ".git")); err != nil {
			return nil, err
		}
	}
	return &way{name: "rsync --link-dest", argv: []string{"rsync", "-a", "--link-dest=" + from, to + "/", s.out + "/"}}, nil
}

// race takes the memory of each way, which also reads all that is going to be read, and then its time, turn by turn.
func (b *bench) race(ctx context.Context, ways []*way, s stage) error {
	for round := range b.rounds + 1 {
		for _, w := range ways {
			if err := b.once(ctx, w, round == 0, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// once runs one way, with nothing left to be written to the disk before.
func (b *bench) once(ctx context.Context, w *way, forMemory bool, s stage) (err error) {
	if w.ready != nil {
		if err := w.ready(); err != nil {
			return err
		}
	}
	if !s.onTmpfs {
		if err := run(ctx, "sync", "-f", s.dir); err != nil {
			return err
		}
	}
	if forMemory {
		w.memory, err = peak(ctx, w.argv...)
	} else {
		var taken sample
		taken, err = timed(ctx, w.argv...)
		w.samples = append(w.samples, taken)
	}
	if w.clean != nil {
		return errors.Join(err, w.clean())
	}
	return errors.Join(err, os.RemoveAll(s.out))
}

func (b *bench) exportTable(r repository, at place, ways []*way) {
	median := map[string]float64{}
	for _, w := range ways {
		m, _, _ := middle(w.samples, wall)
		median[w.name] = float64(m)
	}
	ratio := func(of string, w *way) string {
		if median[of] == 0 || of == w.name {
			return ""
		}
		return fmt.Sprintf("%.2f", median[of]/median[w.name])
	}
	var rows [][]string
	for _, w := range ways {
		m, least, most := middle(w.samples, wall)
		c, _, _ := middle(w.samples, cpu)
		var verdicts []string
		for _, bound := range w.bounds {
			if median[bound.of] == 0 {
				continue
			}
			what := fmt.Sprintf("%s on %s: %s ÷ %s", r.name, at.name, bound.of, w.name)
			verdicts = append(verdicts, b.must(target{what: what, figure: median[bound.of] / median[w.name], most: bound.most}))
		}
		rows = append(rows, []string{
			w.name, ms(m), ms(least) + "–" + ms(most), ms(c), mb(w.memory),
			ratio(full, w), ratio(reused, w), strings.Join(verdicts, "; "),
		})
	}
	b.table("Exports of "+r.name+" to "+at.name,
		fmt.Sprintf("%s Medians of %d, taking turns. rel's exports, and only they and the one with sync, are on the disk when they end.", r.about, b.rounds),
		[]string{"way", "ms", "least–most", "CPU ms", "peak anonymous MB", "rel full ÷ it", "rel reuse ÷ it", ""}, rows)
}

// child is the command line of one of this program's own processes.
func (b *bench) child(args ...string) []string {
	return append([]string{b.self, "child"}, args...)
}
