package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/git-rel/rel/internal/deploy"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/store"
	"github.com/git-rel/rel/internal/ui"
)

func (a *app) status() *cobra.Command {
	var check bool
	cmd := a.command(spec{
		use: "status [flags]", short: "what is live and since when, what runs, whether it is what was tagged", group: groupLook,
		args: cobra.NoArgs,
		long: `Show what is live and since when, whether its files still are what was tagged, and what the services do. With
--check it also asks the health probes once, and exits with 0 only if a release is live, undrifted and healthy.`,
		example: "  rel status\n  rel status --check -q || page-somebody",
		run: func(cmd *cobra.Command, _ []string) error {
			site, err := a.site()
			if err != nil {
				return err
			}
			status, err := site.Status(cmd.Context(), check)
			if err != nil {
				return err
			}
			if err := a.result(status, func() { a.showStatus(site, status) }); err != nil {
				return err
			}
			if check && !status.OK() {
				return ended{release.ExitError}
			}
			return nil
		},
	})
	cmd.Flags().BoolVar(&check, "check", false, "exit with 0 only if live, undrifted and healthy")
	return cmd
}

func (a *app) showStatus(site *deploy.Site, status deploy.Status) {
	var fields [][2]string
	add := func(name, format string, args ...any) {
		fields = append(fields, [2]string{name, fmt.Sprintf(format, args...)})
	}
	switch {
	case status.Foreign != "":
		add("live", "not rel's: %s", status.Foreign)
	case status.Release == "":
		add("live", "nothing")
	default:
		add("live", "%s (%s)", status.Tag, short(status.Commit))
		add("release", "%s", status.Release)
	}
	if status.Since != nil {
		add("since", "%s, %s, run %d", a.out.Time(*status.Since), ui.Ago(*status.Since, site.Now()), status.Run)
	}
	if status.Signer != "" {
		add("signed by", "%s", status.Signer)
	}
	add("path", "%s", status.Path)
	if status.Release != "" {
		add("files", "%s", drift(status.Drift))
	}
	for _, one := range status.Services {
		add("service "+one.Name, "%s", a.serviceLine(site, one))
	}
	if h := status.Health; h != nil {
		add("health", "%s", healthLine(*h))
	}
	if h := status.Held; h != nil {
		add("held", "%s", strings.TrimSuffix("by "+h.By+" since "+a.out.Time(h.Since)+": "+h.Message, ": "))
	}
	if status.Active != "" {
		add("running", "%s", status.Active)
	}
	if status.Pending != "" {
		add("crashed", "%s", status.Pending)
	}
	if status.Queued > 0 {
		add("queued", "%s", ui.Count(status.Queued, "request"))
	}
	if len(status.Lost) > 0 {
		add("lost", "%s: it came to the repository, and no hook ran", strings.Join(status.Lost, ", "))
	}
	a.out.Fields(fields)
	if status.Pending != "" {
		a.out.Hint("rel recover finishes or undoes it")
	}
	if n := len(status.Lost); n > 0 {
		a.out.Hint("rel activate " + ui.Shell(status.Lost[n-1]) + " deploys it")
	}
}

// driftShown is how many drifted files are named.
const driftShown = 10

func drift(all []store.Drift) string {
	if len(all) == 0 {
		return "as they were tagged"
	}
	lines := []string{ui.Count(len(all), "file") + " not as tagged:"}
	for i, one := range all {
		if i == driftShown {
			lines = append(lines, fmt.Sprintf("… and %d more: rel verify names them", len(all)-i))
			break
		}
		lines = append(lines, ui.Escape(one.Path)+": "+one.What)
	}
	return strings.Join(lines, "\n")
}

func (a *app) serviceLine(site *deploy.Site, one deploy.ServiceStatus) string {
	if !one.Up {
		return strings.TrimSuffix("down: "+one.Why, ": ")
	}
	line := fmt.Sprintf("up, pid %d, %s", one.PID, ui.Count(one.Processes, "process"))
	if one.Since != nil {
		line += ", since " + a.out.Time(*one.Since) + " (" + ui.Ago(*one.Since, site.Now()) + ")"
	}
	return strings.Join(append([]string{line}, running(one.Running)...), "\n")
}

// running is a line for each release that processes are of, and each way in which that is known.
func running(all []deploy.ProcessStatus) []string {
	var kinds []string
	pids := map[string][]string{}
	for _, p := range all {
		tag := p.Tag
		if p.Release == "" {
			tag = "unknown"
		}
		kind := tag + "\x00" + howKnown(p)
		if pids[kind] == nil {
			kinds = append(kinds, kind)
		}
		pids[kind] = append(pids[kind], strconv.Itoa(p.PID))
	}
	lines := make([]string, 0, len(kinds))
	for _, kind := range kinds {
		tag, how, _ := strings.Cut(kind, "\x00")
		some := pids[kind]
		if more := len(some) - pidsShown; more > 0 {
			some = append(some[:pidsShown:pidsShown], fmt.Sprintf("%d more", more))
		}
		lines = append(lines, fmt.Sprintf("%s: pid %s, %s", ui.Escape(tag), strings.Join(some, ", "), ui.Escape(how)))
	}
	return lines
}

// pidsShown is how many processes of one kind are named.
const pidsShown = 10

// howKnown says how a process's release is known.
func howKnown(p deploy.ProcessStatus) string {
	switch p.How {
	case "exe":
		return "executes " + p.Path
	case "cwd":
		return "working directory " + p.Path
	case "root":
		return "root directory " + p.Path
	case "map":
		return "has mapped " + p.Path
	case "file":
		return "has open " + p.Path
	case deploy.HowAge:
		return "by its age"
	case deploy.HowReload:
		return "was seen to reload"
	case deploy.HowUnseen:
		return "cannot be looked into by this user"
	case deploy.HowSkipped:
		return "not looked into, since there are so many"
	}
	return "older than what is live, and uses no file of a release"
}

func healthLine(h deploy.HealthStatus) string {
	if h.Error != "" {
		return h.Error
	}
	return "passes (" + string(h.Verified) + ")"
}
