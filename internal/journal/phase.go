package journal

// order is how far each phase is from the run's beginning. Reverting comes from anywhere after Prepared.
func (p Phase) order() int {
	for i, phase := range []Phase{
		Begun, Prepared, Stopping, Stopped, Switching, Switched, Starting, Started, Soaking, Healthy, Confirming, Reverting, Finished,
	} {
		if p == phase {
			return i
		}
	}
	return -1
}

// Before says whether a run in phase p has not come to q yet.
func (p Phase) Before(q Phase) bool { return p.order() < q.order() }

// Touched says whether a run in phase p may have touched what is live: it cannot be cancelled any more, and if it crashed it
// must be finished or undone.
func (p Phase) Touched() bool { return !p.Before(Stopping) && p != Finished }

// Cancellable says whether the run has touched nothing yet, so that it can still be cancelled.
func (r Record) Cancellable() bool { return r.Phase == Begun || r.Phase == Prepared }
