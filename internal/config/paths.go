package config

import (
	"path"
	"strings"

	"github.com/git-rel/rel/internal/release"
)

// cleanPaths brings paths into their shortest form, so that "uploads/" and "./uploads" are "uploads".
func (c *Config) cleanPaths() {
	for _, p := range []*string{&c.Repo, &c.Live.Path, &c.Export.Path, &c.Sign.AllowedSigners, &c.Sign.Keyring} {
		*p = clean(*p)
	}
	for _, list := range [][]string{c.Shared.Dirs, c.Shared.Files} {
		for i := range list {
			list[i] = clean(list[i])
		}
	}
}

func clean(p string) string {
	if p == "" || RepoElsewhere(p) {
		return p
	}
	return path.Clean(p)
}

func (c *Config) checkPaths(k *checker) {
	c.checkRepo(k)
	if k.relative("live.path", c.Live.Path, "the root") {
		c.checkLive(k)
	}
	if c.Export.Path != "" && c.Export.Path != "." {
		k.relative("export.path", c.Export.Path, "the tree")
	}
	var good []string
	for i, p := range append(append([]string{}, c.Shared.Dirs...), c.Shared.Files...) {
		key := "shared.dirs"
		if i >= len(c.Shared.Dirs) {
			key = "shared.files"
		}
		if !k.relative(key, p, "the release") {
			continue
		}
		for _, other := range good {
			if p == other {
				k.bad(key, "%q is there twice", p)
			} else if overlap(p, other) {
				k.bad(key, "%q and %q: one is inside the other", other, p)
			}
		}
		good = append(good, p)
	}
}

func (c *Config) checkRepo(k *checker) {
	switch {
	case c.Repo == "":
		k.bad("repo", "is empty").hint = "without the key it is repo.git, else the repository around the root"
	case RepoElsewhere(c.Repo):
		if _, err := release.ParseRemote(c.Repo); err != nil {
			k.bad("repo", "%q: %s", c.Repo, err).hint = "it is a path, or an address as https://git.example.com/team/shop.git"
		}
	case controls(c.Repo):
		k.bad("repo", "%q holds a control character", c.Repo)
	}
}

// checkLive keeps the live path from standing on, in or around what else is in the root.
func (c *Config) checkLive(k *checker) {
	taken := []string{".rel", ".git", "releases", "shared", File}
	if !path.IsAbs(c.Repo) && !RepoElsewhere(c.Repo) && c.Repo != "." && !strings.HasPrefix(c.Repo, "../") && c.Repo != "" {
		taken = append(taken, c.Repo)
	}
	for _, p := range taken {
		if overlap(strings.ToLower(c.Live.Path), strings.ToLower(p)) {
			k.bad("live.path", "%q overlaps %s, which has its own use in a root", c.Live.Path, p)
		}
	}
}

// checkSign refuses what would trust nobody. What the files are like is looked at when they are used.
func (c *Config) checkSign(k *checker) {
	if c.Sign.Require && c.Sign.AllowedSigners == "" && c.Sign.Keyring == "" {
		k.bad("sign.require", "neither allowed_signers nor keyring is set: no tag could be trusted").hint = "they name the files of those who may sign"
	}
	if controls(c.Sign.AllowedSigners) {
		k.bad("sign.allowed_signers", "%q holds a control character", c.Sign.AllowedSigners)
	}
	if controls(c.Sign.Keyring) {
		k.bad("sign.keyring", "%q holds a control character", c.Sign.Keyring)
	}
}

// relative tells whether p is a path that stays inside of where it starts, and says so if not.
func (k *checker) relative(key, p, of string) bool {
	switch {
	case p == "":
		k.bad(key, "is empty")
	case controls(p):
		k.bad(key, "%q holds a control character", p)
	case path.IsAbs(p):
		k.bad(key, "%q is absolute: it must be relative to %s", p, of)
	case p == ".":
		k.bad(key, "%q is %s itself", p, of)
	case p == ".." || strings.HasPrefix(p, "../"):
		k.bad(key, "%q leads out of %s", p, of)
	default:
		return true
	}
	return false
}

// lib takes what relative takes, the release itself, and absolute paths: a check may need the system's libraries.
func (k *checker) lib(key, p string) {
	if p = path.Clean(p); p != "." && !path.IsAbs(p) {
		k.relative(key, p, "the release")
	}
}

func overlap(a, b string) bool {
	return a == b || strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/")
}

func controls(s string) bool { return control.MatchString(s) }

// RepoElsewhere tells an address from a path: "https://…", "ssh://…" or "host:path" as git has it.
func RepoElsewhere(repo string) bool {
	before, _, ok := strings.Cut(repo, ":")
	return ok && !strings.Contains(before, "/")
}
