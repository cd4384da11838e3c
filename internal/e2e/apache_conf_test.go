package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/proc"
)

// needsPackage skips a test of a real server whose Debian package is missing.
func needsPackage(t *testing.T, name, file string) {
	t.Helper()
	if _, err := os.Stat(file); err != nil {
		t.Skipf("there is no %s (Debian package %s)", file, name)
	}
}

// server is a site whose service is a private instance of a real web server: its configuration, pid file and logs are in
// site.run, it is configured in rel.toml as a person would, and runs as www-data where the test is run by root.
type server struct {
	*site
	restart  string            // of the service in rel.toml
	settings map[string]string // more lines in rel.toml, by table
	user     string
	table    string // [[service]] without name, restart, user, listen, error_log and timeout
	check    string // [[check]], if any
}

// newServer makes a root for a server that is not running, and ends whatever runs of it after the test.
func newServer(t *testing.T, directory bool) *server {
	t.Helper()
	program, err := exec.LookPath("rel")
	must(t, err)
	top := t.TempDir()
	must(t, os.Chmod(filepath.Dir(top), 0o755)) // www-data has to come through it
	v := &server{
		site: &site{
			t: t, rel: program, options: options{directory: directory},
			dir: filepath.Join(top, "srv"), repo: filepath.Join(top, "repo"), run: filepath.Join(top, "run"), addr: freeAddress(t),
		},
		restart: "graceful", settings: map[string]string{},
	}
	for _, dir := range []string{v.dir, v.repo, v.run} {
		must(t, os.MkdirAll(dir, 0o755))
	}
	v.live = filepath.Join(v.dir, "current")
	if directory {
		v.live = filepath.Join(v.dir, "rel")
	}
	account, err := user.Current()
	must(t, err)
	v.user = account.Username
	if account.Uid == "0" {
		v.user = "www-data"
	}
	v.git("init", "--quiet", "--initial-branch=main")
	t.Cleanup(v.end)
	return v
}

// in lets a subtest use the server: what goes wrong is its failure.
func (v *server) in(t *testing.T) *server {
	site, copied := *v.site, *v
	site.t, copied.site = t, &site
	return &copied
}

// configure writes rel.toml.
func (v *server) configure() {
	v.t.Helper()
	mode := "symlink"
	if v.options.directory {
		mode = "directory"
	}
	text := fmt.Sprintf("app = \"shop\"\nrepo = %q\n\n[live]\nmode = %q\npath = %q\n\n", v.repo, mode, filepath.Base(v.live))
	text += v.check + fmt.Sprintf(`
[[service]]
name = "web"
restart = %q
user = %q
listen = [%q]
error_log = %q
timeout = "20s"
%s
[health]
url = "http://%s/shop"
release = "header X-Release"
passes = 2
interval = "20ms"
timeout = "10s"
soak = "0s"
`, v.restart, v.user, v.addr, v.errorLog(), v.table, v.addr)
	for table, lines := range v.settings {
		text += "\n[" + table + "]\n" + lines + "\n"
	}
	must(v.t, os.WriteFile(filepath.Join(v.dir, "rel.toml"), []byte(text), 0o644))
}

func (v *server) errorLog() string { return filepath.Join(v.run, "error.log") }

