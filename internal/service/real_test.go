package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/proc"
)

// needs skips a test of a real server whose package is missing; with CI=true that is a failure.
func needs(t *testing.T, pkg, file string) {
	t.Helper()
	if _, err := os.Stat(file); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("package %s is missing: there is no %s", pkg, file)
	}
	t.Skipf("package %s is missing: there is no %s", pkg, file)
}

// real is a private instance of a real server.
type real struct {
	*Service
	t        *testing.T
	dir      string
	addr     string
	warnings []string
}

func newReal(t *testing.T, spec Spec, environ ...string) *real {
	t.Helper()
	dir, err := os.MkdirTemp("", "rel-service-test-") // short, and open to the server's own user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	r := &real{t: t, dir: dir, addr: freeAddr(t)}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	spec.Name, spec.Listen, spec.Timeout = "web", []string{r.addr}, patience
	spec.PIDFile, spec.ErrorLog = "server.pid", filepath.Join(dir, "error.log")
	for _, key := range []*string{&spec.Start, &spec.Stop, &spec.Graceful, &spec.Test} {
		*key = strings.ReplaceAll(*key, "@DIR@", dir)
	}
	env := Env{
		Dir: dir, LogDir: filepath.Join(dir, "services"), LockDir: dir,
		Environ: append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}, environ...),
		Output:  func(line string) { t.Log("output: " + line) },
		Warn:    func(text string) { r.warnings = append(r.warnings, text) },
	}
	for i, v := range env.Environ {
		env.Environ[i] = strings.ReplaceAll(v, "@DIR@", dir)
	}
	if r.Service, err = New(spec, env); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.end)
	return r
}

// end stops the server however the test ended: what is of its directory, or listens where it did.
func (r *real) end() {
	gone := proc.Await(context.Background(), 10*time.Second, func() bool {
		left := map[int]bool{}
		listeners, err := proc.Listeners(r.addr)
		if err != nil {
			r.t.Error(err)
		}
		for _, l := range listeners {
			left[l.PID] = true
		}
		all, err := proc.List()
		if err != nil {
			r.t.Error(err)
		}
		for _, p := range all {
			if left[p.PID] = left[p.PID] || strings.Contains(proc.Cmdline(p.PID), r.dir); !left[p.PID] || p.PID == os.Getpid() {
				delete(left, p.PID)
				continue
			}
			_ = proc.Signal(p, syscall.SIGKILL) // it may have ended
		}
		return len(left) == 0
	})
	if !gone {
		r.t.Errorf("processes of %s are left", r.dir)
	}
}

