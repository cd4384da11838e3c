package config

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/release"
)

func TestLoadWithoutFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "my shop")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if c.App != "my-shop" || c.Live.Path != "current" || c.Keep != 5 || c.Has("repo") {
		t.Errorf("got %+v", c)
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

func TestLoadRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, File), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a directory: %v", err)
	}
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, File), make([]byte, maxSize+1), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Errorf("a huge file: %v", err)
	}
}

const full = `app = "shop"
repo = "/srv/git/shop.git"
keep = 9
keep_failed = 0
keep_staged = 1
[live]
path = "./htdocs/rel/"
mode = "directory"
gap = true
[export]
path = "site"
attributes = false
submodules = "refuse"
lfs = "pointer"
reuse = true
[shared]
dirs = ["uploads/", "var/cache"]
files = ["etc/secret.ini"]
[env]
LANG = "C.UTF-8"
[build]
run = "make"
timeout = "1h30m"
[[check]]
preset = "perl"
libs = ["lib", "/opt/perl5/lib"]
[[check]]
name = "lint"
run = 'lint "$1"'
files = ["*.x"]
scope = "changed"
timeout = "10s"
[[service]]
name = "web"
preset = "apache"
restart = "graceful"
user = "www-data"
listen = ["127.0.0.1:8080", ":443", "[::1]:80", "unix:/run/a.sock"]
[[service]]
name = "jobs"
start = "./jobs"
stop = "SIGTERM"
pidfile = "shared/jobs.pid"
timeout = "5s"
[health]
url = "https://localhost:8443/health"
release = "header X-Release"
passes = 1
interval = "50ms"
[steps]
before = "true"
[push]
tags = ["v*", "20*"]
branches = { main = "cut", "dev/*" = "stage" }
[sign]
require = false
allowed_signers = "etc/signers"
`

func TestParseWhole(t *testing.T) {
	c, err := Parse([]byte(full), "x")
	if err != nil {
		t.Fatal(err)
	}
	if c.Live != (Live{"htdocs/rel", ModeDirectory, true, RehearsalAuto}) {
		t.Errorf("live: %+v", c.Live)
	}
	if got := c.Shared; !reflect.DeepEqual(got, Shared{[]string{"uploads", "var/cache"}, []string{"etc/secret.ini"}}) {
		t.Errorf("shared: %+v", got)
	}
	if c.Build.Timeout.Duration != 90*time.Minute {
		t.Errorf("build.timeout: %s", c.Build.Timeout)
	}
	perl, lint := c.Check[0], c.Check[1]
	if perl.Name != "perl" || perl.Scope != "all" || perl.Timeout != seconds(120) || perl.Files != nil {
		t.Errorf("perl: %+v", perl)
	}
	if lint.Scope != "changed" || lint.Timeout != seconds(10) {
		t.Errorf("lint: %+v", lint)
	}
	web, jobs := c.Service[0], c.Service[1]
	if web.Restart != "graceful" || web.Timeout != seconds(60) {
		t.Errorf("web: %+v", web)
	}
	if jobs.Preset != "command" || jobs.Restart != "stop-start" || jobs.Timeout != seconds(5) {
		t.Errorf("jobs: %+v", jobs)
	}
	if !reflect.DeepEqual(c.Push.Tags, []string{"v*", "20*"}) || c.Push.Branches["dev/*"] != "stage" {
		t.Errorf("push: %+v", c.Push)
	}
	for key, want := range map[string]bool{
		"repo": true, "live.path": true, "service[1].start": true, "service[1].stop": true, "service[1].test": false, "push.branches.main": true, "nope": false,
	} {
		if c.Has(key) != want {
			t.Errorf("Has(%q) = %v", key, !want)
		}
	}
}

func TestRestartDefault(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"[[service]]\npreset = 'apache'", "graceful"},
		{"[[service]]\npreset = 'systemd'\nunit = 'a.service'", "restart"},
		{"[live]\nmode = 'directory'\n[[service]]\npreset = 'apache'", "stop-start"},
		{"[[service]]\nstart = './a'\nstop = 'b'\nlisten = ['80']", "restart"},
		{"[[service]]\npreset = 'pidfile'\nstart = './a'\npidfile = 'p'\ngraceful = 'SIGHUP'", "graceful"},
		{"service = [{ preset = 'nginx', restart = 'restart' }]", "restart"},
	} {
		got, err := Parse([]byte(c.text), "x")
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
		} else if got.Service[0].Restart != c.want {
			t.Errorf("%s: %s, want %s", c.text, got.Service[0].Restart, c.want)
		}
	}
}

