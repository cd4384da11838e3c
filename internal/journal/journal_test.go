package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

func open(t *testing.T, dir string) *Journal {
	t.Helper()
	j, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() }) // a test may have closed it
	return j
}

// reopen is what a crash and a new worker are to the journal.
func reopen(t *testing.T, j *Journal) *Journal {
	t.Helper()
	dir := j.dir
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, dir)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sampleRun is a run as it looks in real life.
func sampleRun(n int) release.Run {
	at := time.Date(2026, 11, 23, 2, 8, 45, 0, time.UTC).Add(time.Duration(n) * time.Minute)
	return release.Run{
		Run: n, Key: fmt.Sprintf("key-%d", n), Command: "activate", From: "v1.3", To: "v1.4",
		Commit: strings.Repeat("4b", 20), Tree: strings.Repeat("9c", 20),
		Release: release.NewID(at, "v1.4"), FromID: release.NewID(at.Add(-time.Hour), "v1.3"), Now: release.NewID(at, "v1.4"),
		Outcome: release.Live, Verified: release.VerifiedRelease, By: "ada", Started: at, Seconds: 4.2, DowntimeMS: 310,
	}
}

func sampleRecord(n int, phase Phase) Record {
	return Record{
		Run: sampleRun(n), Phase: phase, Step: release.StepStop, Boot: "8f2c6b1e-6b0e-4ea3-8d4f-0f0e3f0b9a51", PID: 4711, Start: 123456,
		Services:  []ServiceWas{{Name: "web", Up: true, PID: 99, Start: 98}, {Name: "jobs"}},
		Groups:    []Group{{PID: 5000, Start: 777}},
		BeforeRan: true, StoppedAt: time.Date(2026, 11, 23, 2, 9, 0, 0, time.UTC),
	}
}

func TestRecordsComeBack(t *testing.T) {
	j := open(t, t.TempDir())
	if _, ok, err := j.Current(); ok || err != nil {
		t.Fatalf("new journal: %v, %v", ok, err)
	}
	phases := []Phase{Begun, Prepared, Stopping, Stopped, Switching, Switched, Starting, Started, Soaking, Healthy, Confirming, Reverting}
	for i := range 3 * slotCount { // round the slots more than once
		want := sampleRecord(1, phases[i%len(phases)])
		want.PID = i
		must(t, j.Write(want))
		if i%17 == 0 {
			j = reopen(t, j)
		}
		got, ok, err := j.Current()
		if err != nil || !ok || !reflect.DeepEqual(got, want) {
			t.Fatalf("write %d:\n got %+v, %v, %v\nwant %+v", i, got, ok, err, want)
		}
		got, ok, err = Read(j.dir)
		if err != nil || !ok || !reflect.DeepEqual(got, want) {
			t.Fatalf("read %d:\n got %+v, %v, %v\nwant %+v", i, got, ok, err, want)
		}
	}
}

func TestReadWithoutJournal(t *testing.T) {
	if _, ok, err := Read(t.TempDir()); ok || err != nil {
		t.Fatalf("got %v, %v", ok, err)
	}
}

func TestJournalIsAllocated(t *testing.T) {
	j := open(t, t.TempDir())
	fi, err := os.Stat(j.path)
	must(t, err)
	if fi.Size() != slotCount*slotSize {
		t.Fatalf("size %d", fi.Size())
	}
	must(t, j.Write(sampleRecord(1, Begun)))
	must(t, j.Close())
	// A copy that left holes, as cp --sparse makes it: the slots are written again, the record stays.
	data, err := os.ReadFile(j.path)
	must(t, err)
	must(t, os.Remove(j.path))
	must(t, os.WriteFile(j.path, data[:slotSize], 0o644))
	must(t, os.Truncate(j.path, slotCount*slotSize))
	j = open(t, j.dir)
	fi, err = os.Stat(j.path)
	must(t, err)
	if disk.Allocated(fi) < slotCount*slotSize {
		t.Errorf("%d bytes allocated", disk.Allocated(fi))
	}
	if rec, ok, err := j.Current(); !ok || err != nil || rec.Phase != Begun {
		t.Errorf("got %+v, %v, %v", rec, ok, err)
	}
}

