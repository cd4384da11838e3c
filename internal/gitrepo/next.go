package gitrepo

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/semver"

	"github.com/git-rel/rel/internal/release"
)

// The parts of a version that NextVersion counts up.
const (
	Major = "major"
	Minor = "minor"
	Patch = "patch"
)

// NextVersion is the version that follows the newest release: Major, Minor or Patch counted up, written as the newest is
// (v1.4 gives v1.5, v1.4.1, v2.0). Without any version it is v1.0.0 or v0.1.0; with prereleases only, the release that the
// newest of them leads to.
func NextVersion(tags []string, part string) (string, error) {
	v, err := newest(tags)
	if release.ExitCode(err) == release.ExitNotFound {
		return firstVersion(tags, part)
	}
	if err != nil {
		return "", err
	}
	if v.kind == dated {
		return "", release.Errorf(release.ExitUsage, "%s: a dated tag has no %s version", v.tag, part).
			Hint("name the tag: rel cut TAG")
	}
	return bump(v, part)
}

func firstVersion(tags []string, part string) (string, error) {
	for _, v := range ordered(tags) {
		if v.kind == semantic { // a prerelease: newest found no release
			return settle(v, part)
		}
	}
	switch part {
	case Major:
		return "v1.0.0", nil
	case Minor, Patch:
		return "v0.1.0", nil
	}
	return "", errPart(part)
}

// settle is the release that a prerelease leads to: itself without the suffix, unless part asks for more.
func settle(v version, part string) (string, error) {
	zero := func(i int) bool { return len(v.numbers) <= i || v.numbers[i] == "0" }
	if part == Major && !(zero(1) && zero(2)) || part == Minor && !zero(2) {
		return bump(v, part)
	}
	return v.series + v.v + strings.Join(v.numbers, "."), nil
}

func bump(v version, part string) (string, error) {
	place := map[string]int{Major: 0, Minor: 1, Patch: 2}
	at, ok := place[part]
	if !ok {
		return "", errPart(part)
	}
	numbers := append([]string{}, v.numbers...)
	for len(numbers) <= at {
		numbers = append(numbers, "0")
	}
	numbers[at] = increment(numbers[at])
	for i := at + 1; i < len(numbers); i++ {
		numbers[i] = "0"
	}
	return v.series + v.v + strings.Join(numbers, "."), nil
}

func errPart(part string) error {
	return release.Errorf(release.ExitUsage, "%q: no part of a version", part).Hint("%s, %s or %s", Major, Minor, Patch)
}

// increment adds one to a decimal number of any size.
func increment(n string) string {
	digits := []byte(n)
	for i := len(digits) - 1; i >= 0; i-- {
		if digits[i] < '9' {
			digits[i]++
			return string(digits)
		}
		digits[i] = '0'
	}
	return "1" + string(digits)
}

// nextDated is the dated tag for a day that follows v, written in its way.
func nextDated(v version, now time.Time) string {
	name := strings.TrimPrefix(v.tag, v.series+v.v)
	sep := name[len(v.numbers[0]) : len(v.numbers[0])+1]
	layout := "2006" + sep + "01" + sep + "02"
	if sep >= "0" && sep <= "9" {
		layout = "20060102"
	}
	day := now.Format(layout)
	numbers := readVersion(day).numbers
	same := len(numbers) >= 3 && len(v.numbers) >= 3
	for i := 0; same && i < 3; i++ {
		same = compareNumbers(numbers[i], v.numbers[i]) == 0
	}
	count := v.numbers[3]
	switch {
	case same && count != "":
		day += "-" + increment(count)
	case same || count != "":
		day += "-1"
	}
	return v.series + v.v + day
}

// askVersion is the error of a cut that was not told what to make: it names the candidates.
func askVersion(tags []string, now time.Time) error {
	v, err := newest(tags)
	if err != nil && release.ExitCode(err) != release.ExitNotFound {
		return err
	}
	if err == nil && v.kind == dated {
		return release.Errorf(release.ExitUsage, "which version? the newest is %s", v.tag).
			Hint("rel cut %s", shellQuote(nextDated(v, now)))
	}
	text := "which version? there is none yet"
	if err == nil {
		text = "which version? the newest is " + v.tag
	}
	ask := release.Errorf(release.ExitUsage, "%s", text)
	seen := map[string]bool{}
	for _, part := range []string{Patch, Minor, Major} {
		next, err := NextVersion(tags, part)
		if err != nil {
			return errors.Join(ask, err)
		}
		if !seen[next] {
			ask.Hint("%s makes %s", fmt.Sprintf("rel cut --%s", part), next)
		}
		seen[next] = true
	}
	return ask
}

// sameSeries tells whether tag is a release that release notes for cut may begin at: of the same series and kind, and not a
// prerelease unless cut is one. For a name that is no version all tags count.
func sameSeries(cut, tag version) bool {
	if cut.kind == unversioned {
		return true
	}
	if tag.series != cut.series || tag.kind != cut.kind {
		return false
	}
	return tag.released() || cut.kind == semantic && semver.Prerelease(cut.canon) != ""
}
