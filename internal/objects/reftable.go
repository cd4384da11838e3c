package objects

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/git-rel/rel/internal/release"
)

// gitRefs reads refs by running git: for reftable, whose format is git's own business.
func (s *Store) gitRefs(prefix string) ([]Ref, error) {
	// for-each-ref takes whole path components, so the prefix itself is matched here.
	under := strings.TrimSuffix(prefix[:strings.LastIndexByte(prefix, '/')+1], "/")
	out, err := s.git("for-each-ref", "--format=%(objectname) %(objecttype) %(*objectname) %(refname)", "--", under)
	if err != nil {
		return nil, err
	}
	var list []Ref
	for line := range strings.Lines(out) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
		if len(f) < 4 || !strings.HasPrefix(f[3], prefix) {
			continue
		}
		r := Ref{Name: f[3]}
		if r.ID, err = parseSized(f[0], s.hashLen); err != nil {
			return nil, err
		}
		switch {
		case f[1] != KindTag.String():
			r.Peeled = r.ID
		case f[2] != "":
			// To the end of tags of tags: git does so since it knows reftables.
			if r.Peeled, err = parseSized(f[2], s.hashLen); err != nil {
				return nil, err
			}
		}
		list = append(list, r)
	}
	return list, nil
}

func (s *Store) gitRef(name string) (Ref, error) {
	out, err := s.git("show-ref", "--verify", "--hash", "--", name)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && bytes.Contains(exit.Stderr, []byte("not a valid ref")) {
		return Ref{}, fmt.Errorf("%s: %w", name, ErrNoRef)
	}
	if err != nil {
		return Ref{}, err
	}
	id, err := parseSized(strings.TrimSpace(out), s.hashLen)
	return Ref{Name: name, ID: id}, err
}

func (s *Store) gitSymbolic(name string) (string, error) {
	out, err := s.git("symbolic-ref", "--quiet", name)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 {
		return "", nil
	}
	return strings.TrimSpace(out), err
}

// git runs git on the repository with nothing of the environment but where programs and the user's own configuration are, which
// may say that the repository's owner is trusted.
func (s *Store) git(args ...string) (string, error) {
	cmd := exec.Command("git", append([]string{"--git-dir=" + s.gitDir}, args...)...)
	cmd.Env = []string{"LC_ALL=C", "GIT_NO_REPLACE_OBJECTS=1", "GIT_OPTIONAL_LOCKS=0"}
	for _, name := range []string{"PATH", "HOME", "XDG_CONFIG_HOME"} {
		if v, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	out, err := cmd.Output()
	if err == nil {
		return string(out), nil
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return "", release.Errorf(release.ExitError, "%s: its refs are a reftable, which is read by running git: %w", s.gitDir, err).
			Hint("install git 2.45 or newer")
	}
	if bytes.Contains(exit.Stderr, []byte("refstorage")) {
		return "", release.Errorf(release.ExitError, "%s: its refs are a reftable, which %s cannot read", s.gitDir, gitVersion()).
			Hint("install git 2.45 or newer, or convert the repository where there is one: git refs migrate --ref-format=files")
	}
	return "", fmt.Errorf("%s: git %s: %s: %w", s.gitDir, args[0], bytes.TrimSpace(exit.Stderr), err)
}

// gitVersion is "git version 2.39.5" as git says it, for an error's text.
func gitVersion() string {
	out, err := exec.Command("git", "version").Output()
	if err != nil {
		return "this git"
	}
	return strings.Replace(strings.TrimSpace(string(out)), "git version", "git", 1)
}
