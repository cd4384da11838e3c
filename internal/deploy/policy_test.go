package deploy

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/git-rel/rel/internal/config"
	"github.com/git-rel/rel/internal/gitrepo"
	"github.com/git-rel/rel/internal/objects"
)

const noObject = "0000000000000000000000000000000000000000"

// pushed are the updates of lines "old new ref"; "-" is no object.
func pushed(t *testing.T, lines ...string) []Update {
	t.Helper()
	text := strings.ReplaceAll(strings.Join(lines, "\n")+"\n", "- ", noObject+" ")
	updates, err := ReadUpdates(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return updates
}

func TestDecide(t *testing.T) {
	policy := config.Push{
		Tags: []string{"v*"}, Lightweight: config.LightweightRefuse,
		Branches: map[string]string{"main": "cut", "next": "cut", "try/*": "stage", "try/not": "none", "*/*": "cut"},
	}
	facts := Facts{
		Live:     "v1.3",
		Released: map[string]string{"v1.3": "c3", "v1.2": "c2"},
		Received: map[string]gitrepo.Received{
			"light": {Kind: objects.KindCommit, Commit: "c1"},
			"tree":  {Kind: objects.KindTree, Annotated: true},
			"t2":    {Kind: objects.KindCommit, Commit: "c2", Annotated: true},
			"t9":    {Kind: objects.KindCommit, Commit: "c9", Annotated: true},
		},
		Untrusted: map[string]error{"v6": errors.New("v6: not signed")},
		Rewound:   map[string]bool{"refs/heads/main": true, "refs/heads/try/a": true},
		Astray:    map[string]string{"refs/retry/v1.7": "t7", "refs/retry/v1.8": "", "refs/retry/fix/a": "c8"},
	}
	for _, test := range []struct {
		name    string
		push    []string
		want    string // "command name object" of the requests
		rejects string // of which the text must have this
		notes   string
	}{
		{"a tag", []string{"- t9 refs/tags/v1.4"}, "activate v1.4 t9", "", ""},
		{"a tag that matches nothing", []string{"- t9 refs/tags/nightly"}, "", "", "nightly: not deployed: it is none of v*"},
		{"one that is no version", []string{"- t9 refs/tags/vanilla"}, "activate vanilla t9", "", ""},
		{"one older than what is live", []string{"- t9 refs/tags/v1.1"}, "activate v1.1 t9", "", ""},
		{"one that was released as the same commit", []string{"- t2 refs/tags/v1.2"}, "activate v1.2 t2", "", ""},
		{"one that was released as another", []string{"- t9 refs/tags/v1.2"}, "", "v1.2: was released as c2, and is c9 now", ""},
		{"one of what is live", []string{"- t9 refs/tags/v1.4", "a b refs/heads/other"}, "activate v1.4 t9", "", ""},
		{"moved", []string{"t2 t9 refs/tags/v1.4"}, "", "v1.4: is here as t2, and a release's tag is not moved", ""},
		{"moved, and no release", []string{"t2 t9 refs/tags/nightly"}, "", "", "nightly: not deployed"},
		{"not signed", []string{"- t9 refs/tags/v6"}, "", "v6: not signed", ""},
		{"deleted", []string{"t2 - refs/tags/v1.4"}, "", "v1.4: a release's tag is not deleted", ""},
		{"deleted, and no release", []string{"t2 - refs/tags/nightly"}, "", "", ""},
		{"lightweight", []string{"- light refs/tags/v1.4"}, "", "v1.4: a lightweight tag", ""},
		{"lightweight, and not chosen", []string{"- light refs/tags/v1.4", "- t9 refs/tags/v1.5"}, "activate v1.5 t9", "", "not deployed: v1.4: v1.5 came with them"},
		{"of a tree", []string{"- tree refs/tags/v1.4"}, "", "v1.4: names a tree, not a commit", ""},
		{"a name that hides", []string{"- t9 refs/tags/v1\u202e4"}, "", "does not show", ""},
		{"several", []string{"- t2 refs/tags/v1.9", "- t9 refs/tags/v1.10"}, "activate v1.10 t9", "", "not deployed: v1.9: v1.10 came with them"},
		{"several, with a prerelease", []string{"- t2 refs/tags/v1.9", "- t9 refs/tags/v2.0-rc.1"}, "activate v1.9 t2", "", "not deployed: v2.0-rc.1: v1.9"},
		{"prereleases only", []string{"- t2 refs/tags/v2.0-rc.1", "- t9 refs/tags/v2.0-rc.2"}, "activate v2.0-rc.2 t9", "", "not deployed: v2.0-rc.1"},
		{"several, and older than what is live", []string{"- t2 refs/tags/v1.0", "- t9 refs/tags/v1.1"}, "", "", "none of v1.1, v1.0 is deployed: v1.3 is live, and newer"},
		{"several of which none is the newest", []string{"- t2 refs/tags/v2", "- t9 refs/tags/v2026.11.23-1"}, "", "", "none of"},
		{"one that cannot be read yet", []string{"- x refs/tags/v1.4"}, "activate v1.4 x", "", ""},
		{"one is bad, so all is rejected", []string{"- t9 refs/tags/v1.5", "t2 t9 refs/tags/v1.4"}, "", "v1.4: is here", "not deployed"},
		{"again", []string{"- t9 refs/retry/v1.4"}, "activate v1.4 t9", "", ""},
		{"again, and the tag itself", []string{"- t9 refs/retry/v1.4", "- t9 refs/tags/v1.4"}, "activate v1.4 t9", "", ""},
		{"the tag itself, and again", []string{"- t9 refs/tags/v1.4", "- t9 refs/retry/v1.4"}, "activate v1.4 t9", "", ""},
		{"moved, and again", []string{"t2 t9 refs/tags/v1.4", "- t9 refs/retry/v1.4"}, "", "v1.4: is here as t2, and a release's tag is not moved", ""},
		{"again, as something else", []string{"- t9 refs/retry/v1.7"}, "", "v1.7: is here as t7, and refs/retry/v1.7 asks again for what is here, not for t9", ""},
		{"again, and not here", []string{"- t9 refs/retry/v1.8"}, "", "v1.8: is not here", ""},
		{"again, not of the branch", []string{"- c9 refs/retry/fix/a"}, "", "fix/a: is here as c8", ""},
		{"again, taken away", []string{"t9 - refs/retry/v1.4"}, "", "", ""},
		{"again, a branch", []string{"- c9 refs/retry/next"}, "activate next c9", "", ""},
		{"again, nothing that deploys", []string{"- c9 refs/retry/other"}, "", "", "other: not deployed"},

		{"a branch that is cut", []string{"c1 c2 refs/heads/next"}, "activate next c2", "", ""},
		{"a new branch that is cut", []string{"- c2 refs/heads/next"}, "activate next c2", "", ""},
		{"rewound", []string{"c2 c1 refs/heads/main"}, "", "main: does not follow from what is here", ""},
		{"deleted branch", []string{"c2 - refs/heads/next"}, "", "", "next: deleted: nothing is deployed"},
		{"with a tag", []string{"c1 c2 refs/heads/next", "- t9 refs/tags/v1.4"}, "activate v1.4 t9", "", "next: no tag is cut: v1.4 came with it"},
		{"two that are cut", []string{"c1 c2 refs/heads/next", "- c3 refs/heads/fix/a"}, "activate fix/a c3", "", "next: no tag is cut: fix/a came"},
		{"one that is staged", []string{"c1 c2 refs/heads/try/b"}, "stage try/b c2", "", ""},
		{"one that is staged, rewound", []string{"c2 c1 refs/heads/try/a"}, "stage try/a c1", "", ""},
		{"staged and cut", []string{"- c1 refs/heads/try/a", "c1 c2 refs/heads/next"}, "activate next c2, stage try/a c1", "", ""},
		{"none", []string{"- c1 refs/heads/try/not"}, "", "", ""},
		{"not named", []string{"- c1 refs/heads/other"}, "", "", ""},
		{"neither tag nor branch", []string{"- c1 refs/notes/commits"}, "", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := Decide(policy, facts, pushed(t, test.push...))
			var got []string
			for _, req := range d.Requests {
				got = append(got, req.Command+" "+req.Tag+" "+req.Object)
			}
			if strings.Join(got, ", ") != test.want {
				t.Errorf("asks for %q, want %q", got, test.want)
			}
			if text := fmt.Sprint(d.Rejects); !strings.Contains(text, test.rejects) || test.rejects == "" && len(d.Rejects) > 0 {
				t.Errorf("rejected: %s, want %q", text, test.rejects)
			}
			if text := strings.Join(d.Notes, "\n"); !strings.Contains(text, test.notes) || test.notes == "" && text != "" {
				t.Errorf("notes: %q, want %q", text, test.notes)
			}
		})
	}
}

// Every tag of a repository at once: the newest deploys, and little is said of the others.
func TestDecideThousandTags(t *testing.T) {
	var lines []string
	for i := range 1000 {
		lines = append(lines, fmt.Sprintf("- c%d refs/tags/v1.%d", i, i))
	}
	d := Decide(config.Default("shop").Push, Facts{}, pushed(t, lines...))
	if len(d.Requests) != 1 || d.Requests[0].Tag != "v1.999" || len(d.Rejects) != 0 || len(d.Notes) != 1 {
		t.Fatalf("%+v", d)
	}
	if want := "not deployed: v1.998, v1.997, v1.996, v1.995, v1.994 and 994 more: v1.999 came with them"; d.Notes[0] != want {
		t.Errorf("%s, want %s", d.Notes[0], want)
	}
}
