package gitrepo

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/release"
)

// sshServer is an sshd of our own, and an ssh that knows it.
type sshServer struct {
	t    *testing.T
	dir  string // of keys and configurations
	port int
	user string
}

func newSSHServer(t *testing.T) *sshServer {
	t.Helper()
	needs(t, "/usr/sbin/sshd", "openssh-server")
	needs(t, "ssh", "openssh-client")
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	s := &sshServer{t: t, dir: t.TempDir(), user: me.Username}
	for _, name := range []string{"host", "key"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", s.at(name)).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	s.write("sshd_config", "HostKey %s\nAuthorizedKeysFile %s\nStrictModes no\nUsePAM no\nPidFile none\n", s.at("host"), s.at("authorized_keys"))
	s.write("authorized_keys", "%s", s.read("key.pub"))
	if os.Getuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // where sshd, run by root, confines itself
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.port = listener.Addr().(*net.TCPAddr).Port
	var served sync.WaitGroup
	served.Go(func() { s.serve(listener, &served) })
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		served.Wait()
	})

	// ssh takes ~/.ssh from the account, whatever HOME says.
	s.write("ssh_config", "Host forge\n\tHostName 127.0.0.1\n\tPort %d\n\tUser %s\nHost *\n\tUserKnownHostsFile %s\n\tIdentityFile %s\n\tIdentitiesOnly yes\n",
		s.port, s.user, s.at("known_hosts"), s.at("key"))
	s.write("known_hosts", "[127.0.0.1]:%d %s", s.port, s.read("host.pub"))
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		t.Fatal(err)
	}
	s.write("bin/ssh", "#!/bin/sh\nexec %s -F %s \"$@\"\n", ssh, s.at("ssh_config"))
	return s
}

// serve gives each connection an sshd.
func (s *sshServer) serve(listener net.Listener, served *sync.WaitGroup) {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.t.Error(err)
			return
		}
		file, err := conn.(*net.TCPConn).File()
		if err = errors.Join(err, conn.Close()); err != nil {
			s.t.Error(err)
			return
		}
		served.Go(func() {
			defer file.Close()
			var said bytes.Buffer
			sshd := exec.Command("/usr/sbin/sshd", "-i", "-e", "-f", s.at("sshd_config"))
			sshd.Stdin, sshd.Stdout, sshd.Stderr = file, file, &said
			err := sshd.Run()
			s.t.Logf("sshd: %v\n%s", err, said.String())
		})
	}
}

func (s *sshServer) at(name string) string { return filepath.Join(s.dir, name) }

func (s *sshServer) read(name string) string {
	s.t.Helper()
	data, err := os.ReadFile(s.at(name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(data)
}

func (s *sshServer) write(name, format string, args ...any) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(s.at(name)), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(s.at(name), fmt.Appendf(nil, format, args...), 0o700); err != nil {
		s.t.Fatal(err)
	}
}

// url is a directory of this machine, by way of the server.
func (s *sshServer) url(dir string) string {
	return fmt.Sprintf("ssh://%s@127.0.0.1:%d%s", s.user, s.port, dir)
}

// env is env with the ssh that knows the server.
func (s *sshServer) env(env []string) []string {
	env = slices.Clone(env)
	for i, v := range env {
		if path, ok := strings.CutPrefix(v, "PATH="); ok {
			env[i] = "PATH=" + s.at("bin") + ":" + path
		}
	}
	return env
}

func TestModuleOverSSH(t *testing.T) {
	lib := newRepo(t)
	first := lib.commit("a", "1", "first")
	second := lib.commit("a", "2", "second")
	third := lib.commit("a", "3", "third")
	s := newSSHServer(t)
	m := modules(t, s.url(filepath.Dir(lib.dir)+"/*"), "forge:*")
	m.Mirror.Env = s.env(m.Mirror.Env)
	m.wants(t, s.url(lib.dir), second)
	m.wants(t, "forge:"+lib.dir, first)
	m.refuses(t, "", s.url(lib.dir+"x"), first, "git fetch: '"+lib.dir+"x' does not appear to be a git repository")

	known := s.read("known_hosts")
	s.write("known_hosts", "")
	m.refuses(t, "", s.url(lib.dir), third, "git fetch: Host key verification failed.")
	s.write("known_hosts", "%s", strings.Replace(known, s.read("host.pub"), s.read("key.pub"), 1))
	m.refuses(t, "", s.url(lib.dir), third, "git fetch: Host key verification failed.")
	s.write("known_hosts", "%s", known)
	s.write("authorized_keys", "")
	m.refuses(t, "", s.url(lib.dir), third, "git fetch: "+s.user+"@127.0.0.1: Permission denied (publickey")
}

func TestFetchTagsOverSSH(t *testing.T) {
	r := newRepo(t, "--object-format=sha256")
	r.commit("a", "1", "first")
	r.git("tag", "-m", "v1", "v1")
	s := newSSHServer(t)
	m := mirrorOf(t, r.dir)
	remote, err := release.ParseRemote(s.url(r.dir))
	if err != nil {
		t.Fatal(err)
	}
	m.Remote, m.Env = remote, s.env(m.Env)
	m.fetches(t, "v1", "v1")
	m.fetches(t, "v9", "v1")
	m.fetches(t, "", "v1")

	// A server that says nothing is waited for as long as the configuration says.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	s.port = silent.Addr().(*net.TCPAddr).Port
	if m.Remote, err = release.ParseRemote(s.url(r.dir)); err != nil {
		t.Fatal(err)
	}
	m.Timeout = 300 * time.Millisecond
	if err := m.FetchTags(bg, "v1"); err == nil || !strings.Contains(err.Error(), "not fetched within 300ms") {
		t.Error(err)
	}
}
