package deploy

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/gitrepo"
)

// branch is the branch that the request came from; empty where it was a tag.
func (req Request) branch() string {
	branch, ok := strings.CutPrefix(req.Ref, headsPrefix)
	if !ok {
		return ""
	}
	return branch
}

// Again is what to push so as to ask for it again: "v1.4:refs/retry/v1.4".
func (req Request) Again() string {
	name := strings.TrimPrefix(strings.TrimPrefix(req.Ref, tagsPrefix), headsPrefix)
	return name + ":" + RetryPrefix + name
}

// headName names the head of a branch that is only made ready: there is no tag, so branch and commit name it.
func (req Request) headName() string { return fmt.Sprintf("%s@%.12s", req.branch(), req.Object) }

// chooseHead is the target of a branch whose head is only to be made ready.
func (s *Site) chooseHead(repo *gitrepo.Repo, req Request, v view) (target, error) {
	tag, err := repo.Head(req.headName(), req.Object)
	if err != nil {
		return target{}, err
	}
	t := target{Tag: tag, Release: v.onDisk(tag.Name, tag.Commit), Head: true}
	t.describe(v.Ledger.Tags[tag.Name])
	return t, nil
}

// datedTag is a tag that a pushed branch was cut as.
var datedTag = regexp.MustCompile(`^[0-9]{4}\.[0-9]{2}\.[0-9]{2}-[0-9]+$`)

// cutHead is the tag of the head of a branch that was pushed: the next dated one, which it makes. A commit that has such a tag, or
// one that deploys by itself, needs no other.
func (s *Site) cutHead(ctx context.Context, repo *gitrepo.Repo, req Request) (string, error) {
	now := s.Now()
	name, there, err := s.headTag(ctx, repo, req, now)
	if err != nil || there {
		return name, err
	}
	return name, repo.CutAt(ctx, name, req.Object, req.By, "pushed to "+req.branch(), now)
}

// headTag is the name of the tag that cutHead gives, and whether that is there already.
func (s *Site) headTag(ctx context.Context, repo *gitrepo.Repo, req Request, now time.Time) (name string, there bool, err error) {
	tags, err := s.tags(ctx, repo)
	if err != nil {
		return "", false, err
	}
	var names, has []string
	for _, tag := range tags {
		names = append(names, tag.Name)
		if tag.Commit == req.Object && (datedTag.MatchString(tag.Name) || matches(s.Config.Push.Tags, tag.Name)) {
			has = append(has, tag.Name)
		}
	}
	if len(has) > 0 {
		return gitrepo.Order(has)[0], true, nil
	}
	return gitrepo.NextDated(names, now), false, nil
}
