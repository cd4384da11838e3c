package deploy

import (
	"context"
	"fmt"
	"regexp"
	"strings"

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

// chooseHead is the target of a branch whose head is only to be made ready: there is no tag, so branch and commit name it.
func (s *Site) chooseHead(repo *gitrepo.Repo, req Request, v view) (target, error) {
	tag, err := repo.Head(fmt.Sprintf("%s@%.12s", req.branch(), req.Object), req.Object)
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
	tags, err := s.tags(ctx, repo)
	if err != nil {
		return "", err
	}
	var names, there []string
	for _, tag := range tags {
		names = append(names, tag.Name)
		if tag.Commit == req.Object && (datedTag.MatchString(tag.Name) || matches(s.Config.Push.Tags, tag.Name)) {
			there = append(there, tag.Name)
		}
	}
	if len(there) > 0 {
		return gitrepo.Order(there)[0], nil
	}
	now := s.Now()
	name := gitrepo.NextDated(names, now)
	return name, repo.CutAt(ctx, name, req.Object, req.By, "pushed to "+req.branch(), now)
}
