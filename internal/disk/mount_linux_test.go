package disk

import "golang.org/x/sys/unix"

func bindMount(from, to string) error { return unix.Mount(from, to, "", unix.MS_BIND, "") }
