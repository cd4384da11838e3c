package e2e

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/release"
)

// stack is a real server, as its page in docs/stacks has it, and what the page does not say.
type stack struct {
	page     string            // its name without .md
	with     string            // another page whose files it has too; its own go first
	packages [][2]string       // a file of each Debian package, and the package's name
	code     map[string]string // more files of a release, besides those of the page; @TAG@ is the tag
	around   map[string]string // what Debian has around the files of the page
	first    []string          // commands that start what rel does not, as a proxy or a supervisor
	loses    bool              // requests, now and then or each time, whatever the kind of restart
	others   []string          // kinds of restart that are measured besides the page's, and may lose requests
}

// TestStacks goes to and fro between two releases of real servers under load, configured by the very files that the pages of
// docs/stacks show. REL_TEST_STACKS=100 does so that many times, and measures the other kinds of restart.
func TestStacks(t *testing.T) {
	times, err := strconv.Atoi(os.Getenv("REL_TEST_STACKS"))
	long := err == nil
	if !long {
		times = 20
	}
	for _, one := range stacks {
		t.Run(one.page, func(t *testing.T) {
			if !long {
				t.Parallel()
			}
			one.alternate(t, times, "")
			if long {
				for _, kind := range one.others {
					t.Run(kind, func(t *testing.T) { one.alternate(t, times, kind) })
				}
			}
		})
	}
}

// alternate activates v1 and v2 in turn, in the page's kind of restart or another.
func (k stack) alternate(t *testing.T, times int, kind string) {
	v := k.newServer(t, kind)
	k.begin(v)
	if kind == "none" { // rel leaves it alone
		v.said(release.ExitDone, []string{"start"})
	}
	v.said(release.ExitDone, []string{"activate", "v1"}, "release verified")
	load := v.loadOf("/")
	load.says("v1")
	begun := time.Now()
	for i := range times {
		tag := []string{"v2", "v1"}[i%2]
		load.says("")
		v.said(release.ExitDone, []string{"activate", tag}, tag+" (was v", "release verified")
		load.says(tag)
	}
	took := time.Since(begun)
	load.end()
	load.tell(t, times, took)
	if !k.loses && kind == "" {
		load.wantNoneLost(t, "v1", "v2")
	}
	if len(load.stale) > 0 {
		t.Errorf("answers of another release than the live one:\n%s", strings.Join(load.stale, "\n"))
	}
	v.said(release.ExitDone, []string{"stop"}, "web stopped")
}

// tell logs what it took, in one line.
func (l *load) tell(t *testing.T, times int, took time.Duration) {
	fresh, kept, gap := l.sofar()
	t.Logf("%d activations in %.1f s, %.0f requests/s: %d lost, %.1f an activation; longest without an answer %d ms; %d asked again",
		times, took.Seconds(), float64(fresh.served+kept.served)/took.Seconds(), fresh.lost+kept.lost,
		float64(fresh.lost+kept.lost)/float64(times), gap.Milliseconds(), kept.again)
}

// newServer makes the root and the configuration that the page describes, in directories of the test.
func (k stack) newServer(t *testing.T, kind string) *server {
	t.Helper()
	for _, p := range k.packages {
		if found, err := filepath.Glob(p[0]); err != nil || len(found) == 0 {
			t.Skipf("there is no %s (Debian package %s)", p[0], p[1])
		}
	}
	v := newServer(t, false)
	v.run = filepath.Join(v.dir, "run")
	must(t, os.Mkdir(v.run, 0o755))
	files := pageFiles(t, k.page)
	if k.with != "" {
		own := files
		files = pageFiles(t, k.with)
		maps.Copy(files, own)
	}
	tree := maps.Clone(k.code)
	maps.Copy(files, k.around)
	toml := fmt.Sprintf("repo = %q\n\n%s%s\n[env]\n%s = %q\n", v.repo, files["/srv/shop/rel.toml"], quickHealth, raceVariable, raceSettings(v.rel))
	if kind != "" {
		toml = restartLine.ReplaceAllString(toml, fmt.Sprintf("restart = %q", kind))
	}
	files["/srv/shop/rel.toml"] = toml
	here := v.here(files)
	for path, text := range files {
		if !filepath.IsAbs(path) {
			tree[path] = here(text)
			continue
		}
		place := here(path)
		must(t, os.MkdirAll(filepath.Dir(place), 0o755))
		mode := os.FileMode(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		must(t, os.WriteFile(place, []byte(here(text)), mode))
	}
	for _, tag := range []string{"v1", "v2"} {
		v.release(tag, tree)
	}
	return v
}

// begin starts what rel does not.
func (k stack) begin(v *server) {
	v.t.Helper()
	for _, command := range k.first {
		cmd := exec.Command("/bin/sh", "-c", v.here(k.around)(command))
		cmd.Dir, cmd.Env = v.dir, environ()
		if out, err := cmd.CombinedOutput(); err != nil {
			v.t.Fatalf("%s: %v: %s", command, err, out)
		}
	}
}

// quickHealth ends the [health] of a page: the tests have not the time that it takes by default.
const quickHealth = "passes = 2\ninterval = \"20ms\"\nsoak = \"0s\"\n"

var restartLine = regexp.MustCompile(`(?m)^restart = "[a-z-]+"`)

// here gives what leads the words of the pages to the test's own places: directories, address, user, and which PHP there is.
func (v *server) here(files map[string]string) func(string) string {
	top := filepath.Dir(v.dir)
	_, port, _ := strings.Cut(v.addr, ":")
	pairs := []string{
		"/srv/shop", v.dir, "127.0.0.1:8000", v.addr, "8000, '127.0.0.1'", port + ", '127.0.0.1'",
		`"127.0.0.1", 8000`, `"127.0.0.1", ` + port, "www-data", v.user,
	}
	if php, err := filepath.Glob("/usr/lib/php/[0-9]*.[0-9]*"); err == nil && len(php) > 0 {
		version := filepath.Base(php[len(php)-1])
		pairs = append(pairs, "php-fpm8.2", "php-fpm"+version, "libphp8.2", "libphp"+version)
	}
	for path := range files {
		if filepath.IsAbs(path) && !strings.HasPrefix(path, "/srv/shop/") {
			pairs = append(pairs, path, top+path)
		}
	}
	return strings.NewReplacer(pairs...).Replace
}

var pageFile = regexp.MustCompile("(?ms)^`([^`\n]+)`[^`\n]*:\n\n```[a-z]*\n(.*?)^```")

// pageFiles are the files that a page shows: a line with the name in backquotes that ends with a colon, then a fenced block. A
// relative name is of a file in the repository.
func pageFiles(t *testing.T, page string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "stacks", page+".md"))
	must(t, err)
	files := map[string]string{}
	for _, m := range pageFile.FindAllStringSubmatch(string(data), -1) {
		files[m[1]] += m[2]
	}
	if text := files["/srv/shop/rel.toml"]; !strings.Contains(text, "\n[health]\n") || slices.Contains(strings.Split(text, "\n"), "[live]") {
		t.Fatalf("docs/stacks/%s.md: no rel.toml with [health] as its last table, or one of another shape:\n%s", page, text)
	}
	return files
}
