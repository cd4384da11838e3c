package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

func finish(t *testing.T, j *Journal, numbers ...int) {
	t.Helper()
	for _, n := range numbers {
		must(t, j.Write(sampleRecord(n, Begun)))
		must(t, j.Finish(sampleRun(n)))
	}
}

// slotOnly is a worker that dies between the slot of a finished run and its line in the history.
func slotOnly(t *testing.T, j *Journal, n int) {
	t.Helper()
	must(t, j.Write(sampleRecord(n, Begun)))
	must(t, j.Write(Record{Run: sampleRun(n), Phase: Finished}))
}

func numbers(t *testing.T, dir string, n int) []int {
	t.Helper()
	runs, err := Tail(dir, n)
	must(t, err)
	var got []int
	for _, run := range runs {
		if !reflect.DeepEqual(run, sampleRun(run.Run)) {
			t.Errorf("run %d: got %+v", run.Run, run)
		}
		got = append(got, run.Run)
	}
	return got
}

func lines(t *testing.T, dir string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, historyName))
	must(t, err)
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}

func TestTail(t *testing.T) {
	dir := t.TempDir()
	if got := numbers(t, dir, 0); got != nil {
		t.Fatalf("without history: %v", got)
	}
	j := open(t, dir)
	if got := numbers(t, dir, 0); got != nil {
		t.Fatalf("empty history: %v", got)
	}
	var want []int
	for n := 1; n <= 300; n++ { // more than a block
		must(t, j.history.append(sampleRun(n)))
		want = slices.Insert(want, 0, n)
	}
	for _, n := range []int{1, 2, 100, 299, 300, 301} {
		if got := numbers(t, dir, n); !slices.Equal(got, want[:min(n, 300)]) {
			t.Errorf("tail of %d: %v", n, got)
		}
	}
	if got := numbers(t, dir, 0); !slices.Equal(got, want) {
		t.Errorf("all: %v", got)
	}
	for _, n := range []int{1, 150, 300} {
		if run, ok, err := Find(dir, n); err != nil || !ok || run.Run != n {
			t.Errorf("find %d: %d, %v, %v", n, run.Run, ok, err)
		}
	}
	if _, ok, err := Find(dir, 301); ok || err != nil {
		t.Errorf("find 301: %v, %v", ok, err)
	}
}

