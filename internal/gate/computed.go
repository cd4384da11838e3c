package gate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/git-rel/rel/internal/proc"
)

// maxLinks is how many symlinks the kernel follows in one path.
const maxLinks = 40

// computed works out from modes, owners, groups and ACLs what the user may do. It is how access is tested where we cannot become
// the user, and how a denial is explained where we can.
type computed struct {
	dir  string
	user proc.User
	dirs map[string]error // what going through a directory gave
}

func newComputed(dir string, u proc.User) *computed {
	return &computed{dir: dir, user: u, dirs: map[string]error{}}
}

// blocked is a denial: which inode does not let the user pass.
type blocked struct {
	path   string // absolute
	access inodeAccess
}

func (b *blocked) Error() string { return b.path + ": " + shown(b.access) }
func (b *blocked) Unwrap() error { return syscall.EACCES }

func (c *computed) test(path string, what need) error {
	base, rest := c.dir, path
	if filepath.IsAbs(path) {
		base, rest = "/", strings.TrimPrefix(path, "/")
	}
	full, info, err := c.walk(base, rest, what >= reach)
	if err != nil {
		return err
	}
	switch mode := info.Mode(); {
	case what == search:
		return c.check(full, info, mayExec)
	case what == list:
		return c.check(full, info, mayRead|mayExec)
	case what == read:
		return c.check(full, info, mayRead)
	case what == run:
		return c.check(full, info, mayRead|mayExec)
	case what == use && mode.IsDir():
		return c.check(full, info, mayRead|mayExec)
	case what == use && mode.IsRegular():
		return c.check(full, info, mayRead)
	}
	return nil
}

// walk goes from base through the components of rest as the kernel does, and stops where the user may not pass. It gives where it
// arrived. What is above base is not looked at.
func (c *computed) walk(base, rest string, follow bool) (string, fs.FileInfo, error) {
	at, links := base, 0
	info, err := os.Stat(at)
	todo := components(rest)
	for err == nil && len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		if err = c.pass(at, info); err != nil {
			break
		}
		next := filepath.Join(at, name) // ".." too: at has no symlink in it
		if info, err = os.Lstat(next); err != nil {
			break
		}
		if info.Mode()&fs.ModeSymlink == 0 || len(todo) == 0 && !follow {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return next, nil, syscall.ELOOP
		}
		var target string
		if target, err = os.Readlink(next); err != nil {
			break
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		todo = append(components(target), todo...)
		info, err = os.Stat(at)
	}
	return at, info, err
}

func components(path string) []string {
	var parts []string
	for p := range strings.SplitSeq(path, "/") {
		if p != "" && p != "." {
			parts = append(parts, p)
		}
	}
	return parts
}

// pass says whether the user may go through a directory.
func (c *computed) pass(path string, info fs.FileInfo) error {
	if !info.IsDir() {
		return syscall.ENOTDIR
	}
	err, known := c.dirs[path]
	if !known {
		err = c.check(path, info, mayExec)
		c.dirs[path] = err
	}
	return err
}

func (c *computed) check(path string, info fs.FileInfo, want uint32) error {
	access, err := accessOf(path, info)
	if err != nil {
		return err
	}
	if !access.allows(c.user, want) {
		return &blocked{path, access}
	}
	return nil
}

// why explains a denial: the mode and owner of what was denied, or of the directory on the way that does not let the user pass.
func (c *computed) why(d failure) string {
	err := d.err
	if denies(err) {
		err = c.test(d.path, d.what)
	}
	b, found := errors.AsType[*blocked](err)
	path := d.path
	if !filepath.IsAbs(path) {
		path = filepath.Join(c.dir, path)
	}
	switch {
	case found && b.path == path:
		return shown(b.access)
	case found:
		return b.Error()
	case err != nil:
		return plain(err).Error()
	}
	return d.err.Error() + ", though its mode allows it: a mount option or a security module"
}

// shown is "drwxr-x--- deploy:www-data", with a "+" after the mode where there is an ACL, as ls shows it.
func shown(a inodeAccess) string {
	plus := ""
	if a.acl != nil {
		plus = "+"
	}
	mode := a.mode.Perm().String()[1:]
	kind := "-"
	if a.mode.IsDir() {
		kind = "d"
	}
	return fmt.Sprintf("%s%s%s %s:%s", kind, mode, plus, userName(a.uid), groupName(a.gid))
}

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

func groupName(gid uint32) string {
	id := strconv.FormatUint(uint64(gid), 10)
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}
