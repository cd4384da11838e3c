package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/git-rel/rel/internal/deploy"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

// perlMaster reloads well: at HUP it starts a worker from what is live then and ends the old one. But if the first release has a file
// "stray", it also leaves a worker that is nobody's child, which no reload reaches.
const perlMaster = `use strict; use warnings; use IO::Socket::INET; use POSIX ();
my ($live, $addr, $pidfile) = @ARGV;
$^F = 255; # sockets are kept over exec
my $server = IO::Socket::INET->new(LocalAddr => $addr, Listen => 16, ReuseAddr => 1) or die "$addr: $!";
exit 0 if fork;
POSIX::setsid();
chdir "/";
sub worker {
	my $pid = fork;
	return $pid if $pid;
	exec $^X, "$live/worker.pl", fileno $server, @_, $live;
}
if (-e "$live/stray") {
	open my $file, "<", "$live/stray"; chomp(my $cwd = <$file>); close $file;
	if (my $pid = fork) { waitpid $pid, 0 } else { worker($cwd); POSIX::_exit(0) }
}
my $current = worker("release");
$SIG{HUP} = sub { my $old = $current; $current = worker("release"); kill TERM => $old };
$SIG{TERM} = sub { kill KILL => $current; unlink $pidfile; exit 0 };
$SIG{CHLD} = "IGNORE";
open my $file, ">", "$pidfile.new" or die; print $file "$$\n"; close $file; rename "$pidfile.new", $pidfile;
sleep 1 while 1;
`

// perlWorker has its release's tag in memory. It works in the release's directory, or wherever it is told to, and drains at TERM.
const perlWorker = `use strict; use warnings; use Cwd (); use IO::Socket::INET;
my ($fd, $cwd, $live) = @ARGV;
chdir($cwd eq "release" ? Cwd::realpath($live) : $cwd) or die;
open my $file, "<", "$live/shop.json" or die; my ($tag) = <$file> =~ /"(v[0-9.]+)"/; close $file;
open my $server, "+<&=", $fd or die;
my $done = 0;
$SIG{TERM} = sub { $done = 1; close $server };
until ($done) {
	accept my $client, $server or next;
	while (my $line = <$client>) { last if $line =~ /^\r?$/ }
	print $client "HTTP/1.1 200 OK\r\nConnection: close\r\nX-Release: $tag\r\n\r\n";
	close $client;
}
`

// newPerlSite has a service that is written in Perl, and v1.0 live, with a stray worker in the directory given, if any.
func newPerlSite(t *testing.T, o options, stray, settings string) *site {
	t.Helper()
	needsPackage(t, "perl", "/usr/bin/perl")
	o.noService = true
	s := newSite(t, o)
	pidfile := filepath.Join(s.run, "shop.pid")
	s.configure(fmt.Sprintf(`[[service]]
name = "shop"
preset = "pidfile"
pidfile = %q
start = "perl %s/master.pl %s %s %s"
graceful = "SIGHUP"
restart = "graceful"
listen = [%q]
timeout = "40s"
%s
[health]
url = "http://%s/"
passes = 1
`, pidfile, s.live, s.live, s.addr, pidfile, s.addr, settings, s.addr))
	must(t, os.WriteFile(filepath.Join(s.repo, "master.pl"), []byte(perlMaster), 0o644))
	must(t, os.WriteFile(filepath.Join(s.repo, "worker.pl"), []byte(perlWorker), 0o644))
	if stray != "" {
		must(t, os.WriteFile(filepath.Join(s.repo, "stray"), []byte(stray+"\n"), 0o644))
	}
	s.tag("v1.0")
	must(t, os.RemoveAll(filepath.Join(s.repo, "stray")))
	s.tag("v1.1")
	if said := s.want(release.ExitDone, "activate", "v1.0"); strings.Contains(said, "old process") {
		t.Errorf("an old process at the first activation:\n%s", said)
	}
	return s
}

// configure adds to rel.toml.
func (s *site) configure(text string) {
	s.t.Helper()
	must(s.t, os.WriteFile(filepath.Join(s.dir, "rel.toml"), []byte(s.configuration()+text), 0o644))
}

