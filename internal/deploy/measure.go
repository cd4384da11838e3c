package deploy

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/git-rel/rel/internal/gate"
	"github.com/git-rel/rel/internal/release"
)

// timed is a step and when it was done.
type timed struct {
	step       release.Step
	start, end time.Time
}

// timed notes when a step was done, and how long it took.
func (r *run) timed(step release.Step, start time.Time) time.Duration {
	end := time.Now()
	r.timeline = append(r.timeline, timed{step, start, end})
	return end.Sub(start)
}

// measure begins to ask the service as its visitors do, and waits until it is known whether it answers. What it gives ends that and
// writes down what was seen. It is never in the way of the run: what goes wrong with it is a warning at most.
func (r *run) measure(ctx context.Context) func() {
	var err error
	r.prober, err = r.healthOf(r.to).Probe(ctx, r.Config.Health.Probe.Duration)
	r.warn(err)
	r.prober.Known(ctx)
	touched := time.Now()
	return func() { r.measured(touched) }
}

// measured puts into the run's record what the prober has seen: the downtime is then what visitors saw, and no more what is known
// of the services.
func (r *run) measured(touched time.Time) {
	run, start := &r.rec.Run, touched
	var trace release.Trace
	if r.prober != nil {
		trace, start = r.prober.End()
	}
	trace.Touched, trace.Steps = touched.Sub(start).Microseconds(), spans(r.timeline, touched, start)
	run.SwitchMS = float64(gate.Between(trace.Steps).Microseconds()) / 1000
	if r.prober == nil {
		return
	}
	r.prober = nil
	summary := gate.Summary(trace)
	run.Probe = &summary
	if down, known := gate.Downtime(trace); known {
		r.down = down
	}
	r.log.Emit(release.Event{Kind: release.EventProbe, Trace: &trace})
}

// spans are the steps that began after the run touched what is live, as microseconds since start.
func spans(steps []timed, touched, start time.Time) []release.Span {
	all := []release.Span{}
	for _, s := range steps {
		if !s.start.Before(touched) {
			all = append(all, release.Span{
				Step: s.step, At: s.start.Sub(start).Microseconds(), Took: s.end.Sub(s.start).Microseconds(),
			})
		}
	}
	slices.SortStableFunc(all, func(a, b release.Span) int { return cmp.Compare(a.At, b.At) })
	return all
}
