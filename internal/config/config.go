// Package config owns rel.toml: its keys, their defaults, what is wrong with them and where, and the commented file that
// init writes.
package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/release"
)

// File is the name of the configuration in a root.
const File = "rel.toml"

// maxSize bounds what Load reads: no honest configuration comes near it.
const maxSize = 1 << 20

// Modes of the live path.
const (
	ModeSymlink   = "symlink"
	ModeDirectory = "directory"
)

// Config is rel.toml with every default filled in. Paths are cleaned, slash-separated, and relative to the root unless said
// otherwise.
type Config struct {
	App          string            `toml:"app"`           // default: the root's name, made safe
	Repo         string            `toml:"repo"`          // relative to the root, absolute, or an address: see Remote; see Has for whether the file names it
	Keep         int               `toml:"keep"`          // once-live releases besides the live and the previous one
	KeepFailed   int               `toml:"keep_failed"`   //
	KeepStaged   int               `toml:"keep_staged"`   //
	FetchTimeout Duration          `toml:"fetch_timeout"` // of one fetch from a repository that is elsewhere
	Live         Live              `toml:"live"`
	Export       Export            `toml:"export"`
	Shared       Shared            `toml:"shared"`
	Env          map[string]string `toml:"env"` // for builds, checks, steps and services
	Build        Build             `toml:"build"`
	Check        []Check           `toml:"check"`
	Service      []Service         `toml:"service"` // started in this order, stopped in reverse
	Health       Health            `toml:"health"`
	Steps        Steps             `toml:"steps"`
	Push         Push              `toml:"push"`
	Sign         Sign              `toml:"sign"`

	source *source // where each key stands in the file; nil without a file
}

// Live is the path that the service runs from.
type Live struct {
	Path string `toml:"path"` // default: "current" in mode "symlink", "rel" in mode "directory"
	Mode string `toml:"mode"` // ModeSymlink or ModeDirectory
	Gap  bool   `toml:"gap"`  // two renames where the file system cannot exchange
	// Rehearsal says whether builds, checks and tests see the new release at the live path: RehearsalAuto, RehearsalRequire or RehearsalOff.
	Rehearsal string `toml:"rehearsal"`
}

// What Live.Rehearsal can be.
const (
	RehearsalAuto    = "auto"    // where this machine lets us
	RehearsalRequire = "require" // or the run is refused
	RehearsalOff     = "off"
)

// Export says what of a tag's tree becomes a release.
type Export struct {
	Path          string   `toml:"path"` // the directory of the tree that is exported; "" is all of it
	Attributes    bool     `toml:"attributes"`
	Submodules    string   `toml:"submodules"`     // "refuse", "empty" or "fetch"
	SubmoduleURLs []string `toml:"submodule_urls"` // patterns of addresses that may be fetched from, see release.RemotePattern
	LFS           string   `toml:"lfs"`            // "auto", "refuse" or "pointer"
	Reuse         Reuse    `toml:"reuse"`
}

// Reuse says whether an old release's directory may become a new one's.
type Reuse string

// The values of Reuse.
const (
	ReuseAuto  Reuse = "auto" // if every process can be looked into, and none uses it
	ReuseTrue  Reuse = "true" // if no process is seen to use it
	ReuseFalse Reuse = "false"
)

// UnmarshalText takes a bare true or false, too.
func (r *Reuse) UnmarshalText(text []byte) error {
	*r = Reuse(text)
	return nil
}

// Shared are paths inside a release that are links into shared/ instead.
type Shared struct {
	Dirs  []string `toml:"dirs"`
	Files []string `toml:"files"`
}

// Build is the command that runs in a new release before it is checked.
type Build struct {
	Run     string   `toml:"run"`
	Timeout Duration `toml:"timeout"`
}

// Check is a gate before the switch: one command for each file, or one for the whole release where Files is empty.
type Check struct {
	Name    string   `toml:"name"`   // default: the preset's name
	Preset  string   `toml:"preset"` // perl, php, python, ruby, node, shell; or none, with Run
	Run     string   `toml:"run"`    // the file is "$1"
	Libs    []string `toml:"libs"`   // relative to the release, or absolute
	Files   []string `toml:"files"`  // patterns; empty with a preset: the preset's own
	Scope   string   `toml:"scope"`  // "all": every file once one changed or went; "changed"
	Timeout Duration `toml:"timeout"`
}

