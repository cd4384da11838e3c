package deploy

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/worker"
)

// said is what a worker whose run never began tells its starter, on its standard error.
type said struct {
	Exit  int      `json:"exit"`
	Error string   `json:"error"`
	Hints []string `json:"hints,omitempty"`
}

// WorkerMain is the process that the hidden command "rel worker" runs: the guardian, or below it the worker.
func (s *Site) WorkerMain(ctx context.Context, req Request, guarded bool) (code int) {
	if guarded {
		return tellStarter(s.Work(ctx, req))
	}
	if req.Command == Queue {
		return s.serve(ctx, req)
	}
	code = s.guardOne(req)
	if program, err := os.Executable(); err == nil && code != release.ExitLocked {
		s.goOn(ctx, program)
	}
	return code
}

// tellStarter says on our standard error why no run began, and returns the exit code for it.
func tellStarter(err error) int {
	if err != nil {
		text, _ := json.Marshal(said{release.ExitCode(err), err.Error(), release.Hints(err)}) // of strings: cannot go wrong
		fmt.Fprintf(os.Stderr, "%s\n", text)
	}
	return release.ExitCode(err)
}

// guardOne is the guardian's work: one worker, and the recovery if that dies, which is a worker like any other.
func (s *Site) guardOne(req Request) int {
	recovery := Request{Key: req.Key, Command: Recover, By: req.By, Wait: cancelWait}
	ended := func() bool {
		if req.Command == Queue { // its run has the key of what it took
			_, pending, err := s.Pending()
			return err != nil || !pending
		}
		rec, found, err := journal.Read(s.Root.State())
		return err != nil || !found || rec.Run.Key != req.Key || rec.Phase == journal.Finished
	}
	program, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return release.ExitError
	}
	code, text, err := worker.Guard(program, WorkerArgs(s.Root.Dir, req), WorkerArgs(s.Root.Dir, recovery), ended, s.tellDeath)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return release.ExitError
	}
	os.Stderr.Write(text) // nobody may be there to read it
	return code
}

// tellDeath puts a dead worker's last words into the log of its run.
func (s *Site) tellDeath(words []byte) {
	rec, found, err := journal.Read(s.Root.State())
	if err != nil || !found {
		return
	}
	log, err := worker.OpenLog(s.Root.State(), rec.Run.Run)
	if err != nil {
		return
	}
	defer log.Close()
	text := fmt.Sprintf("the worker of run %d died: recovering", rec.Run.Run)
	log.Emit(release.Event{Kind: release.EventWarn, Step: release.StepRecover, Text: text})
	if len(words) > 0 {
		log.Emit(release.Event{Kind: release.EventOutput, Text: string(words)})
	}
}

// WorkerArgs are the arguments that make this program the guardian of a request's worker.
func WorkerArgs(root string, req Request) []string {
	return []string{"worker", "-C", root, "--request", req.String()}
}
