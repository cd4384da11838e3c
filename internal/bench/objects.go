//go:build linux

package main

import (
	"context"
	"fmt"
)

// shortRounds is how often what takes milliseconds is measured.
const shortRounds = 21

// objects prints what opening a large repository, resolving a tag and peeling ten thousand take.
func (b *bench) objects(ctx context.Context, _ []place) error {
	r, err := b.repository(ctx, "deep")
	if err != nil {
		return err
	}
	b.tell("objects of %s", r.name)
	const resolved, packed, peeled = "rel: open, resolve a tag", "rel: open, peel all tags, as packed-refs has them", "rel: open, peel all tags from their objects"
	ways := []*way{
		{name: resolved, argv: b.child("resolve", r.gitDir, r.tag)},
		{name: "git rev-parse", argv: r.git("rev-parse", "refs/tags/"+r.tag+"^{tree}")},
		{name: packed, argv: b.child("peel", r.gitDir, "packed-refs")},
		{name: peeled, argv: b.child("peel", r.gitDir, "objects")},
		{name: "git for-each-ref, %(*objectname)", argv: r.git("for-each-ref", "--format=%(*objectname)", "refs/tags")},
		{name: "true", argv: []string{"true"}},
	}
	if err := b.turns(ctx, ways, shortRounds); err != nil {
		return err
	}
	most := map[string]float64{resolved: 5, packed: 70, peeled: 70}
	var rows [][]string
	for _, w := range ways {
		m, least, highest := middle(w.samples, wall)
		inside, verdict := "", ""
		if bound := most[w.name]; bound > 0 {
			c, _, _ := middle(w.samples, call)
			inside = ms(c)
			verdict = b.must(target{what: w.name + ", the call", figure: float64(c) / 1e6, most: bound, unit: "ms"})
		}
		rows = append(rows, []string{w.name, inside, ms(m), ms(least) + "–" + ms(highest), verdict})
	}
	b.table("Opening and resolving", fmt.Sprintf("%s Medians of %d, taking turns. \"true\" is what the machine takes for any process.", r.about, shortRounds),
		[]string{"what", "the call, ms", "whole process, ms", "least–most", ""}, rows)
	return nil
}

// turns takes the time of each way so often, turn by turn.
func (b *bench) turns(ctx context.Context, ways []*way, rounds int) error {
	for round := range rounds + 1 {
		for _, w := range ways {
			if w.ready != nil {
				if err := w.ready(); err != nil {
					return err
				}
			}
			s, err := timed(ctx, w.argv...)
			if err != nil {
				return err
			}
			if round > 0 { // the first one reads what it needs from the disk
				w.samples = append(w.samples, s)
			}
		}
	}
	return nil
}
