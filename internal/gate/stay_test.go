package gate

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestStay(t *testing.T) {
	gone, seen := errors.New("web: it is down: pid 7 is gone"), errors.New("seen")
	for _, c := range []struct {
		name   string
		answer func(try int) int // the status of a try, from 1 on
		alive  func(try int) error
		look   func(try int) error
		d      time.Duration
		want   string // how the error ends; empty for none
		tries  int32  // at least
		lost   bool
	}{
		{name: "well", d: 50 * time.Millisecond, tries: 1},
		{name: "one try is lost", answer: func(n int) int { return map[bool]int{true: 503, false: 200}[n == 3] }, d: 50 * time.Millisecond, tries: 1},
		{name: "two in a row", answer: func(n int) int { return map[bool]int{true: 503, false: 200}[n > 3] }, d: time.Hour, want: ": 503, 200 expected, 2 times in a row", tries: 5, lost: true},
		{name: "at the end", answer: func(int) int { return 503 }, d: time.Nanosecond, want: "2 times in a row", tries: 2, lost: true},
		{name: "dies", alive: func(n int) error { return map[bool]error{true: gone}[n == 3] }, d: time.Hour, want: "it was healthy, and then: " + gone.Error(), tries: 2, lost: true},
		{name: "seen in the log", look: func(n int) error { return map[bool]error{true: seen}[n == 3] }, d: time.Hour, want: seen.Error(), tries: 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var tries atomic.Int32
			url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if n := tries.Add(1); c.answer != nil {
					w.WriteHeader(c.answer(int(n)))
				}
			})
			asked, looked := 0, 0
			alive := func() error {
				asked++
				if c.alive == nil {
					return nil
				}
				return c.alive(asked)
			}
			lost, err := Health{URL: url, Passes: 2, Interval: time.Millisecond}.Stay(t.Context(), HealthRequest{Alive: alive}, c.d, func() error {
				looked++
				if c.look == nil {
					return nil
				}
				return c.look(looked)
			})
			if (err == nil) != (c.want == "") || err != nil && !strings.HasSuffix(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if n := tries.Load(); n < c.tries || lost.IsZero() == c.lost || looked == 0 {
				t.Errorf("%d tries, lost at %s, looked %d times", n, lost, looked)
			}
		})
	}
}

// Without a probe it is the processes alone that are watched.
func TestStayWithoutProbe(t *testing.T) {
	asked := 0
	lost, err := Health{Interval: time.Millisecond}.Stay(t.Context(), HealthRequest{Alive: func() error {
		if asked++; asked == 5 {
			return errors.New("gone")
		}
		return nil
	}}, time.Hour, func() error { return nil })
	if err == nil || lost.IsZero() || asked != 5 {
		t.Error(lost, err, asked)
	}
}
