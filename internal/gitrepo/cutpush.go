package gitrepo

import (
	"context"
	"net/url"
	"strings"

	"github.com/git-rel/rel/internal/release"
)

// refs are what is pushed: the branch, if HEAD is on one and it is HEAD that is tagged, and the tag.
func (c *cutting) refs() []string {
	if c.Branch == "" {
		return []string{tagPrefix + c.Tag}
	}
	return []string{"refs/heads/" + c.Branch, tagPrefix + c.Tag}
}

// pushCommand is what a person types to push by hand.
func (c *cutting) pushCommand() string {
	words := []string{"git push --atomic", shellQuote(c.remote())}
	for _, ref := range c.refs() {
		words = append(words, shellQuote(ref))
	}
	return strings.Join(words, " ")
}

// remote is the remote's name, or its URL without a password.
func (c *cutting) remote() string {
	if u, err := url.Parse(c.o.Push); err == nil && u.User != nil {
		return u.Redacted()
	}
	return c.o.Push
}

// pushable asks the remote, before anything is made here, for what would make it reject the push.
func (c *cutting) pushable(ctx context.Context) error {
	if c.o.Push == "" {
		return nil
	}
	if strings.HasPrefix(c.o.Push, "-") {
		return release.Errorf(release.ExitUsage, "%s: no remote can have this name", c.o.Push)
	}
	args := append([]string{"ls-remote", "--quiet", "--", c.o.Push}, c.refs()...)
	out, err := c.git(ctx, call{}, args...)
	if exitOf(err) > 0 {
		return wrapf(err, "%s", c.remote()).
			Hint("git remote -v shows the remotes; nothing has been changed")
	}
	if err != nil {
		return err
	}
	at := map[string]string{}
	for line := range strings.Lines(out) {
		id, ref, _ := strings.Cut(strings.TrimSpace(line), "\t")
		at[ref] = id
	}
	if at[tagPrefix+c.Tag] != "" {
		return release.Errorf(release.ExitError, "%s: has a tag %s already", c.remote(), c.Tag).
			Hint("git fetch --tags %s gets it", shellQuote(c.remote()))
	}
	there := at["refs/heads/"+c.Branch]
	if there == "" {
		return nil
	}
	_, err = c.git(ctx, call{}, "merge-base", "--is-ancestor", there, c.base.String())
	if exitOf(err) > 0 {
		return release.Errorf(release.ExitError, "%s: %s has commits that are not here", c.remote(), c.Branch).
			Hint("git pull --rebase %s %s gets them", shellQuote(c.remote()), shellQuote(c.Branch))
	}
	return err
}

// push sends branch and tag, both or neither. The error of a push that is rejected says what stands here, and how to try again
// or undo it.
func (c *cutting) push(ctx context.Context) error {
	if c.o.Push == "" {
		return nil
	}
	args := []string{"push", "--atomic", "--porcelain", "--no-follow-tags", "--", c.o.Push}
	for _, ref := range c.refs() {
		args = append(args, ref+":"+ref)
	}
	out, err := c.git(ctx, call{stderr: c.o.Progress}, args...)
	if err == nil {
		c.Pushed = c.o.Push
		return nil
	}
	e := release.Errorf(release.ExitFailed, "%s: %w", c.remote(), err)
	if why := rejection(out); why != "" {
		e = release.Errorf(release.ExitFailed, "%s: rejected %s", c.remote(), why)
	}
	stands, undo := "the tag "+c.Tag, "git tag -d "+shellQuote(c.Tag)
	if c.ChangelogCommit != "" {
		stands += " and the commit of CHANGELOG.md, " + short(c.ChangelogCommit)
		undo += " && git reset --keep " + short(c.base.String())
	}
	return e.Hint("here stand %s", stands).Hint("%s tries again", c.pushCommand()).Hint("%s undoes it", undo)
}

// rejection is what git push --porcelain says of the refs that were not taken.
func rejection(out string) string {
	var said []string
	for line := range strings.Lines(out) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) < 3 || fields[0] != "!" {
			continue
		}
		_, to, _ := strings.Cut(fields[1], ":")
		to = strings.TrimPrefix(strings.TrimPrefix(to, "refs/heads/"), tagPrefix)
		said = append(said, to+" "+fields[2])
	}
	return strings.Join(said, ", ")
}
