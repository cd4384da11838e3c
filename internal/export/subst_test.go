package export

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/git-rel/rel/internal/release"
)

func TestForLog(t *testing.T) {
	for _, c := range []struct {
		format   string
		describe int
		want     string
	}{
		{"%H %an", 0, "%H %an"},
		{"%(describe)", 1, "%(describe)"},
		{"%(describe)", 0, "%%(describe)"},
		{"%(describe:tags) %(describe)", 1, "%(describe:tags) %%(describe)"},
		{"%%(describe) %+(describe)", 0, "%%(describe) (describe)"},
		{"%N%S%+N%-S%%N", 0, "%%N%%SNS%%N"},
		{"%", 0, "%"},
		{"%+", 0, "%+"},
		{"", 0, ""},
	} {
		if got := forLog(c.format, c.describe); got != c.want {
			t.Errorf("%q, %d: %q, not %q", c.format, c.describe, got, c.want)
		}
	}
}

// What rel knows itself needs no git; what it does not is refused with the remedy where git is missing.
func TestWithoutGit(t *testing.T) {
	r := newRepo(t)
	r.write(".gitattributes", "* export-subst\n")
	r.write("f", "$Format:%H %T %P%n100%%$\n")
	r.commit("v1")
	r.write("f", "$Format:%h$\n")
	r.commit("v2")
	known, unknown := r.source("v1"), r.source("v2")
	want := r.git("rev-parse", "v1") + " " + r.git("rev-parse", "v1^{tree}") + " \n100%\n"
	t.Setenv("PATH", t.TempDir())
	dir, _, err := export(t, known)
	must(t, err)
	if got, err := os.ReadFile(dir + "/f"); err != nil || string(got) != want {
		t.Errorf("%q, not %q: %v", got, want, err)
	}
	if _, _, err := export(t, unknown); release.ExitCode(err) != release.ExitRefused || len(release.Hints(err)) == 0 {
		t.Errorf("%v", err)
	}
}

// Where there is no iconv the common tables do.
func TestEncodeWithoutIconv(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, c := range []struct {
		in, encoding, want string
		ok                 bool
	}{
		{"grüß", "ISO-8859-1", "gr\xfc\xdf", true},
		{"日本", "Shift_JIS", "\x93\xfa\x96\x7b", true},
		{"日本", "ISO-8859-1", "日本", false},
		{"a", "no-such", "a", false},
		{"a", "utf-16", "\xff\xfea\x00", true},
		{"", "UTF-16", "", true},
		{"\xff", "UTF-16", "\xff", false},
	} {
		got, ok, err := encode(context.Background(), []byte(c.in), c.encoding)
		if string(got) != c.want || ok != c.ok || err != nil {
			t.Errorf("%q in %s: %q, %v, %v", c.in, c.encoding, got, ok, err)
		}
	}
}

// A commit's text never reaches a command line, and a format never gets out of its argument.
func TestFormatsAreOneArgument(t *testing.T) {
	r := newRepo(t)
	r.write(".gitattributes", "* export-subst\n")
	r.write("f", "$Format:%h\n--output=/tmp/must-not-be %an $(id) `id` ; id$\n"+strings.Repeat("$Format:%h x$", 3000)+"$Format:%h "+strings.Repeat("y", 70<<10)+"$")
	r.commit("v1")
	got, _, err := export(t, r.source("v1"))
	must(t, err)
	same(t, got, r.archive("v1"))
}
