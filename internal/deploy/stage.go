package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/export"
	"github.com/git-rel/rel/internal/gitrepo"
	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/store"
	"github.com/git-rel/rel/internal/ui"
)

// margin is what stays free beside what an export needs: the file system's own and the run's bookkeeping.
const margin = 4 << 20

// stage makes the target ready to go live: everything up to the gates. Nothing that is live is touched.
func (r *run) stage(ctx context.Context) error {
	r.adopt(ctx)
	if r.target.Release.ID != "" {
		if err := r.reuse(); err != nil {
			return err
		}
	}
	if old := r.target.Outdated; old != "" {
		r.rec.Step = release.StepExport
		r.note("%s was made by other settings of [export], [build] or [shared]: exporting it again", old)
	}
	if r.to.ID == "" {
		if err := r.makeOrTake(ctx); err != nil {
			return err
		}
	}
	r.rec.Run.Release = r.to.ID
	return r.check(ctx)
}

// reuse takes the release that is on disk, unless it is no longer what was tagged: then it is exported again.
func (r *run) reuse() error {
	r.rec.Step = release.StepExport
	drift, err := r.drift(r.target.Release.ID)
	if err != nil {
		return err
	}
	if len(drift) > 0 {
		r.note("%s has changed since it was exported (%s): exporting it again", r.target.Release.ID, told(drift))
		r.target.Checked = ""
		return nil
	}
	r.note("%s is on disk already", r.target.Release.ID)
	return r.take()
}

// take takes the release that is on disk as it is.
func (r *run) take() (err error) {
	r.to = r.target.Release
	r.manifest, err = r.Root.Manifest(r.to.ID)
	return err
}

// makeOrTake makes the release. A rollback to one that has changed on disk must not fail for want of a repository or of room:
// it was live, and is what there is.
func (r *run) makeOrTake(ctx context.Context) error {
	err := r.make(ctx)
	if err == nil || ctx.Err() != nil || r.req.Command != Rollback || r.target.Release.ID == "" {
		return err
	}
	r.note("going back to %s as it is on disk", r.target.Release.ID)
	return r.take()
}

// driftTold is how many drifted files a run names.
const driftTold = 5

// told names the first drifted files, and how they changed.
func told(drift []store.Drift) string {
	var words []string
	for _, d := range drift[:min(len(drift), driftTold)] {
		words = append(words, ui.Escape(d.Path)+": "+d.What)
	}
	text := strings.Join(words, ", ")
	if more := len(drift) - len(words); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// make exports and builds the target. Whatever goes wrong, what it made is removed again: without a manifest it is nothing.
func (r *run) make(ctx context.Context) (err error) {
	id, err := r.newID()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			r.unmake(id)
		}
	}()
	if err := r.step(release.StepSpace, "", func() (string, error) { return r.space(ctx) }); err != nil {
		return err
	}
	var entries []release.Entry
	err = r.step(release.StepExport, r.target.Tag.Name, func() (figure string, err error) {
		figure, entries, err = r.export(ctx, id)
		return figure, err
	})
	if err != nil {
		return err
	}
	if r.Config.Build.Run != "" {
		what := r.Config.Build.Run
		if err := r.Root.AwaitTick(ctx, id, entries); err != nil { // what the build changes must show
			return err
		}
		if err := r.step(release.StepBuild, what, func() (string, error) { return r.build(ctx, id) }); err != nil {
			return err
		}
	}
	tag := r.target.Tag
	r.manifest = release.Manifest{
		Release: release.Release{
			ID: id, Tag: tag.Name, Commit: tag.Commit, Tree: tag.Tree, Signer: r.target.Signer, Created: r.Now().UTC(), Recipe: r.Config.Recipe(),
			NoPointers: r.plan.NoPointers(),
		},
		Entries: entries,
	}
	if err := r.seal(); err != nil {
		return err
	}
	r.to, r.exported = r.manifest.Release, true
	if r.Config.Build.Run == "" {
		return nil // nothing has run that could change what was tagged
	}
	return r.buildLeftTags(id)
}

// unmake removes what was made of a release that is none yet, or is not to be one.
func (r *run) unmake(id release.ID) {
	if r.gated == nil { // whoever gates a push removes all of it
		r.warn(errors.Join(disk.RemoveAll(r.Root.TempDir(id)), r.Root.Remove(id)))
	}
}

// buildLeftTags refuses a build that has changed what was tagged: the release would be drift from the first, and each way back to
// it would have to make it anew.
func (r *run) buildLeftTags(id release.ID) error {
	report, err := r.verifyMade(id)
	drift := tagged(report)
	if err != nil || len(drift) == 0 {
		return err
	}
	r.to = release.Release{}
	return release.Errorf(release.ExitRefused, "the build has changed what was tagged: %s", told(drift)).
		Hint("let it write to a file of its own, or take that one out of git")
}