// A crash while a slot is written leaves any prefix of the new one over the old one: the record before is current then.
func TestTornSlot(t *testing.T) {
	for _, old := range []string{"empty", "older"} {
		j := open(t, t.TempDir())
		writes := 3
		if old == "older" {
			writes = slotCount + 3
		}
		for i := range writes {
			rec := sampleRecord(1, Prepared)
			rec.PID = i
			must(t, j.Write(rec))
		}
		before, err := os.ReadFile(j.path)
		must(t, err)
		must(t, j.Write(sampleRecord(1, Stopping)))
		after, err := os.ReadFile(j.path)
		must(t, err)
		start := j.at * slotSize
		must(t, j.Close())
		payloadEnd := headSize + 900
		for _, n := range []int{0, 1, 7, 8, 9, 12, 15, 16, 23, 24, 25, 100, 511, 512, payloadEnd, 2048, sumOffset - 1, sumOffset, sumOffset + 1, slotSize - 1} {
			torn := append([]byte(nil), before...)
			copy(torn[start:], after[start:start+n])
			must(t, os.WriteFile(j.path, torn, 0o644))
			got, ok, err := Read(j.dir)
			if err != nil || !ok || got.Phase != Prepared || got.PID != writes-1 {
				t.Fatalf("%s, %d bytes written: %s %d, %v, %v", old, n, got.Phase, got.PID, ok, err)
			}
			k := open(t, j.dir)
			must(t, k.Write(sampleRecord(1, Stopped)))
			must(t, k.Close())
			if got, _, err := Read(j.dir); err != nil || got.Phase != Stopped {
				t.Fatalf("%s, %d bytes written, then one more: %s, %v", old, n, got.Phase, err)
			}
		}
	}
}

// Sectors may reach the disk in any order: a slot with one sector of the old contents is not valid.
func TestTornSlotBySector(t *testing.T) {
	rec := sampleRecord(1, Prepared)
	rec.Run.Error = strings.Repeat("no such file or directory\n", 100)
	slot, err := encodeSlot(7, rec)
	must(t, err)
	for at := 0; at < slotSize; at += 512 {
		torn := append([]byte(nil), slot...)
		clear(torn[at : at+512])
		_, _, err := decodeSlot(torn)
		if !errors.Is(err, errSlot) && string(torn) != string(slot) {
			t.Errorf("sector at %d: %v", at, err)
		}
	}
	for bit := range slotSize * 8 {
		slot[bit/8] ^= 1 << (bit % 8)
		if _, _, err := decodeSlot(slot); err == nil {
			t.Fatalf("bit %d flipped: valid", bit)
		}
		slot[bit/8] ^= 1 << (bit % 8)
	}
}

func TestAllDamaged(t *testing.T) {
	j := open(t, t.TempDir())
	must(t, j.Write(sampleRecord(1, Begun)))
	must(t, j.Close())
	must(t, os.WriteFile(j.path, []byte(strings.Repeat("junk", slotCount*slotSize/4)), 0o644))
	_, err := Open(j.dir)
	_, _, readErr := Read(j.dir)
	for _, err := range []error{err, readErr} {
		if !errors.Is(err, ErrDamaged) || !strings.Contains(strings.Join(release.Hints(err), "\n"), "rel recover") {
			t.Fatalf("got %v, hints %q", err, release.Hints(err))
		}
	}
	if runs, err := Tail(j.dir, 0); err != nil || len(runs) != 0 {
		t.Errorf("history of a damaged journal: %v, %v", runs, err)
	}
	aside, err := Reset(j.dir)
	must(t, err)
	if _, err := os.Stat(aside); err != nil {
		t.Error(err)
	}
	k := open(t, j.dir)
	if _, ok, err := k.Current(); ok || err != nil {
		t.Errorf("after reset: %v, %v", ok, err)
	}
}

func TestEmptiedJournalIsDamaged(t *testing.T) {
	j := open(t, t.TempDir())
	must(t, j.Close())
	must(t, os.Truncate(j.path, 0))
	if _, err := Open(j.dir); !errors.Is(err, ErrDamaged) {
		t.Fatalf("got %v", err)
	}
}

func TestLaterFormatIsRefused(t *testing.T) {
	j := open(t, t.TempDir())
	must(t, j.Write(sampleRecord(1, Begun)))
	must(t, j.Close())
	data, err := os.ReadFile(j.path)
	must(t, err)
	slot := data[j.at*slotSize:][:slotSize]
	slot[8] = slotFormat + 1
	resum(slot)
	must(t, os.WriteFile(j.path, data, 0o644))
	if _, err := Open(j.dir); err == nil || !strings.Contains(err.Error(), "later rel") {
		t.Fatalf("got %v", err)
	}
}

