package e2e

// stacks are the servers that have a page in docs/stacks.
var stacks = []stack{
	phpStack, apachePHPStack, gunicornStack, uwsgiStack, supervisorStack, runitStack, pumaStack, nodeStack, pidfileStack,
}

// Each release's shop takes its time for a page, so that at any moment some requests are under way, and says what it is itself.
const (
	pythonShop = `import time
def page():
    time.sleep(0.015)
    return "@TAG@: welcome to the shop\n"
`
	phpShop  = "<?php\nfunction page() { usleep(15000); return \"@TAG@: welcome to the shop\\n\"; }\n"
	rubyShop = "module Shop\n  def self.page\n    sleep 0.015\n    \"@TAG@: welcome to the shop\\n\"\n  end\nend\n"
	nodeShop = "exports.page = () => new Promise((done) => setTimeout(() => done('@TAG@: welcome to the shop\\n'), 15));\n"
)

var gunicornStack = stack{
	page:     "gunicorn",
	packages: [][2]string{{"/usr/bin/gunicorn", "gunicorn"}},
	code:     map[string]string{"shop.py": pythonShop},
	others:   []string{"restart"},
}

var phpStack = stack{
	page:     "php-fpm",
	packages: [][2]string{{"/usr/sbin/nginx", "nginx-light"}, {"/usr/sbin/php-fpm[0-9]*", "php-fpm"}},
	code:     map[string]string{"lib/shop.php": phpShop},
	around: map[string]string{"/etc/nginx/nginx.conf": `pid /srv/shop/run/nginx.pid;
error_log /srv/shop/run/nginx.log;
user www-data;
worker_processes 2;
events { worker_connections 64; }
http {
	access_log off;
	client_body_temp_path /srv/shop/run/body; proxy_temp_path /srv/shop/run/proxy; fastcgi_temp_path /srv/shop/run/fastcgi;
	uwsgi_temp_path /srv/shop/run/uwsgi; scgi_temp_path /srv/shop/run/scgi;
	include /etc/nginx/sites-available/shop;
}
`},
	first:  []string{"nginx -c /etc/nginx/nginx.conf"},
	others: []string{"none", "restart"},
}

var uwsgiStack = stack{
	page:     "uwsgi",
	with:     "gunicorn",
	packages: [][2]string{{"/usr/bin/uwsgi", "uwsgi-core"}, {"/usr/lib/uwsgi/plugins/python3_plugin.so", "uwsgi-plugin-python3"}},
	code:     map[string]string{"shop.py": pythonShop},
	loses:    true, // on a busy machine a worker that ends resets a connection, once in some thousand requests
	others:   []string{"restart"},
}

var pumaStack = stack{
	page:     "puma",
	packages: [][2]string{{"/usr/bin/puma", "puma"}},
	code:     map[string]string{"shop.rb": rubyShop},
	others:   []string{"restart"},
}

var nodeStack = stack{
	page:     "node",
	packages: [][2]string{{"/usr/bin/node", "nodejs"}},
	code:     map[string]string{"shop.js": nodeShop},
	others:   []string{"restart"},
}

var pidfileStack = stack{
	page:     "pidfile",
	packages: [][2]string{{"/usr/bin/python3", "python3"}, {"/sbin/start-stop-daemon", "dpkg"}},
	code:     map[string]string{"shop.py": pythonShop},
	loses:    true,
	others:   []string{"stop-start"},
}

var supervisorStack = stack{
	page:     "supervisor",
	with:     "gunicorn",
	packages: [][2]string{{"/usr/bin/supervisord", "supervisor"}, {"/usr/bin/gunicorn", "gunicorn"}},
	code:     map[string]string{"shop.py": pythonShop},
	first:    []string{"supervisord -c /srv/shop/supervisord.conf"},
	others:   []string{"restart"},
}

var runitStack = stack{
	page:     "runit",
	with:     "gunicorn",
	packages: [][2]string{{"/usr/bin/runsvdir", "runit"}, {"/usr/bin/gunicorn", "gunicorn"}},
	code:     map[string]string{"shop.py": pythonShop},
	around:   map[string]string{"/srv/shop/sv/shop/down": ""},
	first: []string{
		"setsid runsvdir -P /srv/shop/sv >run/runit.log 2>&1 & until [ -p /srv/shop/sv/shop/supervise/ok ]; do sleep 0.1; done",
	},
	others: []string{"restart"},
}

var apachePHPStack = stack{
	page:     "apache-php",
	with:     "php-fpm",
	packages: [][2]string{{"/usr/sbin/apache2", "apache2"}, {"/usr/lib/apache2/modules/libphp*.so", "libapache2-mod-php"}},
	code:     map[string]string{"lib/shop.php": phpShop},
	others:   []string{"restart", "stop-start"},
}
