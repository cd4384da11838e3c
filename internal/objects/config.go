package objects

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/git-rel/rel/internal/release"
)

// repoConfig is what a repository's own configuration says about how to read it.
type repoConfig struct {
	format    string // SHA1 or SHA256
	reftable  bool
	promisor  bool   // a partial clone: objects may be missing by intention
	remote    string // of the partial clone
	extension string // one that is not known
	version   string // core.repositoryformatversion
}

// readConfig reads only what git itself reads before it trusts a repository: this one file, includes not followed.
func readConfig(path string) (repoConfig, error) {
	c := repoConfig{format: SHA1}
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return c, nil // git takes the defaults too
	}
	if err != nil {
		return c, err
	}
	eachSetting(string(data), func(section, key, value string) {
		switch {
		case section == "core" && key == "repositoryformatversion":
			c.version = value
		case section == "extensions":
			c.extend(key, value)
		case strings.HasPrefix(section, "remote.") && key == "promisor" && truthy(value):
			c.promisor, c.remote = true, strings.TrimPrefix(section, "remote.")
		}
	})
	switch {
	case c.version != "" && c.version != "0" && c.version != "1":
		return c, release.Errorf(release.ExitError, "%s: repository format version %s is not known", path, c.version)
	case c.version == "1" && c.extension != "":
		return c, release.Errorf(release.ExitError, "%s: repository extension %q is not known", path, c.extension).
			Hint("a newer rel may know it; without the extension a clone of the repository can be read")
	case c.format != SHA1 && c.format != SHA256:
		return c, release.Errorf(release.ExitError, "%s: object format %q is neither sha1 nor sha256", path, c.format)
	}
	return c, nil
}

// extend takes one setting of [extensions]. Those that concern only writing or work trees change nothing here.
func (c *repoConfig) extend(key, value string) {
	switch key {
	case "objectformat":
		c.format = strings.ToLower(value)
	case "refstorage":
		// The value may carry a location after the name, as in reftable://path.
		name, _, _ := strings.Cut(value, ":")
		c.reftable = name == "reftable"
		if name != "reftable" && name != "files" {
			c.extension = key + " = " + value
		}
	case "partialclone":
		c.promisor, c.remote = true, value
	case "noop", "noop-v1", "preciousobjects", "worktreeconfig", "relativeworktrees", "compatobjectformat", "submodulepathconfig":
	default:
		c.extension = key
	}
}

func truthy(v string) bool {
	switch strings.ToLower(v) {
	case "", "true", "yes", "on", "1":
		return true
	}
	return false
}

// eachSetting calls f for every setting of a git configuration file: section in lower case with its subsection as it is
// ("remote.origin"), key in lower case. Lines that it cannot read it passes over: git itself refuses them with a better text.
func eachSetting(text string, f func(section, key, value string)) {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\\\n", "")
	section := ""
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "["); ok {
			head, after, ok := strings.Cut(rest, "]")
			if !ok {
				continue
			}
			section = sectionName(head)
			line = strings.TrimSpace(after)
		}
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		key, value, given := strings.Cut(line, "=")
		if !given {
			value = "true"
		}
		f(section, strings.ToLower(strings.TrimSpace(key)), settingValue(value))
	}
}

func sectionName(head string) string {
	name, sub, ok := strings.Cut(head, "\"")
	name = strings.ToLower(strings.TrimSpace(name))
	if !ok {
		return name
	}
	sub = strings.TrimSuffix(strings.TrimSpace(sub), "\"")
	return name + "." + strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(sub)
}

// settingValue strips comments and quotes.
func settingValue(raw string) string {
	var b strings.Builder
	quoted, escaped := false, false
	for _, r := range strings.TrimSpace(raw) {
		switch {
		case escaped:
			escaped = false
			b.WriteRune(r)
		case r == '\\':
			escaped = true
		case r == '"':
			quoted = !quoted
		case (r == '#' || r == ';') && !quoted:
			return strings.TrimSpace(b.String())
		default:
			b.WriteRune(r)
		}
	}
	return strings.TrimSpace(b.String())
}

// checkID refuses an id of the other hash, which no lookup could find.
func (s *Store) checkID(id ID) error {
	if int(id.len) != s.hashLen {
		return fmt.Errorf("object %q: %w: %s names its objects by %s", id, ErrMissing, s.gitDir, s.config.format)
	}
	return nil
}