func (r *real) write(name, text string) {
	r.t.Helper()
	text = strings.NewReplacer("@DIR@", r.dir, "ADDR", r.addr).Replace(text)
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// wants asks often enough to meet every worker.
func (r *real) wants(answer string) {
	r.t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	for range 30 {
		res, err := client.Get("http://" + r.addr + "/shop")
		if err != nil {
			r.t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || strings.TrimSpace(string(body)) != answer {
			r.t.Fatalf("%s %q, want %q: %v", res.Status, body, answer, err)
		}
	}
}

// busy keeps a worker at work: it has half a request.
func (r *real) busy() net.Conn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	if _, err := fmt.Fprint(c, "GET /shop HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"); err != nil {
		r.t.Fatal(err)
	}
	return c
}

// finish sends the other half and gives the answer.
func finish(t *testing.T, c net.Conn) string {
	t.Helper()
	if _, err := fmt.Fprint(c, "\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(all), "\r\n\r\n")
	return strings.TrimSpace(body)
}

const apacheConf = `ServerName localhost
Listen ADDR
PidFile @DIR@/server.pid
ErrorLog @DIR@/error.log
Mutex file:@DIR@ default
User USER
Group GROUP
DocumentRoot @DIR@
LoadModule mpm_prefork_module /usr/lib/apache2/modules/mod_mpm_prefork.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule cgid_module /usr/lib/apache2/modules/mod_cgid.so
LoadModule perl_module /usr/lib/apache2/modules/mod_perl.so
ScriptSock @DIR@/cgid.sock
StartServers 3
MinSpareServers 1
MaxSpareServers 4
PerlPostConfigRequire @DIR@/Shop.pm
<Location /shop>
SetHandler perl-script
PerlResponseHandler Shop
</Location>
`

const apacheModule = `package Shop;
use strict; use warnings;
use Apache2::RequestRec (); use Apache2::RequestIO (); use Apache2::Const -compile => 'OK';
BEGIN { FAULT }
sub handler { my $r = shift; $r->content_type('text/plain'); $r->print("VERSION\n"); return Apache2::Const::OK; }
1;
`

func newApache(t *testing.T) *real {
	t.Helper()
	needs(t, "apache2", "/usr/sbin/apachectl")
	needs(t, "libapache2-mod-perl2", "/usr/lib/apache2/modules/mod_perl.so")
	account, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if account.Uid == "0" {
		if account, err = user.Lookup("www-data"); err != nil {
			t.Fatal(err)
		}
	}
	group, err := user.LookupGroupId(account.Gid)
	if err != nil {
		t.Fatal(err)
	}
	// The preset's own commands, led to a private instance as Debian does for its second ones.
	r := newReal(t, Spec{Preset: "apache"}, "APACHE_CONFDIR=@DIR@", "APACHE_STARTED_BY_SYSTEMD=true")
	r.write("apache2.conf", strings.NewReplacer("USER", account.Username, "GROUP", group.Name).Replace(apacheConf))
	r.write("envvars", fmt.Sprintf("export APACHE_RUN_USER=%s\nexport APACHE_RUN_GROUP=%s\nexport APACHE_RUN_DIR=@DIR@/run\n"+
		"export APACHE_LOCK_DIR=@DIR@/lock\nexport APACHE_LOG_DIR=@DIR@\nexport APACHE_PID_FILE=@DIR@/server.pid\n", account.Username, group.Name))
	return r
}

func (r *real) module(version, fault string) {
	r.t.Helper()
	r.write("Shop.pm", strings.NewReplacer("VERSION", version, "FAULT", fault).Replace(apacheModule))
}

func (r *real) apply(kind string) State {
	r.t.Helper()
	if err := r.Apply(r.t.Context(), kind); err != nil {
		r.t.Fatalf("%s: %v", kind, err)
	}
	st, err := r.State()
	if err != nil || !st.Up || !portsHeld(st) {
		r.t.Fatalf("%s: %+v, %v", kind, st, err)
	}
	return st
}

func TestApache(t *testing.T) {
	r := newApache(t)
	r.module("v1", "")
	if err := r.Test(t.Context(), r.env.Environ, r.dir, nil); err != nil {
		t.Fatal(err)
	}
	first := r.apply(Graceful) // down, so it is started
	r.wants("v1")

	for i := range 5 {
		version := fmt.Sprintf("v2.%d", i)
		r.module(version, "")
		c := r.busy()
		if st := r.apply(Graceful); !st.Master.Is(first.Master) {
			t.Fatal("another master")
		}
		r.wants(version)
		if got := finish(t, c); got == "" || got == version {
			t.Errorf("the request from before was answered by %q", got)
		}
	}

	r.module("v3", "")
	if st := r.apply(Restart); !st.Master.Is(first.Master) {
		t.Fatal("another master")
	}
	r.wants("v3")
	if st := r.apply(StopStart); st.Master.Is(first.Master) {
		t.Fatal("the master from before")
	}
	r.wants("v3")
	if len(r.warnings) != 0 {
		t.Errorf("warnings %q", r.warnings)
	}

	conf, err := os.ReadFile(filepath.Join(r.dir, "apache2.conf"))
	if err != nil {
		t.Fatal(err)
	}
	r.write("apache2.conf", string(conf)+"NoSuchDirective on\n")
	wantError(t, r.Graceful(t.Context()), "web: graceful: exit 1", "NoSuchDirective")
	r.wants("v3")
	if err := r.Stop(t.Context()); err == nil {
		t.Error("apachectl cannot stop with that configuration, and it is not stopped")
	}
}

// A module that dies at load passes the configuration test, and graceful exits 0; then all is down.
func TestApacheDies(t *testing.T) {
	r := newApache(t)
	for _, kind := range []string{Graceful, Restart} {
		t.Run(kind, func(t *testing.T) {
			r.module("v1", "")
			before := r.apply(kind)
			r.wants("v1")
			r.module("v2", `die "no moon today"`)
			if err := r.Test(t.Context(), r.env.Environ, r.dir, nil); err != nil {
				t.Fatal(err)
			}
			err := r.Apply(t.Context(), kind)
			wantError(t, err, "web: after "+kind+": its master is gone: "+before.Master.String()+" ended")
			if !errors.Is(err, ErrMasterGone) {
				t.Errorf("%v is not ErrMasterGone", err)
			}
			if st, err := r.State(); err != nil || st.Up {
				t.Fatalf("%+v, %v", st, err)
			}
			began := time.Now()
			wantError(t, r.Apply(t.Context(), kind), "web: ")
			if took := time.Since(began); took >= r.spec.Timeout {
				t.Errorf("the whole timeout was waited for what is dead: %s", took)
			}
			r.module("v1", "")
			if st := r.apply(kind); st.Master.Is(before.Master) {
				t.Error("the dead master has come back")
			}
			r.wants("v1")
		})
	}
}

const nginxConf = `pid @DIR@/server.pid;
error_log @DIR@/error.log;
worker_processes 2;
events { worker_connections 64; }
http {
	access_log off;
	client_body_temp_path @DIR@/body; proxy_temp_path @DIR@/proxy; fastcgi_temp_path @DIR@/fastcgi; uwsgi_temp_path @DIR@/uwsgi;
	scgi_temp_path @DIR@/scgi;
	server { listen ADDR; location /shop { return 200 "VERSION\n"; } }
}
`

func TestNginx(t *testing.T) {
	needs(t, "nginx-light", "/usr/sbin/nginx")
	const nginx = "nginx -c @DIR@/nginx.conf"
	r := newReal(t, Spec{
		Preset: "nginx", Start: nginx, Stop: nginx + " -s stop", Graceful: nginx + " -s reload", Test: nginx + " -t",
	})
	version := func(v string) { r.write("nginx.conf", strings.ReplaceAll(nginxConf, "VERSION", v)) }
	version("v1")
	first := r.apply(Graceful)
	r.wants("v1")
	for i := range 5 {
		v := fmt.Sprintf("v2.%d", i)
		version(v)
		c := r.busy()
		if st := r.apply(Graceful); !st.Master.Is(first.Master) {
			t.Fatal("another master")
		}
		r.wants(v)
		if got := finish(t, c); got == "" || got == v {
			t.Errorf("the request from before was answered by %q", got)
		}
	}
	version("v3")
	if st := r.apply(Restart); st.Master.Is(first.Master) {
		t.Fatal("the master from before")
	}
	r.wants("v3")
	if len(r.warnings) != 0 {
		t.Errorf("warnings %q", r.warnings)
	}
	r.write("nginx.conf", "no_such_directive on;\n")
	wantError(t, r.Test(t.Context(), r.env.Environ, r.dir, nil), "web: test: exit 1")
	wantError(t, r.Graceful(t.Context()), "web: graceful: exit 1", "no_such_directive")
	r.wants("v3")
	version("v3")
	if err := r.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("tcp", r.addr); err == nil {
		t.Error("the port is still held")
	}
}
