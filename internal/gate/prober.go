package gate

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/git-rel/rel/internal/release"
)

const (
	askedAtOnce  = 3                      // requests of a prober that may be under way: a service that hangs is not flooded
	askedFirst   = 5                      // requests that a prober begins with, one right after the other
	firstWithin  = 100 * time.Millisecond // after which it begins no more of these
	slowingDown  = 1000                   // part of the time since the last step that it waits at least
	connectingTo = "connect to "
)

// Prober asks a service again and again, as visitors do who come one after the other: each request is a connection of its own and
// may take as long as a try of health, and whatever answers is taken for an answer that has the status. It keeps what it saw in
// memory, and what goes wrong with it is what it saw. It slows down while nothing happens, so that an hour is some thousand
// requests. The nil Prober asks nothing.
type Prober struct {
	asked string
	every time.Duration
	ask   func(context.Context) error
	start time.Time
	slots chan struct{} // one for each request that is under way
	wake  chan struct{} // a step has begun
	known chan struct{} // closed once the first requests are over
	stop  context.CancelFunc
	tasks sync.WaitGroup

	mu      sync.Mutex
	samples []release.Sample
}

// Probe starts a prober that asks every so often, until End. It is nil where there is neither URL nor TCP to ask.
func (h Health) Probe(ctx context.Context, every time.Duration) (*Prober, error) {
	asked, ask, err := h.defaults().visit()
	if err != nil || ask == nil || every <= 0 {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	p := &Prober{
		asked: asked, every: every, ask: ask, start: time.Now(), stop: stop,
		slots: make(chan struct{}, askedAtOnce), wake: make(chan struct{}, 1), known: make(chan struct{}),
	}
	p.tasks.Go(func() { p.run(ctx) })
	return p, nil
}

// visit is one request of a visitor, who does not know which release should answer.
func (h Health) visit() (asked string, ask func(context.Context) error, err error) {
	switch {
	case h.URL != "":
		u, client, err := target(h.URL)
		any := Health{Status: h.Status}
		return "GET " + redacted(h.URL), func(ctx context.Context) error {
			_, err := any.get(ctx, client, u, namedIn{}, HealthRequest{})
			return err
		}, err
	case h.TCP != "":
		return connectingTo + h.TCP, func(ctx context.Context) error {
			_, err := probeTCP(ctx, h.TCP)
			return err
		}, nil
	}
	return "", nil, nil
}

// Known waits until the prober knows how the service was before anything is touched: some milliseconds where it answers, the limit
// of one request where it hangs.
func (p *Prober) Known(ctx context.Context) {
	if p == nil {
		return
	}
	select {
	case <-p.known:
	case <-ctx.Done():
	}
}

// Step tells that a step of the run begins: from here on it asks as often as it was told to.
func (p *Prober) Step() {
	if p == nil {
		return
	}
	select {
	case p.wake <- struct{}{}:
	default: // it was told already
	}
}

// End ends it and gives what it saw. What was under way is left out. Steps, and when the run touched what is live, are added by the
// caller, who knows them, as times since start.
func (p *Prober) End() (trace release.Trace, start time.Time) {
	ended := time.Since(p.start)
	p.stop()
	p.tasks.Wait()
	slices.SortStableFunc(p.samples, func(a, b release.Sample) int { return cmp.Compare(a.At, b.At) })
	return release.Trace{
		Asked: p.asked, IntervalMS: milliseconds(p.every.Microseconds()), Ended: ended.Microseconds(), Samples: p.samples,
	}, p.start
}

func (p *Prober) run(ctx context.Context) {
	for range askedFirst {
		p.once(ctx)
		if time.Since(p.start) > firstWithin {
			break
		}
	}
	close(p.known)
	since := time.Now()
	for ctx.Err() == nil {
		timer := time.NewTimer(max(p.every, time.Since(since)/slowingDown))
		select {
		case <-timer.C:
		case <-p.wake:
			since = time.Now()
		case <-ctx.Done():
		}
		timer.Stop()
		select {
		case p.slots <- struct{}{}:
			p.tasks.Go(func() {
				p.once(ctx)
				<-p.slots
			})
		default: // as many are under way as may be
		}
	}
}

// once makes one request.
func (p *Prober) once(ctx context.Context) {
	at := time.Now()
	err := p.ask(ctx)
	took := time.Since(at)
	if ctx.Err() != nil { // it was cut short, or the prober's time was over when it came
		return
	}
	sample := release.Sample{At: at.Sub(p.start).Microseconds(), Took: took.Microseconds()}
	if err != nil {
		sample.Error = strings.TrimPrefix(err.Error(), p.asked+": ")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.samples = append(p.samples, sample)
}
