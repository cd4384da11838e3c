package service

import (
	"os"
	"strings"

	"github.com/git-rel/rel/internal/release"
)

// preset is what a kind of service calls its things.
type preset struct {
	comm      string
	restart   string
	units     []string // the systemd units that distributions give it
	start     string
	stop      string
	restarted string
	graceful  string
	test      string
	pidFile   string
	errorLog  string
}

// apache is how Debian has it. "apachectl graceful", and not "-k graceful", is what Red Hat's apachectl understands too, and on
// Debian it tests the configuration first.
var apache = preset{
	comm: "apache2", restart: Graceful, units: []string{"apache2.service", "httpd.service"},
	start: "apachectl start", stop: "apachectl stop", restarted: "apachectl restart", graceful: "apachectl graceful",
	test: "apachectl configtest", pidFile: "/var/run/apache2/apache2.pid", errorLog: "/var/log/apache2/error.log",
}

// nginx has no restart of its own; stop is the fast one, as Apache's is.
var nginx = preset{
	comm: "nginx", restart: Graceful, units: []string{"nginx.service"},
	start: "nginx", stop: "nginx -s stop", graceful: "nginx -s reload", test: "nginx -t",
	pidFile: "/run/nginx.pid", errorLog: "/var/log/nginx/error.log",
}

// fill sets what is not set from the preset.
func (s *Service) fill() error {
	spec := &s.spec
	if spec.Name == "" {
		spec.Name = "service"
	}
	var p preset
	switch spec.Preset {
	case "apache":
		p = apache
		if redHat() {
			p.comm, p.pidFile, p.errorLog = "httpd", "/run/httpd/httpd.pid", "/var/log/httpd/error_log"
		}
	case "nginx":
		p = nginx
	case "systemd":
		spec.Unit = unitName(orElse(spec.Unit, spec.Name))
		p = preset{restart: Restart, errorLog: release.JournalLog + spec.Unit}
		p.start, p.stop = "systemctl start "+spec.Unit, "systemctl stop "+spec.Unit
		p.restarted, p.graceful = "systemctl restart "+spec.Unit, "systemctl reload "+spec.Unit
	case "pidfile":
		p = preset{restart: Restart, stop: "SIGTERM"}
		if spec.PIDFile == "" || spec.Start == "" {
			return s.usage(`preset "pidfile" needs pidfile and start`)
		}
	case "command", "":
		spec.Preset, p = "command", preset{restart: Restart}
		if spec.Start == "" || spec.Stop == "" {
			return s.usage(`preset "command" needs start and stop`)
		}
		if spec.PIDFile == "" && len(spec.Listen) == 0 {
			return s.usage(`preset "command" needs pidfile or listen: by these rel sees what runs`)
		}
	default:
		return s.usage("preset %q: not one of apache, nginx, systemd, pidfile, command", spec.Preset)
	}
	s.comm = p.comm
	spec.Restart = orElse(spec.Restart, p.restart)
	spec.Start, spec.Stop = orElse(spec.Start, p.start), orElse(spec.Stop, p.stop)
	spec.RestartCmd, spec.Graceful = orElse(spec.RestartCmd, p.restarted), orElse(spec.Graceful, p.graceful)
	spec.Test, spec.PIDFile = orElse(spec.Test, p.test), orElse(spec.PIDFile, p.pidFile)
	spec.ErrorLog = orElse(spec.ErrorLog, p.errorLog)
	if spec.Unit != "" {
		spec.Unit = unitName(spec.Unit)
	}
	return nil
}

func redHat() bool {
	_, debian := os.Stat("/etc/apache2")
	_, other := os.Stat("/etc/httpd")
	return debian != nil && other == nil
}

func unitName(unit string) string {
	if strings.Contains(unit, ".") {
		return unit
	}
	return unit + ".service"
}

func orElse(value, other string) string {
	if value != "" {
		return value
	}
	return other
}
