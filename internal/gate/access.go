package gate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

// maxNamed is how many of the things that are wrong are named; the rest are counted.
const maxNamed = 10

// AccessRequest asks whether a user can reach a release.
type AccessRequest struct {
	Dir     string          // where the release is now, absolute
	Final   string          // the live path, absolute: everything above it must be traversable
	Entries []release.Entry // what is in the release, a directory before what is in it
	User    proc.User
	Become  bool // try it as User where this process may; else, and where it may not, compute it
	Moves   bool // mode "directory": the release will be moved to Final, so that what is above Dir does not matter
}

// Denied is something that the user cannot reach, and why: "drwx------ deploy:deploy".
type Denied struct {
	Path  string // absolute, or relative to the release
	Why   string
	owned bool // made by the release's own build, if not by hand: not above it, not shared
}

// AccessReport says what the user cannot reach.
type AccessReport struct {
	User     string
	Denied   []Denied // the first ten; what lies in a directory that is named for not being traversable is only counted
	Total    int      // all of them
	Checked  int      // entries of the release
	Dangling []string // the first ten symlinks that lead nowhere: a warning, not a refusal
	How      string   // "as www-data", or "computed from modes and ACLs" and why
}

// need is what the user must be able to do with a path.
type need int

const (
	search need = iota // a directory: go through it
	list               // a directory: go through it and list it
	read               // a file: read it
	run                // a file: read and execute it
	reach              // whatever it is: get to it through every link on the way
	use                // whatever it is: get to it, and read or list it
)

// tester tells whether the user has what is needed. Its paths are absolute, or relative to the release. Its errors are
// system errors: EACCES and EPERM where access is denied, ENOENT and the like where there is nothing to reach.
type tester interface {
	test(path string, what need) error
}

// Access tells whether a user can read and traverse a release and everything above the live path: tagged and built files
// and directories can be read, executables executed, symlinks followed to something that exists, shared ones to something
// that can be read. The error is of the check itself; what is denied is in the report.
func Access(ctx context.Context, req AccessRequest) (AccessReport, error) {
	report := AccessReport{User: req.User.Name}
	dir, err := os.Open(req.Dir)
	if err != nil {
		return report, plain(err)
	}
	defer dir.Close()
	explain := newComputed(req.Dir, req.User)
	walk := walker{req: req, report: &report, explain: explain}
	report.How = "computed from modes and ACLs"
	asked := false
	if req.Become {
		var failed error
		if why := asUser(req.User, dir, func(t tester) { failed = walk.all(ctx, t) }); why != nil {
			report.How += ": " + why.Error()
		} else {
			report.How, asked, err = "as "+req.User.Name, true, failed
		}
	}
	if !asked {
		err = walk.all(ctx, explain)
	}
	walk.name()
	return report, err
}

// walker goes through everything that must be reachable.
type walker struct {
	req     AccessRequest
	report  *AccessReport
	explain *computed
	denied  []failure
}

type failure struct {
	path  string
	what  need
	err   error
	owned bool
}

func (w *walker) all(ctx context.Context, t tester) error {
	above := []string{filepath.Dir(w.req.Final)}
	if !w.req.Moves && filepath.Dir(w.req.Dir) != above[0] {
		above = append(above, filepath.Dir(w.req.Dir))
	}
	for _, dir := range above {
		if err := t.test(dir, search); denies(err) {
			w.deny(failure{dir, search, err, false})
		} else if err != nil && !absent(err) {
			return fmt.Errorf("%s: %w", dir, err)
		}
	}
	closed := map[string]bool{} // directories that the user cannot go through: what is in them need not be tried
	if err := t.test(".", list); err != nil {
		w.deny(failure{".", list, err, false})
		closed["."] = t.test(".", search) != nil
	}
	for i, e := range w.req.Entries {
		if i%1024 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		w.report.Checked++
		if closed[path.Dir(e.Path)] {
			w.report.Total++
			closed[e.Path] = true
		} else if w.entry(t, e) {
			closed[e.Path] = true
		}
	}
	return nil
}

// entry tests one entry. closed says that it is a directory that the user cannot go through.
func (w *walker) entry(t tester, e release.Entry) (closed bool) {
	what := needOf(e)
	err := t.test(e.Path, what)
	switch {
	case err == nil:
		return false
	case what >= reach && absent(err):
		if len(w.report.Dangling) < maxNamed {
			w.report.Dangling = append(w.report.Dangling, e.Path)
		}
		return false
	}
	w.deny(failure{e.Path, what, err, e.Kind != release.Shared})
	return what == list && t.test(e.Path, search) != nil
}

func needOf(e release.Entry) need {
	switch {
	case e.Kind == release.Shared:
		return use
	case e.Mode == release.ModeSymlink:
		return reach
	case e.Mode == release.ModeDir:
		return list
	case e.Mode == release.ModeExec:
		return run
	}
	return read
}

func (w *walker) deny(f failure) {
	w.report.Total++
	if len(w.denied) < maxNamed {
		w.denied = append(w.denied, f)
	}
}

// name says why, for those that are named: in our own name, since the user may not even look.
func (w *walker) name() {
	for _, f := range w.denied {
		shown := shownPath(f.path)
		if f.path == "." {
			shown = w.req.Dir
		}
		w.report.Denied = append(w.report.Denied, Denied{Path: shown, Why: w.explain.why(f), owned: f.owned})
	}
}

func denies(err error) bool { return errors.Is(err, fs.ErrPermission) }

// absent says that a path leads to nothing.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP)
}

// Err is the refusal, nil where nothing is denied: one line, and one for each thing that is named.
func (r AccessReport) Err() error {
	if r.Total == 0 {
		return nil
	}
	var text strings.Builder
	for _, d := range r.Denied {
		fmt.Fprintf(&text, "\n  %s: %s", d.Path, d.Why)
	}
	if more := r.Total - len(r.Denied); more > 0 {
		fmt.Fprintf(&text, "\n  and %d more", more)
	}
	err := release.Errorf(release.ExitRefused, "%s: cannot reach %s (%s):%s", r.User, things(r.Total), r.How, text.String())
	if r.Denied[0].owned {
		return err.Hint("exported files can be read by all: has the build changed this one, or made it? (umask, chmod, install -m, mktemp)")
	}
	return err.Hint("chmod o+rX, or setfacl -m u:%s:rX, opens a file or directory to it", r.User)
}

func things(n int) string {
	if n == 1 {
		return "one path"
	}
	return fmt.Sprintf("%d paths", n)
}
