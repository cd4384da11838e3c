package e2e

import (
	"os"
	"path/filepath"
	"strings"
)

// gateScript is a step or a build that can be made to wait: where NAME.shut is, it makes NAME.there and waits until NAME.shut is
// gone. It ends too when the test's directory goes.
const gateScript = `#!/bin/sh
cd "$(dirname "$0")" || exit 1
[ -e "$1.shut" ] || exit 0
: > "$1.there"
while [ -e "$1.shut" ]; do sleep 0.02; done
rm -f "$1.there"
`

// gated are the tables with a build and a step after the switch that can be made to wait.
const gated = "[build]\nrun = 'sh @RUN@/gate build'\n[steps]\nafter_switch = 'sh @RUN@/gate after_switch'\n"

// shut makes the gate of that name hold whoever comes to it.
func (s *site) shut(name string) {
	s.t.Helper()
	must(s.t, os.WriteFile(filepath.Join(s.run, name+".shut"), nil, 0o644))
	_ = os.Remove(filepath.Join(s.run, name+".there")) // of one that was killed there
}

// opened lets whoever waits at the gate go on.
func (s *site) opened(name string) {
	s.t.Helper()
	must(s.t, os.Remove(filepath.Join(s.run, name+".shut")))
}

// awaitAt waits until a command of a run has come to the gate.
func (s *site) awaitAt(name string) {
	s.t.Helper()
	s.await("nobody has come to "+name, func() bool {
		_, err := os.Stat(filepath.Join(s.run, name+".there"))
		return err == nil
	})
}

// says wants that a text has each of the parts.
func (s *site) says(text string, parts ...string) {
	s.t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			s.t.Errorf("%q is not said in:\n%s", part, text)
		}
	}
}