// runs are the processes of the service as rel status has them, by their release's tag.
func (s *site) runs() map[string][]deploy.ProcessStatus {
	s.t.Helper()
	var status deploy.Status
	s.ask(&status, "status")
	found := map[string][]deploy.ProcessStatus{}
	for _, one := range status.Services {
		for _, p := range one.Running {
			found[p.Tag] = append(found[p.Tag], p)
		}
	}
	return found
}

var namedPID = regexp.MustCompile(`pid ([0-9]+) \((?:perl|gunicorn)\)`)

// straggler is the process that a run has named.
func (s *site) straggler(said string) int {
	s.t.Helper()
	m := namedPID.FindStringSubmatch(said)
	if m == nil {
		s.t.Fatalf("no process is named:\n%s", said)
	}
	pid, err := strconv.Atoi(m[1])
	must(s.t, err)
	return pid
}

// A process of the release from before that goes on answering is named, with its path; rel status has it until it is gone.
func TestStragglerWarns(t *testing.T) {
	inModes(t, func(t *testing.T, o options) {
		s := newPerlSite(t, o, "release", `drain = "100ms"`)
		said := s.want(release.ExitDone, "activate", "v1.1")
		dir := filepath.Join(s.dir, "releases", string(s.lastRun().FromID))
		s.says(said, "warning: shop: pid", "still runs in v1.0: its working directory is "+dir)
		pid := s.straggler(said)
		if got := s.lastRun().Stragglers; len(got) != 1 || !strings.Contains(got[0], dir) {
			t.Errorf("history: %q", got)
		}
		old := s.runs()["v1.0"]
		if len(old) != 1 || old[0].PID != pid || old[0].How != "cwd" || old[0].Path != dir {
			t.Errorf("status: %+v", old)
		}
		s.says(s.want(release.ExitDone, "status"), fmt.Sprintf("v1.0: pid %d, working directory %s", pid, dir), "v1.1: pid ")
		p, err := proc.Lookup(pid)
		must(t, err)
		must(t, proc.Signal(p, 9))
		s.await("the process is there", func() bool { return !p.Same() })
		if got := s.runs(); len(got) != 1 || len(got["v1.1"]) != 2 {
			t.Errorf("status: %+v", got)
		}
	})
}

// With stragglers = "revert" such a process sends the run back; one that shows no file of its release is known by its age and by the
// socket that it holds.
func TestStragglerReverts(t *testing.T) {
	for _, cwd := range []string{"release", "/"} {
		t.Run(cwd, func(t *testing.T) {
			t.Parallel()
			s := newPerlSite(t, options{}, cwd, "drain = \"100ms\"\nstragglers = \"revert\"")
			said := s.want(release.ExitReverted, "activate", "v1.1")
			what := "still runs in v1.0: its working directory is " + filepath.Join(s.dir, "releases", string(s.lastRun().FromID))
			if cwd == "/" {
				what = "is from before the switch and still there: /usr/bin/perl " + s.live + "/worker.pl"
			}
			run := s.lastRun()
			if want := fmt.Sprintf("shop: pid %d (perl) %s", s.straggler(said), what); !strings.Contains(run.Error, want) {
				t.Errorf("error %q, want %q", run.Error, want)
			}
			if strings.Contains(said, "warning: shop: pid") {
				t.Errorf("blamed for what was restored:\n%s", said)
			}
			s.want(release.ExitDone, "status", "--check")
			if s.liveTag() != "v1.0" {
				t.Error(s.liveTag())
			}
		})
	}
}

// A worker that has closed its socket and finishes a request is waited for and named, and never sends a run back.
func TestStragglerDrains(t *testing.T) {
	t.Parallel()
	s := newPerlSite(t, options{}, "", "drain = \"50ms\"\nstragglers = \"revert\"")
	client, err := net.Dial("tcp", s.addr)
	must(t, err)
	defer client.Close()
	_, err = io.WriteString(client, "GET / HTTP/1.1\r\n") // the worker waits for the rest
	must(t, err)
	worker := s.runs()["v1.0"]
	if len(worker) != 2 || !worker[0].Main {
		t.Fatalf("%+v", worker)
	}
	s.await("the worker has not taken the connection", func() bool {
		links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", worker[1].PID))
		sockets := 0
		for _, link := range links {
			if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, "socket:") {
				sockets++
			}
		}
		return err == nil && sockets >= 2
	})
	said := s.want(release.ExitDone, "activate", "v1.1")
	s.says(said, fmt.Sprintf("warning: shop: pid %d (perl) still finishes what it began before the switch", worker[1].PID))
	_, err = io.WriteString(client, "\r\n")
	must(t, err)
	answer, err := io.ReadAll(client)
	must(t, err)
	s.says(string(answer), "200 OK", "X-Release: v1.0")
	s.await("the old worker is there", func() bool { return len(s.runs()["v1.0"]) == 0 })
}

