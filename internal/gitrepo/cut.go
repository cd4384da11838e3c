package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// CutOptions say which tag to make, where and how.
type CutOptions struct {
	Tag      string    // its name; else Part
	Part     string    // Major, Minor or Patch: the version after the newest release
	At       string    // a revision; "" for HEAD. With it nothing is committed, and no branch is pushed
	Message  string    // instead of the name and the notes
	Sign     bool      // as git's own configuration says; also where that has tag.gpgSign
	Push     string    // a remote's name or URL; "" for none
	DryRun   bool      // changes nothing
	Now      time.Time // the time of the commit and the tag; its zone decides the day in the changelog
	Progress io.Writer // gets what git push says as it says it; nil for nobody
}

// Cut is a tag that was made, or would be.
type Cut struct {
	Tag             string `json:"tag"`
	Commit          string `json:"commit"`                     // what the tag names; of a dry run that Promotes, the commit below it
	Notes           string `json:"notes"`                      // release notes, Markdown
	Message         string `json:"message"`                    // of the tag
	Signed          bool   `json:"signed,omitempty"`           // or would be
	Since           string `json:"since,omitempty"`            // the tag after which the notes begin, where they are from commits
	Branch          string `json:"branch,omitempty"`           // that HEAD is on; empty with At, and where HEAD is detached
	Promotes        bool   `json:"promotes,omitempty"`         // CHANGELOG.md's Unreleased becomes the version's section
	Resumed         bool   `json:"resumed,omitempty"`          // CHANGELOG.md has the version's section already, from a cut that did not finish or by hand
	ChangelogCommit string `json:"changelog_commit,omitempty"` // the commit that changed CHANGELOG.md
	Pushed          string `json:"pushed,omitempty"`           // where the tag, and the branch if there is one, were pushed
}

// cutting is a Cut under way.
type cutting struct {
	*Repo
	Cut
	o     CutOptions
	base  objects.ID // that the tag, or the changelog's commit, is made on
	fresh []byte     // what CHANGELOG.md is to hold, where it Promotes
	mode  uint32     // its permissions
	old   []byte     // what it holds
}

// Cut makes an annotated tag and pushes it if asked to. Before anything is changed all that can be known to be wrong is refused:
// a bad or taken name, a CHANGELOG.md with changes, an identity that is missing, a remote that would reject. What goes wrong
// after that is told with what stands and how to go on; the Cut returned besides such an error says what was made.
func (r *Repo) Cut(ctx context.Context, o CutOptions) (Cut, error) {
	c := &cutting{Repo: r, o: o}
	for _, step := range []func(context.Context) error{c.name, c.place, c.vacant, c.identity, c.signable, c.notes, c.pushable} {
		if err := step(ctx); err != nil {
			return Cut{}, err
		}
	}
	if o.DryRun {
		return c.Cut, nil
	}
	for _, step := range []func(context.Context) error{c.promote, c.tag, c.push} {
		if err := step(ctx); err != nil {
			return c.Cut, err
		}
	}
	return c.Cut, nil
}

// name decides what the tag is called.
func (c *cutting) name(ctx context.Context) error {
	if c.o.Tag != "" && c.o.Part != "" {
		return release.Errorf(release.ExitUsage, "%s and --%s: one of them names the version", c.o.Tag, c.o.Part)
	}
	c.Tag = c.o.Tag
	if c.Tag == "" {
		tags, err := c.Tags(ctx)
		if err != nil {
			return err
		}
		names := make([]string, len(tags))
		for i, t := range tags {
			names[i] = t.Name
		}
		if c.o.Part == "" {
			return askVersion(names, c.o.Now)
		}
		if c.Tag, err = NextVersion(names, c.o.Part); err != nil {
			return err
		}
	}
	return checkNewName(c.Tag)
}

// place finds the commit.
func (c *cutting) place(ctx context.Context) (err error) {
	if c.o.At == "" {
		c.base, c.Branch, err = c.head()
		c.Commit = c.base.String()
		return err
	}
	c.Commit, err = c.line(ctx, call{}, "rev-parse", "--verify", "--quiet", "--end-of-options", c.o.At+"^{commit}")
	if exitOf(err) > 0 {
		return release.Errorf(release.ExitNotFound, "%s: no such commit", c.o.At).Hint("git log shows the commits")
	}
	if err != nil {
		return err
	}
	c.base, err = objects.ParseID(c.Commit)
	return err
}

// vacant refuses a name that is taken.
func (c *cutting) vacant(ctx context.Context) error {
	id, err := c.store.Ref(tagPrefix + c.Tag)
	if errors.Is(err, objects.ErrNoRef) {
		return nil
	}
	if err != nil {
		return err
	}
	peeled, err := c.store.Peel(id)
	if err != nil {
		return wrapf(err, "%s", c.Tag)
	}
	if peeled != c.base {
		return release.Errorf(release.ExitError, "%s: already names another commit, %s", c.Tag, short(peeled.String())).
			Hint("a tag that others may have is not moved: choose the next version")
	}
	e := release.Errorf(release.ExitError, "%s: already names this commit, %s", c.Tag, short(peeled.String()))
	if c.o.Push != "" {
		return e.Hint("%s pushes it", c.pushCommand())
	}
	return e.Hint("rel activate %s makes it live", shellQuote(c.Tag))
}

// identity refuses where git would have to guess who makes the tag.
func (c *cutting) identity(ctx context.Context) error {
	for _, ident := range []string{"GIT_COMMITTER_IDENT", "GIT_AUTHOR_IDENT"} {
		_, err := c.git(ctx, call{config: []string{"user.useConfigOnly=true"}}, "var", ident)
		if exitOf(err) > 0 {
			return release.Errorf(release.ExitError, "git: it does not know who makes the tag: user.name or user.email is missing").
				Hint(`git config user.name "Your Name"`).Hint("git config user.email you@example.org")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// message is the tag's.
func (c *cutting) message() string {
	switch {
	case c.o.Message != "":
		return strings.TrimRight(c.o.Message, "\n") + "\n"
	case c.Notes != "":
		return c.Tag + "\n\n" + c.Notes + "\n"
	}
	return c.Tag + "\n"
}

// tag makes the tag and makes sure that it is the one that was meant.
func (c *cutting) tag(ctx context.Context) error {
	kind := "--annotate"
	if c.Signed {
		kind = "--sign"
	}
	// Verbatim: a "### Added" of the notes is no comment.
	in := call{stdin: c.Message, env: c.dates()}
	_, err := c.git(ctx, in, "tag", kind, "--cleanup=verbatim", "-F", "-", "--", c.Tag, c.Commit)
	if err == nil {
		err = c.checkTag(ctx)
	}
	if err == nil {
		return nil
	}
	e := wrapf(err, "%s", c.Tag)
	if why := programSaid(err); c.Signed && why != "" {
		e.Hint("%s", why)
	}
	if c.ChangelogCommit != "" {
		e.Hint("the commit of CHANGELOG.md, %s, was made: rel cut %s goes on from there", short(c.ChangelogCommit), shellQuote(c.Tag)).
			Hint("git reset --keep %s undoes it", short(c.base.String()))
	}
	return e
}

// dates make git use the cut's time.
func (c *cutting) dates() []string {
	if c.o.Now.IsZero() {
		return nil
	}
	at := fmt.Sprintf("%d %s", c.o.Now.Unix(), c.o.Now.Format("-0700"))
	return []string{"GIT_COMMITTER_DATE=" + at, "GIT_AUTHOR_DATE=" + at}
}

// short is an id as people read it.
func short(id string) string { return id[:min(len(id), 10)] }
