package gitrepo

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/git-rel/rel/internal/release"
)

func TestNewest(t *testing.T) {
	for _, c := range []struct {
		tags string // space-separated
		want string // or the beginning of the error
		exit int
	}{
		{"v1.9.0 v1.10.0 v1.2.0", "v1.10.0", 0},
		{"v1.4.0 v2.0.0-rc.1 latest nightly-2", "v1.4.0", 0},
		{"1.4.0 v1.5.0 1.3.9", "v1.5.0", 0},
		{"v1.3 v1.4 v1.4.1", "v1.4.1", 0},
		{"shop/v1.2.0 shop/v1.10.0", "shop/v1.10.0", 0},
		{"v99999999999999999999.0.0 v2.0.0", "v99999999999999999999.0.0", 0},
		{"2026.11.23-1 2026.11.23-2 2026.9.30-10 2026.11.23", "2026.11.23-2", 0},
		{"2026-01-05 2025-12-31", "2026-01-05", 0},
		{"20260105 20251231.3 20260104.9", "20260105", 0},
		{"2026.11.9 2026.11.10 2026.11.11-rc1", "2026.11.10", 0},
		{"2024.0.1 2024.1.2 2023.12.9", "2024.1.2", 0},
		{"v1.4.0 2026.11.23-1", "v1.4.0, 2026.11.23-1: versions and dates are both in use", 2},
		{"shop/v1.0.0 web/v2.0.0", "shop/v1.0.0, web/v2.0.0: the newest of different series", 2},
		{"v1.4 v1.4.0 v1.3", "v1.4 and v1.4.0: two tags for the same version", 2},
		{"v1.4 v1.4.0 v1.5", "v1.5", 0},
		{"v1.0.0-rc.1 v1.0.0-rc.2", "no released version", 10},
		{"latest foo", "no version among the tags", 10},
		{"", "no tags yet", 10},
	} {
		got, err := Newest(strings.Fields(c.tags))
		if release.ExitCode(err) != c.exit {
			t.Errorf("%s: exit %d: %v", c.tags, release.ExitCode(err), err)
		} else if err != nil && !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v", c.tags, err)
		} else if err == nil && got != c.want {
			t.Errorf("%s: %s, not %s", c.tags, got, c.want)
		}
		if err != nil && len(release.Hints(err)) == 0 {
			t.Errorf("%s: no hint", c.tags)
		}
	}
}

func TestNextVersion(t *testing.T) {
	for _, c := range []struct{ tags, patch, minor, major string }{
		{"", "v0.1.0", "v0.1.0", "v1.0.0"},
		{"latest", "v0.1.0", "v0.1.0", "v1.0.0"},
		{"v1.4.2", "v1.4.3", "v1.5.0", "v2.0.0"},
		{"1.4.9", "1.4.10", "1.5.0", "2.0.0"},
		{"v1.4", "v1.4.1", "v1.5", "v2.0"},
		{"v9", "v9.0.1", "v9.1", "v10"},
		{"shop/v0.9.9", "shop/v0.9.10", "shop/v0.10.0", "shop/v1.0.0"},
		{"v1.0.0-rc.1", "v1.0.0", "v1.0.0", "v1.0.0"},
		{"v0.2.0-rc.1", "v0.2.0", "v0.2.0", "v1.0.0"},
		{"v0.2.1-rc.1", "v0.2.1", "v0.3.0", "v1.0.0"},
		{"v1.4.0 v1.5.0-rc.1", "v1.4.1", "v1.5.0", "v2.0.0"},
	} {
		for part, want := range map[string]string{Patch: c.patch, Minor: c.minor, Major: c.major} {
			if got, err := NextVersion(strings.Fields(c.tags), part); err != nil || got != want {
				t.Errorf("%s, %s: %s, %v, not %s", c.tags, part, got, err, want)
			}
		}
	}
	for _, tags := range []string{"2026.11.23", "v1.0.0 2026.11.23", "a/v1 b/v1"} {
		if _, err := NextVersion(strings.Fields(tags), Minor); release.ExitCode(err) != release.ExitUsage {
			t.Errorf("%s: %v", tags, err)
		}
	}
	if _, err := NextVersion([]string{"v1.0.0"}, "middle"); release.ExitCode(err) != release.ExitUsage {
		t.Error(err)
	}
}

