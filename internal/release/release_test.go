package release

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestIDs(t *testing.T) {
	at := time.Date(2026, 11, 23, 3, 8, 45, 999, time.FixedZone("", 3600))
	for tag, want := range map[string]ID{
		"v1.4":                   "20261123T020845Z-v1.4",
		"shop/v1.4+x":            "20261123T020845Z-shop_v1.4+x",
		"v;$(id)`x\u202e":        "20261123T020845Z-v___id__x_",
		strings.Repeat("v", 300): ID("20261123T020845Z-" + strings.Repeat("v", maxTagInID)),
	} {
		got := NewID(at, tag)
		if got != want {
			t.Errorf("%q: %s, want %s", tag, got, want)
		}
		if back, ok := got.Time(); !ok || !back.Equal(at.Truncate(time.Second)) {
			t.Errorf("%s: %s, %v", got, back, ok)
		}
	}
	for _, no := range []ID{"", "v1.4", "20261123T020845Z", "20261123T020845Z-", "2026-v1", "20261123T020845Z-a/b", ".tmp-20261123T020845Z-v1"} {
		if _, ok := no.Time(); ok {
			t.Errorf("%q has the shape of a release id", no)
		}
	}
}

func TestSame(t *testing.T) {
	e := Entry{Path: "f", Kind: Tagged, Mode: ModeFile, Size: 3, Inode: 7, MTime: 100, CTime: 200}
	for name, c := range map[string]struct {
		change  func(e, now *Entry)
		written int64
		want    bool
	}{
		"untouched":                {func(_, _ *Entry) {}, 201, true},
		"as young as its manifest": {func(_, _ *Entry) {}, 200, false},
		"younger":                  {func(_, _ *Entry) {}, 199, false},
		"no manifest's time":       {func(_, _ *Entry) {}, 0, false},
		"never stamped":            {func(e, now *Entry) { e.Inode, now.Inode = 0, 0 }, 201, false},
		"another inode":            {func(_, now *Entry) { now.Inode++ }, 201, false},
		"another size":             {func(_, now *Entry) { now.Size++ }, 201, false},
		"written to":               {func(_, now *Entry) { now.MTime++ }, 201, false},
		"its mtime set back":       {func(_, now *Entry) { now.CTime++ }, 201, false},
	} {
		e, now := e, e
		c.change(&e, &now)
		if got := e.Same(now, c.written); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestErrors(t *testing.T) {
	cause := errors.New("no such tag")
	err := fmt.Errorf("choosing: %w", Errorf(ExitNotFound, "v1.4: %w", cause).Hint("rel list shows the tags"))
	if ExitCode(err) != ExitNotFound || !errors.Is(err, cause) || !slices.Equal(Hints(err), []string{"rel list shows the tags"}) {
		t.Errorf("got %d, %v, %q", ExitCode(err), err, Hints(err))
	}
	if ExitCode(nil) != ExitDone || ExitCode(cause) != ExitError || Hints(cause) != nil {
		t.Error("plain errors exit with 1 and have no hints")
	}
}
