package export

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

// lfsTimeout bounds one fetch, however long data keep coming; git lfs itself gives up on a server that has been silent for 30 s.
const lfsTimeout = time.Hour

// includeBytes bounds the paths given to one git lfs fetch; Linux takes 128 KiB in one argument. Beyond it all of the commit's
// content is fetched.
const includeBytes = 64 << 10

// lfsConfig is what git's configuration says about Git LFS.
type lfsConfig struct {
	storage string   // instead of lfs in the git directory
	url     string   // of the server; "" for what belongs to the remote
	remotes []string // where to fetch from, the best first
}

var remoteKey = regexp.MustCompile(`^remote\.(.+)\.(?:url|lfsurl)$`)

// readLFSConfig asks git, since configuration includes files and depends on conditions. The tag's own .lfsconfig counts where the
// repository names no server: git lfs would read that of HEAD, which in a bare repository may be of another branch.
func readLFSConfig(ctx context.Context, src Source, tree objects.ID) (lfsConfig, error) {
	var c lfsConfig
	byDefault := ""
	settings := lfsGit(src, "config", "--get-regexp", `^(lfs\.storage|lfs\.url|remote\.lfsdefault|remote\..+\.(url|lfsurl))$`)
	err := answers(ctx, settings, func(key, value string) {
		switch key {
		case "lfs.storage":
			c.storage = value
		case "lfs.url":
			c.url = value
		case "remote.lfsdefault":
			byDefault = value
		default:
			if m := remoteKey.FindStringSubmatch(key); m != nil {
				c.remotes = append(c.remotes, m[1])
			}
		}
	})
	if err != nil {
		return c, err
	}
	first := []string{byDefault, "origin"}
	rank := func(name string) int { return (slices.Index(first, name) + 3) % 3 } // -1, of all others, comes last
	slices.SortFunc(c.remotes, func(a, b string) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b)) })
	c.remotes = slices.Compact(c.remotes)
	if c.url == "" {
		if c.url, err = lfsURLIn(ctx, src, tree); err != nil {
			return c, err
		}
	}
	if len(c.remotes) == 0 && c.url != "" {
		c.remotes = []string{c.url} // git lfs takes a URL in place of a remote's name
	}
	return c, nil
}

// lfsURLIn is lfs.url in the tree's .lfsconfig, "" if there is none.
func lfsURLIn(ctx context.Context, src Source, tree objects.ID) (url string, err error) {
	entries, err := src.Store.Tree(tree)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if mode, ok := modeOf(e.Mode); ok && e.Name == ".lfsconfig" && mode != release.ModeDir && mode != release.ModeGitlink {
			config := lfsGit(src, "config", "--blob", e.ID.String(), "--get-regexp", `^lfs\.url$`)
			err = answers(ctx, config, func(_, value string) { url = value })
		}
	}
	return url, err
}

// objects is the directory in which content is kept, for a repository whose own directory is dir.
func (c lfsConfig) objects(dir string) string {
	storage := cmp.Or(c.storage, "lfs")
	if !filepath.IsAbs(storage) {
		storage = filepath.Join(dir, storage)
	}
	return filepath.Join(storage, "objects")
}

// lfsGit is a call of git in the repository. It has the owner's own configuration, since that says how a server is reached:
// credentials, proxies, certificates. Nothing else of it matters, since all content is checked; no hook is run.
func lfsGit(src Source, args ...string) proc.Command {
	head := []string{"--git-dir=" + src.GitDir, "-c", "safe.bareRepository=all", "-c", "core.hooksPath=" + os.DevNull}
	return proc.Command{
		Name: "git " + args[0], Path: "git", Args: append(head, args...), Dir: src.GitDir, Env: append(lfsEnvironment(), src.Env...), Timeout: lfsTimeout,
	}
}

func lfsEnvironment() []string {
	env := slices.DeleteFunc(gitEnvironment(), func(e string) bool {
		return strings.HasPrefix(e, "GIT_CONFIG_") || strings.HasPrefix(e, "HOME=")
	})
	for _, name := range []string{"http_proxy", "https_proxy", "no_proxy", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return append(env, "HOME="+home())
}

// home is where this process's configuration is. Under sudo HOME may be that of another user, which we may not read.
func home() string {
	dir := os.Getenv("HOME")
	if info, err := os.Stat(dir); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) == os.Geteuid() {
			return dir
		}
	}
	if user, err := proc.UserOf(uint32(os.Geteuid())); err == nil {
		return user.Home
	}
	return dir
}