// gunicorn that was started in a directory whose links were resolved reloads in that one: its new workers have the old code. Started in
// the live path by its name, it moves on.
func TestGunicornOldDirectory(t *testing.T) {
	needsPackage(t, "gunicorn", "/usr/bin/gunicorn")
	for name, cd := range map[string]string{"resolved": "cd -P", "named": "cd"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, options{noService: true})
			pidfile := filepath.Join(s.run, "shop.pid")
			s.configure(fmt.Sprintf(`[[service]]
name = "shop"
preset = "pidfile"
pidfile = %q
start = "%s %s && exec /usr/bin/gunicorn --daemon --pid %s --workers 2 --bind %s shop:app"
graceful = "SIGHUP"
listen = [%q]
timeout = "60s"
stragglers = "revert"
[health]
url = "http://%s/"
passes = 1
`, pidfile, cd, s.live, pidfile, s.addr, s.addr, s.addr))
			for _, tag := range []string{"v1.0", "v1.1"} {
				app := "def app(environ, respond):\n    respond('200 OK', [('X-Release', '" + tag + "')])\n    return [b'" + tag + "']\n"
				must(t, os.WriteFile(filepath.Join(s.repo, "shop.py"), []byte(app), 0o644))
				s.tag(tag)
			}
			s.want(release.ExitDone, "activate", "v1.0")
			if name == "named" {
				s.want(release.ExitDone, "activate", "v1.1")
				s.wantLive("v1.1")
				return
			}
			said := s.want(release.ExitReverted, "activate", "v1.1")
			s.says(said, "still runs in v1.0: its working directory is "+filepath.Join(s.dir, "releases", string(s.lastRun().FromID)), "; and 2 more: ",
				`needs restart = "restart"`)
			s.wantLive("v1.0")
			if pid := s.straggler(said); len(s.runs()["v1.0"]) != 3 || s.runs()["v1.0"][0].PID != pid {
				t.Errorf("pid %d, %+v", pid, s.runs())
			}
		})
	}
}

// rel says what it cannot see: of a process that it may not look into it tells the age and claims nothing else. Here that is one whose
// program its user may execute and not read.
func TestStragglerUnseen(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	s := newSite(t, options{noService: true})
	sleep, err := os.ReadFile("/bin/sleep")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(s.run, "opaque"), sleep, 0o755))
	pidfile := filepath.Join(s.run, "shop.pid")
	s.configure(fmt.Sprintf("[[service]]\nname = \"shop\"\npreset = \"pidfile\"\nrestart = \"restart\"\npidfile = %q\nstart = \"%s/opaque 600 & echo $! > %s\"\n",
		pidfile, s.run, pidfile))
	s.tag("v1.0")
	top := filepath.Dir(filepath.Dir(s.dir)) // the test's own
	must(t, exec.Command("chown", "-R", "65534:65534", top).Run())
	must(t, exec.Command("chmod", "0111", filepath.Join(s.run, "opaque")).Run())
	must(t, exec.Command("chown", "0:0", filepath.Join(s.run, "opaque")).Run())
	program := filepath.Join(top, "rel") // which others cannot reach where it is
	must(t, os.Link(s.rel, program))
	as := func(args ...string) string {
		cmd := exec.Command("setpriv", append([]string{"--reuid=65534", "--regid=65534", "--clear-groups", program, "-C", s.dir}, args...)...)
		cmd.Env, cmd.Dir = append(environ(), "HOME="+s.run), s.dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	said := as("activate", "v1.0")
	pid, err := os.ReadFile(pidfile)
	must(t, err)
	s.says(said, "shop: this user may not look into pid "+strings.TrimSpace(string(pid))+": of v1.0 by nothing but age")
	s.says(as("status"), "unknown: pid "+strings.TrimSpace(string(pid))+", cannot be looked into by this user")
}
