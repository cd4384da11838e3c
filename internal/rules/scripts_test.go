package rules

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	stepConstant = regexp.MustCompile(`Step = "([a-z]+)"`)
	anchored     = regexp.MustCompile(`^!? *stderr '\^?([a-z]+) .*\$'$`)
)

// A step's line ends with the time it took, where that was a millisecond or more: a script that wants its end to be the text's fails
// on a slower machine.
func TestScriptsLeaveRoomForTimes(t *testing.T) {
	steps := map[string]bool{}
	for _, m := range stepConstant.FindAllStringSubmatch(read(t, "internal/release/run.go"), -1) {
		steps[m[1]] = true
	}
	scripts, err := filepath.Glob(filepath.Join(top, "internal/*/testdata/script/*.txtar"))
	if err != nil || len(scripts) < 50 || len(steps) < 10 {
		t.Fatalf("%d scripts, %d steps, %v: are they looked for rightly?", len(scripts), len(steps), err)
	}
	for _, path := range scripts {
		path, err := filepath.Rel(top, path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(read(t, path)) {
			line = strings.TrimSuffix(line, "\n")
			if m := anchored.FindStringSubmatch(line); m != nil && steps[m[1]] {
				t.Errorf("%s: %s: a time may follow the text", path, line)
			}
		}
	}
}
