package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

// repository is a git repository that a directory lies in.
type repository struct {
	git    string // its git directory; of a linked work tree, that one's own
	common string // where info/exclude is
	tree   string // the top of the work tree; "" in a bare repository
}

// repositoryAround finds the repository that dir lies in; ok is false where there is none.
func repositoryAround(dir string) (repo repository, ok bool, err error) {
	for at := dir; ; at = filepath.Dir(at) {
		dotGit := filepath.Join(at, ".git")
		switch st, err := os.Stat(dotGit); {
		case err == nil && st.IsDir() && looksLikeGit(dotGit):
			return repository{git: dotGit, common: dotGit, tree: at}, true, nil
		case err == nil && st.Mode().IsRegular():
			repo, err := linkedRepository(at, dotGit)
			return repo, err == nil, err
		case filepath.Base(at) != ".git" && looksLikeGit(at):
			return repository{git: at, common: at}, true, nil
		}
		if filepath.Dir(at) == at {
			return repository{}, false, nil
		}
	}
}

func looksLikeGit(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, "HEAD")) // may be a link
	return err == nil && isDir(filepath.Join(dir, "objects")) && isDir(filepath.Join(dir, "refs")) ||
		err == nil && isFile(filepath.Join(dir, "commondir"))
}

// linkedRepository reads a .git file, as linked work trees and submodules have one.
func linkedRepository(tree, dotGit string) (repository, error) {
	git, err := readPath(dotGit, "gitdir: ", tree)
	if err != nil {
		return repository{}, err
	}
	common, err := readPath(filepath.Join(git, "commondir"), "", git)
	if missing(err) {
		common, err = git, nil
	}
	return repository{git: git, common: common, tree: tree}, err
}

// readPath reads a file of one line that holds a path, relative to base.
func readPath(file, prefix, base string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	p, ok := strings.CutPrefix(strings.TrimRight(string(data), "\r\n"), prefix)
	if !ok || p == "" {
		return "", fmt.Errorf("%s: not a path of a git directory", file)
	}
	if !filepath.IsAbs(p) {
		p = filepath.Join(base, p)
	}
	return p, nil
}

// hide makes git ignore, in this clone only, exactly what rel makes in a work tree.
func (r *Root) hide() error {
	repo, ok, err := repositoryAround(r.Dir)
	if err != nil || !ok || repo.tree == "" {
		return err
	}
	tracked, err := gitTracks(repo.tree, r.LivePath())
	if err != nil {
		return err
	}
	if tracked {
		return release.Errorf(release.ExitError, "%s: git tracks it, so it can't be the live path", r.LivePath()).
			Hint(`live.path = "live" in rel.toml, or any other name that git does not track`)
	}
	at, err := filepath.Rel(repo.tree, r.Dir)
	if err != nil {
		return err
	}
	return addLines(filepath.Join(repo.common, "info", "exclude"), r.Layout.ignored(filepath.ToSlash(at)))
}

// ignored are the lines of info/exclude for a root at the given path in its work tree.
func (l Layout) ignored(at string) []string {
	const digit = "[0-9]"
	day, clock := strings.Repeat(digit, 8), strings.Repeat(digit, 6)
	names := []string{".rel/", globEscape(l.Live), "releases/" + day + "T" + clock + "Z-*/", "releases/.tmp-*/"}
	if len(l.shared()) > 0 {
		names = append(names, "shared/")
	}
	prefix := path.Join("/", globEscape(at)) // "/" for a root that is the work tree's top
	for i, name := range names {
		names[i] = strings.TrimSuffix(prefix, "/") + "/" + name
	}
	return names
}

// globEscape makes a path match only itself in info/exclude.
func globEscape(p string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, " ", `\ `).Replace(p)
}

// addLines appends the lines that a file does not have, and leaves every other byte of it.
func addLines(file string, lines []string) error {
	if real, err := filepath.EvalSymlinks(file); err == nil {
		file = real
	}
	data, err := os.ReadFile(file)
	if err != nil && !missing(err) {
		return err
	}
	before := len(data)
	have := bytes.Split(data, []byte("\n"))
	if before > 0 && data[before-1] != '\n' {
		data = append(data, '\n')
	}
	start := len(data)
	for _, line := range lines {
		if !containsLine(have, line) {
			data = append(append(data, line...), '\n')
		}
	}
	if len(data) == start {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return disk.WriteFile(file, data, 0o644)
}

func containsLine(have [][]byte, line string) bool {
	for _, h := range have {
		if string(bytes.TrimSuffix(h, []byte("\r"))) == line {
			return true
		}
	}
	return false
}

// gitTimeout bounds the one question to git.
const gitTimeout = time.Minute

// gitTracks asks git whether file, or anything beneath it, is in the index of the work tree.
func gitTracks(tree, file string) (bool, error) {
	rel, err := filepath.Rel(tree, file)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), gitTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", "--literal-pathspecs", "-c", "core.fsmonitor=false", "ls-files", "-z", "--cached", "--", rel)
	cmd.Dir = tree
	cmd.Env = withoutGit(os.Environ())
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return false, fmt.Errorf("%s: git ls-files: %s", tree, strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return false, fmt.Errorf("%s: git ls-files: %w", tree, err)
	}
	return len(out) > 0, nil
}

// withoutGit drops what a hook or an alias has put into the environment about another repository.
func withoutGit(environ []string) []string {
	kept := []string{"GIT_OPTIONAL_LOCKS=0"}
	for _, v := range environ {
		if !strings.HasPrefix(v, "GIT_") && !strings.HasPrefix(v, "SUDO_") {
			kept = append(kept, v)
		}
	}
	return kept
}
