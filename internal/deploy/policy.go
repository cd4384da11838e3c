package deploy

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/git-rel/rel/internal/config"
	"github.com/git-rel/rel/internal/gitrepo"
	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/ui"
)

// Facts are what a decision on a push needs to know beside the push.
type Facts struct {
	Live     string                      // the tag that is live
	Released map[string]string           // the commit that each tag was released as
	Received map[string]gitrepo.Received // what refs are to name, by the object's id; what is missing here cannot be read
	Rewound  map[string]bool             // refs of branches whose new head does not follow the old one
	Astray   map[string]string           // refs that ask again for what is not here: the object that is, "" for none

	Untrusted map[string]error // with sign.require, what is wrong with the signature of a tag
}

// Decision is what a push asks for.
type Decision struct {
	Rejects  []error   // why it is not accepted; then it asks for nothing
	Requests []Request // in the order in which they are to be queued; Key, By and After are not filled in
	Retries  []Update  // refs that were pushed to ask for a tag again: they are taken away once the request is queued
	Notes    []string  // what else is to be said to whoever pushed
}

func (d *Decision) note(format string, args ...any) {
	d.Notes = append(d.Notes, fmt.Sprintf(format, args...))
}

func (d *Decision) reject(format string, args ...any) *release.Error {
	e := release.Errorf(release.ExitRefused, format, args...)
	d.Rejects = append(d.Rejects, e)
	return e
}

// Decide says what a push asks for, and why it is not to be accepted. It looks at nothing but its arguments, so that the hook that
// may say no and the one that deploys come to the same.
func Decide(policy config.Push, facts Facts, updates []Update) Decision {
	var d Decision
	tags, branches := d.sort(policy, facts, updates)
	for _, tag := range slices.Sorted(maps.Keys(tags)) {
		d.judgeTag(facts, tag, tags[tag])
	}
	d.tags(policy, facts, tags)
	for _, branch := range slices.Sorted(maps.Keys(branches)) {
		d.branch(policy, facts, branch, branches[branch])
	}
	if len(d.Rejects) > 0 {
		d.Requests, d.Retries = nil, nil
	}
	return d
}

// about is the tag, or the branch, by which the policy is concerned with a ref; both are empty where it is not.
func about(policy config.Push, u Update) (tag, branch string) {
	name, again := strings.CutPrefix(u.Ref, RetryPrefix)
	if again && u.Deleted() {
		return "", ""
	}
	if tag, ok := strings.CutPrefix(u.Ref, tagsPrefix); ok || again {
		if again {
			tag = name
		}
		if matches(policy.Tags, tag) {
			return tag, ""
		}
	}
	if branch, ok := strings.CutPrefix(u.Ref, headsPrefix); ok || again {
		if again {
			branch = name
		}
		if branchAction(policy.Branches, branch) != "" {
			return "", branch
		}
	}
	return "", ""
}

// sort finds the tags and branches that the policy is about, by name, and tells of other tags. What is asked for again must be here;
// where the same push changes it, that counts.
func (d *Decision) sort(policy config.Push, facts Facts, updates []Update) (tags, branches map[string]Update) {
	tags, branches = map[string]Update{}, map[string]Update{}
	for _, u := range updates {
		tag, branch := about(policy, u)
		retry, name := shortName(u.Ref)
		if retry && !u.Deleted() {
			d.Retries = append(d.Retries, u)
			u.Old = "" // a ref of its own, made for this
		}
		here, astray := facts.Astray[u.Ref]
		_, tagged := tags[tag]
		_, branched := branches[branch]
		switch {
		case astray && here == "":
			d.reject("%s: is not here, and %s asks again for what is", name, u.Ref).Hint("git push REMOTE %s puts it here", ui.Shell(name))
		case astray:
			d.reject("%s: is here as %.12s, and %s asks again for what is here, not for %.12s", name, here, u.Ref, u.New)
		case retry && (tagged || branched):
		case tag != "":
			tags[tag] = u
		case branch != "":
			branches[branch] = u
		case name != u.Ref && !u.Deleted() && len(policy.Tags) > 0:
			d.note("%s: not deployed: it is none of %s", name, strings.Join(policy.Tags, ", "))
		}
	}
	return tags, branches
}

