package config

import (
	"strings"
	"testing"

	"github.com/git-rel/rel/internal/release"
)

// What a person sees for each mistake: the error's text, and its hints if one matters.
func TestErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want, hint string }{
		{"unknown table", "\n\n[helth]\nurl = ''", "rel.toml:3: unknown key \"helth\"\n    [helth]", `did you mean "health"?`},
		{"unknown key", "[health]\ntimeot = '3s'", "rel.toml:2: unknown key \"health.timeot\"", `did you mean "health.timeout"?`},
		{"in a list of tables", "[[service]]\nname='a'\n[[service]]\nlsiten = []", "rel.toml:4: unknown key \"service.lsiten\"", `did you mean "service.listen"?`},
		{"misplaced", "[live]\nrestart = 'none'", "rel.toml:2: unknown key \"live.restart\"", "restart belongs in [[service]]"},
		{"misplaced from the top", "[live]\nkeep = 3", "unknown key \"live.keep\"", "keep belongs in the top of the file"},
		{"strange", "[live]\nxyzzy = 1", "unknown key \"live.xyzzy\"", "live has path, mode, gap, rehearsal"},
		{"two at once", "kep = 1\n[liv]\n", "rel.toml:1: unknown key \"kep\"\n    kep = 1\nrel.toml:2: unknown key \"liv\"\n    [liv]", ""},
		{"wrong type", "keep = \"a\"", "rel.toml:1: keep: it wants a whole number, not a string\n    keep = \"a\"", ""},
		{"list for one", "[shared]\ndirs = 'a'", `rel.toml:2: shared.dirs: it wants a list of strings, as ["a", "b"], not a string`, ""},
		{"number in a list", "[shared]\ndirs = [1]", "rel.toml:2: shared.dirs: it wants", ""},
		{"env number", "[env]\nA = 3", "rel.toml:2: env.A: it wants a string, not a number", ""},
		{"bare duration", "[build]\ntimeout = 5", `rel.toml:2: build.timeout: it wants a duration, as "30s", not 5`, "timeout = 5 wants quotes and a unit"},
		{"unit missing", "[build]\ntimeout = '5'", `rel.toml:2: build.timeout: "5" is no duration`, ""},
		{"negative duration", "[build]\ntimeout = '-5s'", `rel.toml:2: build.timeout: -5s is no time to wait`, ""},
		{"endless duration", "[health]\ntimeout = '48h'", `rel.toml:2: health.timeout: 48h is more than a day`, ""},
		{"syntax", "keep = \n", "rel.toml:1: ", ""},
		{"twice", "keep = 1\nkeep = 2", "rel.toml:2: keep: key keep is already defined", ""},
		{"single brackets", "[service]\nname = 'a'", "rel.toml:1: [service] wants double brackets", "write [[service]]"},
		{"not utf-8", "app = 'a\xff'", "rel.toml:1: ", ""},

		{"mode", "[live]\nmode = 'symlnk'", `rel.toml:2: live.mode: "symlnk" is none of symlink, directory`, `did you mean "symlink"?`},
		{"rehearsal", "[live]\nrehearsal = 'on'", `rel.toml:2: live.rehearsal: "on" is none of auto, require, off`, ""},
		{"app", "app = 'a/b'", `rel.toml:1: app: "a/b" is no safe name`, ""},
		{"app as ref", "app = 'a..b'", `rel.toml:1: app: "a..b" is no safe name`, ""},
		{"keep", "keep = -1", "rel.toml:1: keep: -1 is less than 0", ""},
		{"live absolute", "[live]\npath = '/srv/x'", `rel.toml:2: live.path: "/srv/x" is absolute`, ""},
		{"live out", "[live]\npath = 'a/../../x'", `rel.toml:2: live.path: "../x" leads out of the root`, ""},
		{"live root", "[live]\npath = './'", `rel.toml:2: live.path: "." is the root itself`, ""},
		{"live empty", "[live]\npath = ''", `rel.toml:2: live.path: is empty`, ""},
		{"live in releases", "[live]\npath = 'Releases/live'", `rel.toml:2: live.path: "Releases/live" overlaps releases`, ""},
		{"live on repo", "repo = 'git/a.git'\n[live]\npath = 'git'", `rel.toml:3: live.path: "git" overlaps git/a.git`, ""},
		{"live controls", "[live]\npath = \"a\\u001bb\"", `rel.toml:2: live.path: "a\x1bb" holds a control character`, ""},
		{"shared out", "[shared]\nfiles = ['../a']", `rel.toml:2: shared.files: "../a" leads out of the release`, ""},
		{"shared nested", "[shared]\ndirs = ['var', 'var/cache']", `rel.toml:2: shared.dirs: "var" and "var/cache": one is inside the other`, ""},
		{"shared file in dir", "[shared]\ndirs = ['var']\nfiles = ['var/x']", `rel.toml:3: shared.files: "var" and "var/x": one is inside the other`, ""},
		{"shared twice", "[shared]\ndirs = ['var', 'var/']", `rel.toml:2: shared.dirs: "var" is there twice`, ""},
		{"export path", "[export]\npath = '..'", `rel.toml:2: export.path: ".." leads out of the tree`, ""},
		{"repo elsewhere", "repo = 'git@host:shop/../x.git'", "rel.toml:1: repo: \"git@host:shop/../x.git\": its path holds", ""},
		{"repo url", "repo = 'https://me@host/shop.git'", "it holds a user's name or password", ""},
		{"repo command", "repo = 'ext::sh -c id'", "rel.toml:1: repo: \"ext::sh -c id\": it holds a blank", ""},
		{"env name", "[env]\n'A B' = 'x'", `rel.toml:2: env.A B: "A B" is no name`, ""},
		{"env git", "[env]\nGIT_DIR = 'x'", "rel.toml:2: env.GIT_DIR: commands never get GIT_*", "set it in the command itself, or take another name"},
		{"NUL", "[build]\nrun = \"a\\u0000\"", "rel.toml:2: build.run: holds a NUL byte", ""},

		{"soak", "[health]\nsoak = '-1s'", "rel.toml:2: health.soak: -1s is no time to wait", ""},
		{"health log", "[health]\nlog = 'rever'", `rel.toml:2: health.log: "rever" is none of warn, revert, off`, `did you mean "revert"?`},
		{"log pattern", "[[service]]\npreset = 'apache'\nlog_fail = ['[a']", "rel.toml:3: service.log_fail: error parsing regexp: missing closing ]", ""},
		{"log pattern empty", "[[service]]\npreset = 'apache'\nlog_ignore = ['']", "rel.toml:3: service.log_ignore: an empty pattern", ""},
		{"journal", "[[service]]\npreset = 'apache'\nerror_log = 'journal:a b'", `rel.toml:3: service.error_log: "a b" is no unit name`, ""},

		{"check empty", "[[check]]\nname = 'a'", "rel.toml:1: check: has neither preset nor run", "presets are perl, php, python, ruby, node, shell"},
		{"check preset", "[[check]]\npreset = 'pearl'", `rel.toml:2: check.preset: "pearl" is none of perl`, `did you mean "perl"?`},
		{"check both", "[[check]]\npreset = 'perl'\nrun = 'x'", "rel.toml:3: check.run: a check has a preset or run, not both", ""},
		{"check name", "[[check]]\nrun = 'x'", "rel.toml:1: check: has no name", ""},
		{"check pattern", "[[check]]\npreset = 'perl'\nfiles = ['[a']", `rel.toml:3: check.files: "[a" is no pattern`, ""},
		{"check scope", "[[check]]\npreset = 'perl'\nscope = 'some'", `rel.toml:3: check.scope: "some" is none of all, changed`, ""},
		{"check libs", "[[check]]\npreset = 'perl'\nlibs = ['../lib']", `rel.toml:3: check.libs: "../lib" leads out of the release`, ""},
		{"check libs of php", "[[check]]\npreset = 'php'\nlibs = ['lib']", `rel.toml:3: check.libs: only the presets perl and ruby take them`, ""},
		{"check twice", "[[check]]\npreset = 'perl'\n[[check]]\npreset = 'perl'", `rel.toml:3: check.name: "perl" is taken by another`, ""},

		{"service name", "[[service]]\nname = 'a b'\npreset = 'nginx'", `rel.toml:2: service.name: "a b" is no safe name`, ""},
		{"service twice", "[[service]]\npreset='nginx'\n[[service]]\npreset='nginx'", `rel.toml:3: service.name: "nginx" is taken by another`, ""},
		{"service preset", "[[service]]\npreset = 'apache2'", `rel.toml:2: service.preset: "apache2" is none of apache, nginx`, `did you mean "apache"?`},
		{"service restart", "[[service]]\npreset = 'apache'\nrestart = 'gracefull'", `rel.toml:3: service.restart: "gracefull" is none of`, `did you mean "graceful"?`},
		{"service start", "[[service]]\nname = 'a'", `rel.toml:1: service: preset "command" needs start and stop`, ""},
		{"service pidfile", "[[service]]\npreset = 'pidfile'\nstart = 'x'", `preset "pidfile" needs start and pidfile`, ""},
		{"service stragglers", "[[service]]\npreset = 'apache'\nstragglers = 'warm'", `rel.toml:3: service.stragglers: "warm" is none of warn, revert`, `did you mean "warn"?`},
		{"service drain", "[[service]]\npreset = 'apache'\ndrain = '-1s'", `rel.toml:3: service.drain: -1s is no time to wait`, ""},
		{"service graceful", "[[service]]\nstart = 'x'\nrestart = 'graceful'", `rel.toml:3: service.restart: "graceful" needs graceful`, ""},
		{"service unseen", "[[service]]\nstart = 'x'\nstop = 'y'", `rel.toml:1: service: preset "command" needs pidfile or listen`, ""},
		{"service user", "[[service]]\npreset = 'apache'\nuser = '-x'", `rel.toml:3: service.user: "-x" is no user name`, ""},
		{"service unit", "[[service]]\npreset = 'systemd'\nunit = '--force'", `rel.toml:3: service.unit: "--force" is no unit name`, ""},
		{"service listen", "[[service]]\npreset = 'apache'\nlisten = ['80800']", `rel.toml:3: service.listen: "80800": no port`, ""},
		{"service socket", "[[service]]\npreset = 'apache'\nlisten = ['unix:a']", `rel.toml:3: service.listen: "unix:a": the socket's path is not absolute`, ""},
		{"service timeout", "[[service]]\npreset = 'apache'\ntimeout = '0s'", "rel.toml:3: service.timeout: 0s is no time to wait", ""},

		{"health socket", "[health]\nurl = 'http+unix:app.sock'", `rel.toml:2: health.url: "http+unix:app.sock" is not of the form http+unix:/SOCKET:/PATH`, ""},
		{"health url", "[health]\nurl = 'localhost:80'", `rel.toml:2: health.url: "localhost:80" is no http or https address`, ""},
		{"health status", "[health]\nstatus = 20", "rel.toml:2: health.status: 20 is no HTTP status", ""},
		{"health passes", "[health]\npasses = 0", "rel.toml:2: health.passes: 0 is less than 1", ""},
		{"health tcp", "[health]\ntcp = 'localhost'", `rel.toml:2: health.tcp: "localhost" is no address`, ""},
		{"health release alone", "[health]\nrelease = 'header X'", "rel.toml:1: health: body and release need url", ""},

		{"health release", "[health]\nurl = 'http://a/'\nrelease = 'X-Release'", `rel.toml:3: health.release: "X-Release" is neither`, `release = "header X-Release" names a header`},
		{"health pattern", "[health]\nurl = 'http://a/'\nrelease = 'body ('", "rel.toml:3: health.release: error parsing regexp", ""},
		{"health too short", "[health]\npasses = 5\ninterval = '10s'", "rel.toml:1: health.timeout: 5 passes, one every 10s, take longer than 30s", ""},

		{"push action", "[push]\nbranches = { main = 'deploy' }", `rel.toml:2: push.branches.main: "deploy" is none of cut, stage, none`, ""},
		{"push size", "[push]\nmax_input = '2 GB'", `rel.toml:2: push.max_input: "2 GB" is no size: it wants a number, as "500m" or "2g"`, ""},
		{"push lightweight", "[push]\nlightweight = 'yes'", `rel.toml:2: push.lightweight: "yes" is none of refuse, allow`, ""},
		{"push pattern", "[push]\ntags = ['']", `rel.toml:2: push.tags: "" is no pattern`, ""},
		{"push gate and submodules", "[push]\ngate = true\n[export]\nsubmodules = 'fetch'\nsubmodule_urls = ['https://example.org/*']", `rel.toml:2: push.gate: the gate fetches no submodules`, ""},
		{"submodules", "[export]\nsubmodules = 'fetsch'", `rel.toml:2: export.submodules: "fetsch" is none of refuse, empty, fetch`, `did you mean "fetch"?`},
		{"submodule urls", "[export]\nsubmodule_urls = ['https://a/*', 'https://*.a/*']", `rel.toml:2: export.submodule_urls: "https://*.a/*": an asterisk`, `an address, or all below one: "https://git.example.com/team/*"`},
		{"submodule url", "[export]\nsubmodule_urls = ['https://me:secret@a/']", `rel.toml:2: export.submodule_urls: "https://me:secret@a/": it holds a user's name or password`, ""},
		{"fetch timeout", "fetch_timeout = '0s'", "rel.toml:1: fetch_timeout: 0s is no time to wait", ""},
		{"sign by nobody", "[sign]\nrequire = true", "rel.toml:2: sign.require: neither allowed_signers nor keyring is set", "they name the files of those who may sign"},
		{"signers", "[sign]\nallowed_signers = \"a\\tb\"", `rel.toml:2: sign.allowed_signers: "a\tb" holds a control character`, ""},
		{"keyring", "[sign]\nkeyring = \"a\\tb\"", `rel.toml:2: sign.keyring: "a\tb" holds a control character`, ""},
		{"reuse", "[export]\nreuse = 'yes'", `rel.toml:2: export.reuse: "yes" is none of true, false, auto`, ""},
		{"reuse a number", "[export]\nreuse = 1", `rel.toml:2: export.reuse: "1" is none of true, false, auto`, ""},
		{"reuse a list", "[export]\nreuse = []", `rel.toml:2: export.reuse: it wants true, false or "auto", not a list`, ""},
		{"lfs", "[export]\nlfs = 'off'", `rel.toml:2: export.lfs: "off" is none of auto, refuse, pointer`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse([]byte(c.text), "x")
			if err == nil {
				t.Fatal("it was taken")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %s\nwant %s", err, c.want)
			}
			if hints := release.Hints(err); c.hint != "" && (len(hints) == 0 || hints[0] != c.hint) {
				t.Errorf("hints %q, want %q", hints, c.hint)
			}
			if release.ExitCode(err) != release.ExitError {
				t.Errorf("exit %d", release.ExitCode(err))
			}
		})
	}
}

func TestProblemsAreTogetherAndInOrder(t *testing.T) {
	_, err := Parse([]byte("keep = -1\n[health]\npasses = 0\n[live]\nmode = 'x'"), "x")
	want := "rel.toml:1: keep: -1 is less than 0\n    keep = -1\nrel.toml:3: health.passes: 0 is less than 1\n    passes = 0\n" +
		"rel.toml:5: live.mode: \"x\" is none of symlink, directory\n    mode = 'x'"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// Whatever the text, Parse gives a configuration that validates, or an error.
func FuzzParse(f *testing.F) {
	f.Add([]byte(full))
	f.Add(plain(f))
	f.Add([]byte("[service]\n[[service]]\n[service.x]\na.b.c = [{}, {d = 1}]"))
	f.Add([]byte("env = { A = \"1\", \"b.c\" = \"2\" }\n[[check]]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data, "x")
		if err == nil && c.Validate() != nil {
			t.Errorf("%q was taken and is not valid: %v", data, c.Validate())
		}
	})
}
