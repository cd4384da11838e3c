package objects

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// maxAlternates is how deep alternates of alternates are followed; git's limit.
const maxAlternates = 5

// objectDirs is own, the directories given and all their alternates, each once; absent are those that do not exist, which git
// passes over as well.
func objectDirs(own string, given []string) (dirs, absent []string, err error) {
	seen := map[string]bool{}
	var add func(dir string, depth int) error
	add = func(dir string, depth int) error {
		real, err := filepath.EvalSymlinks(dir)
		if err != nil {
			absent = append(absent, dir)
			return nil
		}
		if seen[real] || depth > maxAlternates {
			return nil
		}
		seen[real] = true
		dirs = append(dirs, dir)
		more, err := alternatesOf(dir)
		if err != nil {
			return err
		}
		for _, a := range more {
			if err := add(a, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	for _, dir := range append([]string{own}, given...) {
		dir, err := filepath.Abs(dir)
		if err != nil {
			return nil, nil, err
		}
		if err := add(dir, 0); err != nil {
			return nil, nil, err
		}
	}
	return dirs, absent, nil
}

// alternatesOf reads dir's info/alternates: a path on each line, relative to dir, quoted as in C where it begins with a quote.
func alternatesOf(dir string) ([]string, error) {
	path := filepath.Join(dir, "info", "alternates")
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []string
	for line := range strings.SplitSeq(string(data), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		if line[0] == '"' {
			if line, err = strconv.Unquote(line); err != nil {
				return nil, fmt.Errorf("%s: a quoted path that does not end as it should: %w", path, err)
			}
		}
		if !filepath.IsAbs(line) {
			line = filepath.Join(dir, line)
		}
		list = append(list, filepath.Clean(line))
	}
	return list, nil
}
