package e2e

import (
	"context"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The demo is the first thing that a newcomer runs: it tells its story, checks each exit code on the way, and leaves nothing.
func TestDemo(t *testing.T) {
	tmp := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "rel", "demo")
	cmd.Env = append(cmd.Environ(), "TMPDIR="+tmp)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		`\$ rel activate v1\.0\n(.*\n)*live +v1\.0`, `live +v1\.1 \(was v1\.0\), release verified`,
		`refused +v1\.2: nothing changed, v1\.1 is live`, `reverted +v1\.3: v1\.1 is live again and healthy`,
		`no entry for key "till"`, `live +v1\.0 \(was v1\.1\)`, `5 .* rollback +v1\.1 +v1\.0 +live`, `requests were served, \d+ lost`,
	} {
		if !regexp.MustCompile(want).Match(out) {
			t.Errorf("the story has no %q", want)
		}
	}
	if lost := regexp.MustCompile(`served so far, (\d+) lost meanwhile`).FindAllStringSubmatch(string(out), -1); len(lost) != 4 {
		t.Errorf("%d chapters tell what was lost", len(lost))
	} else {
		for _, chapter := range []int{0, 1, 3} { // not the one in which v1.3 takes the service down
			if lost[chapter][1] != "0" {
				t.Errorf("chapter %d lost %s requests", chapter, lost[chapter][1])
			}
		}
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
	left, err := exec.Command("find", tmp, "-mindepth", "1").Output()
	if err != nil || strings.TrimSpace(string(left)) != "" {
		t.Errorf("left over: %s, %v", left, err)
	}
}