// answers runs git config and calls found for each setting. A repository can be read without git, if it has all that is needed.
func answers(ctx context.Context, config proc.Command, found func(key, value string)) error {
	config.Output = func(line string) {
		key, value, _ := strings.Cut(line, " ")
		found(key, value)
	}
	_, err := config.Run(ctx)
	if exit, ok := errors.AsType[*proc.ExitError](err); ok && exit.Code != 1 { // 1: there is no such setting
		return err
	}
	return ctx.Err()
}

// fetchable refuses what is missing where it is clear beforehand that it cannot be fetched.
func (c *lfsContent) fetchable(ctx context.Context) error {
	if _, err := lfsGit(c.src, "lfs", "version").Run(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return c.refuseMissing("git lfs, which could fetch it, is not installed").
			Hint("install it: apt install git-lfs, or https://git-lfs.com")
	}
	if len(c.config.remotes) == 0 {
		return c.refuseMissing("nothing says where to fetch it").
			Hint("git -C %s config lfs.url URL names a server", c.src.GitDir).
			Hint("git lfs push file://%s %s puts it here, from a clone on this machine that has it", c.src.GitDir, c.src.Tag)
	}
	return nil
}

// fetch fetches what is missing, all at once, from the first remote that has it.
func (c *lfsContent) fetch(ctx context.Context) error {
	var said error
	for _, remote := range c.config.remotes {
		if len(c.missing) == 0 {
			break
		}
		err := c.fetchFrom(ctx, remote)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		said = cmp.Or(said, err)
		if err := c.look(c.missing); err != nil {
			return err
		}
	}
	if len(c.missing) == 0 {
		return nil
	}
	from := unsecret(c.config.remotes[0])
	why := "git lfs fetch " + shown(from) + " did not bring it"
	if last := lastWords(said); last != "" {
		why += ": " + last
	}
	return c.refuseMissing(why).
		Hint("git lfs push %s %s, in a clone that has it, puts it there", from, c.src.Tag).
		Hint("git -C %s lfs fetch %s %s shows what is wrong", c.src.GitDir, from, c.src.Tag)
}

func (c *lfsContent) fetchFrom(ctx context.Context, remote string) error {
	args := []string{"-c", "lfs.fetchrecentalways=false"}
	if c.config.url != "" {
		args = append(args, "-c", "lfs.url="+c.config.url)
	}
	// An empty pattern is one that is given: what the configuration includes and excludes has no say.
	args = append(args, "lfs", "fetch", "--include="+include(c.missing), "--exclude=", "--", remote, c.src.Commit.String())
	command := lfsGit(c.src, args...)
	command.Name = "git lfs fetch"
	_, err := command.Run(ctx)
	return err
}

// odd are the bytes of a path that mean something in a pattern, or may.
var odd = regexp.MustCompile(`[^A-Za-z0-9._/-]+`)

// include is the patterns of the paths of files, so wide that they match them; "" for everything.
func include(files []lfsFile) string {
	var patterns []string
	size := 0
	for _, f := range files {
		pattern := "/" + odd.ReplaceAllString(f.path, "*")
		if size += len(pattern) + 1; size > includeBytes {
			return ""
		}
		patterns = append(patterns, pattern)
	}
	return strings.Join(patterns, ",")
}

var userInfo = regexp.MustCompile(`://[^/@\s]+@`)

// unsecret takes names and passwords out of URLs.
func unsecret(text string) string { return userInfo.ReplaceAllString(text, "://") }

// lastWords is the last thing that git lfs fetch said, but for its summary.
func lastWords(err error) string {
	exit, ok := errors.AsType[*proc.ExitError](err)
	if !ok || exit.TimedOut || exit.Signal != 0 {
		if err == nil {
			return ""
		}
		return err.Error()
	}
	for _, line := range slices.Backward(exit.Tail) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "error: failed to fetch some objects") {
			return shown(unsecret(line))
		}
	}
	return exit.Error()
}