// The template must parse to the defaults as it is, and its commented lines must be the defaults too: comments that lie are
// worse than none.
func TestTemplate(t *testing.T) {
	c, err := Parse(plain(t), "shop")
	if err != nil {
		t.Fatal(err)
	}
	c.source = nil
	want := Default("shop")
	want.Env = map[string]string{}
	if c.Env == nil {
		c.Env = map[string]string{}
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("the template gives\n%+v\nnot the defaults\n%+v", c, want)
	}

	text := regexp.MustCompile(`(?m)^#([a-zA-Z_]+ = |\[)`).ReplaceAllString(string(plain(t)), "$1")
	text = strings.Replace(text, `app = ""`, "", 1)
	c, err = Parse([]byte(text), "shop")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"keep", "service[0].restart_cmd", "check[0].files", "steps.timeout", "sign.keyring"} {
		if !c.Has(key) {
			t.Errorf("%s is not in the template", key)
		}
	}
	c.source, c.Check, c.Service, c.Env = nil, nil, nil, want.Env
	c.Shared, c.Push.Branches, c.Export.SubmoduleURLs = Shared{}, nil, nil
	if !reflect.DeepEqual(c, want) {
		t.Errorf("with its comments taken away the template gives\n%+v\nnot\n%+v", c, want)
	}
}

func TestTemplateNamesEveryKey(t *testing.T) {
	text := string(plain(t))
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		if typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || typ == reflect.TypeFor[Duration]() {
			return
		}
		for f := range typ.Fields() {
			key := f.Tag.Get("toml")
			if key == "" {
				continue
			}
			if !strings.Contains(text, "\n#"+key+" = ") && !strings.Contains(text, "["+key+"]") {
				t.Errorf("%s is not in the template", key)
			}
			walk(f.Type)
		}
	}
	walk(reflect.TypeFor[Config]())
}

func TestTemplateFor(t *testing.T) {
	text, err := TemplateFor(Initial{Repo: `../a"b.git`, Mode: ModeDirectory, Service: "apache"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse(text, "x")
	if err != nil {
		t.Fatal(err)
	}
	if c.Repo != `../a"b.git` || c.Live.Mode != ModeDirectory || c.Live.Path != "rel" || c.Service[0].Preset != "apache" ||
		c.Service[0].Name != "web" || c.Service[0].Restart != "stop-start" {
		t.Errorf("got %+v", c)
	}
	for _, preset := range servicePresets {
		text, err := TemplateFor(Initial{Service: preset})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(text, "x"); err != nil {
			t.Errorf("what init writes for a service of preset %s: %v", preset, err)
		}
	}
	if _, err := TemplateFor(Initial{Mode: "link"}); release.ExitCode(err) != release.ExitUsage {
		t.Errorf("mode link: %v", err)
	}
}

func TestDigest(t *testing.T) {
	parse := func(text string) *Config {
		t.Helper()
		c, err := Parse([]byte(text), "x")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	base := parse(full).Digest()
	if parse(full).Digest() != base {
		t.Error("the digest of the same text differs")
	}
	for old, changed := range map[string]bool{
		`run = "make"`: true, `LANG = "C.UTF-8"`: true, `files = ["*.x"]`: true, `user = "www-data"`: true,
		`keep = 9`: false, `passes = 1`: false, `before = "true"`: false,
	} {
		text := strings.Replace(full, old, "", 1)
		if old == `files = ["*.x"]` {
			text = strings.Replace(full, old, `files = ["*.y"]`, 1)
		}
		if got := parse(text).Digest() != base; got != changed {
			t.Errorf("without %s: changed %v, want %v", old, got, changed)
		}
	}
}

func TestDurationText(t *testing.T) {
	for d, want := range map[time.Duration]string{
		10 * time.Minute: "10m", time.Hour: "1h", 90 * time.Minute: "1h30m", 200 * time.Millisecond: "200ms", time.Minute + time.Second: "1m1s",
		0: "0s",
	} {
		if got := (Duration{d}).String(); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

// plain is the template in which every setting is the default.
func plain(t testing.TB) []byte {
	t.Helper()
	text, err := TemplateFor(Initial{})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestRecipe(t *testing.T) {
	recipe := func(text string) string {
		t.Helper()
		c, err := Parse([]byte(text), "x")
		if err != nil {
			t.Fatal(err)
		}
		return c.Recipe()
	}
	for text, changes := range map[string]bool{
		"[export]\npath = 'app'": true, "[export]\nattributes = false": true, "[export]\nsubmodules = 'empty'": true, "[export]\nlfs = 'pointer'": true,
		"[shared]\ndirs = ['log']": true, "[shared]\nfiles = ['log']": true, "[build]\nrun = 'make'": true,
		"[export]\nreuse = true": false, "[export]\nsubmodule_urls = ['https://example.org/*']": false, "[build]\ntimeout = '1m'": false,
		"[env]\nA = 'b'": false, "keep = 9": false, "[live]\npath = 'www'": false,
	} {
		if got := recipe(text) != recipe(""); got != changes {
			t.Errorf("%q: changed %v, want %v", text, got, changes)
		}
	}
	if build := "[build]\nrun = 'make'\n"; recipe(build) == recipe(build+"[env]\nA = 'b'") {
		t.Error("a build has another environment, and makes the same release")
	}
	if recipe("[shared]\ndirs = ['a']") == recipe("[shared]\nfiles = ['a']") {
		t.Error("a shared directory is a shared file")
	}
}