// file writes a file, filling in where things are.
func (v *server) file(path, text string) {
	v.t.Helper()
	host, port, _ := strings.Cut(v.addr, ":")
	text = strings.NewReplacer("@RUN@", v.run, "@LIVE@", v.live, "@HOST@", host, "@PORT@", port, "@USER@", v.user).Replace(text)
	must(v.t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(v.t, os.WriteFile(path, []byte(text), 0o644))
}

// release commits files and tags them; @TAG@ in them is the tag.
func (v *server) release(tag string, files map[string]string) {
	v.t.Helper()
	for name, text := range files {
		v.file(filepath.Join(v.repo, name), strings.ReplaceAll(text, "@TAG@", tag))
	}
	v.git("add", "--all")
	v.git("commit", "--quiet", "-m", "The shop of "+tag)
	v.git("tag", "-m", tag, tag)
}

// said runs a command of rel, wants an exit code and all of the texts in what it says, and returns that.
func (v *server) said(exit int, args []string, texts ...string) string {
	v.t.Helper()
	c := v.start(args...)
	if got := c.wait(); got != exit {
		v.t.Fatalf("exit code %d, want %d\n%s\n%s", got, exit, c, v.log())
	}
	all := c.out.String() + c.err.String()
	for _, text := range texts {
		if !strings.Contains(all, text) {
			v.t.Errorf("%q is not in what it says", text)
		}
	}
	v.t.Logf("rel %s\n%s", strings.Join(args, " "), all)
	return all
}

// log is the end of the server's error log, for a failure.
func (v *server) log() string {
	data, err := os.ReadFile(v.errorLog())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return "error.log:\n" + strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// serves wants a tag in as many answers, each on a connection of its own, as it takes to meet every worker.
func (v *server) serves(tag string) {
	v.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	for range 20 {
		res, err := client.Get("http://" + v.addr + "/shop")
		if err != nil {
			v.t.Fatalf("%v\n%s", err, v.log())
		}
		must(v.t, res.Body.Close())
		if got := res.Header.Get("X-Release"); res.StatusCode != http.StatusOK || got != tag {
			v.t.Fatalf("%s from %q, want %q", res.Status, got, tag)
		}
	}
}

// master is the server's main process, as its pid file has it.
func (v *server) master() proc.Process {
	v.t.Helper()
	data, err := os.ReadFile(filepath.Join(v.run, "server.pid"))
	must(v.t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	must(v.t, err)
	p, err := proc.Lookup(pid)
	must(v.t, err)
	return p
}

// end ends, by their pids, all processes that the test has left.
func (v *server) end() {
	gone := proc.Await(context.Background(), patience, func() bool {
		left := v.left()
		for _, p := range left {
			_ = proc.Signal(p, syscall.SIGKILL) // it may have ended
		}
		return len(left) == 0
	})
	if !gone {
		v.t.Errorf("processes of %s are left", v.run)
	}
}

// left are the processes that were started with one of the test's directories in their arguments, or work there.
func (v *server) left() []proc.Process {
	all, err := proc.List()
	must(v.t, err)
	top := filepath.Dir(v.dir)
	var found []proc.Process
	for _, p := range all {
		cwd, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", p.PID)) // empty where it is gone meanwhile
		if p.PID != os.Getpid() && (within(cwd, top) || strings.Contains(proc.Cmdline(p.PID), top+"/")) {
			found = append(found, p)
			below, err := proc.Descendants(p.PID) // who outlives its master
			must(v.t, err)
			found = append(found, below...)
		}
	}
	return found
}

const apacheConf = `# A private instance of Debian's apache2, with Debian's default MPM and what mod_perl and mod_status need.
ServerName localhost
ServerRoot @RUN@
DefaultRuntimeDir @RUN@
PidFile @RUN@/server.pid
ErrorLog @RUN@/error.log
Mutex file:@RUN@ default
Listen @HOST@:@PORT@
User @USER@
Group @GROUP@
DocumentRoot @RUN@
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule perl_module /usr/lib/apache2/modules/mod_perl.so
StartServers 2
KeepAlive On
KeepAliveTimeout 5
MaxKeepAliveRequests 0
PerlRequire @RUN@/startup.pl
PerlModule Shop::Handler
<Location /shop>
	SetHandler modperl
	PerlResponseHandler Shop::Handler
</Location>
`

// startup is what leads Apache to the live release.
const startup = `use strict;
use warnings;
use lib "@LIVE@/lib";
1;
`

// The code of a release: a handler that names it. Variants of it do not compile, or do and die when Apache loads them.
const (
	handler = `package Shop::Handler;
use strict;
use warnings;
use Apache2::RequestRec ();
use Apache2::RequestIO ();
use APR::Table ();
use Apache2::Const -compile => qw(OK);
use Shop::Cart ();

our $VERSION = '@TAG@';
@LOAD@
sub handler {
	my $r = shift;
	my ($ms) = ($r->args // '') =~ /^ms=(\d+)$/;
	select undef, undef, undef, $ms / 1000 if $ms;
	$r->content_type('text/plain');
	$r->headers_out->set('X-Release' => $VERSION);
	$r->print("$VERSION: ", Shop::Cart::total(1, 2), "\n");
	return Apache2::Const::OK;
}

1;
`
	cart = `package Shop::Cart;
use strict;
use warnings;

our $VERSION = '@TAG@';

sub total { my $sum = 0; $sum += $_ for @_; return $sum }

1;
`
	wrongCart   = "package Shop::Cart;\nuse strict;\nsub total { my $sum = 0; $sum += $_ for @_; return $summ }\n1;\n"
	diesAtStart = `die "no moon today" if $ENV{MOD_PERL};`
)

func shop(load, cart string) map[string]string {
	return map[string]string{
		"lib/Shop/Handler.pm": strings.ReplaceAll(handler, "@LOAD@", load), "lib/Shop/Cart.pm": cart,
	}
}

// newApache makes a root whose service is an Apache with mod_perl, with these tags: v1, v2 and v5 work, v3 does not compile, v4
// compiles and dies when it is loaded.
func newApache(t *testing.T, directory bool) *server {
	t.Helper()
	needsPackage(t, "apache2", "/usr/sbin/apache2")
	needsPackage(t, "libapache2-mod-perl2", "/usr/lib/apache2/modules/mod_perl.so")
	needsPackage(t, "perl", "/usr/bin/perl")
	v := newServer(t, directory)
	account, err := user.Lookup(v.user)
	must(t, err)
	group, err := user.LookupGroupId(account.Gid)
	must(t, err)
	v.file(filepath.Join(v.run, "apache2.conf"), strings.ReplaceAll(apacheConf, "@GROUP@", group.Name))
	v.file(filepath.Join(v.run, "startup.pl"), startup)
	command := "apache2 -f " + filepath.Join(v.run, "apache2.conf")
	v.table = fmt.Sprintf(`preset = "apache"
start = "%[1]s -k start"
stop = "%[1]s -k stop"
restart_cmd = "%[1]s -k restart"
graceful = "%[1]s -k graceful"
test = "%[1]s -t"
pidfile = %[2]q
`, command, filepath.Join(v.run, "server.pid"))
	v.check = "[[check]]\npreset = \"perl\"\nlibs = [\"lib\"]\n"
	v.configure()
	v.release("v1", shop("", cart))
	v.release("v2", shop("", cart))
	v.release("v3", shop("", wrongCart))
	v.release("v4", shop(diesAtStart, cart))
	v.release("v5", shop("", cart))
	return v
}
