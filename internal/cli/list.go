package cli

import (
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/git-rel/rel/internal/deploy"
	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/ui"
)

func (a *app) list() *cobra.Command {
	return a.command(spec{
		use: "list", short: "releases and tags with their state", group: groupLook, args: cobra.NoArgs,
		long: `List tags and releases, newest version first, with their state:

  live       it is live now
  previous   a bare rel rollback goes there
  once-live  on disk, was live before
  staged     on disk, never live
  refused    on disk, and a gate said no when it was to go live
  failed     it was reverted, or worse: taken by name only
  pruned     it was live, and is not on disk any more: it can be exported again
  unstaged   a tag, and no more

"left" after a state: it was left by a rollback, and is taken by name only.`,
		example: "  rel list\n  rel list --json",
		run: func(cmd *cobra.Command, _ []string) error {
			site, err := a.site()
			if err != nil {
				return err
			}
			rows, err := site.List(cmd.Context())
			if err != nil {
				return err
			}
			if a.json {
				if rows == nil {
					rows = []deploy.Listed{}
				}
				return a.out.JSON(rows)
			}
			if len(rows) == 0 {
				a.out.Line("no tags yet")
				a.out.Hint("rel cut v0.1.0 makes the first")
				return nil
			}
			headers, cells := listTable(rows)
			return a.out.Table(headers, cells)
		},
	})
}

// listTable has a column for signers where any tag has one.
func listTable(rows []deploy.Listed) (headers []string, cells [][]string) {
	headers = []string{"tag", "state", "commit", "release"}
	signed := slices.ContainsFunc(rows, func(row deploy.Listed) bool { return row.Signer != "" })
	if signed {
		headers = append(headers, "signer")
	}
	for _, row := range rows {
		state := string(row.State)
		if row.Left {
			state += ", left"
		}
		line := []string{row.Tag, state, short(row.Commit), string(row.Release)}
		if signed {
			line = append(line, row.Signer)
		}
		cells = append(cells, line)
	}
	return headers, cells
}

// short is a commit id as people read it.
func short(commit string) string {
	return commit[:min(len(commit), 10)]
}

func (a *app) history() *cobra.Command {
	var count int
	var app string
	cmd := a.command(spec{
		use: "history [flags]", short: "runs, newest first: when, who, from → to, outcome", group: groupLook, args: cobra.NoArgs,
		long: `List the runs, newest first.

The repository that a root deploys from keeps a copy of its history, a commit for each run on refs/rel/history/<app>.
In a clone that has fetched it, rel history shows that:

  git fetch origin 'refs/rel/*:refs/rel/*'`,
		example: "  rel history\n  rel history -n 100\n  rel history --json\n  rel history --app shop",
		exits:   []int{release.ExitNotFound},
		run: func(*cobra.Command, []string) error {
			if count < 0 {
				return release.Errorf(release.ExitUsage, "-n %d: a number of runs from 0 up", count).Hint("-n 0 shows all")
			}
			site, err := a.state()
			if err != nil {
				return err
			}
			runs, err := pastRuns(site, app, count)
			if err != nil {
				return err
			}
			if a.json {
				return a.out.JSON(runs)
			}
			if len(runs) == 0 {
				a.out.Line("no runs yet")
				return nil
			}
			headers, rows := a.historyTable(runs)
			return a.out.Table(headers, rows)
		},
	})
	cmd.Flags().IntVarP(&count, "number", "n", 20, "show this many runs; 0 is all")
	cmd.Flags().StringVar(&app, "app", "", "show what the repository keeps of this app's history")
	return cmd
}

// pastRuns are the last count runs of a root; where it has none of its own, or an app is named, those of the repository's copy.
func pastRuns(site *deploy.Site, app string, count int) (runs []release.Run, err error) {
	if app == "" && site.Made() {
		runs, err = journal.Tail(site.Root.State(), count)
	} else {
		runs, err = site.AuditedHistory(app, count)
	}
	return append([]release.Run{}, runs...), err
}

// historyTable is the history as a table. On a narrow terminal it leaves out what is least missed: --json has all.
func (a *app) historyTable(runs []release.Run) (headers []string, rows [][]string) {
	width, when := a.out.Width(), a.out.Time
	narrow, tiny := width > 0 && width < 80, width > 0 && width < 60
	if tiny {
		when = func(t time.Time) string { return t.Local().Format("01-02 15:04") }
	}
	signed := slices.ContainsFunc(runs, func(r release.Run) bool { return r.Signer != "" })
	columns := []struct {
		header string
		left   bool // out
		cell   func(release.Run) string
	}{
		{"run", false, func(r release.Run) string { return strconv.Itoa(r.Run) }},
		{"when", false, func(r release.Run) string { return when(r.Started) }},
		{"by", narrow, func(r release.Run) string { return r.By }},
		{"command", tiny, func(r release.Run) string { return r.Command }},
		{"from", false, func(r release.Run) string { return r.From }},
		{"to", false, func(r release.Run) string { return r.To }},
		{"signer", narrow || !signed, func(r release.Run) string { return r.Signer }},
		{"outcome", false, func(r release.Run) string { return string(r.Outcome) }},
		{"took", narrow, func(r release.Run) string { return ui.Duration(time.Duration(r.Seconds * float64(time.Second))) }},
		{"down", tiny, downCell},
	}
	rows = make([][]string, len(runs))
	for _, column := range columns {
		if column.left {
			continue
		}
		headers = append(headers, column.header)
		for i, run := range runs {
			rows[i] = append(rows[i], column.cell(run))
		}
	}
	return headers, rows
}

func downCell(run release.Run) string {
	if run.DowntimeMS <= 0 {
		return ""
	}
	return ui.Duration(time.Duration(run.DowntimeMS) * time.Millisecond)
}
