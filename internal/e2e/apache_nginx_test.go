package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/git-rel/rel/internal/release"
)

const nginxConf = `pid @RUN@/server.pid;
error_log @RUN@/error.log;
@USERLINE@
worker_processes 2;
events { worker_connections 64; }
http {
	access_log off;
	client_body_temp_path @RUN@/body; proxy_temp_path @RUN@/proxy; fastcgi_temp_path @RUN@/fastcgi; uwsgi_temp_path @RUN@/uwsgi;
	scgi_temp_path @RUN@/scgi;
	server {
		listen @HOST@:@PORT@;
		include @LIVE@/site.conf;
	}
}
`

// TestNginx goes to and fro between two releases of an nginx's configuration under load.
func TestNginx(t *testing.T) {
	needsPackage(t, "nginx-light", "/usr/sbin/nginx")
	v := newServer(t, false)
	userLine := ""
	if v.user == "www-data" {
		userLine = "user www-data;"
	}
	conf := filepath.Join(v.run, "nginx.conf")
	v.file(conf, strings.ReplaceAll(nginxConf, "@USERLINE@", userLine))
	v.table = fmt.Sprintf(`preset = "nginx"
start = "nginx -c %[1]s"
stop = "nginx -c %[1]s -s stop"
graceful = "nginx -c %[1]s -s reload"
pidfile = %[2]q
`, conf, filepath.Join(v.run, "server.pid"))
	// What is live may be absent or another release: the test is told where the new one is.
	v.table += fmt.Sprintf("test = 'sed \"s|%[1]s|$REL_RELEASE_DIR|\" %[2]s >%[3]s && nginx -t -c %[3]s'\n", v.live, conf, conf+".new")
	v.configure()
	for _, tag := range []string{"v1", "v2"} {
		v.release(tag, map[string]string{"site.conf": "add_header X-Release @TAG@;\nlocation /shop { return 200 \"@TAG@: 3\\n\"; }\n"})
	}
	v.said(release.ExitDone, []string{"activate", "v1"}, "web started")
	v.release("v3", map[string]string{"site.conf": "no_such_directive on;\n"})
	v.said(release.ExitRefused, []string{"activate", "v3"}, "no_such_directive", "nothing changed, v1 is live")
	load := v.load()
	for i := range 10 {
		tag := []string{"v2", "v1"}[i%2]
		v.said(release.ExitDone, []string{"activate", tag}, "web reloaded", tag+" (was v", "release verified")
		v.serves(tag)
	}
	load.end()
	load.wantNoneLost(t, "v1", "v2")
	v.said(release.ExitDone, []string{"stop"}, "web stopped")
}