// Service is what runs from the live path. Empty commands are filled in by the preset's conventions.
type Service struct {
	Name       string   `toml:"name"`    // default: the preset's name
	Preset     string   `toml:"preset"`  // apache, nginx, systemd, pidfile, command
	Restart    string   `toml:"restart"` // graceful, restart, stop-start, none
	User       string   `toml:"user"`    // who must be able to read the release, and as whom checks run
	Sudo       bool     `toml:"sudo"`    // control it through sudo -n
	Unit       string   `toml:"unit"`    // of systemd
	Start      string   `toml:"start"`
	Stop       string   `toml:"stop"`
	RestartCmd string   `toml:"restart_cmd"`
	Graceful   string   `toml:"graceful"`
	Test       string   `toml:"test"`
	Rehearse   string   `toml:"rehearse"` // starts it where it can touch nothing, before the switch
	PIDFile    string   `toml:"pidfile"`
	Listen     []string `toml:"listen"`     // "127.0.0.1:8080", ":8080", "[::1]:8080", "unix:/run/app.sock"
	ErrorLog   string   `toml:"error_log"`  // a file, or "journal:UNIT"
	LogFail    []string `toml:"log_fail"`   // regular expressions: lines of the error log that are errors, too
	LogIgnore  []string `toml:"log_ignore"` // and such that are none, whatever they say
	Timeout    Duration `toml:"timeout"`    // of each of start, stop, restart, graceful
	// Stragglers says what becomes of a run after which processes go on with another release: StragglersWarn or StragglersRevert.
	Stragglers string   `toml:"stragglers"`
	Drain      Duration `toml:"drain"` // how long old processes may take to end before that
}

// What Service.Stragglers can be.
const (
	StragglersWarn   = "warn"
	StragglersRevert = "revert"
)

// Health is the gate after the switch.
type Health struct {
	URL      string   `toml:"url"`
	Status   int      `toml:"status"`
	Body     string   `toml:"body"`    // a text that must be in it
	Release  string   `toml:"release"` // "header NAME" or "body REGEXP": where the answer carries the tag or commit
	TCP      string   `toml:"tcp"`     // host:port, or the path of a socket
	Run      string   `toml:"run"`
	Passes   int      `toml:"passes"` // in a row
	Interval Duration `toml:"interval"`
	Timeout  Duration `toml:"timeout"` // until there were that many passes
	Probe    Duration `toml:"probe"`   // between two requests that measure a run's downtime; 0 makes none
	Soak     Duration `toml:"soak"`    // how long it is asked on then, and the error logs watched; see SoakTime
	Log      string   `toml:"log"`     // LogWarn, LogRevert or LogOff
}

// What an error log that gains new errors does to a run.
const (
	LogWarn   = "warn"
	LogRevert = "revert"
	LogOff    = "off"
)

// SoakTime is how long a release is watched once it is healthy. Unless the file says it, that is no time where no error log is watched.
func (c *Config) SoakTime(watched bool) time.Duration {
	if !watched && !c.Has("health.soak") {
		return 0
	}
	return c.Health.Soak.Duration
}

// Steps are commands at points of a run.
type Steps struct {
	Before      string   `toml:"before"`
	AfterSwitch string   `toml:"after_switch"`
	AfterLive   string   `toml:"after_live"`
	OnRollback  string   `toml:"on_rollback"`
	OnFailure   string   `toml:"on_failure"`
	Timeout     Duration `toml:"timeout"` // of each
}

// What becomes of a pushed branch.
const (
	BranchCut   = "cut"   // the next dated tag is made of its head, and goes live
	BranchStage = "stage" // its head is exported and checked
	BranchNone  = "none"  // nothing, as of a branch that is not named
)

// What becomes of a pushed tag that is no object of its own.
const (
	LightweightRefuse = "refuse"
	LightweightAllow  = "allow"
)

// Push says what a push deploys.
type Push struct {
	Tags        []string          `toml:"tags"`        // patterns
	Branches    map[string]string `toml:"branches"`    // pattern → BranchCut, BranchStage or BranchNone
	Lightweight string            `toml:"lightweight"` // LightweightRefuse or LightweightAllow
	Gate        bool              `toml:"gate"`        // what is pushed is made ready before it is accepted, and rejected if a gate says no
	MaxInput    string            `toml:"max_input"`   // the size of a push, as git has it: "500m"; "" sets none
	// Reconcile says what becomes of a tag that no hook was asked about: ReconcileReport or ReconcileDeploy.
	Reconcile string `toml:"reconcile"`
}

// What Push.Reconcile can be.
const (
	ReconcileReport = "report"
	ReconcileDeploy = "deploy"
)

