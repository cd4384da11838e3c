package gate

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

// Check is a command that must exit 0 for each file that it is for. It is of a preset or has a command of its own.
type Check struct {
	Name    string
	Preset  string        // perl, php, python, ruby, node, shell
	Run     string        // for /bin/sh, with the file as "$1"; once for the whole release where Files is empty
	Libs    []string      // -I directories, relative to the release; for perl and ruby
	Files   []string      // patterns, see globs; empty: the preset's own
	Scope   string        // "all" (or ""): every file it is for, as soon as one of them changed or went; "changed": only those that changed
	Timeout time.Duration // of one command; 0 means 2 minutes, and 10 for a command that runs once
}

// The scopes of a check.
const (
	scopeAll     = "all"
	scopeChanged = "changed"
)

const (
	fileTimeout = 2 * time.Minute
	onceTimeout = 10 * time.Minute
)

// ChecksRequest is what checks are run on.
type ChecksRequest struct {
	Dir     string // the release
	Checks  []Check
	Files   []string // all tagged regular files of the release, with slashes
	Changed []string // those of them that were added or changed since what is live
	Removed []string // those that went: a file that uses one of them breaks without having changed
	First   bool     // nothing comparable is live: all of Files counts as changed
	As      *proc.User
	View    *proc.View // of the commands; may be nil
	Env     []string
	Hold    *os.File
	Output  func(line string) // one command's lines after another's; never called from two goroutines at once
}

// Report is how the checks went.
type Report struct {
	Commands int       // that were run
	Figures  []string  // of each check: "perl 120 files", "lint", "php unchanged", or "ruby no files" where it is for none
	Failed   []Failure // the first ten, in the order of the checks and files
	Total    int       // all that failed
	Took     time.Duration
}

// Failure is a command of a check that did not exit 0.
type Failure struct {
	Check string
	File  string // empty where the check runs once
	Why   string // "exit 255"
	Tail  []string
}

// RunChecks runs the checks one after the other, each on its files in parallel over the cores, and all of them even where one
// fails. What failed is in the report, and named in the error (exit code 3); what it printed went to Output. A program that is not
// there is an error before anything runs; a check that is written wrongly one with exit code 2.
func RunChecks(ctx context.Context, req ChecksRequest) (Report, error) {
	start := time.Now()
	var report Report
	plan := make([][]job, len(req.Checks))
	for i, c := range req.Checks {
		jobs, err := c.jobs(req)
		if err != nil {
			return report, err
		}
		plan[i] = jobs
	}
	for i, jobs := range plan {
		if len(jobs) == 0 {
			report.Figures = append(report.Figures, req.Checks[i].idle(req))
			continue
		}
		report.Figures = append(report.Figures, figure(jobs))
		report.Commands += len(jobs)
		failed, err := runJobs(ctx, jobs, req.Output)
		if err != nil {
			return report, err
		}
		report.Total += len(failed)
		room := min(len(failed), maxNamed-len(report.Failed))
		report.Failed = append(report.Failed, failed[:room]...)
	}
	report.Took = time.Since(start)
	return report, report.err()
}

func figure(jobs []job) string {
	switch {
	case jobs[0].file == "":
		return jobs[0].check
	case len(jobs) == 1:
		return jobs[0].check + " 1 file"
	}
	return fmt.Sprintf("%s %d files", jobs[0].check, len(jobs))
}

// Validate says what is wrong with the check as it is written: an error with exit code 2.
func (c Check) Validate() error {
	_, known := presets()[c.Preset]
	wrong := func(format string, args ...any) error {
		return release.Errorf(release.ExitUsage, "check %s: %s", c.Name, fmt.Sprintf(format, args...))
	}
	switch {
	case c.Preset == "" && c.Run == "":
		return wrong("neither preset nor run is set")
	case c.Preset != "" && c.Run != "":
		return wrong("preset and run are both set")
	case c.Preset != "" && !known:
		return wrong("preset %q: not one of %s", c.Preset, strings.Join(presetNames(), ", "))
	case len(c.Libs) > 0 && !presets()[c.Preset].libs:
		return wrong("libs are for perl and ruby only")
	case c.Scope != "" && c.Scope != scopeAll && c.Scope != scopeChanged:
		return wrong("scope %q: neither all nor changed", c.Scope)
	}
	if err := globs(c.Files).validate(); err != nil {
		return wrong("files: %v", err)
	}
	return nil
}

