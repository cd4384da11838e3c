// Package objects reads git's object store and refs: packs and loose objects memory-mapped, alternates, SHA-1 and SHA-256. It
// writes nothing into a repository, and every object that it returns has been checked against its id. Replace refs and grafts are
// ignored: a release is what the tag's own objects say.
package objects

import (
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
)

// What Open and the readers tell apart; all errors of this package that concern one of these wrap it.
var (
	ErrMissing = errors.New("no such object")
	ErrNoRef   = errors.New("no such ref")
	ErrClosed  = errors.New("the repository has been closed")
	ErrNotRepo = errors.New("not a git repository")
)

// Options are what a caller knows about a repository beyond what is in it.
type Options struct {
	ObjectDir  string   // read instead of <common dir>/objects, as in a receiving hook's quarantine; "" for that directory itself
	Alternates []string // further object directories
	TempDir    string   // for unlinked files that hold what is too large for memory; "" for os.TempDir()
	CacheBytes int64    // at most so much memory for delta bases; 0 for 16 MiB
}

const defaultCache = 16 << 20

// Store is an open repository. All methods may be called concurrently. Packs that git removes stay readable until Close.
type Store struct {
	gitDir    string // holds HEAD
	commonDir string // holds objects, refs, config: gitDir itself but in a linked worktree
	tempDir   string
	spill     int64 // bytes; what is larger is held in files of tempDir
	config    repoConfig
	hashLen   int
	dirs      []string // object directories, the repository's own first
	absent    []string // alternates that do not exist: for the hint when an object is missing

	scanning  sync.Mutex
	packs     atomic.Pointer[[]*pack] // replaced as a whole, only ever longer; nil before the first scan
	lastHit   atomic.Int32            // index of the pack that had the last object: the next is likely there too
	cache     cache
	inflaters sync.Pool
	scratch   sync.Pool // of *[]byte, for deltas

	users  atomic.Int64 // calls and streams under way, and 1 until Close
	closed atomic.Bool
}

// Open opens the repository whose git directory is gitDir: a bare repository, a .git directory or a linked worktree's
// .git/worktrees/<name>. No GIT_ variable of the environment has any effect.
func Open(gitDir string) (*Store, error) { return OpenWith(gitDir, Options{}) }

// OpenWith is Open with options.
func OpenWith(gitDir string, o Options) (*Store, error) {
	gitDir, err := filepath.Abs(gitDir)
	if err != nil {
		return nil, err
	}
	common, err := commonDir(gitDir)
	if err != nil {
		return nil, err
	}
	cfg, err := readConfig(filepath.Join(common, "config"))
	if err != nil {
		return nil, err
	}
	s := &Store{gitDir: gitDir, commonDir: common, tempDir: o.TempDir, spill: defaultSpill, config: cfg, hashLen: sha1.Size}
	if cfg.format == SHA256 {
		s.hashLen = sha256.Size
	}
	if s.tempDir == "" {
		s.tempDir = os.TempDir()
	}
	s.cache.limit = o.CacheBytes
	if s.cache.limit == 0 {
		s.cache.limit = defaultCache
	}
	s.inflaters.New = func() any { return new(inflater) }
	s.scratch.New = func() any { return new([]byte) }
	s.users.Store(1)
	own := o.ObjectDir
	if own == "" {
		own = filepath.Join(common, "objects")
	}
	if fi, err := os.Stat(own); err != nil || !fi.IsDir() {
		return nil, fmt.Errorf("%s: %w: it has no objects directory", gitDir, ErrNotRepo)
	}
	s.dirs, s.absent, err = objectDirs(own, o.Alternates)
	return s, err
}

// commonDir follows gitDir's commondir file, which only linked worktrees have.
func commonDir(gitDir string) (string, error) {
	if fi, err := os.Stat(gitDir); err != nil {
		return "", fmt.Errorf("%s: %w", gitDir, ErrNotRepo)
	} else if !fi.IsDir() {
		return "", fmt.Errorf("%s: %w: it is not a directory", gitDir, ErrNotRepo)
	}
	data, err := os.ReadFile(filepath.Join(gitDir, "commondir"))
	if errors.Is(err, os.ErrNotExist) {
		return gitDir, nil
	}
	if err != nil {
		return "", err
	}
	dir := strings.TrimRight(string(data), "\r\n")
	if dir == "" {
		return "", fmt.Errorf("%s: it is empty", filepath.Join(gitDir, "commondir"))
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(gitDir, dir)
	}
	return filepath.Clean(dir), nil
}

// GitDir is the absolute path that Open was given.
func (s *Store) GitDir() string { return s.gitDir }

// CommonDir is where objects, refs and configuration are: GitDir but in a linked worktree.
func (s *Store) CommonDir() string { return s.commonDir }

// Format is the hash that names objects: SHA1 or SHA256.
func (s *Store) Format() string { return s.config.format }

// Close ends the use of the store. What is under way is still served; the packs are unmapped after the last of it.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return ErrClosed
	}
	s.release()
	return nil
}

// acquire keeps the packs mapped until release.
func (s *Store) acquire() error {
	for {
		n := s.users.Load()
		if n == 0 || s.closed.Load() {
			return fmt.Errorf("%s: %w", s.gitDir, ErrClosed)
		}
		if s.users.CompareAndSwap(n, n+1) {
			return nil
		}
	}
}

func (s *Store) release() {
	if s.users.Add(-1) > 0 {
		return
	}
	if packs := s.packs.Swap(nil); packs != nil {
		for _, p := range *packs {
			p.unmap()
		}
	}
	s.cache.clear()
}
