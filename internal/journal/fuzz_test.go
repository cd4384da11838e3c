package journal

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/git-rel/rel/internal/release"
)

// FuzzSlot: whatever is on the disk, decoding does not panic, and what it takes for a record it writes the same again.
func FuzzSlot(f *testing.F) {
	small, err := encodeSlot(3, sampleRecord(1, Prepared))
	if err != nil {
		f.Fatal(err)
	}
	large := sampleRecord(2, Finished)
	large.Run.Error = strings.Repeat("a long text ", 2000)
	packed, err := encodeSlot(9, large)
	if err != nil {
		f.Fatal(err)
	}
	for _, slot := range [][]byte{small, packed} {
		f.Add(bytes.TrimRight(slot[:sumOffset], "\x00"), true) // short: or minimizing takes longer than fuzzing
	}
	f.Add(small[:100], true)
	f.Add([]byte{}, false)
	f.Add([]byte(slotMagic), false)
	f.Fuzz(func(t *testing.T, data []byte, sum bool) {
		slot := make([]byte, slotSize)
		copy(slot, data)
		if sum { // or the checksum hides everything behind it
			copy(slot, slotMagic)
			resum(slot)
		}
		seq, rec, err := decodeSlot(slot)
		if err != nil {
			return
		}
		again, err := encodeSlot(seq, rec)
		if err != nil {
			return // of thousands of services that were never encoded here
		}
		seq2, rec2, err := decodeSlot(again)
		if err != nil || seq2 != seq || rec2.Phase != rec.Phase || rec2.Run.Run != rec.Run.Run {
			t.Fatalf("got %d %+v, %v\nwant %d %+v", seq2, rec2, err, seq, rec)
		}
	})
}

// FuzzHistoryLine: a line that is taken for a run is written the same again, on one line.
func FuzzHistoryLine(f *testing.F) {
	line, err := encodeLine(sampleRun(7))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	f.Add(line[:len(line)/2])
	f.Add([]byte(`{"run":1,"error":"a\nb\u2028c","note":"€"}`))
	f.Add([]byte("{}\n"))
	f.Add([]byte("\x00\x00"))
	f.Fuzz(func(t *testing.T, line []byte) {
		run, ok := decodeLine(line)
		if !ok {
			return
		}
		again, err := encodeLine(run)
		if err != nil {
			return // a time with an odd zone
		}
		if bytes.Count(again, []byte{'\n'}) != 1 || again[len(again)-1] != '\n' {
			t.Fatalf("not one line: %q", again)
		}
		got, ok := decodeLine(again)
		run.Error, run.Note = cut(run.Error, textMax), cut(run.Note, textMax)
		if !ok || !sameRun(got, run) {
			t.Fatalf("got %+v, %v\nwant %+v", got, ok, run)
		}
	})
}

// sameRun compares runs, times by instant.
func sameRun(a, b release.Run) bool {
	if !a.Started.Equal(b.Started) {
		return false
	}
	b.Started = a.Started
	return reflect.DeepEqual(a, b)
}
