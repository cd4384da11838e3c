package config

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Names that keys take.
var (
	modes          = []string{ModeSymlink, ModeDirectory}
	checkPresets   = []string{"perl", "php", "python", "ruby", "node", "shell"}
	scopes         = []string{"all", "changed"}
	servicePresets = []string{"apache", "nginx", "systemd", "pidfile", "command"}
	restarts       = []string{"graceful", "restart", "stop-start", "none"}
	stragglers     = []string{StragglersWarn, StragglersRevert}
	branchActions  = []string{BranchCut, BranchStage, BranchNone}
	lightweights   = []string{LightweightRefuse, LightweightAllow}
	logModes       = []string{LogWarn, LogRevert, LogOff}
	reconciles     = []string{ReconcileReport, ReconcileDeploy}
	rehearsals     = []string{RehearsalAuto, RehearsalRequire, RehearsalOff}
	submodules     = []string{"refuse", "empty", "fetch"}
	lfsModes       = []string{"auto", "refuse", "pointer"}
)

const maxName = 64

var (
	safeWord = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	envName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	userName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*\$?$`)
	unitName = regexp.MustCompile(`^[A-Za-z0-9:_.@\\][A-Za-z0-9:_.@\\-]*$`)
	control  = regexp.MustCompile(`[\x00-\x1f\x7f]`)
)

func nameByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '-' || b == '_'
}

// complete fills in the defaults that depend on other keys.
func (c *Config) complete() {
	if c.Live.Mode == ModeDirectory && !c.Has("live.path") {
		c.Live.Path = "rel"
	}
	c.cleanPaths()
	for i := range c.Check {
		check, key := &c.Check[i], element("check", i)
		fill(&check.Name, check.Preset)
		fill(&check.Scope, "all")
		if !c.Has(key + ".timeout") {
			check.Timeout = check.timeout()
		}
	}
	for i := range c.Service {
		s, key := &c.Service[i], element("service", i)
		fill(&s.Preset, "command")
		fill(&s.Name, s.Preset)
		fill(&s.Restart, c.restartOf(*s))
		if !c.Has(key + ".timeout") {
			s.Timeout = seconds(60)
		}
		fill(&s.Stragglers, StragglersWarn)
		if !c.Has(key + ".drain") {
			s.Drain = seconds(10)
		}
	}
}

func fill(s *string, value string) {
	if *s == "" {
		*s = value
	}
}

// timeout is that of one command of the check: of the one that looks at the whole release, or of one of many.
func (c Check) timeout() Duration {
	if c.Preset == "" && len(c.Files) == 0 {
		return seconds(600)
	}
	return seconds(120)
}

// checker gathers problems, so that one look at the errors mends them all.
type checker struct {
	src      *source
	problems []problem
}

func (k *checker) bad(key, format string, args ...any) *problem {
	k.problems = append(k.problems, problem{line: k.src.nearest(key), text: plainKey(key) + ": " + fmt.Sprintf(format, args...)})
	return &k.problems[len(k.problems)-1]
}

var index = regexp.MustCompile(`\[\d+\]`)

// plainKey is key as the writer of the file knows it; the line tells which of several it is.
func plainKey(key string) string { return index.ReplaceAllString(key, "") }

func (k *checker) oneOf(key, value string, names []string) {
	if slices.Contains(names, value) {
		return
	}
	p := k.bad(key, "%q is none of %s", value, strings.Join(names, ", "))
	if near := nearest(value, names); near != "" {
		p.hint = "did you mean " + strconv.Quote(near) + "?"
	}
}

func (k *checker) positive(key string, d Duration) {
	if d.Duration <= 0 {
		k.bad(key, "%s is no time to wait: it must be more than 0s", d)
	} else if d.Duration > 24*time.Hour {
		k.bad(key, "%s is more than a day", d)
	}
}

func (k *checker) atLeast(key string, n, least int) {
	if n < least {
		k.bad(key, "%d is less than %d", n, least)
	}
}

func (k *checker) noNUL(key string, values ...string) {
	for _, v := range values {
		if strings.ContainsRune(v, 0) {
			k.bad(key, "holds a NUL byte")
		}
	}
}

// Validate tells everything that is wrong with the values; Load has called it.
func (c *Config) Validate() error {
	k := &checker{src: c.source}
	c.checkTop(k)
	c.checkPaths(k)
	c.checkGates(k)
	c.checkServices(k)
	c.checkHealth(k)
	c.checkPush(k)
	c.checkSign(k)
	var lines []string
	if c.source != nil {
		lines = c.source.lines
	}
	return report(lines, k.problems)
}

func (c *Config) checkTop(k *checker) {
	if !safeWord.MatchString(c.App) || safeName(c.App) != c.App {
		k.bad("app", "%q is no safe name: letters, digits, '.', '-' and '_', at most %d of them", c.App, maxName)
	}
	k.atLeast("keep", c.Keep, 0)
	k.atLeast("keep_failed", c.KeepFailed, 0)
	k.atLeast("keep_staged", c.KeepStaged, 0)
	k.oneOf("live.mode", c.Live.Mode, modes)
	k.oneOf("live.rehearsal", c.Live.Rehearsal, rehearsals)
	k.noNUL("build.run", c.Build.Run)
	k.positive("build.timeout", c.Build.Timeout)
	k.noNUL("steps", c.Steps.Before, c.Steps.AfterSwitch, c.Steps.AfterLive, c.Steps.OnRollback, c.Steps.OnFailure)
	k.positive("steps.timeout", c.Steps.Timeout)
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		k.env(name, c.Env[name])
	}
	k.positive("fetch_timeout", c.FetchTimeout)
	k.oneOf("export.submodules", c.Export.Submodules, submodules)
	if _, err := c.Export.AllowedRemotes(); err != nil {
		k.bad("export.submodule_urls", "%s", err).hint = "an address, or all below one: \"https://git.example.com/team/*\""
	}
	k.oneOf("export.lfs", c.Export.LFS, lfsModes)
	k.oneOf("export.reuse", string(c.Export.Reuse), []string{string(ReuseTrue), string(ReuseFalse), string(ReuseAuto)})
}

func (k *checker) env(name, value string) {
	key := "env." + name
	k.noNUL(key, value)
	if !envName.MatchString(name) {
		k.bad(key, "%q is no name for an environment variable", name)
		return
	}
	for _, prefix := range []string{"REL_", "GIT_", "SSH_", "SUDO_"} {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		p := k.bad(key, "commands never get %s* from the configuration", prefix)
		p.hint = "set it in the command itself, or take another name"
	}
}

func (c *Config) checkGates(k *checker) {
	seen := map[string]bool{}
	for i, check := range c.Check {
		key := element("check", i)
		k.name(key, check.Name, seen)
		k.oneOf(key+".scope", check.Scope, scopes)
		k.positive(key+".timeout", check.Timeout)
		k.noNUL(key+".run", check.Run)
		switch {
		case check.Preset == "" && check.Run == "":
			k.bad(key, "has neither preset nor run").hint = "presets are " + strings.Join(checkPresets, ", ")
		case check.Preset != "" && check.Run != "":
			k.bad(key+".run", "a check has a preset or run, not both")
		case check.Preset != "":
			k.oneOf(key+".preset", check.Preset, checkPresets)
		}
		if len(check.Libs) > 0 && check.Preset != "perl" && check.Preset != "ruby" {
			k.bad(key+".libs", "only the presets perl and ruby take them")
		}
		for _, pattern := range check.Files {
			k.pattern(key+".files", pattern)
		}
		for _, lib := range check.Libs {
			k.lib(key+".libs", lib)
		}
	}
}

func (k *checker) name(key, name string, seen map[string]bool) {
	switch {
	case name == "":
		k.bad(key, "has no name").hint = `name = "…" names it`
	case !safeWord.MatchString(name) || len(name) > maxName:
		k.bad(key+".name", "%q is no safe name: letters, digits, '.', '-' and '_', at most %d of them", name, maxName)
	case seen[name]:
		k.bad(key+".name", "%q is taken by another", name).hint = `name = "…" tells them apart`
	}
	seen[name] = true
}

func (k *checker) pattern(key, pattern string) {
	if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
		k.bad(key, "%q is no pattern", pattern)
	}
}

// gitSize is a size in bytes as git reads it.
var gitSize = regexp.MustCompile(`^[0-9]{1,9}[kmgKMG]?$`)

func (c *Config) checkPush(k *checker) {
	for _, pattern := range c.Push.Tags {
		k.pattern("push.tags", pattern)
	}
	for _, branch := range slices.Sorted(maps.Keys(c.Push.Branches)) {
		k.pattern("push.branches", branch)
		k.oneOf("push.branches."+branch, c.Push.Branches[branch], branchActions)
		if c.Sign.Require && c.Push.Branches[branch] == BranchCut {
			k.bad("push.branches."+branch, "cut makes a tag that nobody signs, and sign.require takes none")
		}
	}
	k.oneOf("push.lightweight", c.Push.Lightweight, lightweights)
	if c.Push.Gate && c.Export.Submodules == "fetch" {
		k.bad("push.gate", "the gate fetches no submodules, as export.submodules asks: their mirrors are for who holds the root's lock")
	}
	if size := c.Push.MaxInput; size != "" && !gitSize.MatchString(size) {
		k.bad("push.max_input", "%q is no size: it wants a number, as \"500m\" or \"2g\"", size)
	}
	k.oneOf("push.reconcile", c.Push.Reconcile, reconciles)
}