// once says that the check is of the release as a whole.
func (c Check) once() bool { return c.Preset == "" && len(c.Files) == 0 }

// globs are the patterns of the files that the check is for.
func (c Check) globs() globs {
	if len(c.Files) == 0 {
		return presets()[c.Preset].files
	}
	return c.Files
}

// idle says why a check has nothing to do.
func (c Check) idle(req ChecksRequest) string {
	if slices.ContainsFunc(req.Files, c.globs().match) {
		return c.Name + " unchanged"
	}
	return c.Name + " no files"
}

// targets are the files to check.
func (c Check) targets(req ChecksRequest) []string {
	g := c.globs()
	files := g.filter(req.Files)
	if req.First {
		return files
	}
	changed := g.filter(req.Changed)
	switch {
	case c.Scope == scopeChanged:
		return changed
	case len(changed) == 0 && len(g.filter(req.Removed)) == 0:
		return nil
	}
	return files
}

// jobs are the commands of a check.
func (c Check) jobs(req ChecksRequest) ([]job, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	base := proc.Command{Name: c.Name, Dir: req.Dir, Env: req.Env, As: req.As, View: req.View, Hold: req.Hold, Timeout: orDuration(c.Timeout, fileTimeout)}
	if c.once() {
		base.Shell, base.Timeout = c.Run, orDuration(c.Timeout, onceTimeout)
		return []job{{check: c.Name, command: base}}, nil
	}
	found := map[string]string{} // programs that were looked up
	var jobs []job
	for _, file := range c.targets(req) {
		command, ok, err := c.command(base, file, found)
		if err != nil {
			return nil, err
		}
		if ok {
			jobs = append(jobs, job{check: c.Name, file: file, good: presets()[c.Preset].good, command: command})
		}
	}
	return jobs, nil
}

// command is base made the command for one file; ok is false where the file is not for this check after all.
func (c Check) command(base proc.Command, file string, found map[string]string) (command proc.Command, ok bool, err error) {
	if c.Run != "" {
		base.Shell, base.Args = c.Run, []string{operand(file)}
		return base, true, nil
	}
	p := presets()[c.Preset]
	if c.Preset == "shell" {
		p.program, p.pkg, ok, err = shellOf(base.Dir, file)
		if err != nil || !ok {
			return base, false, err
		}
	}
	if found[p.program] == "" {
		path, err := proc.LookPath(p.program, pathOf(base.Env))
		if err != nil {
			return base, false, release.Errorf(release.ExitRefused, "check %s: %w", c.Name, err).Hint("on Debian: sudo apt install %s", p.pkg)
		}
		found[p.program] = path
	}
	base.Path, base.Args = found[p.program], p.args(base.Dir, c.Libs, file)
	return base, true, nil
}

func pathOf(env []string) string {
	for _, e := range slices.Backward(env) {
		if path, found := strings.CutPrefix(e, "PATH="); found {
			return path
		}
	}
	return ""
}

func (r Report) err() error {
	if r.Total == 0 {
		return nil
	}
	var text strings.Builder
	if r.Total > 1 {
		fmt.Fprintf(&text, "checks: %d of %d commands said no:", r.Total, r.Commands)
	}
	for _, f := range r.Failed {
		indent := ""
		if r.Total > 1 {
			indent = "  "
			text.WriteString("\n" + indent)
		}
		text.WriteString(f.String())
	}
	if more := r.Total - len(r.Failed); more > 0 {
		fmt.Fprintf(&text, "\n  and %d more", more)
	}
	return release.Errorf(release.ExitRefused, "%s", text.String())
}

// String is "check perl: lib/Shop.pm: exit 255".
func (f Failure) String() string {
	if f.File == "" {
		return fmt.Sprintf("check %s: %s", f.Check, f.Why)
	}
	return fmt.Sprintf("check %s: %s: %s", f.Check, shownPath(f.File), f.Why)
}
