package gate

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/release"
)

// started starts a prober that is ended with the test.
func started(t *testing.T, h Health, every time.Duration) *Prober {
	t.Helper()
	p, err := h.Probe(t.Context(), every)
	must(t, err)
	if p == nil {
		t.Fatal("nothing is asked")
	}
	t.Cleanup(p.stop)
	return p
}

// awaitSamples waits until the prober has n samples more.
func awaitSamples(t *testing.T, p *Prober, n int) {
	t.Helper()
	count := func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.samples)
	}
	for want, end := count()+n, time.Now().Add(10*time.Second); count() < want; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d samples, %d wanted", count(), want)
		}
	}
}

func TestProberSeesAnOutage(t *testing.T) {
	var down atomic.Bool
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	p := started(t, Health{URL: url, Body: "not looked at", Release: "header X-Release"}, 5*time.Millisecond)
	p.Known(t.Context())
	awaitSamples(t, p, 1)
	touched := time.Now()
	down.Store(true)
	p.Step()
	awaitSamples(t, p, askedAtOnce+3)
	down.Store(false)
	up := time.Now()
	awaitSamples(t, p, askedAtOnce+3)
	trace, start := p.End()
	trace.Touched = touched.Sub(start).Microseconds()
	trace.Steps = []release.Span{{Step: release.StepSwitch, At: trace.Touched, Took: up.Sub(touched).Microseconds()}}

	got, known := Downtime(trace)
	if !known || got <= 0 || got > time.Duration(trace.Ended)*time.Microsecond {
		t.Errorf("down %s, %t, of %d us", got, known, trace.Ended)
	}
	sum := Summary(trace)
	if sum.Failures < 3 || sum.Requests != len(trace.Samples) || sum.Before.Answers < askedFirst || sum.After.Answers == 0 ||
		sum.Asked != "GET "+url || sum.IntervalMS != 5 || sum.GapMS <= 0 {
		t.Errorf("%+v", sum)
	}
	for i, s := range trace.Samples {
		if !s.Answered() && s.Error != "503, 200 expected" || i > 0 && s.At < trace.Samples[i-1].At {
			t.Errorf("%d: %+v", i, s)
		}
	}
}

// A server that accepts and says nothing is not flooded.
func TestProberOfWhatHangs(t *testing.T) {
	var asked, most atomic.Int32
	release := make(chan struct{})
	url := serve(t, func(http.ResponseWriter, *http.Request) {
		now := asked.Add(1)
		for was := most.Load(); now > was && !most.CompareAndSwap(was, now); was = most.Load() {
		}
		<-release
		asked.Add(-1)
	})
	p := started(t, Health{URL: url}, time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p.Known(ctx) // who is cancelled does not wait
	close(release)
	awaitSamples(t, p, 20)
	if n := most.Load(); n > askedAtOnce {
		t.Errorf("%d requests at a time", n)
	}
	p.End()
}

func TestProberOfPorts(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := started(t, Health{TCP: listener.Addr().String(), Run: "false"}, time.Millisecond)
	p.Known(t.Context())
	must(t, listener.Close())
	awaitSamples(t, p, askedAtOnce+1)
	trace, _ := p.End()
	if first, last := trace.Samples[0], trace.Samples[len(trace.Samples)-1]; !first.Answered() || last.Error != "connection refused" {
		t.Errorf("%+v ... %+v", first, last)
	}
}

func TestProberOfNothing(t *testing.T) {
	for _, tt := range []struct {
		health Health
		every  time.Duration
	}{{Health{}, time.Second}, {Health{Run: "true"}, time.Second}, {Health{TCP: "127.0.0.1:1"}, 0}} {
		p, err := tt.health.Probe(t.Context(), tt.every)
		if p != nil || err != nil {
			t.Errorf("%+v: %v, %v", tt.health, p, err)
		}
		p.Known(t.Context())
		p.Step()
	}
	if _, err := (Health{URL: "ftp://localhost/"}).Probe(t.Context(), time.Second); err == nil {
		t.Error("an address that cannot be asked is asked")
	}
}

// at makes samples of: when sent, when answered, or when failed where negative; all in milliseconds.
func at(pairs ...int64) (samples []release.Sample) {
	for i := 0; i < len(pairs); i += 2 {
		end, why := pairs[i+1], ""
		if end < 0 {
			end, why = -end, "connection refused"
		}
		samples = append(samples, release.Sample{At: pairs[i] * 1000, Took: (end - pairs[i]) * 1000, Error: why})
	}
	return samples
}

func TestDowntime(t *testing.T) {
	tests := []struct {
		name    string
		samples []release.Sample
		want    int64 // ms; -1 where it is not known
	}{
		{"nothing asked", nil, -1},
		{"nothing answered", at(0, -1, 120, -121), -1},
		{"nothing failed", at(0, 1, 120, 121), 0},
		{"from the first failure to the first answer", at(0, 1, 120, -121, 140, -141, 160, 163), 43},
		{"answered by one that had waited", at(0, 1, 120, -121, 140, 463, 160, 465, 480, 481), 343},
		{"cut off in the middle of a request", at(0, 1, 90, -300, 320, 321), 231},
		{"an answer to one that was sent before is none", at(0, 1, 110, 200, 120, -121, 320, 321), 201},
		{"a later one answered first", at(0, 1, 120, -121, 140, 500, 160, 170), 50},
		{"twice", at(0, 1, 120, -121, 140, 141, 160, 161, 180, -181, 200, 202), 43},
		{"twice, one in the other", at(0, 1, 120, -121, 140, 400, 160, -161, 410, 411), 291},
		{"to the end", at(0, 1, 120, -121, 140, -141), 880},
		{"down before", at(0, -1, 120, -121, 140, 141, 160, -161, 180, 181), 0},
		{"failures before are not the run's", at(0, 1, 20, -21, 40, 41, 120, -121, 140, 141), 42},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, known := Downtime(release.Trace{Touched: 100_000, Ended: 1_000_000, Samples: tt.samples})
			if !known {
				got = -time.Millisecond
			}
			if got != time.Duration(tt.want)*time.Millisecond {
				t.Errorf("got %s, want %d ms", got, tt.want)
			}
		})
	}
}

func TestSummary(t *testing.T) {
	trace := release.Trace{
		Asked: "connect to :80", IntervalMS: 20, Touched: 100_000, Ended: 700_000,
		Steps: []release.Span{
			{Step: release.StepStop, At: 100_000, Took: 50_000},
			{Step: release.StepSwitch, At: 155_000, Took: 3000},
			{Step: release.StepStart, At: 160_000, Took: 200_000},
			{Step: release.StepHealth, At: 361_000, Took: 100_000},
		},
		Samples: at(0, 3, 10, 11, 20, 22, 120, -121, 140, -141, 160, 350, 400, 405, 420, 421),
	}
	want := release.Probe{
		Asked: "connect to :80", IntervalMS: 20, Requests: 8, Failures: 2, GapMS: 328,
		Before: release.Latency{Answers: 3, MedianMS: 2, WorstMS: 3}, After: release.Latency{Answers: 2, MedianMS: 5, WorstMS: 5},
	}
	if got := Summary(trace); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got := Between(trace.Steps); got != 10*time.Millisecond {
		t.Errorf("%s between stop and start", got)
	}
	if got := Between(trace.Steps[1:]); got != 0 {
		t.Errorf("%s without a stop", got)
	}
}
