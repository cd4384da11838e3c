package deploy

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/gitrepo"
	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/store"
	"github.com/git-rel/rel/internal/worker"
)

// gated is what a hook has that makes a release ready before git accepts it, in place of the journal and the root's lock.
type gated struct {
	quarantine objects.Options
	one        store.Unaccepted
	lock       *worker.Lock // of one, held as long as this process makes it
}

// environ leads git to the objects that it has not accepted.
func (g *gated) environ() []string {
	return []string{
		"GIT_OBJECT_DIRECTORY=" + g.quarantine.ObjectDir, "GIT_QUARANTINE_PATH=" + g.quarantine.ObjectDir,
		"GIT_ALTERNATE_OBJECT_DIRECTORIES=" + strings.Join(g.quarantine.Alternates, string(filepath.ListSeparator)),
	}
}

// Gate makes what a push is to deploy ready, export, build and checks, while git has not accepted it: the error is of a gate that
// says no, and has been told. What it makes is no release before the run that deploys it adopts it, and is removed if none does. It
// needs neither the root's lock, which a run may hold for long, nor a ref, which git allows nobody to make in the meantime.
func (s *Site) Gate(ctx context.Context, d Decision, quarantine objects.Options, tell func(release.Event)) (err error) {
	if !s.Config.Push.Gate || len(d.Requests) == 0 {
		return nil
	}
	ctx, stop := whileCalled(ctx)
	defer stop()
	log := &pushLog{tell: tell}
	var runs []*run
	defer func() { err = log.end(runs, err) }()
	if err := s.make(Stage); err != nil {
		return err
	}
	s.tidyUnaccepted(ctx)
	dir, err := s.RepoDir()
	if err != nil {
		return err
	}
	repo, err := gitrepo.OpenWith(dir, quarantine)
	if err != nil {
		return err
	}
	defer repo.Close()
	for _, req := range d.Requests {
		r := &run{
			Site: s, req: req, doing: Stage, log: log, took: map[string]bool{}, repo: repo,
			gated: &gated{quarantine: quarantine, one: receiving(req.Object)},
		}
		runs = append(runs, r)
		if err := r.passGate(ctx); err != nil {
			return err
		}
	}
	return nil
}

// callerPoll is how often it is looked whether git is still there.
const callerPoll = 100 * time.Millisecond

// whileCalled is a context that is cancelled when the process that has called us is gone. Git ends when whoever pushes has gone, and
// then accepts nothing: what we make is for nobody.
func whileCalled(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	caller := os.Getppid()
	go func() {
		for os.Getppid() == caller {
			select {
			case <-ctx.Done():
				return
			case <-time.After(callerPoll):
			}
		}
		cancel()
	}()
	return ctx, cancel
}

// receiving describes what is made of an object that git receives.
func receiving(object string) store.Unaccepted {
	pack, _ := proc.Ancestor(isReceivePack) // where it cannot be found nothing but the queue keeps what is ready
	return store.Unaccepted{Object: object, PID: pack.PID, Start: pack.Start, Boot: proc.BootID()}
}

// passGate makes one request's release ready.
func (r *run) passGate(ctx context.Context) error {
	r.rec.Step = release.StepGate
	v, err := r.look()
	if err != nil {
		return err
	}
	r.from, r.left = v.Live, v.Live.Tag
	if r.target, err = r.aim(ctx, v); err != nil {
		return err
	}
	tag := r.target.Tag.Name
	if one := r.target.Release; one.ID != "" && (one.Recipe == "" || one.Recipe == r.Config.Recipe()) {
		r.note("%s: %s is on disk already", tag, one.ID)
		return nil
	}
	if r.services, err = r.Services(r.output, nil); err != nil {
		return err
	}
	if err := r.make(ctx); err != nil {
		return err
	}
	if err := r.check(ctx); err != nil {
		return err
	}
	r.rec.Step = release.StepGate
	if r.plan.NamesRefs() {
		r.note("%s: passed; it is made again when git has taken it in: files with export-subst name refs, which are not there yet", tag)
		return nil
	}
	r.gated.one.Checked = r.rec.Run.Checked
	if err := r.Root.ReadyUnaccepted(r.gated.one); err != nil {
		return err
	}
	r.gated.one.Ready = true
	r.note("%s: ready; git takes it in now", tag)
	return nil
}

// aim is the target that the request will have once git has accepted what is pushed. Of a branch that is to be cut it is the tag that
// is cut if no other comes before it.
func (r *run) aim(ctx context.Context, v view) (target, error) {
	received, err := r.repo.Received(r.req.Object)
	if err != nil {
		return target{}, err
	}
	name := r.req.Tag
	switch branch := r.req.branch(); {
	case branch != "" && r.req.Command == Stage:
		name = r.req.headName()
	case branch != "":
		if name, _, err = r.headTag(ctx, r.repo, r.req, r.Now()); err != nil {
			return target{}, err
		}
	}
	tag, err := r.repo.Head(name, received.Commit)
	if err != nil {
		return target{}, err
	}
	tag.Object, tag.Annotated = r.req.Object, received.Annotated
	t := target{Tag: tag, Release: v.onDisk(tag.Name, tag.Commit)}
	t.describe(v.Ledger.Tags[tag.Name])
	switch {
	case r.req.branch() == "":
		t.Signer, err = r.pushedBy(name)
	case r.req.Command == Stage:
		t.Head = true
		err = r.judge(ctx, &t, nil) // a head needs no repository for that
	}
	return t, err
}

// pushedBy is who has signed the tag that is pushed, which is no ref yet that judge could look at.
func (r *run) pushedBy(tag string) (string, error) {
	trust, err := r.Trust()
	if trust == nil && err == nil {
		return "", nil
	}
	var signed gitrepo.Signed
	id, idErr := objects.ParseID(r.req.Object)
	if err = errors.Join(err, idErr); err == nil {
		signed, err = trust.Verify(r.repo.Objects(), tagsPrefix+tag, id)
	}
	if err != nil && !r.Config.Sign.Require { // the run tells of it
		return "", nil
	}
	return signed.Signer, err
}

// beginUnaccepted marks that the release of an id is made, and takes the locks that say by whom; false where the id is taken.
func (r *run) beginUnaccepted(id release.ID) (ok bool, err error) {
	g := r.gated
	g.one.ID = id
	ok, err = r.Root.BeginUnaccepted(g.one, func(dir string) (err error) {
		if g.lock, err = worker.Acquire(context.Background(), dir, 0); err == nil {
			r.hold, err = worker.HoldCommands(dir)
		}
		return err
	})
	if !ok {
		err = errors.Join(err, r.letGo())
	}
	return ok, err
}

// letGo gives the locks of what is made back.
func (r *run) letGo() error {
	var errs []error
	if r.hold != nil {
		errs = append(errs, r.hold.Close())
	}
	if r.gated.lock != nil {
		errs = append(errs, r.gated.lock.Release())
	}
	r.hold, r.gated.lock = nil, nil
	return errors.Join(errs...)
}

// seal writes the manifest: from here on there is a release, or what becomes one when it is accepted.
func (r *run) seal() error {
	if r.gated != nil {
		return r.Root.SealUnaccepted(&r.manifest)
	}
	return r.Root.Seal(&r.manifest)
}

// verifyMade compares what was sealed with what was tagged.
func (r *run) verifyMade(id release.ID) (store.Report, error) {
	if r.gated == nil {
		return r.Root.Verify(id, false)
	}
	m, err := r.Root.UnacceptedManifest(id)
	if err != nil {
		return store.Report{}, err
	}
	return r.Root.VerifyAs(m, false)
}
