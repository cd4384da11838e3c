package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// signable decides whether the tag is signed, and refuses what can be known to go wrong before anything is changed: an SSH key that
// is not named, or not there.
func (c *cutting) signable(ctx context.Context) error {
	always, err := c.setting(ctx, "bool", "tag.gpgSign")
	if err != nil {
		return err
	}
	if c.Signed = c.o.Sign || always == "true"; !c.Signed {
		return nil
	}
	format, err := c.setting(ctx, "", "gpg.format")
	if err != nil || format != "ssh" {
		return err // gpg finds the key by the tagger's address
	}
	key, err := c.setting(ctx, "path", "user.signingKey")
	if err != nil {
		return err
	}
	command, err := c.setting(ctx, "", "gpg.ssh.defaultKeyCommand")
	switch {
	case err != nil:
		return err
	case key == "" && command == "":
		return noSigningKey("git: user.signingKey names no SSH key to sign with")
	case key == "" || strings.HasPrefix(key, "key::") || strings.HasPrefix(key, "ssh-"): // the key itself, which an agent has
		return nil
	}
	if !filepath.IsAbs(key) {
		key = filepath.Join(c.top(), key) // where git is run
	}
	if _, err := os.Stat(key); err != nil {
		return noSigningKey("git: user.signingKey: %w", err)
	}
	return nil
}

func noSigningKey(format string, args ...any) error {
	return release.Errorf(release.ExitError, format, args...).Hint("git config user.signingKey ~/.ssh/id_ed25519.pub")
}

// programSaid is the last that the program said which git calls to sign: git itself says only that it did not.
func programSaid(err error) string {
	e, ok := errors.AsType[*gitError](err)
	if !ok {
		return ""
	}
	said := ""
	for line := range strings.Lines(e.text) {
		line = strings.TrimSpace(strings.TrimPrefix(line, "error: "))
		ours := strings.HasPrefix(line, "fatal: ") || strings.HasPrefix(line, "hint: ") || line == "unable to sign the tag"
		if line != "" && !ours && !strings.HasPrefix(line, "The tag message has been left in") {
			said = line
		}
	}
	return said
}

// setting is a value of git's configuration; empty where it is not set.
func (c *cutting) setting(ctx context.Context, kind, key string) (string, error) {
	args := []string{"config", "--get", key}
	if kind != "" {
		args = []string{"config", "--type=" + kind, "--get", key}
	}
	value, err := c.line(ctx, call{}, args...)
	if exitOf(err) == 1 {
		return "", nil
	}
	return value, err
}

// checkTag looks at what git made. Git 2.39 leaves a tag without a signature, and exits with 0, where an SSH key cannot be read.
func (c *cutting) checkTag(ctx context.Context) error {
	made, err := c.Resolve(ctx, c.Tag)
	if err != nil {
		return err
	}
	if made.Commit != c.Commit {
		return fmt.Errorf("it names %s and not %s: somebody else made it at the same time", short(made.Commit), short(c.Commit))
	}
	if !c.Signed {
		return nil
	}
	id, err := objects.ParseID(made.Object)
	if err != nil {
		return err
	}
	object, err := c.store.Tag(id)
	if err != nil {
		return err
	}
	if strings.HasPrefix(strings.TrimPrefix(object.Message, c.Message), "-----BEGIN ") {
		return nil
	}
	if _, err := c.git(ctx, call{}, "update-ref", "-d", tagPrefix+c.Tag, made.Object); err != nil {
		return err
	}
	return release.Errorf(release.ExitError, "git tag did not sign it, so it was removed again").
		Hint("git config user.signingKey names the key; with gpg.format ssh it is the path of a file")
}
