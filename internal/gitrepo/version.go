// Package gitrepo owns what rel knows of a git repository: its tags and which of them is the newest, the commits and files
// between two of them, and cutting a new one. It reads through objects and writes only by running git.
package gitrepo

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/git-rel/rel/internal/release"
)

// kind is how a tag counts versions.
type kind int

// The kinds, in the order in which lists show them.
const (
	semantic kind = iota // v1.4, v1.4.2-rc.1, 1.4.2
	dated                // 2026.11.23-1, 20261123
	unversioned
)

// version is a tag's name, read. Numbers stay decimal strings, so that none is too large.
type version struct {
	tag     string
	series  string // what stands before the last slash, with it: a monorepo's components count separately
	kind    kind
	v       string   // "v" where the name has it
	numbers []string // of a semantic version as many as are written, 1 to 3; of a dated one 3 for the date, then what follows
	canon   string   // of a semantic version: "v1.4.0-rc.1", for semver
	pre     string   // of a dated one, what follows the numbers: "-rc1"
}

var (
	dottedDate  = regexp.MustCompile(`^(v?)((?:19[7-9]|2\d\d)\d)[.-](\d+)(?:[.-](\d+))?(?:[.-](\d+))?(?:[.-]?([A-Za-z].*))?$`)
	compactDate = regexp.MustCompile(`^(v?)((?:19[7-9]|2\d\d)\d)(0[1-9]|1[0-2])([0-2]\d|3[01])(?:[.-](\d+))?(?:[.-]?([A-Za-z].*))?$`)
)

func readVersion(tag string) version {
	at := strings.LastIndexByte(tag, '/') + 1
	name, letter := strings.CutPrefix(tag[at:], "v")
	v := version{tag: tag, series: tag[:at], kind: unversioned}
	if digits(name) >= len("2026") {
		for _, date := range []*regexp.Regexp{dottedDate, compactDate} {
			if m := date.FindStringSubmatch(tag[at:]); m != nil {
				v.kind, v.v, v.pre = dated, m[1], m[len(m)-1]
				v.numbers = m[2 : len(m)-1]
				return v
			}
		}
	}
	numbers, suffix := readNumbers(name)
	if numbers[0] == "" || len(numbers) == 1 && suffix != "" { // "2-columns" is no prerelease of 2
		return v
	}
	canon := tag[at:]
	if !letter || len(numbers) < 3 {
		canon = "v" + name[:len(name)-len(suffix)] + strings.Repeat(".0", 3-len(numbers)) + suffix
	}
	if !semver.IsValid(canon) {
		return v
	}
	v.kind, v.v, v.numbers, v.canon = semantic, tag[at:len(tag)-len(name)], numbers, canon
	return v
}

// digits is how many digits s begins with.
func digits(s string) int { return len(s) - len(strings.TrimLeft(s, "0123456789")) }

// readNumbers takes at most three numbers off s, with the dots between them. Any may be empty.
func readNumbers(s string) (numbers []string, rest string) {
	numbers = make([]string, 0, 3)
	for {
		n := digits(s)
		numbers, s = append(numbers, s[:n]), s[n:]
		if len(numbers) == 3 || !strings.HasPrefix(s, ".") {
			return numbers, s
		}
		s = s[1:]
	}
}

// released is true for a version that is not a prerelease.
func (v version) released() bool {
	switch v.kind {
	case semantic:
		return semver.Prerelease(v.canon) == ""
	case dated:
		return v.pre == ""
	}
	return false
}

// compareVersions orders two versions of one kind and series, older first. Zero means that neither is newer, which different
// tags may be: v1.4 and v1.4.0.
func compareVersions(a, b *version) int {
	if a.kind == semantic {
		for i := range 3 {
			if c := compareNumbers(a.number(i), b.number(i)); c != 0 {
				return c
			}
		}
		return semver.Compare(a.canon, b.canon) // by what follows the numbers
	}
	if c := slices.CompareFunc(a.numbers, b.numbers, compareNumbers); c != 0 {
		return c
	}
	if (a.pre == "") != (b.pre == "") { // a prerelease is older
		return cmp.Compare(len(b.pre), len(a.pre))
	}
	return strings.Compare(a.pre, b.pre)
}

// number is one of a semantic version's three.
func (v *version) number(i int) string {
	if i < len(v.numbers) {
		return v.numbers[i]
	}
	return "0"
}

