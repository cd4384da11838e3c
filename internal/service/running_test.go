//go:build linux

package service

import (
	"context"
	"testing"

	"github.com/git-rel/rel/internal/proc"
)

// running are the fake's processes, by what is told of them.
func (f *fake) running() (main, old, drains, young int) {
	f.t.Helper()
	all, err := f.Running(f.state())
	if err != nil {
		f.t.Fatal(err)
	}
	for _, p := range all {
		switch {
		case p.Main:
			main++
		case p.Drains:
			drains++
		case p.Old:
			old++
		case p.Young:
			young++
		}
	}
	return main, old, drains, young
}

// Old workers that have let go of their sockets only finish what they have begun; the new ones and the master are not old.
func TestRunningDrains(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	f.start()
	f.faults("drains-forever")
	if err := f.Graceful(t.Context()); err != nil {
		t.Fatal(err)
	}
	if main, old, drains, young := f.running(); main != 1 || old != 0 || drains != 2 || young != 2 {
		t.Errorf("%d main, %d old, %d drain, %d young", main, old, drains, young)
	}
}

// A process that holds the service's socket and is nobody's child is found, and is old after a reload that has not ended it.
func TestRunningStray(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	f.faults("strays")
	f.start()
	stray := func() bool {
		if err := f.FindSharers(f.state()); err != nil {
			t.Fatal(err)
		}
		return len(f.sharers) == 1 && f.sharers[0].PPID != f.state().Master.PID
	}
	if !proc.Await(context.Background(), patience, stray) {
		t.Fatalf("found %v", f.sharers)
	}
	if main, old, _, young := f.running(); main != 1 || old != 0 || young != 3 {
		t.Errorf("after the start: %d main, %d old, %d young", main, old, young)
	}
	f.faults()
	now := proc.Ticks() // what comes is to be of a later one
	proc.Await(context.Background(), patience, func() bool { return proc.Ticks() > now })
	if err := f.Graceful(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.FindSharers(f.state()); err != nil {
		t.Fatal(err)
	}
	if main, old, drains, young := f.running(); main != 1 || old != 1 || drains != 0 || young != 2 {
		t.Errorf("after the reload: %d main, %d old, %d drain, %d young", main, old, drains, young)
	}
}

// What a worker has left behind is old once the service was stopped, and not before.
func TestRunningAfterStop(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	f.faults("leave-idle")
	f.start()
	all := 0
	if !proc.Await(context.Background(), patience, func() bool {
		_, _, _, all = f.running()
		return all == 4
	}) {
		t.Fatalf("%d are there, two workers and what each has left wanted", all)
	}
	f.faults()
	if err := f.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if main, old, _, young := f.running(); main != 0 || old != 2 || young != 0 {
		t.Errorf("after the stop: %d main, %d old, %d young", main, old, young)
	}
	f.start()
	if main, old, _, young := f.running(); main != 1 || old != 2 || young != 2 {
		t.Errorf("after the start: %d main, %d old, %d young", main, old, young)
	}
}
