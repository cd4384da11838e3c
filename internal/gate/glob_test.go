package gate

import (
	"testing"

	"pgregory.net/rapid"
)

func TestGlobs(t *testing.T) {
	tests := []struct {
		pattern, file string
		want          bool
	}{
		{"*.pm", "Shop.pm", true},
		{"*.pm", "lib/Shop/Cart.pm", true},
		{"*.pm", "lib/Shop.pm.bak", false},
		{"[A-Z]*.pm", "lib/shop.pm", false},
		{"/*.pl", "app.pl", true},
		{"/*.pl", "bin/app.pl", false},
		{"lib/*.pm", "lib/Shop.pm", true},
		{"lib/*.pm", "lib/Shop/Cart.pm", false},
		{"lib/*.pm", "x/lib/Shop.pm", false},
		{"lib/**/*.pm", "lib/Shop.pm", true},
		{"lib/**/*.pm", "lib/Shop/Cart/Item.pm", true},
		{"lib/**", "lib/Shop/any.thing", true},
		{"lib/**", "library/x", false},
		{"**/t/*.t", "t/1.t", true},
		{"**/t/*.t", "a/b/t/1.t", true},
		{"**/t/*.t", "a/t/b/1.t", false},
		{"a/**/b/**/c", "a/x/b/y/b/z/c", true},
		{"a/**/b/**/c", "a/x/y/c", false},
		{"**/**", "a", true},
		{"*", "a/b", true},
		{"**", "a/b", true},
	}
	for _, tt := range tests {
		if got := (globs{tt.pattern}).match(tt.file); got != tt.want {
			t.Errorf("%q of %q: %t", tt.pattern, tt.file, got)
		}
	}
	for _, bad := range []string{"", "[a", "lib/[", `a\`} {
		if (globs{bad}).validate() == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

// TestGlobsAgree compares the matching, which goes back to the last "**" only, with trying everything.
func TestGlobsAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.SliceOfN(rapid.SampledFrom([]string{"**", "a", "b", "*"}), 1, 6).Draw(t, "pattern")
		names := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b"}), 1, 8).Draw(t, "names")
		if got, want := matchPath(pattern, names), tryAll(pattern, names); got != want {
			t.Fatalf("%q of %q: %t, not %t", pattern, names, got, want)
		}
	})
}

func tryAll(pattern, names []string) bool {
	switch {
	case len(pattern) == 0:
		return len(names) == 0
	case pattern[0] == "**":
		return tryAll(pattern[1:], names) || len(names) > 0 && tryAll(pattern, names[1:])
	}
	return len(names) > 0 && matchName(pattern[0], names[0]) && tryAll(pattern[1:], names[1:])
}
