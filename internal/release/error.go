package release

import (
	"errors"
	"fmt"
)

// Exit codes: one for each kind of outcome.
const (
	ExitDone      = 0
	ExitError     = 1  // nothing changed
	ExitUsage     = 2  //
	ExitRefused   = 3  // by a gate; nothing changed
	ExitReverted  = 4  // what was live before is live and healthy
	ExitFailed    = 5  // a person is needed
	ExitNotFound  = 10 // no such tag or release
	ExitLocked    = 11 // another run holds the lock
	ExitCancelled = 130
)

// Error is an error that an operator reads: the thing first, then the cause, then hints that name the command that helps.
// Errors without an Error in their chain exit with ExitError and have no hint.
type Error struct {
	Exit  int
	Err   error    // "v1.4: no such tag"
	Hints []string // "rel list shows the tags", each printed as "hint: …"
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error with an exit code. The format takes %w.
func Errorf(exit int, format string, args ...any) *Error {
	return &Error{Exit: exit, Err: fmt.Errorf(format, args...)}
}

// Hint adds a hint and returns e.
func (e *Error) Hint(format string, args ...any) *Error {
	e.Hints = append(e.Hints, fmt.Sprintf(format, args...))
	return e
}

// ExitCode is the exit code that err asks for: 0 for nil.
func ExitCode(err error) int {
	if err == nil {
		return ExitDone
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Exit
	}
	return ExitError
}

// Hints are the hints of the outermost Error in err's chain.
func Hints(err error) []string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Hints
	}
	return nil
}