func TestEachFromOffset(t *testing.T) {
	j := open(t, t.TempDir())
	finish(t, j, 1, 2, 3)
	slotOnly(t, j, 4)
	type seen struct {
		run int
		end int64
	}
	var all []seen
	size, err := Each(j.dir, 0, func(run release.Run, end int64) error {
		all = append(all, seen{run.Run, end})
		return nil
	})
	must(t, err)
	if len(all) != 4 || all[2].end != size || all[3] != (seen{4, 0}) {
		t.Fatalf("got %v, size %d", all, size)
	}
	var rest []seen
	_, err = Each(j.dir, all[0].end, func(run release.Run, end int64) error {
		rest = append(rest, seen{run.Run, end})
		return nil
	})
	must(t, err)
	if !slices.Equal(rest, all[1:]) {
		t.Errorf("got %v, want %v", rest, all[1:])
	}
	stop := errors.New("enough")
	if _, err := Each(j.dir, 0, func(release.Run, int64) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}

func TestCrashBeforeHistory(t *testing.T) {
	j := open(t, t.TempDir())
	finish(t, j, 1, 2)
	slotOnly(t, j, 3)
	if got := len(lines(t, j.dir)); got != 2 {
		t.Fatalf("%d lines", got)
	}
	if got := numbers(t, j.dir, 2); !slices.Equal(got, []int{3, 2}) {
		t.Fatalf("readers see %v", got)
	}
	if run, ok, err := Find(j.dir, 3); !ok || err != nil || run.Run != 3 {
		t.Errorf("find: %d, %v, %v", run.Run, ok, err)
	}
	for range 3 { // once, however often it is opened
		j = reopen(t, j)
		if got := numbers(t, j.dir, 0); !slices.Equal(got, []int{3, 2, 1}) || len(lines(t, j.dir)) != 3 {
			t.Fatalf("got %v, %d lines", got, len(lines(t, j.dir)))
		}
	}
	finish(t, j, 4)
	if got := numbers(t, j.dir, 0); !slices.Equal(got, []int{4, 3, 2, 1}) {
		t.Errorf("got %v", got)
	}
}

// The worker died after the line, or in it: whatever part of the line reached the file, the run is there once.
func TestTornTail(t *testing.T) {
	line, err := encodeLine(sampleRun(3))
	must(t, err)
	var tails []string
	for n := 0; n <= len(line); n++ {
		tails = append(tails, string(line[:n]))
		if n > 20 && n < len(line)-5 {
			n += 15 // inside the line one place is like another
		}
	}
	tails = append(tails, "\x00\x00\x00", "{}\n", "not json\n", "not json", "{\"run\":", string(line)+"{\"run\":4", strings.Repeat("x", 3*blockSize))
	base := open(t, t.TempDir())
	finish(t, base, 1, 2)
	slotOnly(t, base, 3)
	must(t, base.Close())
	slots, err := os.ReadFile(base.path)
	must(t, err)
	history, err := os.ReadFile(filepath.Join(base.dir, historyName))
	must(t, err)
	for _, tail := range tails {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, journalName), slots, 0o644))
		must(t, os.WriteFile(filepath.Join(dir, historyName), append(slices.Clone(history), tail...), 0o644))
		if got := numbers(t, dir, 0); !slices.Equal(got, []int{3, 2, 1}) {
			t.Fatalf("%.40q: readers see %v", tail, got)
		}
		j := open(t, dir)
		finish(t, j, 4)
		must(t, j.Close())
		if got := numbers(t, dir, 0); !slices.Equal(got, []int{4, 3, 2, 1}) {
			t.Fatalf("%.40q: %v", tail, got)
		}
		if n := strings.Count(strings.Join(lines(t, dir), "\n"), `"run":3,`); n != 1 {
			t.Fatalf("%.40q: run 3 is there %d times", tail, n)
		}
	}
}

func TestBadLinesArePassedOver(t *testing.T) {
	j := open(t, t.TempDir())
	finish(t, j, 1)
	must(t, j.Close())
	path := filepath.Join(j.dir, historyName)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	must(t, err)
	_, err = fmt.Fprintf(f, "\n\nrotten\n{\"run\":-4}\n%s\n", strings.Repeat("z", 2*blockSize))
	must(t, errors.Join(err, f.Close()))
	j = open(t, j.dir)
	finish(t, j, 2)
	if got := numbers(t, j.dir, 0); !slices.Equal(got, []int{2, 1}) {
		t.Fatalf("got %v", got)
	}
	l, err := LoadLedger(j.dir)
	must(t, err)
	if l.Run != 2 || l.Line != 2 {
		t.Errorf("ledger at run %d, line %d", l.Run, l.Line)
	}
}

// What waits for the history is never overwritten, and the history gets it in order once that can be.
func TestPendingRunsKeepTheirSlots(t *testing.T) {
	j := open(t, t.TempDir())
	finish(t, j, 1)
	must(t, j.history.f.Close()) // appends go wrong from here on
	for n := 2; n <= 9; n++ {
		for range slotCount {
			must(t, j.Write(sampleRecord(n, Prepared)))
		}
		err := j.Finish(sampleRun(n))
		var wait *NotYetInHistory
		if !errors.As(err, &wait) || wait.Run != 2 {
			t.Fatalf("run %d: %v", n, err)
		}
	}
	want := []int{9, 8, 7, 6, 5, 4, 3, 2, 1}
	if got := numbers(t, j.dir, 0); !slices.Equal(got, want) {
		t.Fatalf("readers see %v", got)
	}
	if got := len(j.waiting()); got != 8 {
		t.Fatalf("%d pending", got)
	}
	must(t, j.f.Close())
	j = open(t, j.dir)
	if got := numbers(t, j.dir, 0); !slices.Equal(got, want) || len(lines(t, j.dir)) != 9 || len(j.waiting()) != 0 {
		t.Errorf("got %v, %d lines, %d pending", got, len(lines(t, j.dir)), len(j.waiting()))
	}
}

