package gate

import (
	"context"
	"fmt"
	"time"
)

// Stay asks on for a time d after Wait was content, once an interval, and calls look each time. It ends early with look's error;
// with that of Alive; or when as many tries in a row as Passes have not passed: lost is when it was lost then. A row that has begun
// is followed to its end.
func (h Health) Stay(ctx context.Context, req HealthRequest, d time.Duration, look func() error) (lost time.Time, err error) {
	h = h.defaults()
	probes, err := h.probes(req)
	if err != nil {
		return time.Time{}, err
	}
	wrong := 0
	for end := time.Now().Add(d); ; {
		if req.Alive != nil {
			if err := req.Alive(); err != nil {
				return time.Now(), fmt.Errorf("it was healthy, and then: %w", err)
			}
		}
		if err := look(); err != nil {
			return time.Time{}, err
		}
		began := time.Now()
		err := h.ask(ctx, probes)
		switch {
		case err == nil:
			wrong = 0
		case wrong == 0:
			lost, wrong = began, 1
		default:
			wrong++
		}
		if wrong >= h.Passes {
			return lost, fmt.Errorf("it was healthy, and then: %w, %d times in a row", err, wrong)
		}
		wait := h.Interval
		if wrong == 0 {
			wait = min(wait, time.Until(end))
		}
		if wait <= 0 {
			return time.Time{}, nil
		}
		if !pause(ctx, wait) {
			return time.Time{}, context.Cause(ctx)
		}
	}
}

// ask tries once, for as long as it takes at most.
func (h Health) ask(ctx context.Context, probes []probe) error {
	ctx, stop := context.WithTimeoutCause(ctx, h.Timeout, errTimeout)
	defer stop()
	_, err := once(ctx, probes)
	return err
}
