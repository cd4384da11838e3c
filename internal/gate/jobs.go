package gate

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

// keptLines is how much of one command's output reaches the log: its last lines.
const keptLines = 200

// job is one command of a check.
type job struct {
	check, file string
	good        string // in a line of output that is not worth keeping
	command     proc.Command
}

// runJobs runs jobs in parallel and gives those that failed, in their order. The error is of a command that could not be run at
// all, or of a ctx that ended: then the rest is left.
func runJobs(ctx context.Context, jobs []job, output func(string)) ([]Failure, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	failures := make([]*Failure, len(jobs))
	next := make(chan int)
	var mu sync.Mutex // of output
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(jobs)) {
		wg.Go(func() {
			for i := range next {
				failure, lines, err := jobs[i].run(ctx, output)
				if err != nil {
					cancel(err)
					continue
				}
				failures[i] = failure
				mu.Lock()
				if len(jobs) == 1 {
					failure = nil // the error names it
				}
				write(output, failure, lines)
				mu.Unlock()
			}
		})
	}
	for i := 0; i < len(jobs) && ctx.Err() == nil; i++ {
		next <- i
	}
	close(next)
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var failed []Failure
	for _, f := range failures {
		if f != nil {
			failed = append(failed, *f)
		}
	}
	return failed, nil
}

// run runs one command. What it printed is given when it is over, so that the lines of parallel commands do not mix; those of a
// command that runs alone go to output as they come.
func (j job) run(ctx context.Context, output func(string)) (*Failure, []string, error) {
	var lines []string
	j.command.Output = func(line string) {
		if j.good != "" && strings.Contains(line, j.good) {
			return
		}
		if len(lines) == keptLines {
			lines = lines[1:]
		}
		lines = append(lines, line)
	}
	if j.file == "" {
		j.command.Output = output
	}
	_, err := j.command.Run(ctx)
	if err == nil {
		return nil, lines, nil
	}
	exit, ran := errors.AsType[*proc.ExitError](err)
	switch {
	case ctx.Err() != nil:
		return nil, nil, context.Cause(ctx)
	case !ran:
		return nil, nil, release.Errorf(release.ExitRefused, "check %s: %w", j.check, err)
	}
	return &Failure{Check: j.check, File: j.file, Why: how(exit), Tail: exit.Tail}, lines, nil
}

func write(output func(string), failure *Failure, lines []string) {
	if output == nil {
		return
	}
	if failure != nil {
		output(failure.String())
	}
	for _, line := range lines {
		output(line)
	}
}

// shownPath is a path on a line of its own making: one with control characters is quoted.
func shownPath(path string) string {
	if strings.ContainsFunc(path, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strconv.Quote(path)
	}
	return path
}
