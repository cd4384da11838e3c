package export

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// What becomes of Git LFS pointers, by Source.LFS.
const (
	LFSAuto    = "auto"    // their content is exported; "" is the same
	LFSRefuse  = "refuse"  // they are refused
	LFSPointer = "pointer" // they are exported as they are
)

// lfsContent is what a release's Git LFS content is taken from.
type lfsContent struct {
	dir     string // where the repository keeps it, by its SHA-256
	src     Source
	config  lfsConfig
	missing []lfsFile // what is not there and has to be fetched
}

// lfsFile is a file of the tree whose content Git LFS keeps.
type lfsFile struct {
	path    string // in the repository
	content *lfsPointer
}

// measurePointer makes of a pointer with filter=lfs the content that it stands for. As with git lfs, what is no pointer is content
// itself, and eol, ident and the like are for the pointer, not for the content.
func (p *Plan) measurePointer(f *file) error {
	if !f.lfs || f.size >= maxPointer || p.src.LFS == LFSPointer {
		return nil
	}
	o, err := f.in.Store.Read(f.id)
	if err != nil {
		return in(f.path, err)
	}
	content, ok := parsePointer(o.Data)
	switch {
	case !ok:
		return nil
	case f.in.depth > 0 && p.src.LFS != LFSRefuse:
		return in(f.path, refuseContent("in a submodule, which rel does not fetch").
			Hint(`export.lfs = "pointer" exports pointers as they are; git lfs migrate export, in the submodule, stores the content itself`))
	case p.src.LFS == LFSRefuse:
		return in(f.path, p.refusePointer(f))
	case content.extended:
		return in(f.path, refuseContent("made by an extension of Git LFS, which is a program that rel does not run").
			Hint("git lfs ext shows which; without it, git add --renormalize stores the content itself"))
	case content.size > maxContent:
		return in(f.path, refuseContent("of %d bytes, which is more than can be", content.size).
			Hint("git show %s shows the pointer, which is wrong", f.id))
	}
	f.content, f.size, f.conv = &content, content.size, conversion{}
	return nil
}

func refuseContent(format string, args ...any) *release.Error {
	return release.Errorf(release.ExitRefused, "Git LFS content "+format, args...)
}

// NoPointers tells whether none of the release's files can be a Git LFS pointer, as Manifest.NoPointers has it: each that could be one
// was looked at, or is when it is written.
func (p *Plan) NoPointers() bool {
	unseen := func(f file) bool { return f.size < maxPointer && (f.pointer || !f.raw()) }
	return p.src.LFS != LFSPointer && !slices.ContainsFunc(p.files, unseen)
}

// mayPoint tells whether a file of the former release, which has the blob's content, has to be looked at: it may be a pointer which
// was exported as it is then, and would be refused now.
func (p *Plan) mayPoint(f *file) bool {
	return !p.src.Former.NoPointers && !f.pointer && p.src.LFS != LFSPointer && f.size >= minPointer && f.size < maxPointer
}

// refusePointer says why a pointer does not become its content.
func (p *Plan) refusePointer(f *file) *release.Error {
	asItIs := `export.lfs = "pointer" exports pointers as they are`
	switch {
	case f.lfs:
		return release.Errorf(release.ExitRefused, "a Git LFS pointer, which export.lfs refuses").
			Hint(`export.lfs = "auto" exports the content, "pointer" the pointer`).
			Hint("git lfs migrate export --include=%q puts the content into the repository", f.path)
	case !p.src.Attributes:
		return release.Errorf(release.ExitRefused, "a Git LFS pointer, whose content is exported by its attributes only").
			Hint("export.attributes = true obeys them; %s", asItIs)
	}
	return release.Errorf(release.ExitRefused, "a Git LFS pointer without filter=lfs in .gitattributes, so nothing says that its content is meant").
		Hint("git lfs track --filename %q in a clone, and commit .gitattributes", f.path).
		Hint("where the pointer itself is meant, give it -filter in .gitattributes; %s", asItIs)
}