func TestAskVersion(t *testing.T) {
	now := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	for tags, want := range map[string]string{
		"v1.4.2":       "rel cut --patch makes v1.4.3|rel cut --minor makes v1.5.0|rel cut --major makes v2.0.0",
		"":             "rel cut --patch makes v0.1.0|rel cut --major makes v1.0.0",
		"2026.11.23-1": "rel cut 2026.11.23-2",
		"2026.11.23":   "rel cut 2026.11.23-1",
		"2026.10.01-7": "rel cut 2026.11.23-1",
		"2026-10-01":   "rel cut 2026-11-23",
		"v20261001":    "rel cut v20261123",
		"x/20261123.1": "rel cut x/20261123-2",
	} {
		err := askVersion(strings.Fields(tags), now)
		if got := strings.Join(release.Hints(err), "|"); release.ExitCode(err) != release.ExitUsage || got != want {
			t.Errorf("%s: %v: %s", tags, err, got)
		}
	}
}

func tagName() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		series := rapid.SampledFrom([]string{"", "", "", "shop/", "a/b/"}).Draw(t, "series")
		form := rapid.SampledFrom([]string{
			`v?[0-3]\.[0-3]\.[0-3]`, `v?[0-3](\.[0-3])?`, `v[0-3]\.0\.0-(rc\.?)?[0-2]`, `v1\.0\.0\+[ab]`,
			`20(25|26)\.(0?[1-9]|1[0-2])\.[0-3]\d(-[1-3])?`, `202611(0[1-3])(\.[1-2])?`, `2026-11-2[1-3](-rc[12])?`, `[a-c]{1,3}`, `v[0-9.-]{0,6}`,
		}).Draw(t, "form")
		return series + rapid.StringMatching(form).Draw(t, "name")
	})
}

func TestOrderProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tags := rapid.SliceOfNDistinct(tagName(), 0, 12, rapid.ID[string]).Draw(t, "tags")
		kept := slices.Clone(tags)
		ordered := Order(tags)
		if !slices.Equal(tags, kept) {
			t.Fatal("the argument has changed")
		}
		if again := Order(rapid.Permutation(tags).Draw(t, "shuffled")); !slices.Equal(ordered, again) {
			t.Fatalf("depends on the order: %v, %v", ordered, again)
		}
		// Any two stand as they would alone: the order is transitive.
		for i, a := range ordered {
			for _, b := range ordered[i+1:] {
				if pair := Order([]string{b, a}); pair[0] != a {
					t.Fatalf("%s before %s in %v, but not alone", a, b, ordered)
				}
			}
		}
		newest, err := Newest(tags)
		if err != nil {
			if len(release.Hints(err)) == 0 {
				t.Fatalf("no hint: %v", err)
			}
			return
		}
		v := readVersion(newest)
		if !v.released() {
			t.Fatalf("%s is no release", newest)
		}
		for _, o := range readVersions(tags) {
			if o.released() && (o.series != v.series || o.kind != v.kind || o.tag != newest && compareVersions(&o, &v) >= 0) {
				t.Fatalf("%s is the newest, and not %s", newest, o.tag)
			}
		}
	})
}

func TestNextVersionIsNewer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tags := rapid.SliceOfN(tagName(), 1, 6).Draw(t, "tags")
		part := rapid.SampledFrom([]string{Major, Minor, Patch}).Draw(t, "part")
		next, err := NextVersion(tags, part)
		if err != nil {
			return
		}
		if got, err := Newest(append(tags, next)); err != nil || got != next {
			t.Fatalf("%v, %s: %s, but the newest is then %s, %v", tags, part, next, got, err)
		}
	})
}
