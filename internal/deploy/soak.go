package deploy

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/git-rel/rel/internal/config"
	"github.com/git-rel/rel/internal/gate"
	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/release"
)

// summaryBytes is how much of a log's line the history keeps.
const summaryBytes = 200

// watchLogs begins to watch the error logs that were marked, each once. That reads what was there before, and so comes before
// anything is touched. A log that cannot be read is not watched, and the run goes on.
func (r *run) watchLogs(ctx context.Context) {
	if r.req.Command != Activate || r.Config.Health.Log == config.LogOff || r.Config.SoakTime(len(r.logs) > 0) <= 0 {
		return
	}
	watched := map[string]bool{}
	for _, l := range r.logs {
		if watched[l.log.Path] {
			continue
		}
		watched[l.log.Path] = true
		watch, err := l.log.Watch(ctx, l.mark, r.logRules(l.log.Path))
		if err != nil {
			r.warn(fmt.Errorf("%w: it is not watched", err))
			continue
		}
		l.watch = watch
	}
}

// logRules are the patterns of all services that have this error log.
func (r *run) logRules(path string) gate.LogRules {
	var rules gate.LogRules
	for i, s := range r.services {
		if s.Spec().ErrorLog == path {
			rules.Fail = append(rules.Fail, expressions(r.Config.Service[i].LogFail)...)
			rules.Ignore = append(rules.Ignore, expressions(r.Config.Service[i].LogIgnore)...)
		}
	}
	return rules
}

// expressions compiles patterns of the configuration, which has seen that they can be.
func expressions(patterns []string) []*regexp.Regexp {
	var all []*regexp.Regexp
	for _, p := range patterns {
		if e, err := regexp.Compile(p); err == nil {
			all = append(all, e)
		}
	}
	return all
}

// soak asks a release on that is healthy, while the error logs are watched. It is for activations: what is gone back to is wanted at
// once. A rollback ends it.
func (r *run) soak(ctx context.Context) error {
	d := r.Config.SoakTime(slices.ContainsFunc(r.logs, func(l *markedLog) bool { return l.watch != nil }))
	if d <= 0 || r.req.Command != Activate {
		return nil
	}
	if err := r.mark(journal.Soaking); err != nil {
		return err
	}
	return r.step(release.StepSoak, "for "+config.Duration{Duration: d}.String(), func() (string, error) {
		lost, err := r.healthOf(r.to).Stay(ctx, r.healthRequest(), d, func() error { return r.lookAtLogs(ctx, false) })
		if !lost.IsZero() && r.rec.StoppedAt.IsZero() {
			r.rec.StoppedAt = lost.UTC() // what is restored ends it
		}
		if err == nil {
			err = r.lookAtLogs(ctx, true)
		}
		if err != nil {
			return "", err
		}
		return r.soaked(), nil
	})
}

// lookAtLogs reads what the watched logs have gained, and says whether the run is to go back.
func (r *run) lookAtLogs(ctx context.Context, last bool) error {
	if r.answer() == answerBack {
		return errors.New("a rollback came")
	}
	for _, l := range r.logs {
		if l.watch == nil {
			continue
		}
		r.warn(l.watch.Look(ctx, last))
		report := l.watch.Report()
		if !report.New() || r.Config.Health.Log != config.LogRevert {
			continue
		}
		r.keepNew(report)
		return fmt.Errorf("%s: %s", l.service, report)
	}
	return nil
}

// soaked warns of what the watched logs have new, and says what they have besides.
func (r *run) soaked() string {
	figures := []string{"healthy all the time"}
	for _, l := range r.logs {
		if l.watch == nil {
			continue
		}
		report := l.watch.Report()
		if !report.New() {
			figures = append(figures, report.String())
			continue
		}
		r.keepNew(report)
		text := fmt.Sprintf("%s: %s", l.service, report)
		r.warn(release.Errorf(release.ExitError, "%s", strings.Join(append([]string{text}, report.Quote[1:]...), "\n")).
			Hint("rel err %s shows the log; log_ignore of [[service]] is for what is no error", l.service))
	}
	return strings.Join(figures, ", ")
}

// keepNew keeps the first lines of what a log has new for the run's summary.
func (r *run) keepNew(report gate.LogReport) {
	run := &r.rec.Run
	for _, line := range report.Quote[:min(len(report.Quote), 3)] {
		run.Log = append(run.Log, strings.ToValidUTF8(line[:min(len(line), summaryBytes)], "?"))
	}
	run.Note = "new errors in " + report.Path
}
