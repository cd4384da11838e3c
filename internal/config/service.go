package config

import (
	"path"
	"regexp"
	"strings"

	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

// restartOf is how a service takes up a new release unless told. Only Apache and nginx are graceful by convention, as is what
// has a command for it. In mode "directory" old processes would see the new release's files under them.
func (c *Config) restartOf(s Service) string {
	switch {
	case c.Live.Mode == ModeDirectory:
		return "stop-start"
	case s.Preset == "apache", s.Preset == "nginx", s.Graceful != "":
		return "graceful"
	}
	return "restart"
}

func (c *Config) checkServices(k *checker) {
	seen := map[string]bool{}
	for i, s := range c.Service {
		key := element("service", i)
		k.name(key, s.Name, seen)
		k.oneOf(key+".preset", s.Preset, servicePresets)
		k.oneOf(key+".restart", s.Restart, restarts)
		k.positive(key+".timeout", s.Timeout)
		k.oneOf(key+".stragglers", s.Stragglers, stragglers)
		if s.Drain.Duration != 0 { // which is to look, and not to wait
			k.positive(key+".drain", s.Drain)
		}
		k.noNUL(key, s.Start, s.Stop, s.RestartCmd, s.Graceful, s.Test, s.Rehearse, s.PIDFile, s.ErrorLog)
		if s.User != "" && !userName.MatchString(s.User) {
			k.bad(key+".user", "%q is no user name", s.User)
		}
		if s.Unit != "" && !unitName.MatchString(s.Unit) {
			k.bad(key+".unit", "%q is no unit name", s.Unit)
		}
		for _, addr := range s.Listen {
			k.listen(key+".listen", addr)
		}
		k.errorLog(key, s)
		k.needs(key, s)
	}
}

// needs tells what a preset cannot guess.
func (k *checker) needs(key string, s Service) {
	if s.Restart == "graceful" && s.Graceful == "" && (s.Preset == "command" || s.Preset == "pidfile") {
		p := k.bad(key+".restart", `"graceful" needs graceful, since preset %q has no convention for it`, s.Preset)
		p.hint = `graceful = "…" is the command, or restart = "stop-start"`
	}
	switch {
	case s.Preset == "pidfile" && (s.Start == "" || s.PIDFile == ""):
		k.bad(key, `preset "pidfile" needs start and pidfile`)
	case s.Preset == "command" && (s.Start == "" || s.Stop == ""):
		k.bad(key, `preset "command" needs start and stop`).hint = "presets with commands of their own are apache, nginx, systemd"
	case s.Preset == "command" && s.PIDFile == "" && len(s.Listen) == 0:
		k.bad(key, `preset "command" needs pidfile or listen: by these rel sees what runs`)
	}
}

// errorLog checks where a service tells of errors, and what counts as one.
func (k *checker) errorLog(key string, s Service) {
	if unit, ok := strings.CutPrefix(s.ErrorLog, release.JournalLog); ok && !unitName.MatchString(unit) {
		k.bad(key+".error_log", "%q is no unit name", unit)
	}
	k.expressions(key+".log_fail", s.LogFail)
	k.expressions(key+".log_ignore", s.LogIgnore)
}

func (k *checker) expressions(key string, patterns []string) {
	for _, pattern := range patterns {
		if _, err := regexp.Compile(pattern); err != nil {
			k.bad(key, "%v", err)
		} else if pattern == "" {
			k.bad(key, "an empty pattern matches every line")
		}
	}
}

func (k *checker) listen(key, addr string) {
	if file, ok := strings.CutPrefix(addr, "unix:"); ok && !path.IsAbs(file) {
		k.bad(key, "%q: the socket's path is not absolute", addr)
	} else if err := proc.CheckAddrs([]string{addr}); err != nil {
		k.bad(key, "%v", err)
	}
}
