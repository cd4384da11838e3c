//go:build !linux

package worker

import "syscall"

// closeOnExec marks the descriptors that we may have inherited, so that a lock or a pipe that our own starter left open does
// not live on in the worker.
func closeOnExec() {
	for fd := 3; fd < 1024; fd++ {
		syscall.CloseOnExec(fd)
	}
}