// Sign says which tags are trusted. The files' paths are relative to the root or absolute.
type Sign struct {
	Require        bool   `toml:"require"`
	AllowedSigners string `toml:"allowed_signers"` // SSH keys, in ssh-keygen's format
	Keyring        string `toml:"keyring"`         // OpenPGP keys
}

// Default is the configuration of a root without rel.toml. Name is the root's directory name.
func Default(name string) *Config {
	return &Config{
		App: safeName(name), Repo: "repo.git", Keep: 5, KeepFailed: 2, KeepStaged: 2, FetchTimeout: seconds(600),
		Live:   Live{Path: "current", Mode: ModeSymlink, Rehearsal: RehearsalAuto},
		Export: Export{Attributes: true, Submodules: "refuse", LFS: "auto", Reuse: ReuseAuto},
		Build:  Build{Timeout: seconds(600)},
		Health: Health{
			Status: 200, Passes: 3, Interval: Duration{200 * time.Millisecond}, Timeout: seconds(30),
			Probe: Duration{20 * time.Millisecond}, Soak: seconds(5), Log: LogWarn,
		},
		Steps: Steps{Timeout: seconds(600)},
		Push:  Push{Tags: []string{"v*"}, Lightweight: LightweightRefuse, Reconcile: ReconcileReport},
	}
}

// safeName maps what may not stand in an app's name, which is part of a ref, to "-".
func safeName(name string) string {
	safe := strings.Map(func(r rune) rune {
		if r < 0x80 && (nameByte(byte(r)) || r == '.') {
			return r
		}
		return '-'
	}, name)
	if safe = strings.Trim(safe, ".-"); safe == "" {
		return "app"
	}
	for strings.Contains(safe, "..") {
		safe = strings.ReplaceAll(safe, "..", ".")
	}
	safe = strings.TrimSuffix(safe[:min(len(safe), maxName)], ".lock")
	return strings.TrimRight(safe, ".-")
}

// Load reads rel.toml in the root dir, which must be a clean path. Without the file it gives the defaults. Errors name the
// file's line, show it, and exit with release.ExitError.
func Load(dir string) (*Config, error) {
	data, err := read(filepath.Join(dir, File))
	if errors.Is(err, fs.ErrNotExist) {
		return Default(filepath.Base(dir)), nil
	}
	if err != nil {
		return nil, err
	}
	return Parse(data, filepath.Base(dir))
}

func read(path string) (data []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, release.Errorf(release.ExitError, "%s: not a regular file", path)
	}
	data, err = io.ReadAll(io.LimitReader(f, maxSize+1))
	if err == nil && len(data) > maxSize {
		return nil, release.Errorf(release.ExitError, "%s: larger than 1 MiB", path)
	}
	return data, err
}

// Remote is the address of the repository that tags come from; ok is false where it is on this machine, and Repo its path.
func (c *Config) Remote() (remote release.Remote, ok bool) {
	if !RepoElsewhere(c.Repo) {
		return release.Remote{}, false
	}
	remote, err := release.ParseRemote(c.Repo)
	return remote, err == nil
}

// AllowedRemotes are submodule_urls, read.
func (e Export) AllowedRemotes() ([]release.RemotePattern, error) {
	patterns := make([]release.RemotePattern, len(e.SubmoduleURLs))
	for i, text := range e.SubmoduleURLs {
		var err error
		if patterns[i], err = release.ParseRemotePattern(text); err != nil {
			return nil, fmt.Errorf("%q: %w", text, err)
		}
	}
	return patterns, nil
}

// Has tells whether the file itself gives key a value, as "repo", "live.path" or "service[0].restart".
func (c *Config) Has(key string) bool {
	_, ok := c.source.line(key)
	return ok
}

// Digest changes with every setting that decides whether a release passes build and checks: what passed under one digest
// has to pass again under another.
func (c *Config) Digest() string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%q %q %q", c.Env, c.Build, c.Check) // fmt sorts maps, and a hash takes every write
	for _, s := range c.Service {
		fmt.Fprintf(sum, " %q", []string{s.Name, s.Preset, s.User, s.Unit, s.Test})
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// Recipe changes with every setting that decides what a release is made of: the same tag makes another one under another.
func (c *Config) Recipe() string {
	e := c.Export
	sum := sha256.New()
	fmt.Fprintf(sum, "%q %t %q %q %q %q", e.Path, e.Attributes, e.Submodules, e.LFS, c.Shared, c.Build.Run)
	if c.Build.Run != "" {
		fmt.Fprintf(sum, " %q", c.Env)
	}
	return hex.EncodeToString(sum.Sum(nil))
}
