package store

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

// seen are the first lines of manifests that were read before: a run asks for all of them some six times. A manifest is written once,
// as a file of its own, so that the same file by its stat data has the same line.
type seen struct {
	sync.Mutex
	at map[string]firstLine
}

// firstLine is the first line of a manifest.
type firstLine struct {
	st      disk.Stat
	release release.Release
	err     error
}

// headers reads the first line of every manifest; those that could be read come with the error of those that could not.
func (r *Root) headers() ([]release.Release, error) {
	dir, err := r.manifests()
	if err != nil {
		return nil, ignoreMissing(err)
	}
	defer dir.Close()
	names, err := dir.Names()
	names = slices.DeleteFunc(names, func(name string) bool { return strings.HasPrefix(name, tmpPrefix) })
	slices.Sort(names)
	r.seen.Lock()
	defer r.seen.Unlock()
	read := r.readHeaders(dir, names)
	r.seen.at = make(map[string]firstLine, len(names))
	all := make([]release.Release, 0, len(names))
	for i, h := range read {
		switch {
		case h.err == nil:
			r.seen.at[names[i]] = h
			all = append(all, h.release)
		case !missing(h.err) && release.ExitCode(h.err) != release.ExitNotFound: // not one that was pruned meanwhile
			err = errors.Join(err, h.err)
		}
	}
	return all, err
}

// readHeaders reads the first lines of the manifests of these names, by all cores. It looks at r.seen and does not change it.
func (r *Root) readHeaders(dir *disk.Dir, names []string) []firstLine {
	read := make([]firstLine, len(names))
	each := len(names)/runtime.GOMAXPROCS(0) + 1
	var all sync.WaitGroup
	for from := 0; from < len(names); from += each {
		all.Go(func() {
			for i := from; i < min(from+each, len(names)); i++ {
				read[i] = r.headerAgain(dir, names[i])
			}
		})
	}
	all.Wait()
	return read
}

func (r *Root) headerAgain(dir *disk.Dir, name string) (h firstLine) {
	if h.st, h.err = dir.Lstat(name); h.err != nil {
		return h
	}
	if was, ok := r.seen.at[name]; ok && was.st == h.st {
		return was
	}
	h.release, h.err = r.headerIn(dir.File(), "", release.ID(name))
	return h
}
