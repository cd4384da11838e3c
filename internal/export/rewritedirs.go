package export

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/git-rel/rel/internal/disk"
)

// mendTop sees to it that the directory itself is what Write would have made at like.
func (c *clearing) mendTop(like string) (err error) {
	root := c.w.root
	if c.top, err = root.Stat(); err != nil {
		return err
	}
	if c.top.UID != c.uid {
		return fmt.Errorf("%s: it belongs to another user", root.Path(""))
	}
	if err := root.File().Chmod(0o755); err != nil {
		return fmt.Errorf("%s: %w", root.Path(""), cause(err))
	}
	attrs, err := root.Attributes()
	if err != nil {
		return err
	}
	if c.attrs, err = newAttributes(like); err != nil {
		return err
	}
	if attrs != c.attrs {
		return fmt.Errorf("%s: it has other attributes (an ACL, a flag) than a new directory", root.Path(""))
	}
	return nil
}

// newAttributes are those of a directory that is made at a path, and removed again: it may inherit some.
func newAttributes(at string) (attrs string, err error) {
	parent, err := disk.OpenDir(path.Dir(at))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, parent.Close()) }()
	name := path.Base(at)
	if err := parent.Mkdir(name, 0o755); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, parent.RemoveAll(name)) }()
	made, err := parent.Dir(name)
	if err != nil {
		return "", err
	}
	attrs, err = made.Attributes()
	return attrs, errors.Join(err, made.Close())
}

// mendDirs sees to it that every directory of the plan is there and is a directory of our own, by itself and before anything
// else: from then on none comes or goes.
func (c *clearing) mendDirs(ctx context.Context) (err error) {
	parent, at := c.w.root, ""
	leave := func() error {
		if parent == c.w.root {
			return nil
		}
		return parent.Close()
	}
	defer func() { err = errors.Join(err, leave()) }()
	for _, p := range c.w.plan.dirs {
		if err := ctx.Err(); err != nil {
			return err
		}
		dir, name := path.Split(p)
		if dir = strings.TrimSuffix(dir, "/"); dir != at {
			if err := leave(); err != nil {
				return err
			}
			parent, at = c.w.root, dir
			if dir != "" {
				next, err := c.w.root.DirHere(dir)
				if err != nil {
					return err
				}
				parent = next
			}
		}
		if err := c.mendDir(parent, name); err != nil {
			return err
		}
	}
	return nil
}

func (c *clearing) mendDir(parent *disk.Dir, name string) error {
	st, err := parent.Lstat(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return parent.Mkdir(name, 0o755)
	case err != nil:
		return err
	case st.Device != c.top.Device:
		return fmt.Errorf("%s: another file system", parent.Path(name))
	case !st.IsDir() || !c.ours(st):
		return errors.Join(parent.RemoveAll(name), parent.Mkdir(name, 0o755))
	case st.Mode&0o7777 != 0o755:
		if err := parent.Chmod(name, 0o755); err != nil {
			return err
		}
	}
	dir, err := parent.DirHere(name)
	if err != nil {
		return err
	}
	attrs, err := dir.Attributes()
	if err = errors.Join(err, dir.Close()); err != nil || attrs == c.attrs {
		return err
	}
	return errors.Join(parent.RemoveAll(name), parent.Mkdir(name, 0o755))
}
