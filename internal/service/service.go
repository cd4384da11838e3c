// Package service owns the services that run a release: it starts, stops, restarts and reloads them, and believes neither an exit
// status nor a message, but what /proc shows: which processes run, when they started, and who holds the ports.
package service

import (
	"context"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

// The ways in which a service takes over a new release.
const (
	Graceful  = "graceful"   // workers finish their requests, new ones take over
	Restart   = "restart"    // the service's own restart, or stop and start where it has none
	StopStart = "stop-start" // stopped before the switch, started after it
	None      = "none"       // left alone
)

const defaultTimeout = 60 * time.Second

// Spec is a [[service]] of the configuration. A command is run by /bin/sh, or is the bare name of a signal for the master, as
// "SIGHUP". Empty fields are filled by the preset.
type Spec struct {
	Name, Preset, Restart, User             string
	Sudo                                    bool
	Unit, Start, Stop, RestartCmd, Graceful string
	Test, PIDFile                           string        // PIDFile and ErrorLog are relative to the root
	Listen                                  []string      // "8080", "127.0.0.1:8080", "[::1]:80", "unix:/path"
	ErrorLog                                string        // a file, or "journal:UNIT"
	Timeout                                 time.Duration // for each of start, stop, restart and graceful; 60 s if 0
}

// Env is what a service's commands run in, and who is told what happens.
type Env struct {
	Dir     string                            // the root: where commands run
	Environ []string                          // their whole environment
	As      *proc.User                        // whom they run as; nil: as this process is
	LogDir  string                            // gets <name>.log, the stdout and stderr of started daemons; "" drops them
	LockDir string                            // "": /run/lock/rel, or a directory in the temporary one
	Started func(pid int, start uint64) error // of commands that have to end; not of start, whose group a daemon may stay in
	Output  func(line string)                 // what the commands print
	Warn    func(text string)                 // what a person should know although it went well
}

// Service is one service. It is not safe for concurrent use.
type Service struct {
	spec    Spec
	env     Env
	comm    string          // the name of its processes, where the preset knows it
	given   map[string]bool // the fields that were set, not filled by the preset
	unit    string          // the systemd unit that it was seen to be
	known   []proc.Process  // workers that were seen: what they hold when their master is gone is still ours
	systemd bool            // systemd is pid 1
	took    takeover        // how it last took a release over
	sharers []proc.Process  // who was found to hold its sockets without being of its family
}

var (
	signalName = regexp.MustCompile(`^SIG[A-Z0-9]+$`)
	compound   = regexp.MustCompile("[;&|<>()$`\n*?~#\"'\\\\]|^\\s*[A-Za-z_]+=")
)

// New fills in the preset's conventions. What cannot work is an error that names the key.
func New(spec Spec, env Env) (*Service, error) {
	s := &Service{spec: spec, env: env, systemd: proc.Systemd()}
	s.given = map[string]bool{
		"start": spec.Start != "", "stop": spec.Stop != "", "restart": spec.RestartCmd != "", "graceful": spec.Graceful != "",
		"pidfile": spec.PIDFile != "",
	}
	if err := s.fill(); err != nil {
		return nil, err
	}
	if s.spec.Timeout <= 0 {
		s.spec.Timeout = defaultTimeout
	}
	if s.spec.PIDFile != "" && !filepath.IsAbs(s.spec.PIDFile) {
		s.spec.PIDFile = filepath.Join(env.Dir, s.spec.PIDFile)
	}
	if log := s.spec.ErrorLog; log != "" && !filepath.IsAbs(log) && !strings.HasPrefix(log, release.JournalLog) {
		s.spec.ErrorLog = filepath.Join(env.Dir, s.spec.ErrorLog)
	}
	if s.env.Output == nil {
		s.env.Output = func(string) {}
	}
	if s.env.Warn == nil {
		s.env.Warn = func(string) {}
	}
	return s, s.validate()
}

func (s *Service) validate() error {
	if err := proc.CheckAddrs(s.spec.Listen); err != nil {
		return s.usage("listen: %w", err)
	}
	switch s.spec.Restart {
	case Graceful:
		if s.spec.Graceful == "" {
			return s.usage(`restart = "graceful", but no graceful command is known for preset %q`, s.spec.Preset).
				Hint(`set graceful, or restart = "restart" or "stop-start"`)
		}
	case Restart, StopStart, None:
	default:
		return s.usage("restart = %q: not one of graceful, restart, stop-start, none", s.spec.Restart)
	}
	for key, command := range s.commands() {
		if signalName.MatchString(command) {
			if _, err := signalNumber(command); err != nil {
				return s.usage("%s: %w", key, err)
			}
			if s.spec.Sudo {
				return s.usage("%s = %q: sudo runs commands and sends no signals", key, command).Hint("set %s to a plain command", key)
			}
		} else if s.spec.Sudo && compound.MatchString(command) {
			return s.usage("%s = %q: sudo takes one plain command, this needs a shell", key, command).Hint("put it into a script")
		}
	}
	return nil
}

// commands are the service's commands that are set, by key.
func (s *Service) commands() map[string]string {
	all := map[string]string{
		"start": s.spec.Start, "stop": s.spec.Stop, "restart_cmd": s.spec.RestartCmd, "graceful": s.spec.Graceful, "test": s.spec.Test,
	}
	for key, command := range all {
		if command == "" {
			delete(all, key)
		}
	}
	return all
}

// Spec is the service with everything filled in.
func (s *Service) Spec() Spec { return s.spec }

// errorf is an error of this service: its name comes first.
func (s *Service) errorf(format string, args ...any) *release.Error {
	return release.Errorf(release.ExitError, "%s: "+format, append([]any{s.spec.Name}, args...)...)
}

func (s *Service) usage(format string, args ...any) *release.Error {
	e := s.errorf(format, args...)
	e.Exit = release.ExitUsage
	return e
}

// Apply lets the service take over what is live now, in the given way. A service whose master is gone is started, never
// gracefully restarted: that exits 0 and starts nothing.
func (s *Service) Apply(ctx context.Context, kind string) error {
	switch kind {
	case Graceful:
		return s.Graceful(ctx)
	case Restart:
		return s.Restart(ctx)
	case StopStart:
		if err := s.Stop(ctx); err != nil {
			return err
		}
		return s.Start(ctx)
	case None:
		return nil
	}
	return s.usage("%q: not one of graceful, restart, stop-start, none", kind)
}

// Test runs the service's own test of its configuration, as "apachectl configtest", if it has one. The view may be nil.
func (s *Service) Test(ctx context.Context, env []string, dir string, view *proc.View) error {
	if s.spec.Test == "" {
		return nil
	}
	c := s.command("test", s.spec.Test)
	c.Env, c.Dir, c.View, c.Output, c.Started = env, dir, view, s.env.Output, s.env.Started
	if _, err := c.Run(ctx); err != nil {
		return s.errorf("%w", err)
	}
	return nil
}

// Sudoers are the lines for /etc/sudoers that let owner control the service; none where sudo is not set. A program that is not in
// PATH is left as it is: sudo then refuses the line, which is better than a guess.
func (s *Service) Sudoers(owner string) []string {
	if !s.spec.Sudo {
		return nil
	}
	var lines []string
	seen := map[string]bool{}
	for _, key := range []string{"start", "stop", "restart_cmd", "graceful", "test"} {
		command := s.commands()[key]
		if unit := s.unitFor(key); unit != "" {
			command = "systemctl " + verbs[key] + " " + unit
		}
		if command == "" || seen[command] {
			continue
		}
		seen[command] = true
		words := strings.Fields(command)
		if path, err := proc.LookPath(words[0], pathOf(s.env.Environ)); err == nil {
			words[0] = path
		}
		for i := range words[1:] {
			words[i+1] = strings.NewReplacer(",", `\,`, ":", `\:`, "=", `\=`).Replace(words[i+1])
		}
		lines = append(lines, owner+" ALL=(root) NOPASSWD: "+strings.Join(words, " "))
	}
	return lines
}

func pathOf(env []string) string {
	for _, v := range env {
		if path, ok := strings.CutPrefix(v, "PATH="); ok {
			return path
		}
	}
	return ""
}
