package proc

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// Holders are the processes that have the file open, we ourselves not among them.
func Holders(path string) ([]Process, error) {
	want, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	var found []Process
	err = eachDescriptor(func(p Process, link, target string) {
		if filepath.Base(target) != filepath.Base(path) || p.PID == os.Getpid() || (len(found) > 0 && found[len(found)-1].PID == p.PID) {
			return
		}
		if info, err := os.Stat(link); err == nil && os.SameFile(info, want) {
			found = append(found, p)
		}
	})
	return found, err
}

// KillHolders ends the processes that have the file open, other than ourselves: TERM, 5 s later KILL. Who still has it then is
// an error.
func KillHolders(ctx context.Context, path string) error {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		holders, err := Holders(path)
		if err != nil || len(holders) == 0 {
			return err
		}
		if err := SignalAll(holders, sig); err != nil {
			return err
		}
		Await(ctx, termGrace, func() bool {
			holders, err = Holders(path)
			return err != nil || len(holders) == 0
		})
		if err != nil || len(holders) == 0 {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return errors.New(path + ": still open in a process after KILL")
}