// compareNumbers compares decimal numbers of any size. A missing one is before all others.
func compareNumbers(a, b string) int {
	if a == "" || b == "" {
		return cmp.Compare(len(a), len(b))
	}
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// Order is tags as a list shows them: versions before other names, by series and kind, newest first; other names
// alphabetically. It is a total order: the result does not depend on the order of the argument, which stays as it is.
func Order(tags []string) []string {
	return OrderBy(tags, func(tag string) string { return tag })
}

// OrderBy is Order for things that have a tag each. Those of one tag stay in the order in which they were.
func OrderBy[T any](things []T, tag func(T) string) []T {
	versions := make([]version, len(things))
	order := make([]int, len(things))
	for i, thing := range things {
		versions[i], order[i] = readVersion(tag(thing)), i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(compareListed(&versions[a], &versions[b]), cmp.Compare(a, b)) })
	sorted := make([]T, len(things))
	for i, at := range order {
		sorted[i] = things[at]
	}
	return sorted
}

func ordered(tags []string) []version {
	versions := readVersions(tags)
	slices.SortFunc(versions, func(a, b version) int { return compareListed(&a, &b) })
	return versions
}

// compareListed is the order of lists.
func compareListed(a, b *version) int {
	switch {
	case (a.kind == unversioned) != (b.kind == unversioned) || a.series == b.series && a.kind != b.kind:
		return cmp.Compare(a.kind, b.kind)
	case a.kind == unversioned:
		return strings.Compare(a.tag, b.tag)
	case a.series != b.series:
		return strings.Compare(a.series, b.series)
	}
	return cmp.Or(compareVersions(b, a), strings.Compare(a.tag, b.tag))
}

func readVersions(tags []string) []version {
	versions := make([]version, len(tags))
	for i, t := range tags {
		versions[i] = readVersion(t)
	}
	return versions
}

func names(versions []version) []string {
	tags := make([]string, len(versions))
	for i, v := range versions {
		tags[i] = v.tag
	}
	return tags
}

// Newest is the tag of the newest release: the highest semantic version that is not a prerelease, or the latest dated tag.
// Names that are no versions do not count. Where several tags could be meant (both kinds, several series such as shop/v1 and
// web/v1, or two names of one version) it refuses and names them (exit 2); where there is none, exit 10.
func Newest(tags []string) (string, error) {
	v, err := newest(tags)
	return v.tag, err
}

// Newer says whether a is a later version than b, of the same series and kind.
func Newer(a, b string) bool {
	x, y := readVersion(a), readVersion(b)
	return x.kind != unversioned && x.kind == y.kind && x.series == y.series && compareVersions(&x, &y) > 0
}

func newest(tags []string) (version, error) {
	var tops []version // the newest release of each series and kind
	var pre string
	for _, v := range ordered(tags) {
		switch {
		case v.kind == unversioned:
		case !v.released():
			pre = cmp.Or(pre, v.tag)
		case len(tops) == 0:
			tops = append(tops, v)
		case tops[len(tops)-1].series != v.series || tops[len(tops)-1].kind != v.kind:
			tops = append(tops, v)
		case len(tops) == 1 && compareVersions(&tops[0], &v) == 0:
			return version{}, release.Errorf(release.ExitUsage, "%s and %s: two tags for the same version", tops[0].tag, v.tag).
				Hint("name the one that is meant")
		}
	}
	switch {
	case len(tops) == 1:
		return tops[0], nil
	case len(tops) > 1:
		return version{}, ambiguous(tops)
	case pre != "":
		return version{}, release.Errorf(release.ExitNotFound, "no released version among the tags, only prereleases").
			Hint("the newest is %s: name it if it is meant", pre)
	case len(tags) > 0:
		return version{}, release.Errorf(release.ExitNotFound, "no version among the tags").Hint("rel list shows the tags; name one")
	}
	return version{}, release.Errorf(release.ExitNotFound, "no tags yet").Hint("rel cut v0.1.0 makes the first")
}

func ambiguous(tops []version) error {
	const most = 5
	text := strings.Join(names(tops[:min(len(tops), most)]), ", ")
	if len(tops) > most {
		text += ", …"
	}
	why := "the newest of different series"
	for _, v := range tops {
		if v.kind != tops[0].kind {
			why = "versions and dates are both in use"
		}
	}
	return release.Errorf(release.ExitUsage, "%s: %s, so none is the newest", text, why).Hint("name the tag that is meant")
}