func TestLargeRecordsFit(t *testing.T) {
	texts := map[string]string{
		"long":    strings.Repeat("perl: can't locate Shop/Cart.pm in @INC ", 1000),
		"runes":   strings.Repeat("€𝄞", 20000),
		"control": strings.Repeat("\x00\x1b\n", 20000),
		"invalid": strings.Repeat("\xff\xfe", 20000),
		"huge":    strings.Repeat("x", 5<<20), // deflates to next to nothing
	}
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			rec := sampleRecord(1, Reverting)
			rec.Run.Error, rec.Run.Note, rec.Run.By = text, text, text
			for i := range 40 {
				rec.Services = append(rec.Services, ServiceWas{Name: fmt.Sprintf("service-%d", i), Up: true, PID: 10000 + i, Start: uint64(i) * 99991})
				rec.Groups = append(rec.Groups, Group{PID: 20000 + i, Start: uint64(i) * 77773})
			}
			j := open(t, t.TempDir())
			must(t, j.Write(rec))
			got, _, err := Read(j.dir)
			must(t, err)
			if got.Run.Error == "" || !reflect.DeepEqual(got.Services, rec.Services) || !reflect.DeepEqual(got.Groups, rec.Groups) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestOldestGroupsGo(t *testing.T) {
	j := open(t, t.TempDir())
	rec := sampleRecord(1, Starting)
	for i := range 5000 {
		rec.Groups = append(rec.Groups, Group{PID: i + 1, Start: uint64(i) * 7919 * 7919})
	}
	must(t, j.Write(rec))
	got, _, err := Read(j.dir)
	must(t, err)
	if n := len(got.Groups); n < 100 || got.Groups[n-1] != rec.Groups[len(rec.Groups)-1] || !reflect.DeepEqual(got.Services, rec.Services) {
		t.Errorf("%d groups", n)
	}
}

func TestTooManyServicesHarmNothing(t *testing.T) {
	j := open(t, t.TempDir())
	must(t, j.Write(sampleRecord(1, Begun)))
	rec := sampleRecord(1, Prepared)
	for i := range 5000 {
		rec.Services = append(rec.Services, ServiceWas{Name: fmt.Sprint(i), PID: i * 7919})
	}
	if err := j.Write(rec); err == nil || !strings.Contains(err.Error(), "5002 services") {
		t.Fatalf("got %v", err)
	}
	must(t, j.Write(sampleRecord(1, Prepared)))
}

func TestErrorOfWriteIsFinal(t *testing.T) {
	j := open(t, t.TempDir())
	must(t, j.Write(sampleRecord(1, Begun)))
	must(t, j.f.Close())
	err := j.Write(sampleRecord(1, Prepared))
	if err == nil {
		t.Fatal("written to a closed file")
	}
	j.f, _ = os.OpenFile(j.path, os.O_RDWR, 0) // even though it would work again
	for _, again := range []error{j.Write(sampleRecord(1, Prepared)), j.Finish(sampleRun(1))} {
		if !errors.Is(again, err) {
			t.Errorf("got %v, want %v", again, err)
		}
	}
	if got, _, err := Read(j.dir); err != nil || got.Phase != Begun {
		t.Errorf("got %s, %v", got.Phase, err)
	}
}

func TestOrderOfRuns(t *testing.T) {
	j := open(t, t.TempDir())
	if n := j.NextRun(); n != 1 {
		t.Fatalf("next run %d", n)
	}
	must(t, j.Write(sampleRecord(1, Begun)))
	err := j.Write(sampleRecord(2, Begun))
	if err == nil || !strings.Contains(strings.Join(release.Hints(err), "\n"), "rel recover") {
		t.Fatalf("a second run in flight: %v", err)
	}
	must(t, j.Finish(sampleRun(1)))
	if err := j.Finish(sampleRun(1)); err == nil {
		t.Fatal("finished twice")
	}
	j = reopen(t, j)
	if n := j.NextRun(); n != 2 {
		t.Fatalf("next run %d", n)
	}
	must(t, j.Write(sampleRecord(5, Begun)))
	must(t, os.Remove(filepath.Join(j.dir, historyName)))
	j = reopen(t, j)
	if n := j.NextRun(); n != 6 {
		t.Fatalf("next run %d", n)
	}
}

// Run with -race: what readers see is never torn and never goes back.
func TestReadBesideWriter(t *testing.T) {
	j := open(t, t.TempDir())
	must(t, j.Write(Record{Run: release.Run{Run: 1}, Phase: Begun, PID: 1}))
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range 3 {
		wg.Go(func() {
			last := 0
			for {
				select {
				case <-done:
					return
				default:
				}
				rec, ok, err := Read(j.dir)
				if err != nil || !ok || rec.PID < last {
					t.Errorf("after %d: %d, %v, %v", last, rec.PID, ok, err)
					return
				}
				last = rec.PID
			}
		})
	}
	for i := range 300 {
		must(t, j.Write(Record{Run: release.Run{Run: 1, Note: strings.Repeat("x", i*7)}, Phase: Begun, PID: i + 2}))
	}
	close(done)
	wg.Wait()
}
