package deploy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/git-rel/rel/internal/gate"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/store"
)

// check is the gates before the switch. A rollback to a release that was live skips them. The configured checks depend on the
// release alone and are not run again on one that has passed them; who can reach it, and whether the services accept it, depend
// on the machine too.
func (r *run) check(ctx context.Context) error {
	r.rec.Step = release.StepCheck
	switch {
	case r.req.Force:
		r.note("checks skipped: --force")
		return nil
	case r.req.Command == Rollback && r.target.OnceLive:
		return nil
	}
	digest := r.Config.Digest()
	return r.step(release.StepCheck, "", func() (string, error) {
		seen, err := r.rehearseChecks(ctx)
		if err != nil {
			return "", err
		}
		figures, err := r.checkAll(ctx, seen, slices.Contains([]string{digest, digest + seen.mark()}, r.target.Checked))
		if err == nil {
			r.rec.Run.Checked = digest + seen.mark()
		}
		return strings.Join(figures, ", "), err
	})
}

// checkAll runs the gates and says what each saw.
func (r *run) checkAll(ctx context.Context, seen rehearsal, passed bool) ([]string, error) {
	user, err := r.serviceUser()
	if err != nil {
		return nil, err
	}
	reach, err := r.checkReach(ctx, user)
	if err != nil {
		return nil, err
	}
	figures := []string{reach}
	if passed && len(r.Config.Check) > 0 {
		figures = append(figures, "checks passed before")
	} else {
		request, err := r.checksRequest(user, seen.view)
		if err != nil {
			return nil, err
		}
		report, err := gate.RunChecks(ctx, request)
		if err != nil {
			return nil, err
		}
		figures = append(figures, report.Figures...)
	}
	tested, err := r.testServices(ctx, seen)
	figures = append(figures, tested...)
	if err == nil {
		tested, err = r.tryStart(ctx, seen)
		figures = append(figures, tested...)
	}
	if how := seen.figure(); how != "" {
		figures = append(figures, how)
	}
	return figures, err
}

// checkReach sees that the services' user can reach every file of the release.
func (r *run) checkReach(ctx context.Context, user *proc.User) (string, error) {
	as := r.Owner
	if user != nil {
		as = *user
	}
	report, err := gate.Access(ctx, gate.AccessRequest{
		Dir: r.Root.ReleaseDir(r.to.ID), Final: r.Root.LivePath(), Entries: r.manifest.Entries, User: as,
		Become: true, Moves: r.Config.Live.Mode == store.ModeDirectory,
	})
	if err != nil {
		return "", err
	}
	for _, path := range report.Dangling {
		r.warn(fmt.Errorf("%s: leads nowhere", path))
	}
	return "access " + report.How, report.Err()
}

// testServices runs the services' own tests of their configuration.
func (r *run) testServices(ctx context.Context, seen rehearsal) ([]string, error) {
	var figures []string
	for _, s := range r.services {
		if s.Spec().Test == "" {
			continue
		}
		view, err := r.viewOf(seen, s)
		if err != nil {
			return figures, err
		}
		err = s.Test(ctx, r.environ(), r.Root.ReleaseDir(r.to.ID), view)
		switch {
		case err == nil:
			figures = append(figures, s.Spec().Name+" test")
		case r.from.ID == "": // it may have missed what is not there before something is live
			r.warn(fmt.Errorf("%w: nothing is live yet, so the start will tell", err))
		default:
			return figures, release.Errorf(release.ExitRefused, "%w", err)
		}
	}
	return figures, nil
}

// checksRequest is what the configured checks run on: as the service's user where this process may become it.
func (r *run) checksRequest(user *proc.User, view *proc.View) (gate.ChecksRequest, error) {
	request := gate.ChecksRequest{
		Dir: r.Root.ReleaseDir(r.to.ID), First: r.from.ID == "", Env: r.environ(), Hold: r.hold.File, Output: r.output, View: view,
	}
	if user != nil && proc.CanBecome() {
		request.As, request.Env = user, r.environOf(*user)
	}
	for _, c := range r.Config.Check {
		request.Checks = append(request.Checks, gate.Check{
			Name: c.Name, Preset: c.Preset, Run: c.Run, Libs: c.Libs, Files: c.Files, Scope: c.Scope, Timeout: c.Timeout.Duration,
		})
	}
	var before release.Manifest
	if r.from.ID != "" {
		var err error
		if before, err = r.Root.Manifest(r.from.ID); err != nil {
			return request, err
		}
	}
	request.Files, request.Changed, request.Removed = changes(before.Entries, r.manifest.Entries)
	return request, nil
}

// changes compares the tagged regular files of two releases: all of the new one's, those that it adds or changes, and those
// that it has not any more.
func changes(before, after []release.Entry) (files, changed, removed []string) {
	old := map[string]release.Entry{}
	for _, e := range before {
		if isTaggedFile(e) {
			old[e.Path] = e
		}
	}
	for _, e := range after {
		if !isTaggedFile(e) {
			continue
		}
		files = append(files, e.Path)
		if was, ok := old[e.Path]; !ok || was.ID != e.ID || was.Mode != e.Mode {
			changed = append(changed, e.Path)
		}
		delete(old, e.Path)
	}
	removed = slices.Sorted(maps.Keys(old))
	return files, changed, removed
}

func isTaggedFile(e release.Entry) bool {
	return e.Kind == release.Tagged && (e.Mode == release.ModeFile || e.Mode == release.ModeExec)
}
