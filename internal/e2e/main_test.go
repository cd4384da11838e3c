// Package e2e tests the whole program from outside: commands in processes of their own, on real repositories, with a service
// that behaves as Apache with mod_perl does, killed and crowded as servers are.
package e2e

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/git-rel/rel/internal/cli"
)

// TestMain puts this very binary into PATH as "rel". It is a copy, not a link, so that os.Executable, which the program starts
// its workers from, is that copy too.
func TestMain(m *testing.M) {
	testscript.Main(withRaces{m}, map[string]func(){"rel": rel, "faulty": faulty})
}

// rel is the program. Under the race detector it takes the detector's settings first where it was not given them: the program
// keeps a worker's environment clean.
func rel() {
	if raceEnabled && os.Getenv(raceVariable) == "" {
		program, err := os.Executable()
		if err == nil {
			err = syscall.Exec(program, append([]string{program}, os.Args[1:]...), append(os.Environ(), raceVariable+"="+raceSettings(program)))
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// raceVariable is where the race detector's settings are.
const raceVariable = "GORACE"

// raceSettings are: no second of sleep at the end of each process, and an end at the first race, told to a file beside the program.
func raceSettings(program string) string {
	return "atexit_sleep_ms=0 halt_on_error=1 log_path=" + filepath.Join(filepath.Dir(program), raceLog)
}

// raceLog is what the names of the files begin with that tell of races, beside the program.
const raceLog = "race"

// withRaces are the tests, which fail when a process of the program had a race.
type withRaces struct{ *testing.M }

func (m withRaces) Run() int {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)                      // under nohup all that tests start would ignore it, as git must not
	dir, _, _ := strings.Cut(os.Getenv("PATH"), string(filepath.ListSeparator)) // where testscript has put the program
	code := m.M.Run()
	logs, err := filepath.Glob(filepath.Join(dir, raceLog+".*"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for _, log := range logs {
		text, err := os.ReadFile(log)
		fmt.Fprintln(os.Stderr, string(text), err)
		code = 1
	}
	return code
}
