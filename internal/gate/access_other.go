//go:build !linux

package gate

import (
	"errors"
	"os"

	"github.com/git-rel/rel/internal/proc"
)

var errCannotBecome = errors.New("one thread cannot become another user on this system")

func asUser(proc.User, *os.File, func(tester)) error { return errCannotBecome }

// readACL reads nothing: this system's ACLs are not POSIX ones, and are not looked at.
func readACL(string) ([]aclEntry, error) { return nil, nil }
