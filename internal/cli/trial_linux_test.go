package cli

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// server answers with what is in VERSION, at the live path, and leaves what daemons leave in /run and /tmp.
const server = `import http.server, os, sys
here = sys.argv[1]
for d in "/run", "/tmp":
    with open(d + "/" + sys.argv[3], "w") as f:
        f.write(str(os.getpid()))
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(("release " + open(here + "/VERSION").read()).encode())
    def log_message(self, *args): pass
if os.path.exists(here + "/dies"):
    sys.exit("cannot start: no database")
http.server.HTTPServer(("127.0.0.1", int(sys.argv[2])), Answer).serve_forever()
`

// A service is started before the switch where it can touch nothing: on the very port, and with the very pid files, of what is live.
func TestTrial(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("needs python3 (Debian package python3)")
	}
	for who, as := range users(t) {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			o := newOwned(t, as)
			o.needNamespaces()
			live := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the live service was asked") }))
			t.Cleanup(live.Close)
			_, port, _ := net.SplitHostPort(live.Listener.Addr().String())
			pidfile := "rel-trial-" + filepath.Base(filepath.Dir(filepath.Dir(o.dir))) + ".pid"
			version := func(tag, says string, extra ...string) {
				t.Helper()
				o.write("VERSION", says)
				o.write("serve.py", server)
				for _, name := range extra {
					o.write(name, "")
				}
				o.run(0, "git", "add", ".", ":!rel.toml")
				o.run(0, "git", "commit", "-qm", tag)
				o.run(0, "git", "tag", "-am", tag, tag)
			}
			version("v1", "v1")
			o.rel(0, "activate", "v1")
			version("v2", "v2")
			version("v3", "another")
			version("v4", "v4", "dies")
			o.write("rel.toml", fmt.Sprintf(`[live]
rehearsal = "require"
[[service]]
name = "web"
restart = "none"
start = "exit 9"
stop = "exit 9"
listen = ["127.0.0.1:%s"]
rehearse = "exec python3 current/serve.py current %s %s"
[health]
url = "http://127.0.0.1:%s/"
release = "body release ([^ ]+)"
interval = "50ms"
timeout = "20s"
`, port, port, pidfile, port))
			if out := o.rel(0, "stage", "v2", "-v"); !strings.Contains(out, "web start (GET ") || !strings.Contains(out, "200 from v2), rehearsed") {
				t.Errorf("v2 was not started:\n%s", out)
			}
			if out := o.rel(3, "stage", "v4"); !strings.Contains(out, "rehearsal: ") || !strings.Contains(out, "no database") || !strings.Contains(out, "exit 1") {
				t.Errorf("v4 dies at its start:\n%s", out)
			}
			config, err := os.ReadFile(filepath.Join(o.dir, "rel.toml"))
			if err != nil {
				t.Fatal(err)
			}
			o.write("rel.toml", strings.Replace(string(config), `"20s"`, `"1s"`, 1))
			if out := o.rel(3, "stage", "v3"); !strings.Contains(out, "another") {
				t.Errorf("v3 answers as another:\n%s", out)
			}
			for _, path := range []string{"/run/" + pidfile, "/tmp/" + pidfile} {
				if _, err := os.Stat(path); err == nil {
					t.Errorf("%s: made outside", path)
				}
			}
			if left, err := exec.Command("pgrep", "-f", pidfile).Output(); err == nil {
				t.Errorf("left running: %s", left)
			}
		})
	}
}