// judgeTag rejects what must not happen to a release's tag.
func (d *Decision) judgeTag(facts Facts, tag string, u Update) {
	released, commit := facts.Released[tag], facts.Received[u.New].Commit
	switch {
	case u.Deleted():
		d.reject("%s: a release's tag is not deleted", tag).Hint("push.tags in rel.toml says which tags these are")
	case gitrepo.CheckName(tag) != nil:
		d.Rejects = append(d.Rejects, gitrepo.CheckName(tag))
	case !u.Created():
		d.reject("%s: is here as %.12s, and a release's tag is not moved", tag, u.Old).Hint("cut a new tag for the new commit")
	case facts.Untrusted[tag] != nil:
		d.Rejects = append(d.Rejects, facts.Untrusted[tag])
	case released != "" && commit != "" && commit != released:
		d.reject("%s: was released as %.12s, and is %.12s now", tag, released, commit).Hint("cut a new tag for the new commit")
	}
}

// tags chooses the tag that deploys. One that is pushed by itself is what is wanted, older than what is live or not; of several,
// as a first push of everything has them, the newest version deploys, if it is newer than what is live.
func (d *Decision) tags(policy config.Push, facts Facts, pushed map[string]Update) {
	var names []string
	for tag, u := range pushed {
		if !u.Deleted() {
			names = append(names, tag)
		}
	}
	names = gitrepo.Order(names)
	if len(names) == 0 {
		return
	}
	chosen, err := names[0], error(nil)
	if len(names) > 1 {
		chosen, err = gitrepo.Newest(names)
		if release.ExitCode(err) == release.ExitNotFound { // no released version among them
			chosen, err = names[0], nil
		}
	}
	switch {
	case err != nil:
		d.note("none of %s is deployed: %v", some(names), err)
		return
	case len(names) > 1 && gitrepo.Newer(facts.Live, chosen):
		d.note("none of %s is deployed: %s is live, and newer", some(names), facts.Live)
		return
	}
	if others := slices.DeleteFunc(slices.Clone(names), func(tag string) bool { return tag == chosen }); len(others) > 0 {
		d.note("not deployed: %s: %s came with them", some(others), chosen)
	}
	u := pushed[chosen]
	switch received, ok := facts.Received[u.New]; {
	case ok && received.Kind != objects.KindCommit:
		d.reject("%s: names a %s, not a commit", chosen, received.Kind)
	case ok && !received.Annotated && policy.Lightweight == config.LightweightRefuse && u.Ref == tagsPrefix+chosen:
		d.reject("%s: a lightweight tag, which does not say who made it and when", chosen).
			Hint("git tag -f -a -m %s %s %s makes it an annotated one", ui.Shell(chosen), ui.Shell(chosen), ui.Shell(chosen+"^0")).
			Hint("push.lightweight = \"allow\" in rel.toml lets it deploy")
	}
	d.Requests = append(d.Requests, Request{Command: Activate, Tag: chosen, Ref: tagsPrefix + chosen, Object: u.New})
}

// branch does what the policy says about a branch.
func (d *Decision) branch(policy config.Push, facts Facts, name string, u Update) {
	action := branchAction(policy.Branches, name)
	request := Request{Tag: name, Ref: headsPrefix + name, Object: u.New}
	switch {
	case action == config.BranchNone:
	case u.Deleted():
		d.note("%s: deleted: nothing is deployed", name)
	case action == config.BranchStage:
		request.Command = Stage
		d.Requests = append(d.Requests, request)
	case facts.Rewound[u.Ref]:
		d.reject("%s: does not follow from what is here, and releases are cut from it: it goes forward only", name).
			Hint("git revert undoes a commit by a new one")
	default:
		if i := slices.IndexFunc(d.Requests, func(r Request) bool { return r.Command == Activate }); i >= 0 {
			d.note("%s: no tag is cut: %s came with it", name, d.Requests[i].Tag)
			return
		}
		request.Command = Activate
		d.Requests = append(d.Requests, request)
	}
}

// branchAction is what the policy says about a branch: by its name, else by the longest pattern that it matches.
func branchAction(branches map[string]string, name string) string {
	if action, ok := branches[name]; ok {
		return action
	}
	patterns := slices.SortedFunc(maps.Keys(branches), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b))
	})
	for _, pattern := range patterns {
		if matches([]string{pattern}, name) {
			return branches[pattern]
		}
	}
	return ""
}

// some names a few of many.
func some(names []string) string {
	const most = 5
	text := strings.Join(names[:min(len(names), most)], ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// matches says whether a ref's short name is one that patterns stand for.
func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return err == nil && ok
	})
}
