package gate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

const aclVersion = 2

// readACL reads the access ACL of a path, without following a last link. It has none where its mode says it all.
func readACL(path string) ([]aclEntry, error) {
	buf := make([]byte, 4096)
	n, err := unix.Lgetxattr(path, "system.posix_acl_access", buf)
	for errors.Is(err, unix.ERANGE) {
		buf = make([]byte, 2*len(buf))
		n, err = unix.Lgetxattr(path, "system.posix_acl_access", buf)
	}
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, &fs.PathError{Op: "getxattr", Path: path, Err: err}
	}
	return parseACL(buf[:n])
}

func parseACL(data []byte) ([]aclEntry, error) {
	const header, size = 4, 8
	if len(data) < header || (len(data)-header)%size != 0 || binary.LittleEndian.Uint32(data) != aclVersion {
		return nil, fmt.Errorf("an ACL of an unknown form: %w", syscall.EINVAL)
	}
	var entries []aclEntry
	for d := data[header:]; len(d) > 0; d = d[size:] {
		entries = append(entries, aclEntry{
			tag:  binary.LittleEndian.Uint16(d),
			perm: uint32(binary.LittleEndian.Uint16(d[2:])) & 7,
			id:   binary.LittleEndian.Uint32(d[4:]),
		})
	}
	return entries, nil
}
