package gate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

// tryLimit is how long one HTTP or TCP try may take: a new process that accepts and never answers costs a try, not the timeout.
const tryLimit = 2 * time.Second

// Health says how to tell that what is live works. Every probe that is set must pass. The zero value has none.
//
//	URL      "http://host:port/path", "https://…", or "http+unix:/run/app.sock:/path" through a unix socket; redirects are
//	         not followed, so that 301 is 301; each try is a new connection, so that no old process answers on a kept one
//	Status   the status it must have; 0 means 200
//	Body     a text that the first mebibyte of the body must contain
//	Release  where the answer names its release: "header NAME", or "body REGEXP" with the name in the first group (without a
//	         group: the whole match). What is named must be the tag, the commit, or at least 7 digits of the commit
//	TCP      "host:port", or a unix socket's absolute path, that must accept a connection
//	Run      a command for /bin/sh that must exit with 0
type Health struct {
	URL      string
	Status   int
	Body     string
	Release  string
	TCP      string
	Run      string
	Passes   int           // passes in a row that it takes; 0 means 1
	Interval time.Duration // between tries; 0 means 200ms
	Timeout  time.Duration // for all of it; 0 means 30s
}

// Configured says whether there is anything to probe.
func (h Health) Configured() bool { return h.URL != "" || h.TCP != "" || h.Run != "" }

// HealthRequest is what Health is asked about.
type HealthRequest struct {
	Tag, Commit string // the release that must answer
	Env         []string
	Dir         string
	As          *proc.User
	Hold        *os.File
	Output      func(line string) // of Run, where set
	Alive       func() error      // where set, called once an interval from another goroutine; its first error ends the wait
}

// HealthReport says what was seen.
type HealthReport struct {
	Verified release.Verified // VerifiedNone, VerifiedAnswer, or VerifiedRelease where the answer named the release
	Passes   int              // the last ones in a row
	Tries    int
	Last     string // what the last try saw: "GET http://…: 200 from v1.4", "GET http://…: 503, 200 expected"
	Took     time.Duration
}

// Wait tries until Passes tries in a row have passed. It gives up after Timeout, when ctx ends, or as soon as Alive says that
// there is nothing left to answer; the error then ends with the last thing that was seen. A Health that cannot be used as it is
// written is an error with exit code 2, as from Validate.
func (h Health) Wait(ctx context.Context, req HealthRequest) (HealthReport, error) {
	h = h.defaults()
	report := HealthReport{Verified: release.VerifiedNone}
	probes, err := h.probes(req)
	if err != nil || len(probes) == 0 {
		return report, err
	}
	start := time.Now()
	limited, stop := context.WithTimeoutCause(ctx, h.Timeout, errTimeout)
	defer stop()
	watched, stopWatch := watch(limited, h.Interval, req.Alive)
	wrong, err := h.try(watched, probes, &report)
	if gone := stopWatch(); gone != nil {
		err = gone
	} else if err == nil && req.Alive != nil {
		err = req.Alive()
	}
	report.Took = time.Since(start)
	if err != nil {
		return report, h.explain(ctx, report, wrong, err)
	}
	report.Verified = h.verified()
	return report, nil
}

// Once tries once.
func (h Health) Once(ctx context.Context, req HealthRequest) (HealthReport, error) {
	h.Passes = 1
	h = h.defaults()
	report := HealthReport{Verified: release.VerifiedNone}
	probes, err := h.probes(req)
	if err != nil || len(probes) == 0 {
		return report, err
	}
	start := time.Now()
	limited, stop := context.WithTimeoutCause(ctx, h.Timeout, errTimeout)
	defer stop()
	report.Last, err = once(limited, probes)
	report.Tries, report.Took = 1, time.Since(start)
	if err != nil {
		return report, err
	}
	report.Passes, report.Verified = 1, h.verified()
	return report, nil
}

// Validate says what is wrong with h as it is written: an error with exit code 2 that names the key.
func (h Health) Validate() error {
	h = h.defaults()
	_, err := h.probes(HealthRequest{})
	return err
}

var errTimeout = errors.New("timeout")

func (h Health) defaults() Health {
	h.Status = orInt(h.Status, 200)
	h.Passes = max(h.Passes, 1)
	h.Interval = orDuration(h.Interval, 200*time.Millisecond)
	h.Timeout = orDuration(h.Timeout, 30*time.Second)
	return h
}

func orInt(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

func orDuration(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

func (h Health) verified() release.Verified {
	if h.Release != "" {
		return release.VerifiedRelease
	}
	return release.VerifiedAnswer
}

// try probes until the passes in a row are there or ctx ends. It gives what the last try saw that did not pass.
func (h Health) try(ctx context.Context, probes []probe, report *HealthReport) (wrong string, err error) {
	for {
		report.Tries++
		seen, err := once(ctx, probes)
		switch {
		case err == nil:
			report.Passes, report.Last = report.Passes+1, seen
		case ctx.Err() == nil || report.Tries == 1: // a try that was cut short tells nothing, except where it is the only one
			report.Passes, report.Last, wrong = 0, seen, seen
		}
		if err == nil && report.Passes >= h.Passes {
			return wrong, nil
		}
		if !pause(ctx, h.Interval) {
			return wrong, context.Cause(ctx)
		}
	}
}

// once tries everything once, up to what does not pass. What was seen is the error's text where there is one.
func once(ctx context.Context, probes []probe) (string, error) {
	var all []string
	for _, p := range probes {
		seen, err := p(ctx)
		if err != nil {
			return err.Error(), err
		}
		all = append(all, seen)
	}
	return strings.Join(all, ", "), nil
}

// pause waits; it is false where ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}

// watch gives a context that ends once alive gives an error, and a function that ends the watch and gives that error.
func watch(ctx context.Context, interval time.Duration, alive func() error) (context.Context, func() error) {
	if alive == nil {
		return ctx, func() error { return nil }
	}
	ctx, cancel := context.WithCancel(ctx)
	gone := make(chan error, 1)
	go func() {
		defer cancel()
		for {
			if err := alive(); err != nil {
				gone <- err
				return
			}
			if !pause(ctx, interval) {
				gone <- nil
				return
			}
		}
	}()
	return ctx, func() error {
		cancel()
		return <-gone
	}
}

func (h Health) explain(ctx context.Context, report HealthReport, wrong string, err error) error {
	seen := ""
	if wrong != "" {
		seen = "; last seen wrong: " + wrong
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("health: %w%s", context.Cause(ctx), seen)
	case !errors.Is(err, errTimeout):
		return fmt.Errorf("health: %w%s", err, seen)
	case wrong == "" || report.Passes > 0:
		return fmt.Errorf("health: %d of %d passes in a row within %s%s", report.Passes, h.Passes, h.Timeout, seen)
	}
	return fmt.Errorf("health: %s, after %d tries in %s", wrong, report.Tries, h.Timeout)
}
