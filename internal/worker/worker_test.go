package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/release"
)

// state is a .rel directory with the files that the store makes.
func state(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "runs"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"lock", "commands.lock"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestLockIsHeldByOne(t *testing.T) {
	dir := state(t)
	if held, err := Held(dir); held || err != nil {
		t.Fatalf("held before: %v, %v", held, err)
	}
	first, err := Acquire(t.Context(), dir, 0)
	must(t, err)
	if held, err := Held(dir); !held || err != nil {
		t.Errorf("not held: %v, %v", held, err)
	}
	for _, wait := range []time.Duration{0, 3 * lockPoll} {
		if _, err := Acquire(t.Context(), dir, wait); !errors.Is(err, ErrLocked) {
			t.Errorf("waiting %s: %v", wait, err)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Acquire(cancelled, dir, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	freed := time.AfterFunc(2*lockPoll, func() { _ = first.Release() })
	defer freed.Stop()
	second, err := Acquire(t.Context(), dir, time.Minute)
	must(t, err)
	must(t, second.Release())
}

// Looking whether a lock is held never keeps anybody from taking it.
func TestLookingIsNotHolding(t *testing.T) {
	dir := state(t)
	stop := make(chan struct{})
	var lookers sync.WaitGroup
	for range 2 {
		lookers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := QueueServed(dir); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 5000 {
		lock, err := AcquireQueue(dir)
		if err != nil {
			t.Error(err)
			break
		}
		must(t, lock.Release())
	}
	close(stop)
	lookers.Wait()
}

// A command that outlives its worker keeps the commands' lock, and recovery ends it.
func TestEndCommands(t *testing.T) {
	dir := state(t)
	hold, err := HoldCommands(dir)
	must(t, err)
	cmd := exec.Command("sleep", "60")
	cmd.ExtraFiles = []*os.File{hold.File}
	must(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	must(t, hold.Close()) // the worker is gone

	must(t, EndCommands(t.Context(), dir))
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it ended by itself")
		}
	case <-time.After(20 * time.Second):
		t.Error("it still runs")
	}
	must(t, EndCommands(t.Context(), dir)) // nothing left: done at once
}

func texts(events []release.Event) string {
	var all []string
	for _, e := range events {
		all = append(all, string(e.Kind)+" "+e.Text)
	}
	return strings.Join(all, ", ")
}

func TestFollowToTheEnd(t *testing.T) {
	dir := state(t)
	var got []release.Event
	done := make(chan error, 1)
	go func() {
		done <- Follow(t.Context(), dir, 1, func() bool { return false }, func(e release.Event) { got = append(got, e) })
	}()
	log, err := OpenLog(dir, 1)
	must(t, err)
	for i := range 3 {
		log.Emit(release.Event{Kind: release.EventNote, Text: fmt.Sprint(i)})
	}
	log.Emit(release.Event{Kind: release.EventEnd})
	must(t, log.Close())
	must(t, <-done)
	if want := "note 0, note 1, note 2, end "; texts(got) != want {
		t.Errorf("got %q, want %q", texts(got), want)
	}
}

// A killed worker leaves half a line; what recovery adds stands on lines of its own, and the half is left out.
func TestTornLine(t *testing.T) {
	dir := state(t)
	log, err := OpenLog(dir, 7)
	must(t, err)
	log.Emit(release.Event{Kind: release.EventNote, Text: "before"})
	must(t, log.Close())
	file, err := os.OpenFile(LogPath(dir, 7), os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = file.WriteString(`{"kind":"note","text":"to`)
	must(t, errors.Join(err, file.Close()))

	var got []release.Event
	tell := func(e release.Event) { got = append(got, e) }
	if err := Follow(t.Context(), dir, 7, func() bool { return true }, tell); !errors.Is(err, ErrGone) {
		t.Errorf("a log without an end: %v", err)
	}
	log, err = OpenLog(dir, 7)
	must(t, err)
	log.Emit(release.Event{Kind: release.EventEnd, Text: "recovered"})
	must(t, log.Close())
	got = nil
	must(t, ReadLog(dir, 7, tell))
	if want := "note before, end recovered"; texts(got) != want {
		t.Errorf("got %q, want %q", texts(got), want)
	}
}

// A follower that is asked again goes on where it was, and one that skips begins with what comes.
func TestFollowOn(t *testing.T) {
	dir := state(t)
	log, err := OpenLog(dir, 1)
	must(t, err)
	gone := func() bool { return true }
	first, second := NewFollower(dir, 1), NewFollower(dir, 1)
	defer first.Close()
	defer second.Close()
	var got, late []release.Event
	log.Emit(release.Event{Kind: release.EventNote, Text: "1"})
	if err := first.Follow(t.Context(), gone, func(e release.Event) { got = append(got, e) }); !errors.Is(err, ErrGone) {
		t.Fatal(err)
	}
	must(t, second.Skip())
	log.Emit(release.Event{Kind: release.EventEnd, Text: "2"})
	must(t, first.Follow(t.Context(), gone, func(e release.Event) { got = append(got, e) }))
	must(t, second.Follow(t.Context(), gone, func(e release.Event) { late = append(late, e) }))
	must(t, log.Close())
	if texts(got) != "note 1, end 2" || texts(late) != "end 2" {
		t.Errorf("got %q, late %q", texts(got), texts(late))
	}
}

// A log that cannot be made is a warning: the run goes on without one.
func TestNoLog(t *testing.T) {
	dir := state(t)
	must(t, os.Remove(filepath.Join(dir, "runs")))
	log, err := OpenLog(dir, 1)
	if err == nil {
		t.Fatal("no error")
	}
	log.Emit(release.Event{Kind: release.EventNote})
	must(t, log.Close())
}

func TestPrepareLogKeepsTheNewest(t *testing.T) {
	dir := state(t)
	for _, n := range []int{1, 2, 3, keepLogs + 2} {
		must(t, os.WriteFile(LogPath(dir, n), nil, 0o600))
	}
	must(t, PrepareLog(dir, keepLogs+2))
	entries, err := os.ReadDir(filepath.Join(dir, "runs"))
	must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	want := []string{"3.jsonl", fmt.Sprint(keepLogs+2) + ".jsonl", fmt.Sprint(keepLogs+3) + ".jsonl"}
	slices.Sort(want)
	slices.Sort(names)
	if !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}

// The guardian lets a worker that died be recovered, tells what it said, and hands on how the recovery ended.
func TestGuardRecovers(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "worker")
	must(t, os.WriteFile(script, []byte("#!/bin/sh\necho \"$1\" >>"+dir+"/ran\n"+
		"case $1 in work) echo oh no >&2; kill -9 $$;; recover) exit 4;; esac\n"), 0o755))
	ended := func() bool {
		data, err := os.ReadFile(dir + "/ran")
		return err == nil && strings.Contains(string(data), "recover")
	}
	var words []string
	code, _, err := Guard(script, []string{"work"}, []string{"recover"}, ended, func(said []byte) { words = append(words, string(said)) })
	if err != nil || code != 4 || !slices.Equal(words, []string{"oh no\n"}) {
		t.Errorf("got %d, %v, said %q", code, err, words)
	}
}

// A signal to the guardian reaches its worker, which alone knows whether it still cancels.
func TestGuardPassesSignalsOn(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "worker")
	must(t, os.WriteFile(script, []byte("#!/bin/sh\ntrap 'exit 130' INT TERM\n: >"+dir+"/ready\nwhile :; do sleep 0.05; done\n"), 0o755))
	go func() {
		for range 1000 {
			if _, err := os.Stat(dir + "/ready"); err == nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
	}()
	code, _, err := Guard(script, nil, nil, func() bool { return true }, func([]byte) {})
	if err != nil || code != 130 {
		t.Errorf("got %d, %v", code, err)
	}
}

// Whoever starts a worker gets its exit code and what it said before its run began.
func TestStart(t *testing.T) {
	handle, err := Start(Launch{Program: "/bin/sh", Args: []string{"-c", "echo no >&2; exit 11"}, Dir: t.TempDir(), Unit: "rel-test"})
	must(t, err)
	code, said := handle.Result()
	if code != 11 || string(said) != "no\n" || !handle.Ended() {
		t.Errorf("got %d, %q", code, said)
	}
}

// One serves the queue; a rollback that waits is known to who does.
func TestQueueLocks(t *testing.T) {
	dir := state(t)
	served := func(want bool) {
		t.Helper()
		if got, err := QueueServed(dir); got != want || err != nil {
			t.Errorf("served: %v, %v", got, err)
		}
	}
	served(false)
	lock, err := AcquireQueue(dir)
	must(t, err)
	served(true)
	if _, err := AcquireQueue(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("a second one: %v", err)
	}
	must(t, lock.Release())
	served(false)

	one, two := GoFirst(dir), GoFirst(dir)
	one()
	if !SomebodyFirst(dir) {
		t.Error("nobody is to go first")
	}
	two()
	if SomebodyFirst(dir) {
		t.Error("somebody is to go first still")
	}
}
