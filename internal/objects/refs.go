package objects

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"

	"github.com/git-rel/rel/internal/release"
)

// Ref is a ref and what it names, symbolic refs followed.
type Ref struct {
	Name   string // whole: refs/tags/v1.4
	ID     ID
	Peeled ID // what ID peels to, where packed-refs tells: ID itself if it is no tag object. Zero if unknown: Store.Peel finds out
}

// maxSymbolic is how many symbolic refs are followed one after another; git's limit.
const maxSymbolic = 5

// Ref reads one ref by its whole name, such as refs/tags/v1.4 or HEAD, following symbolic refs. The error wraps ErrNoRef where the
// ref, or what it points to, does not exist.
func (s *Store) Ref(name string) (ID, error) {
	r, err := s.ref(name)
	return r.ID, err
}

func (s *Store) ref(name string) (Ref, error) {
	if !validRef(name) {
		return Ref{}, fmt.Errorf("%q: %w: git allows no such name", name, ErrNoRef)
	}
	if s.config.reftable {
		return s.gitRef(name)
	}
	at := name
	for range maxSymbolic {
		id, target, err := s.looseRef(at)
		if errors.Is(err, ErrNoRef) {
			r, err := s.packedRef(at)
			if errors.Is(err, ErrNoRef) && at != name {
				err = fmt.Errorf("%s: it points to %w", name, err)
			}
			r.Name = name
			return r, err
		}
		if err != nil || target == "" {
			return Ref{Name: name, ID: id}, err
		}
		at = target
	}
	return Ref{}, release.Errorf(release.ExitError, "%s: more than %d symbolic refs one after another", name, maxSymbolic)
}

// SymbolicTarget is the ref that a symbolic ref such as HEAD points to, which need not exist; "" where name is not symbolic.
func (s *Store) SymbolicTarget(name string) (string, error) {
	if !validRef(name) {
		return "", fmt.Errorf("%q: %w: git allows no such name", name, ErrNoRef)
	}
	if s.config.reftable {
		return s.gitSymbolic(name)
	}
	_, target, err := s.looseRef(name)
	return target, err
}

// Refs lists the refs whose names begin with prefix, "refs/" or longer, sorted by name. Refs that cannot be read, and symbolic
// ones that point nowhere, are left out; the former are also told by err, so that a list with an error is of the refs that are good.
func (s *Store) Refs(prefix string) ([]Ref, error) {
	if s.config.reftable {
		return s.gitRefs(prefix)
	}
	names, err := s.looseNames(prefix)
	if err != nil {
		return nil, err
	}
	found := map[string]Ref{}
	var bad []error
	for _, name := range names { // before packed-refs: git packs first and removes the loose ref after
		switch r, err := s.ref(name); {
		case err == nil:
			found[name] = r
		case !errors.Is(err, ErrNoRef):
			bad = append(bad, err)
			found[name] = Ref{} // hides what packed-refs says
		}
	}
	packed, err := s.packedRefs(prefix)
	if err != nil {
		return nil, err
	}
	list := make([]Ref, 0, len(packed)+len(found))
	for _, r := range packed {
		if _, hidden := found[r.Name]; !hidden {
			list = append(list, r)
		}
	}
	for _, r := range found {
		if !r.ID.IsZero() {
			list = append(list, r)
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list, errors.Join(bad...)
}

// validRef is git's rule for names, so that none leads out of the repository. Refs at the top are in capitals, as HEAD is.
func validRef(name string) bool {
	if strings.ContainsAny(name, "\x7f ~^:?*[\\") || strings.Contains(name, "..") || strings.Contains(name, "@{") || strings.HasSuffix(name, ".") {
		return false
	}
	for i := range len(name) {
		if name[i] < ' ' {
			return false
		}
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	if strings.Contains(name, "/") {
		return strings.HasPrefix(name, "refs/")
	}
	return strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_-") == ""
}

// refDir is where a ref is: some belong to the worktree, all others to the repository.
func (s *Store) refDir(name string) string {
	if !strings.HasPrefix(name, "refs/") {
		return s.gitDir
	}
	for _, own := range worktreeRefs {
		if strings.HasPrefix(name, own) {
			return s.gitDir
		}
	}
	return s.commonDir
}

var worktreeRefs = []string{"refs/bisect/", "refs/worktree/", "refs/rewritten/"}

// looseRef reads a ref's file: an id, or the target of a symbolic ref. ErrNoRef is for none.
func (s *Store) looseRef(name string) (id ID, target string, err error) {
	path := filepath.Join(s.refDir(name), filepath.FromSlash(name))
	if link, err := os.Readlink(path); err == nil && strings.HasPrefix(link, "refs/") && validRef(link) {
		return ID{}, link, nil // as git made symbolic refs once
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EISDIR) || errors.Is(err, syscall.ENOTDIR) {
		return ID{}, "", fmt.Errorf("%s: %w", name, ErrNoRef)
	}
	if err != nil {
		return ID{}, "", err
	}
	text := strings.TrimRight(string(data), " \t\r\n")
	if to, ok := strings.CutPrefix(text, "ref:"); ok {
		to = strings.TrimLeft(to, " \t")
		if !validRef(to) {
			return ID{}, "", s.brokenRef(name, path, errors.New("it points to a name that git does not allow"))
		}
		return ID{}, to, nil
	}
	if text == "" {
		return ID{}, "", s.brokenRef(name, path, errEmpty)
	}
	first, _, _ := strings.Cut(text, "\n")
	first, _, _ = strings.Cut(first, "\t") // FETCH_HEAD has more on its line
	if id, err = parseSized(first, s.hashLen); err != nil {
		return ID{}, "", s.brokenRef(name, path, err)
	}
	return id, "", nil
}

func (s *Store) brokenRef(name, path string, cause error) error {
	return release.Errorf(release.ExitError, "%s: %s: %w", name, path, cause).
		Hint("a crash can leave a ref so; git -C %s update-ref %s with the right id mends it, after the file is removed", s.gitDir, name)
}

// looseNames lists the files of refs that begin with prefix.
func (s *Store) looseNames(prefix string) ([]string, error) {
	under := prefix[:strings.LastIndexByte(prefix, '/')+1]
	if under == "" || !validRef(under+"x") {
		return nil, fmt.Errorf("%q: %w: a prefix begins with refs/", prefix, ErrNoRef)
	}
	bases := []string{s.commonDir}
	if s.gitDir != s.commonDir {
		bases = append(bases, s.gitDir)
	}
	var names []string
	for _, base := range bases {
		err := filepath.WalkDir(filepath.Join(base, under), func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
				return nil // it went while we looked: into packed-refs, which is read after this
			}
			if err != nil || d.IsDir() {
				return err
			}
			name, err := filepath.Rel(base, path)
			name = filepath.ToSlash(name)
			if err == nil && strings.HasPrefix(name, prefix) && validRef(name) && s.refDir(name) == base {
				names = append(names, name)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return names, nil
}
