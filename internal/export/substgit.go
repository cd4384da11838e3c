package export

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"

	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// askBytes is how much of format goes into one command line; Linux takes 128 KiB in one argument.
const askBytes = 64 << 10

// alone matches the formats that may change how what follows them is laid out: wrapping, padding, colours, a percent sign at the
// end. They are asked for one by one, all others together.
var alone = regexp.MustCompile(`%[-+ ]?[wC<>]|%[-+ ]?$`)

// askGit has git expand formats into texts, as git archive would: in the encoding of the commit, decorated with all refs.
func askGit(ctx context.Context, gitDir string, env []string, commit objects.ID, encoding string, formats []string, texts map[string]string) error {
	slices.Sort(formats)
	for len(formats) > 0 {
		n, size := 1, len(formats[0])
		for n < len(formats) && !alone.MatchString(formats[n-1]) && !alone.MatchString(formats[n]) && size+len(formats[n]) < askBytes {
			size += len(formats[n])
			n++
		}
		if err := askBatch(ctx, gitDir, env, commit, encoding, formats[:n], texts); err != nil {
			return err
		}
		formats = formats[n:]
	}
	return nil
}

func askBatch(ctx context.Context, gitDir string, env []string, commit objects.ID, encoding string, formats []string, texts map[string]string) error {
	between := fmt.Sprintf("rel-%x", sha256.Sum256([]byte(strings.Join(formats, "\x00"))))
	if encoding == "" {
		encoding = "UTF-8"
	}
	cmd := exec.CommandContext(ctx, "git",
		"--git-dir="+gitDir, "--no-pager",
		"-c", "log.initialDecorationSet=all", "-c", "log.showSignature=false", "-c", "color.ui=false", "-c", "core.abbrev=auto",
		"-c", "gpg.program=gpg", "-c", "gpg.ssh.program=ssh-keygen", "-c", "gpg.x509.program=gpgsm",
		"-c", "mailmap.blob=HEAD:.mailmap", "-c", "mailmap.file=",
		"log", "--no-walk", "-1", "--no-patch", "--no-notes", "--no-color", "--no-mailmap", "--date=default",
		"--decorate-refs=*", "--decorate-refs=HEAD", "--encoding="+encoding,
		"--format=format:"+strings.Join(formats, between), commit.String())
	cmd.Dir = gitDir
	cmd.Env = append(gitEnvironment(), env...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, exec.ErrNotFound):
		return release.Errorf(release.ExitRefused, "export-subst: git, which expands the placeholders: %w", err).
			Hint("install git, or set export.attributes = false")
	case err != nil:
		return fmt.Errorf("export-subst: git log %s: %w: %s", commit, err, strings.TrimSpace(said.String()))
	}
	parts := strings.Split(string(out), between)
	if len(parts) != len(formats) {
		return fmt.Errorf("export-subst: git log %s: %d texts for %d formats", commit, len(parts), len(formats))
	}
	for i, format := range formats {
		texts[format] = parts[i]
	}
	return nil
}

// gitEnvironment has nothing in it that could change what git says: no configuration but the repository's own, no replaced
// objects, no grafts, no fetching of what a partial clone left out.
func gitEnvironment() []string {
	env := []string{
		"LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_ATTR_NOSYSTEM=1", "GIT_NO_REPLACE_OBJECTS=1",
		"GIT_GRAFT_FILE=" + os.DevNull, "GIT_NO_LAZY_FETCH=1", "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0",
	}
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}
