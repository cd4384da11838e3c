package export

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	format "github.com/go-git/go-git/v5/plumbing/format/config"

	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// gitmodules names the submodules of the tree that it is at the top of. It is read as what it is: text of whoever could push. What is
// odd in it is refused, whether or not it matters to rel.
const gitmodules = ".gitmodules"

// maxModulesFile is in bytes; those of the largest projects have a tenth of that.
const maxModulesFile = 256 << 10

// readModules reads the .gitmodules of the part being walked: URLs by path. Without the file there are none.
func (w *walker) readModules() (map[string]string, error) {
	entries, err := w.in.Store.Tree(w.in.object.Tree)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Name != gitmodules {
			continue
		}
		if e.Mode&typeMask != typeFile {
			return nil, badModules("it is not a regular file")
		}
		kind, size, err := w.in.Store.Header(e.ID)
		if err != nil {
			return nil, err
		}
		if kind != objects.KindBlob || size > maxModulesFile {
			return nil, badModules("a %s of %d bytes, where %d are allowed", kind, size, maxModulesFile)
		}
		o, err := w.in.Store.Read(e.ID)
		if err != nil {
			return nil, err
		}
		return parseModules(o.Data)
	}
	return map[string]string{}, nil
}

func badModules(text string, args ...any) *release.Error {
	return release.Errorf(release.ExitRefused, text, args...).Hint("mend it in the repository, and cut a new tag")
}

// parseModules reads the text of a .gitmodules: URLs by path.
func parseModules(data []byte) (map[string]string, error) {
	if at := oddByte(data); at >= 0 {
		return nil, badModules("a control character in line %d", 1+bytes.Count(data[:at], []byte("\n")))
	}
	parsed := format.New()
	if err := format.NewDecoder(bytes.NewReader(data)).Decode(parsed); err != nil {
		return nil, badModules("it cannot be read: %.200q", err.Error())
	}
	modules := make(map[string]string)
	for _, section := range parsed.Sections {
		if !strings.EqualFold(section.Name, "submodule") || len(section.Options) > 0 {
			return nil, badModules("it has settings beside those of [submodule \"NAME\"]: [%.100q]", section.Name)
		}
		for _, sub := range section.Subsections {
			at, url, err := moduleOf(sub)
			if err != nil {
				return nil, err
			}
			if _, ok := modules[at]; ok {
				return nil, badModules("two submodules at %s", shown(at))
			}
			modules[at] = url
		}
	}
	for _, at := range slices.Sorted(maps.Keys(modules)) {
		for above := path.Dir(at); above != "."; above = path.Dir(above) {
			if _, ok := modules[above]; ok {
				return nil, badModules("the submodule at %s lies in that at %s", shown(at), shown(above))
			}
		}
	}
	return modules, nil
}

// oddByte is where data has a byte that no honest file of this kind has, -1 if nowhere. A CR is honest at the end of a line.
func oddByte(data []byte) int {
	for i, c := range data {
		if c == '\r' && i+1 < len(data) && data[i+1] == '\n' {
			continue
		}
		if c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
			return i
		}
	}
	return -1
}

// moduleOf reads the settings of one submodule. Only where it is and whence it comes matters here.
func moduleOf(sub *format.Subsection) (at, url string, err error) {
	if bad := badModuleName(sub.Name); bad != "" {
		return "", "", badModules("submodule %.100q: %s", sub.Name, bad)
	}
	values := make(map[string]string)
	for _, o := range sub.Options {
		key := strings.ToLower(o.Key)
		if _, twice := values[key]; twice && (key == "path" || key == "url") {
			return "", "", badModules("submodule %.100q: has two settings of %s", sub.Name, key)
		}
		values[key] = o.Value
	}
	at, url = strings.TrimSuffix(values["path"], "/"), values["url"]
	switch {
	case badModulePath(at) != "":
		return "", "", badModules("submodule %.100q: its path %.100q: %s", sub.Name, at, badModulePath(at))
	case strings.HasPrefix(url, "-"):
		return "", "", badModules("submodule %.100q: its url looks like an option", sub.Name)
	case strings.ContainsFunc(url, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "", "", badModules("submodule %.100q: its url holds a control character", sub.Name)
	case strings.HasPrefix(strings.TrimSpace(values["update"]), "!"):
		return "", "", badModules("submodule %.100q: its update is a command", sub.Name)
	}
	return at, url, nil
}

// badModuleName says what is wrong with a submodule's name, of which git makes a path: "" if nothing is.
func badModuleName(name string) string {
	if strings.HasPrefix(name, "-") {
		return "a name that looks like an option"
	}
	for part := range strings.SplitSeq(strings.ReplaceAll(name, `\`, "/"), "/") {
		if part == "" || part == "." || part == ".." {
			return `a name with "..", "." or an empty part in it`
		}
	}
	return ""
}

// badModulePath says what is wrong with a submodule's path, "" if nothing is.
func badModulePath(at string) string {
	if strings.HasPrefix(at, "-") {
		return "it looks like an option"
	}
	if len(at) > maxPath {
		return fmt.Sprintf("%d bytes, where %d are possible", len(at), maxPath)
	}
	if strings.ContainsFunc(at, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "a control character"
	}
	for part := range strings.SplitSeq(at, "/") {
		if bad := badName(part); bad != "" {
			return bad
		}
	}
	return ""
}
