package worker

import (
	"math"

	"golang.org/x/sys/unix"
)

// closeOnExec marks every descriptor that we inherited, so that a lock or a pipe that our own starter left open does not live
// on in the worker. Go's own are marked already. A kernel older than 5.11 does not know the flag, and nothing is lost then but
// this care.
func closeOnExec() {
	_ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
}