// locateContent finds out what of the Git LFS content is here, and refuses what there is no way to fetch.
func (p *Plan) locateContent(ctx context.Context) error {
	var all []lfsFile
	for _, f := range p.files {
		if f.content != nil {
			all = append(all, lfsFile{f.path, f.content})
		}
	}
	if len(all) == 0 {
		return nil
	}
	config, err := readLFSConfig(ctx, p.src, p.parts[0].object.Tree)
	if err != nil {
		return err
	}
	p.lfs = lfsContent{dir: config.objects(p.src.Store.CommonDir()), src: p.src, config: config}
	if err := p.lfs.look(all); err != nil || len(p.lfs.missing) == 0 {
		return err
	}
	return p.lfs.fetchable(ctx)
}

// look finds out which of files are missing.
func (c *lfsContent) look(files []lfsFile) error {
	c.missing = nil
	for _, f := range files {
		r, err := c.open(f.content)
		if err != nil {
			return in(f.path, err)
		}
		if r == nil {
			c.missing = append(c.missing, f)
			continue
		}
		if err := r.Close(); err != nil {
			return in(f.path, cause(err))
		}
	}
	return nil
}

// missingBytes is the size of what has to be fetched, which takes as much room in the repository.
func (c *lfsContent) missingBytes() (sum int64) {
	seen := make(map[string]bool)
	for _, f := range c.missing {
		if !seen[f.content.oid] {
			sum += f.content.size
		}
		seen[f.content.oid] = true
	}
	return sum
}

// open opens content, which may not be led elsewhere by a link; nil where it is not there. Of another size it is half-written,
// which for git lfs too is not there.
func (c *lfsContent) open(p *lfsPointer) (io.ReadCloser, error) {
	if p.size == 0 {
		return io.NopCloser(bytes.NewReader(nil)), nil
	}
	dir, err := disk.OpenDir(c.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, c.unreadable(err)
	}
	f, err := disk.Beneath(dir.File(), p.place(), unix.O_RDONLY|unix.O_NONBLOCK, 0)
	closing := dir.Close()
	if errors.Is(err, os.ErrNotExist) {
		return nil, closing
	}
	if err != nil {
		return nil, c.unreadable(err)
	}
	info, err := f.Stat()
	if err := errors.Join(err, closing); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if !info.Mode().IsRegular() || info.Size() != p.size {
		return nil, f.Close()
	}
	return f, nil
}

func (c *lfsContent) unreadable(err error) error {
	return refuseContent("cannot be read: %w", err).
		Hint("%s holds plain directories and files that this user can read, or is not there: rel fetches them", c.dir)
}

// copyContent writes a file's Git LFS content and returns the id that git would give it. What is not the content that the pointer
// names is an error, after some of it may have been written.
func (p *Plan) copyContent(ctx context.Context, out io.Writer, f *file) (id objects.ID, err error) {
	r, err := p.lfs.open(f.content)
	if err != nil {
		return id, err
	}
	if r == nil {
		return id, refuseContent("has gone from %s", p.lfs.dir).Hint("try again: rel fetches it")
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	sum, blob := sha256.New(), objects.NewHasher(p.src.Store.Format(), objects.KindBlob, f.size)
	if err := pump(ctx, io.MultiWriter(out, sum, blob), io.LimitReader(r, f.size+1)); err != nil {
		return id, err
	}
	if hex.EncodeToString(sum.Sum(nil)) != f.content.oid {
		return id, refuseContent("is damaged: its SHA-256 is not %s", f.content.oid).
			Hint("rm %s, and try again: rel fetches it", filepath.Join(p.lfs.dir, f.content.place())).
			Hint("where that does not help, the pointer is wrong: git show %s", f.id)
	}
	return blob.ID(), nil
}

// refuseMissing names what is missing and why it cannot be had.
func (c *lfsContent) refuseMissing(why string) *release.Error {
	const named = 5
	var paths []string
	for _, f := range c.missing[:min(named, len(c.missing))] {
		paths = append(paths, shown(f.path))
	}
	more := ""
	if n := len(c.missing) - named; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return release.Errorf(release.ExitRefused, "%s%s: Git LFS content is not in %s, and %s", strings.Join(paths, ", "), more, c.dir, why)
}
