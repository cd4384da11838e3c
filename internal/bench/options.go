//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// parts are what --only chooses from: exports on a file system, and the other tables.
const parts = "tmpfs,ext4,xfs,memory,objects,commands,pushes"

// options are what the caller asks for.
type options struct {
	repos  []string // "deep", "wide" or PATH:TAG[:OLD]
	rounds int
	only   []string
	dir    string
	quick  bool
	chosen bool // repos are the caller's choice
}

func parse(args []string) (options, error) {
	var o options
	var only string
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.Func("repo", "a repository and tag to export, `PATH:TAG[:OLD]`, with OLD as the tag before; or one of the generated ones, deep (5,000 files "+
		"and a million objects) and wide (100,000 files), which are the default. May be repeated", func(s string) error {
		path, tags, found := strings.Cut(s, ":")
		if !found {
			if s != "deep" && s != "wide" {
				return errors.New("not PATH:TAG, deep or wide")
			}
			o.repos = append(o.repos, s)
			return nil
		}
		path, err := filepath.Abs(path) // commands run elsewhere
		o.repos = append(o.repos, path+":"+tags)
		return err
	})
	set.IntVar(&o.rounds, "rounds", 5, "how often each way of exporting is measured, at least 5")
	set.StringVar(&only, "only", parts, "which `PARTS` to run")
	set.StringVar(&o.dir, "dir", "", "where generated repositories are kept from run to run, a directory on a real disk (default: none is kept)")
	set.BoolVar(&o.quick, "quick", false, "smaller repositories: to try the program, not for figures to tell")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	o.only = strings.Split(only, ",")
	for _, name := range o.only {
		if !slices.Contains(strings.Split(parts, ","), name) {
			return o, fmt.Errorf("--only %s: it takes some of %s", name, parts)
		}
	}
	if set.NArg() > 0 {
		return o, fmt.Errorf("%s: no such argument", set.Arg(0))
	}
	if o.dir != "" {
		dir, err := filepath.Abs(o.dir) // commands run elsewhere
		if err != nil {
			return o, err
		}
		o.dir = dir
	}
	if o.rounds < 5 {
		return o, fmt.Errorf("--rounds %d: a median of fewer than 5 tells nothing", o.rounds)
	}
	if o.chosen = len(o.repos) > 0; !o.chosen {
		o.repos = []string{"deep", "wide"}
	}
	return o, nil
}

func (o options) wants(part string) bool { return slices.Contains(o.only, part) }
