package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/git-rel/rel/internal/deploy"
	"github.com/git-rel/rel/internal/gitrepo"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/ui"
)

func (a *app) diff() *cobra.Command {
	var stat bool
	cmd := a.command(spec{
		use: "diff [FROM] [TO] [flags]", short: "commits and files between two releases", group: groupLook, args: cobra.MaximumNArgs(2),
		long: `Show the commits and files between two tags. Without TO it is the newest tag; without FROM it is what is live.`,
		example: `  rel diff                what an activation would bring
  rel diff v1.3 v1.4
  rel diff --stat`,
		exits: []int{release.ExitNotFound},
		run: func(cmd *cobra.Command, args []string) error {
			site, err := a.site()
			if err != nil {
				return err
			}
			var from, to string
			switch len(args) {
			case 1:
				to = args[0]
			case 2:
				from, to = args[0], args[1]
			}
			diff, err := site.Diff(cmd.Context(), from, to)
			if err != nil {
				return err
			}
			return a.result(diff, func() { a.showDiff(diff, stat) })
		},
	})
	cmd.Flags().BoolVar(&stat, "stat", false, "with the numbers of lines added and deleted in each file")
	cmd.ValidArgsFunction = a.completeTags
	return cmd
}

func (a *app) showDiff(d deploy.Diff, stat bool) {
	a.out.Line("%s → %s", d.From, d.To)
	a.showCommits("comes", d.Comes)
	a.showCommits("goes", d.Goes)
	a.showChanges(d.Changes, stat)
}

func (a *app) showCommits(word string, commits []gitrepo.Commit) {
	for _, one := range commits {
		a.out.Line("  %-5s  %s  %s", word, short(one.ID), ui.Escape(one.Subject))
	}
}

func (a *app) showChanges(changes []gitrepo.Change, stat bool) {
	var added, deleted int
	for _, one := range changes {
		added, deleted = added+one.Added, deleted+one.Deleted
		line := fmt.Sprintf("  %-5s  %s", one.Status, ui.Escape(one.Path))
		if stat {
			line += fmt.Sprintf("  +%d -%d", one.Added, one.Deleted)
		}
		a.out.Line("%s", line)
	}
	a.out.Line("%s, +%d -%d lines", ui.Count(len(changes), "file"), added, deleted)
}

func (a *app) plan(cmd *cobra.Command, site *deploy.Site, req deploy.Request) error {
	plan, err := site.Plan(cmd.Context(), req)
	if err != nil {
		return err
	}
	if err := a.result(plan, func() { a.showPlan(plan) }); err != nil {
		return err
	}
	if len(plan.Refusals) > 0 {
		return ended{release.ExitRefused}
	}
	return nil
}

func (a *app) showPlan(p deploy.Plan) {
	from := p.From
	if from == "" {
		from = "nothing"
	}
	a.out.Line("%s: %s → %s (%s)", p.Command, from, p.To, short(p.Commit))
	if p.Live {
		a.out.Line("  %s is live already", p.To)
	}
	for _, step := range p.Steps {
		what := step.What
		if step.Step == "export" && p.Files > 0 {
			what += fmt.Sprintf(": %s, %s; %s free", ui.Count(p.Files, "file"), ui.Size(p.Bytes), ui.Size(p.Free))
		}
		a.out.Line("  %-8s %s", step.Step, strings.TrimSpace(what))
	}
	for _, fetch := range p.Fetches {
		a.out.Line("  %-8s %s, whose files are not counted here", "fetch", ui.Escape(fetch))
	}
	a.showCommits("comes", p.Comes)
	a.showCommits("goes", p.Goes)
	if len(p.Changes) > 0 {
		a.showChanges(p.Changes, true)
	}
	for _, refusal := range p.Refusals {
		a.out.Warn("would be refused: %s", refusal)
	}
	for _, hint := range p.Hints {
		a.out.Hint(hint)
	}
}
