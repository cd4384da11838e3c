package gate

import (
	"math"
	"slices"
	"time"

	"github.com/git-rel/rel/internal/release"
)

// Downtime is how long the service was down, as far as its visitors could tell: for each request that failed, the time from when it
// was sent to the first answer to one that was sent after it, overlapping times counted once. It is not known where no request was
// answered at all. Where none was answered before the run touched what is live, the service was down already, and it is 0.
func Downtime(trace release.Trace) (down time.Duration, known bool) {
	until := firstAnswers(trace)
	answered, before := false, false
	var total, counted int64 // counted is the end of what total has
	for i, s := range trace.Samples {
		if s.Answered() {
			answered = true
			before = before || s.At < trace.Touched
			continue
		}
		if !before {
			continue
		}
		total += max(until[i]-max(s.At, counted), 0)
		counted = max(counted, until[i])
	}
	return time.Duration(total) * time.Microsecond, answered
}

// firstAnswers has, for each sample, when the first answer to one that was sent later came, or the prober's end.
func firstAnswers(trace release.Trace) []int64 {
	first := make([]int64, len(trace.Samples))
	next := trace.Ended
	for i, s := range slices.Backward(trace.Samples) {
		first[i] = next
		if s.Answered() {
			next = min(next, s.End())
		}
	}
	return first
}

// Summary is what a prober saw, in figures.
func Summary(trace release.Trace) release.Probe {
	sum := release.Probe{Asked: trace.Asked, IntervalMS: trace.IntervalMS, Requests: len(trace.Samples)}
	started := startedAt(trace)
	var answers, before, after []int64
	for _, s := range trace.Samples {
		if !s.Answered() {
			sum.Failures++
			continue
		}
		answers = append(answers, s.End())
		switch {
		case s.At < trace.Touched:
			before = append(before, s.Took)
		case s.At >= started:
			after = append(after, s.Took)
		}
	}
	sum.GapMS = milliseconds(longestGap(answers, trace.Ended))
	sum.Before, sum.After = latency(before), latency(after)
	return sum
}

// startedAt is when what is live now was last switched, or started.
func startedAt(trace release.Trace) int64 {
	at := int64(math.MaxInt64)
	for _, s := range trace.Steps {
		if s.Step == release.StepSwitch || s.Step == release.StepStart {
			at = s.End()
		}
	}
	return at
}

// longestGap is the longest time without an answer, from the first one on.
func longestGap(answers []int64, ended int64) int64 {
	slices.Sort(answers)
	var longest int64
	for i, at := range answers {
		next := ended
		if i+1 < len(answers) {
			next = answers[i+1]
		}
		longest = max(longest, next-at)
	}
	return longest
}

func latency(took []int64) release.Latency {
	if len(took) == 0 {
		return release.Latency{}
	}
	slices.Sort(took)
	return release.Latency{
		Answers: len(took), MedianMS: milliseconds(took[len(took)/2]), WorstMS: milliseconds(took[len(took)-1]),
	}
}

// Between is the time between the end of the last stop and the beginning of the first start after it, which is not the services'
// own: the switch, what the run writes down, and after_switch. Of a run that went back it is the sum of there and back.
func Between(steps []release.Span) time.Duration {
	var total, stopped int64
	down := false
	for _, s := range steps {
		switch {
		case s.Step == release.StepStop:
			stopped, down = s.End(), true
		case s.Step == release.StepStart && down:
			total, down = total+s.At-stopped, false
		}
	}
	return time.Duration(total) * time.Microsecond
}

// milliseconds are those of a number of microseconds.
func milliseconds(us int64) float64 { return float64(us) / 1000 }
