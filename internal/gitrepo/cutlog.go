package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/git-rel/rel/internal/changelog"
	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// clean refuses a CHANGELOG.md with uncommitted changes, unless they are just what an earlier cut of this version wrote before
// it died: then they are what is to be committed.
func (c *cutting) clean(ctx context.Context, head *changelog.Log) error {
	status, err := c.git(ctx, call{env: []string{"GIT_OPTIONAL_LOCKS=0"}}, "status", "--porcelain", "-z", "--untracked-files=all", "--", changelogName)
	if err != nil || status == "" {
		return err
	}
	if mode, data, err := c.onDisk(); err == nil {
		if log, err := changelog.Parse(data); err == nil {
			day, ok := log.Date(c.Tag)
			if _, there := head.Section(c.Tag); ok && !there && bytes.Equal(unix(data), unix(head.Promote(c.Tag, day))) {
				c.mode, c.old, c.fresh, c.Resumed = mode, data, data, true
				return nil
			}
		}
	}
	if strings.HasPrefix(status, "??") {
		return release.Errorf(release.ExitError, "%s: is not committed yet", changelogName).
			Hint("git add %s && git commit %s first", changelogName, changelogName).
			Hint("rel cut %s --at HEAD leaves the file alone", shellQuote(c.Tag))
	}
	return release.Errorf(release.ExitError, "%s: has uncommitted changes", changelogName).
		Hint("git commit %s first, or git stash push %s", changelogName, changelogName).
		Hint("rel cut %s --at HEAD tags what is committed and leaves the file alone", shellQuote(c.Tag))
}

// unix is data with its line endings as git may have stored them.
func unix(data []byte) []byte { return bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")) }

// rewrite promotes the file as it is in the work tree, where its line endings may differ from those in the commit.
func (c *cutting) rewrite() error {
	mode, data, err := c.onDisk()
	if err != nil {
		return err
	}
	log, err := changelog.Parse(data)
	if err != nil {
		return release.Errorf(release.ExitError, "%s: %w", changelogName, err)
	}
	c.mode, c.old, c.fresh = mode, data, log.Promote(c.Tag, c.o.Now)
	return nil
}

func (c *cutting) onDisk() (mode uint32, data []byte, err error) {
	file := filepath.Join(c.WorkTree, changelogName)
	info, err := os.Lstat(file)
	if errors.Is(err, os.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return 0, nil, release.Errorf(release.ExitError, "%s: not a file in the work tree as it is in HEAD", changelogName).
			Hint("rel cut %s --at HEAD tags what is committed", shellQuote(c.Tag))
	}
	if err != nil {
		return 0, nil, err
	}
	data, err = os.ReadFile(file)
	return uint32(info.Mode().Perm()), data, err
}

// promote commits the new CHANGELOG.md and nothing else. Git does it with --only, so that what else is staged stays staged, and
// without the hooks that look at a commit before it is made: they may change or refuse what is none of this commit's business.
func (c *cutting) promote(ctx context.Context) error {
	if !c.Promotes {
		return nil
	}
	file := filepath.Join(c.WorkTree, changelogName)
	if err := disk.WriteFile(file, c.fresh, os.FileMode(c.mode)); err != nil {
		return err
	}
	in := call{stdin: "Release " + c.Tag + "\n", env: c.dates(), config: []string{"i18n.commitEncoding=UTF-8"}}
	_, err := c.git(ctx, in, "commit", "--only", "--no-verify", "--quiet", "--cleanup=verbatim", "-F", "-", "--", changelogName)
	head, _, headErr := c.head()
	if err != nil {
		err = wrapf(err, "%s", changelogName)
		if headErr == nil && head == c.base && !c.Resumed {
			err = errors.Join(err, disk.WriteFile(file, c.old, os.FileMode(c.mode)))
		}
		return errors.Join(err, headErr)
	}
	if headErr != nil {
		return headErr
	}
	return c.checkCommit(ctx, head)
}

// checkCommit makes sure that head is the commit that was wanted: on the base, with one file changed, as it was to be.
func (c *cutting) checkCommit(ctx context.Context, head objects.ID) error {
	made, err := c.store.Commit(head)
	if err != nil {
		return err
	}
	changes, err := c.Changes(ctx, c.base.String(), head.String())
	if err != nil {
		return err
	}
	data, err := c.committed(head, changelogName)
	if err != nil {
		return err
	}
	alone := len(made.Parents) == 1 && made.Parents[0] == c.base && len(changes) == 1
	if !alone || changes[0].Path != changelogName || !bytes.Equal(unix(data), unix(c.fresh)) {
		return release.Errorf(release.ExitError, "HEAD: %s is not just the change of %s: somebody or a hook committed at the same time",
			short(head.String()), changelogName).Hint("git log -3 --stat shows what happened; then rel cut %s goes on", shellQuote(c.Tag))
	}
	c.ChangelogCommit, c.Commit = head.String(), head.String()
	return nil
}