func TestNoNewRunWhenTheJournalIsFullOfPendingOnes(t *testing.T) {
	j := open(t, t.TempDir())
	must(t, j.history.f.Close())
	var err error
	n := 1
	for ; n <= slotCount && err == nil; n++ {
		if err = j.Write(sampleRecord(n, Begun)); err == nil {
			var wait *NotYetInHistory
			if finishErr := j.Finish(sampleRun(n)); !errors.As(finishErr, &wait) {
				t.Fatal(finishErr)
			}
		}
	}
	if err == nil || release.Hints(err) == nil {
		t.Fatalf("got %v", err)
	}
	if got := len(j.waiting()); got != pendingMax+1 || n-2 != got {
		t.Errorf("%d pending after %d runs", got, n-2)
	}
	if runs, err := Tail(j.dir, 0); err != nil || len(runs) != pendingMax+1 {
		t.Errorf("%d in the journal, %v", len(runs), err)
	}
	must(t, j.f.Close())
	j = open(t, j.dir)
	if got := len(lines(t, j.dir)); got != pendingMax+1 {
		t.Errorf("%d lines", got)
	}
	must(t, j.Write(sampleRecord(j.NextRun(), Begun)))
}

// A history that cannot even be opened does not block a rollback.
func TestHistoryThatCannotBeOpened(t *testing.T) {
	j := open(t, t.TempDir())
	finish(t, j, 1)
	must(t, j.Close())
	path := filepath.Join(j.dir, historyName)
	must(t, os.Rename(path, path+".away"))
	must(t, os.Mkdir(path, 0o755))
	j = open(t, j.dir)
	must(t, j.Write(sampleRecord(j.NextRun(), Begun)))
	var wait *NotYetInHistory
	if err := j.Finish(sampleRun(2)); !errors.As(err, &wait) {
		t.Fatalf("got %v", err)
	}
	must(t, j.Close())
	must(t, os.Remove(path))
	must(t, os.Rename(path+".away", path))
	j = open(t, j.dir)
	if got := numbers(t, j.dir, 0); !slices.Equal(got, []int{2, 1}) || len(lines(t, j.dir)) != 2 {
		t.Errorf("got %v", got)
	}
}

func TestHistoryIsAllocatedAhead(t *testing.T) {
	j := open(t, t.TempDir())
	for n := 1; n <= 600; n++ {
		must(t, j.history.append(sampleRun(n)))
		fi, err := j.history.f.Stat()
		must(t, err)
		if fi.Size() != j.history.size {
			t.Fatalf("size %d, want %d", fi.Size(), j.history.size)
		}
		if ahead := disk.Allocated(fi) - fi.Size(); ahead < aheadSize {
			t.Skipf("%d bytes ahead: this file system does not allocate ahead", ahead)
		}
	}
}

func TestAnyLineFitsWhatIsAllocatedAhead(t *testing.T) {
	run := sampleRun(1)
	run.Error, run.Note = strings.Repeat("\x01", 1<<20), strings.Repeat("\x01", 1<<20)
	line, err := encodeLine(run)
	must(t, err)
	if len(line) > aheadSize {
		t.Errorf("%d bytes", len(line))
	}
}

func BenchmarkTail(b *testing.B) {
	dir := b.TempDir()
	f, err := os.Create(filepath.Join(dir, historyName))
	if err != nil {
		b.Fatal(err)
	}
	var buf []byte
	for n := 1; n <= 100_000; n++ {
		line, err := encodeLine(sampleRun(n))
		if err != nil {
			b.Fatal(err)
		}
		buf = append(buf, line...)
	}
	if _, err := f.Write(buf); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if runs, err := Tail(dir, 20); err != nil || len(runs) != 20 {
			b.Fatal(len(runs), err)
		}
	}
}

func TestFindKey(t *testing.T) {
	dir := t.TempDir()
	j, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for n, key := range []string{"a", "b", "c"} {
		if err := j.Finish(release.Run{Run: n + 1, Key: key}); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		key   string
		after int
		want  int
	}{{"a", 0, 1}, {"c", 2, 3}, {"a", 2, 0}, {"d", 0, 0}} {
		run, found, err := FindKey(dir, test.key, test.after)
		if err != nil || run.Run != test.want || found != (test.want > 0) {
			t.Errorf("%+v: %+v, %v, %v", test, run, found, err)
		}
	}
}
