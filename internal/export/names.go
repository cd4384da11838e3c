package export

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of Linux and macOS on a name and on a path, in bytes; of a path a part is left to the directory it is exported to.
const (
	maxName = 255
	maxPath = 4096 - 512
)

// badName says what is wrong with a tree entry's name, "" if nothing is.
func badName(name string) string {
	switch {
	case name == "":
		return "an empty name"
	case name == ".", name == "..":
		return fmt.Sprintf("the name %q", name)
	case strings.HasPrefix(name, "/"):
		return "an absolute name"
	case strings.Contains(name, "/"):
		return "a name with a slash"
	case strings.Contains(name, "\x00"):
		return "a name with a NUL byte"
	case len(name) > maxName:
		return fmt.Sprintf("a name of %d bytes, where %d are possible", len(name), maxName)
	case isDotGit(name):
		return "a name that some file systems take for .git"
	}
	return ""
}

// isDotGit tells whether name is .git, or what NTFS or HFS+ take for it.
func isDotGit(name string) bool { return isNTFSDotGit(name) || isNTFSDotGit(foldHFS(name)) }

// isDotGitmodules tells whether name is .gitmodules, or what NTFS or HFS+ take for it. Git archive refuses a symlink of that name
// too: through it a file outside of the tree could say where submodules come from.
func isDotGitmodules(name string) bool {
	return isNTFSDotGitmodules(name) || isNTFSDotGitmodules(foldHFS(name))
}

func isNTFSDotGitmodules(name string) bool {
	name, _, _ = strings.Cut(name, ":")
	name = strings.ToLower(strings.TrimRight(name, ". "))
	short, number, isShort := strings.Cut(name, "~")
	switch {
	case name == ".gitmodules":
		return true
	case !isShort || number == "" || strings.Trim(number, "0123456789") != "":
		return false
	case short == "gitmod":
		return len(number) == 1 && number >= "1" && number <= "4"
	}
	return len(name) == 8 && number[0] != '0' && strings.HasPrefix("gi7eba", short) // NTFS's own short name for it
}

// isNTFSDotGit: case, the short name git~1, dots and blanks at the end, an alternate data stream, a backslash that separates.
func isNTFSDotGit(name string) bool {
	if i := strings.IndexAny(name, `:\`); i >= 0 {
		name = name[:i]
	}
	name = strings.ToLower(strings.TrimRight(name, ". "))
	return name == ".git" || name == "git~1"
}

// foldHFS drops the code points that HFS+ ignores when it compares names.
func foldHFS(name string) string {
	if !utf8.ValidString(name) {
		return name
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 0x200c && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x206a && r <= 0x206f, r == 0xfeff:
			return -1
		}
		return r
	}, name)
}
