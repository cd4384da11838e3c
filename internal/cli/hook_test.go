package cli

import (
	"io"
	"os"
	"testing"
	"time"
)

// Whoever stops reading while the pipe stays open is given up: what is printed goes nowhere, and nobody waits for it.
func TestPatient(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	gone := 0
	p := &patient{file: w, patience: 20 * time.Millisecond, gone: func() { gone++ }}
	line := make([]byte, 1<<10)
	for range 1000 { // a pipe takes 64 KiB
		if n, err := p.Write(line); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	if gone != 1 {
		t.Errorf("told %d times that the reader is gone", gone)
	}
}

// One who has gone is given up at once; one who reads has it all.
func TestPatientReader(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	gone := 0
	p := &patient{file: w, patience: time.Minute, gone: func() { gone++ }}
	got := make(chan string, 1)
	go func() {
		data, _ := io.ReadAll(io.LimitReader(r, 7))
		got <- string(data)
	}()
	_, _ = io.WriteString(p, "one")
	_, _ = io.WriteString(p, "\ntwo")
	if text := <-got; text != "one\ntwo" || gone != 0 {
		t.Errorf("%q, gone %d", text, gone)
	}
	_ = r.Close()
	_, _ = io.WriteString(p, "more")
	_, _ = io.WriteString(p, "more")
	if gone != 1 {
		t.Errorf("told %d times that the reader is gone", gone)
	}
	_ = w.Close()
}