// drift is which tagged files of a release are not as they were tagged. What the service itself writes beside them is no drift.
func (s *Site) drift(id release.ID) ([]store.Drift, error) {
	report, err := s.Root.Verify(id, false)
	return tagged(report), err
}

// tagged is the drift of what was tagged.
func tagged(report store.Report) []store.Drift {
	return slices.DeleteFunc(report.Drift, func(d store.Drift) bool { return d.What == store.DriftExtra })
}

// space sees beforehand that the disk can take the release.
func (r *run) space(ctx context.Context) (string, error) {
	commit, err := objects.ParseID(r.target.Tag.Commit)
	if err != nil {
		return "", err
	}
	repo, err := r.open()
	if err != nil {
		return "", err
	}
	if r.modules == nil {
		r.modules, err = r.Site.modules(r.hold.File, func(path string, remote release.Remote) bool {
			r.note("%s: fetching %s", path, remote)
			return true
		})
		if err != nil {
			return "", err
		}
	}
	r.findSpare()
	source := r.source(repo, r.modules, commit, r.target.Tag.Name)
	source.Former = r.spare.Manifest
	if r.gated != nil {
		source.Env = r.gated.environ()
	}
	r.plan, err = export.Survey(ctx, source)
	if err != nil {
		return "", err
	}
	free, err := disk.Free(r.Root.Dir)
	if err != nil {
		return "", err
	}
	if err := r.enough(r.plan, free, r.target.Tag.Name); err != nil {
		if free, err = r.makeRoom(ctx, err); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%s needed, %s free", ui.Size(r.plan.Need(free.Block)), ui.Size(free.Bytes)), nil
}

// source is what of the repository, and of those of its submodules, an export reads.
func (s *Site) source(repo *gitrepo.Repo, modules *gitrepo.Modules, commit objects.ID, tag string) export.Source {
	return export.Source{
		Store: repo.Objects(), Commit: commit, Tag: tag, GitDir: repo.Dir,
		Path: s.Config.Export.Path, Attributes: s.Config.Export.Attributes, LFS: s.Config.Export.LFS,
		Submodules: s.Config.Export.Submodules, Module: s.openModule(repo, modules),
	}
}

// enough refuses an export that the disk cannot take.
func (s *Site) enough(plan *export.Plan, free disk.Space, tag string) error {
	if need := plan.Need(free.Block) + margin; need > free.Bytes {
		return release.Errorf(release.ExitRefused, "%s: %s: needs %s, and %s are free", s.Root.Dir, tag, ui.Size(need), ui.Size(free.Bytes)).
			Hint("rel prune removes old releases")
	}
	if free.Inodes >= 0 && plan.Inodes > free.Inodes {
		return release.Errorf(release.ExitRefused, "%s: %s: needs %d inodes, and %d are free", s.Root.Dir, tag, plan.Inodes, free.Inodes).
			Hint("rel prune removes old releases")
	}
	return nil
}

// export writes the tag's tree into a hidden directory and publishes it under its final name, synced.
func (r *run) export(ctx context.Context, id release.ID) (string, []release.Entry, error) {
	progress := func(done, total int64) {
		r.log.Emit(release.Event{Kind: release.EventProgress, Step: release.StepExport, Done: done, Total: total})
	}
	figure := ui.Count(r.plan.Files, "file") + ", " + ui.Size(r.plan.Bytes)
	entries, kept, err := r.turnSpare(ctx, id, progress)
	switch {
	case err != nil:
		return "", nil, err
	case entries != nil:
		figure += fmt.Sprintf(" (reused %s of %s)", ui.Number(kept), ui.Count(r.plan.Files, "file"))
	default:
		if entries, err = r.plan.Write(ctx, r.Root.TempDir(id), progress); err != nil {
			return "", nil, err
		}
	}
	if err := r.Root.Publish(id); err != nil {
		return "", nil, err
	}
	if err := r.Root.LinkShared(id); err != nil {
		return "", nil, err
	}
	return figure, entries, nil
}

// build runs the configured build where the release will run.
func (r *run) build(ctx context.Context, id release.ID) (string, error) {
	r.to = release.Release{ID: id, Tag: r.target.Tag.Name, Commit: r.target.Tag.Commit} // for its environment: it is none yet
	defer func() { r.to = release.Release{} }()
	seen, err := r.rehearseBuild(ctx, id)
	if err != nil {
		return "", err
	}
	command := r.command("build", r.Config.Build.Run, r.Root.ReleaseDir(id), r.Config.Build.Timeout.Duration)
	command.View = seen.view
	if _, err := command.Run(ctx); err != nil {
		return "", release.Errorf(release.ExitRefused, "%w", err)
	}
	if how := seen.figure(); how != "" {
		return r.Config.Build.Run + ", " + how, nil
	}
	return "", nil
}

// open opens the repository once for the run.
func (r *run) open() (*gitrepo.Repo, error) {
	var err error
	if r.repo == nil {
		r.repo, err = r.Repo()
	}
	return r.repo, err
}
