//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// commands prints what whole rel processes take, as a person waits for them, in a small root and in one with years behind it.
func (b *bench) commands(ctx context.Context, places []place) error {
	b.tell("whole commands")
	rel, err := b.program(ctx)
	if err != nil {
		return err
	}
	gitDir, err := b.generate(ctx, "tags-10000", tagged(10_000))
	if err != nil {
		return err
	}
	few, err := b.generate(ctx, "tags-100", tagged(100))
	if err != nil {
		return err
	}
	for _, at := range places {
		if at.skipped != "" || at.name == "xfs" {
			continue
		}
		if err := b.commandsOn(ctx, at, rel, few, gitDir); err != nil {
			return err
		}
	}
	return nil
}

// program is rel, built.
func (b *bench) program(ctx context.Context) (string, error) {
	rel := filepath.Join(b.scratch, "rel")
	build := command(ctx, []string{"go", "build", "-trimpath", "-o", rel, "github.com/git-rel/rel/cmd/rel"})
	build.Dir, build.Env = "", os.Environ()
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return rel, nil
}

// commandsOn measures in a small root, in one as most are after some months, and on tmpfs in one with years behind it. few and gitDir
// are repositories with 100 and with 10,000 tags.
func (b *bench) commandsOn(ctx context.Context, at place, rel, few, gitDir string) error {
	small, usual := root{dir: filepath.Join(at.dir, "small"), rel: rel}, root{dir: filepath.Join(at.dir, "usual"), rel: rel}
	if err := errors.Join(small.make(ctx, gitDir), usual.make(ctx, few)); err != nil {
		return err
	}
	if err := usual.age(ctx, 50, 500); err != nil {
		return err
	}
	ways := small.switches("2 releases", 2)
	ways[1].bounds = []bound{{most: 60}}
	const about = "50 releases, 100 tags, 500 runs"
	ways = append(ways, &way{name: "rel version", argv: small.command("version")}, &way{name: "true", argv: []string{"true"}},
		&way{name: "rel list: " + about, argv: usual.command("list"), bounds: []bound{{most: 50}}},
		&way{name: "rel status: " + about, argv: usual.command("status"), bounds: []bound{{most: 50}}})
	if at.name == "tmpfs" {
		large := root{dir: filepath.Join(at.dir, "large"), rel: rel}
		if err := large.make(ctx, gitDir); err != nil {
			return err
		}
		releases, runs := 1000, 100_000
		if b.quick {
			releases, runs = 50, 5000
		}
		if err := large.age(ctx, releases, runs); err != nil {
			return err
		}
		size := fmt.Sprintf("%s releases, 10,000 tags, %s runs", thousands(int64(releases)), thousands(int64(runs)))
		ways = append(ways, large.switches(size, releases)...)
		ways = append(ways,
			&way{name: "rel list: " + size, argv: large.command("list"), bounds: []bound{{most: 60}}},
			&way{name: "rel history -n 20: " + size, argv: large.command("history", "-n", "20"), bounds: []bound{{most: 20}}},
			&way{name: "rel status: " + size, argv: large.command("status")})
	}
	if err := b.turns(ctx, ways, shortRounds); err != nil {
		return err
	}
	var rows [][]string
	for _, w := range ways {
		m, least, most := middle(w.samples, wall)
		verdict := ""
		for _, bound := range w.bounds {
			verdict = b.must(target{what: w.name + ", on " + at.name, figure: float64(m) / 1e6, most: bound.most, unit: "ms"})
		}
		rows = append(rows, []string{w.name, ms(m), ms(least) + "–" + ms(most), verdict})
	}
	b.table("Commands on "+at.name, fmt.Sprintf("Whole processes, medians of %d, taking turns; no service is configured. "+
		"\"true\" is what the machine takes for any process.", shortRounds), []string{"command", "ms", "least–most", ""}, rows)
	return nil
}
