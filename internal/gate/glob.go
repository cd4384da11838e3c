package gate

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// globs says which files something is for. A pattern without a slash is of the base name, wherever the file is; one with a slash
// is of the whole path from the top of the release, with or without a slash before it. "*", "?" and "[…]" stay within one name;
// "**" as a whole name stands for any number of directories, none too.
type globs []string

func (g globs) validate() error {
	for _, pattern := range g {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return fmt.Errorf("%q is no pattern", pattern)
		}
	}
	return nil
}

func (g globs) match(file string) bool {
	return slices.ContainsFunc(g, func(pattern string) bool { return matchGlob(pattern, file) })
}

func (g globs) filter(files []string) []string {
	var found []string
	for _, f := range files {
		if g.match(f) {
			found = append(found, f)
		}
	}
	return found
}

func matchGlob(pattern, file string) bool {
	if !strings.Contains(pattern, "/") {
		return matchName(pattern, path.Base(file))
	}
	return matchPath(strings.Split(strings.TrimPrefix(pattern, "/"), "/"), strings.Split(file, "/"))
}

// matchPath goes back to the last "**" only, as is enough: what an earlier one could take more of, the last one can skip.
func matchPath(pattern, names []string) bool {
	p, n := 0, 0
	stars, from := -1, 0 // the last "**", and the name that it ends before
	for n < len(names) {
		switch {
		case p < len(pattern) && pattern[p] == "**":
			stars, from = p, n
			p++
		case p < len(pattern) && matchName(pattern[p], names[n]):
			p++
			n++
		case stars >= 0:
			from++
			p, n = stars+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == "**" {
		p++
	}
	return p == len(pattern)
}

func matchName(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil // validate has seen the pattern
}
