package deploy

import (
	"context"
	"errors"
	"path/filepath"
	"strings"

	"github.com/git-rel/rel/internal/config"
	"github.com/git-rel/rel/internal/gitrepo"
	"github.com/git-rel/rel/internal/objects"
)

// Quarantine is where git keeps the objects of a push while pre-receive decides: nowhere else are they to be found yet.
func Quarantine(env map[string]string) objects.Options {
	return objects.Options{ObjectDir: env["GIT_OBJECT_DIRECTORY"], Alternates: filepath.SplitList(env["GIT_ALTERNATE_OBJECT_DIRECTORIES"])}
}

// Judge says whether a push is to be accepted, before it is.
func (s *Site) Judge(ctx context.Context, updates []Update, quarantine objects.Options) (Decision, error) {
	facts, err := s.facts(ctx, updates, quarantine)
	if err != nil {
		return Decision{}, err
	}
	return Decide(s.Config.Push, facts, updates), nil
}

// decide says what a push that was accepted asks for. What cannot be known is no reason not to deploy it: the run will see.
func (s *Site) decide(ctx context.Context, updates []Update) Decision {
	facts, err := s.facts(ctx, updates, objects.Options{})
	d := Decide(s.Config.Push, facts, updates)
	for _, reject := range append(d.Rejects, err) {
		if reject != nil { // it came past pre-receive, or this is not the rel.toml that it was judged by
			d.note("%v", reject)
		}
	}
	return d
}

// facts are what a decision on a push needs to know; with an error, what could be found.
func (s *Site) facts(ctx context.Context, updates []Update, quarantine objects.Options) (Facts, error) {
	f := Facts{
		Released: map[string]string{}, Received: map[string]gitrepo.Received{}, Rewound: map[string]bool{}, Astray: map[string]string{},
		Untrusted: map[string]error{},
	}
	v, err := s.look()
	if err != nil {
		return f, err
	}
	f.Live = v.Live.Tag
	for tag, state := range v.Ledger.Tags {
		if state.Commit != "" {
			f.Released[tag] = state.Commit
		}
	}
	dir, err := s.RepoDir()
	if err != nil {
		return f, err
	}
	repo, err := gitrepo.OpenWith(dir, quarantine)
	if err != nil {
		return f, err
	}
	defer repo.Close()
	for _, u := range updates {
		if err := f.add(ctx, s.Config.Push, repo, u, updates); err != nil {
			return f, err
		}
	}
	if !s.Config.Sign.Require {
		return f, nil
	}
	trust, err := s.Trust()
	if err != nil {
		return f, err
	}
	return f, f.judge(trust, s.Config.Push, repo, updates)
}

// add learns what a ref that the policy is about is to name, and of a branch whether it goes forward.
func (f *Facts) add(ctx context.Context, policy config.Push, repo *gitrepo.Repo, u Update, updates []Update) error {
	tag, branch := about(policy, u)
	if tag+branch == "" || u.Deleted() {
		return nil
	}
	received, err := repo.Received(u.New)
	if err != nil {
		return err
	}
	f.Received[u.New] = received
	if strings.HasPrefix(u.Ref, RetryPrefix) {
		if branch != "" && branchAction(policy.Branches, branch) == config.BranchStage { // which may be rewound
			return nil
		}
		return f.again(ctx, repo, u, branch, updates)
	}
	if branch == "" || u.Created() {
		return nil
	}
	forward, err := repo.Ancestor(ctx, u.Old, u.New)
	f.Rewound[u.Ref] = !forward
	return err
}

// again learns whether a ref that asks again asks for what is here when the push is done: for what the tag names, or for a commit of
// the branch, whose head may have moved on.
func (f *Facts) again(ctx context.Context, repo *gitrepo.Repo, u Update, branch string, updates []Update) error {
	name := strings.TrimPrefix(u.Ref, RetryPrefix)
	here, err := named(repo, tagsPrefix+name, updates)
	if branch != "" {
		here, err = named(repo, headsPrefix+name, updates)
	}
	if err != nil || here == u.New {
		return err
	}
	if branch != "" && here != "" {
		if part, err := repo.Ancestor(ctx, u.New, here); part || err != nil {
			return err
		}
	}
	f.Astray[u.Ref] = here
	return nil
}

// named is the object that a ref names when the push is done; "" where there is no such ref.
func named(repo *gitrepo.Repo, ref string, updates []Update) (string, error) {
	for _, u := range updates {
		if u.Ref == ref && u.Deleted() {
			return "", nil
		}
		if u.Ref == ref {
			return u.New, nil
		}
	}
	id, err := repo.Objects().Ref(ref)
	if errors.Is(err, objects.ErrNoRef) {
		return "", nil
	}
	return id.String(), err
}

// judge learns which tags nobody trusted has signed.
func (f *Facts) judge(trust *gitrepo.Trust, policy config.Push, repo *gitrepo.Repo, updates []Update) error {
	for _, u := range updates {
		tag, _ := about(policy, u)
		if tag == "" || u.Deleted() {
			continue
		}
		id, err := objects.ParseID(u.New)
		if err != nil {
			return err
		}
		if _, err := trust.Verify(repo.Objects(), tagsPrefix+tag, id); err != nil {
			f.Untrusted[tag] = err
		}
	}
	return nil
}
