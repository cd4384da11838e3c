package disk

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Attributes are what a directory has beside its mode, owner and times, and passes on to what is made in it: extended attributes,
// ACLs among them, and flags as chattr sets them. Two that are equal have the same ones.
func (d *Dir) Attributes() (string, error) {
	attrs, err := extended(d.fd())
	if err != nil {
		return "", fmt.Errorf("%s: its attributes: %w", d.Path(""), err)
	}
	flags, err := fileFlags(d.fd())
	if err != nil {
		return "", fmt.Errorf("%s: its flags: %w", d.Path(""), err)
	}
	return fmt.Sprintf("%#x %s", flags, attrs), nil
}

// extended are all extended attributes that we may see, sorted. A file system without any has none.
func extended(fd int) (string, error) {
	list, err := sized(func(buf []byte) (int, error) { return unix.Flistxattr(fd, buf) })
	if err != nil || len(list) == 0 {
		return "", err
	}
	names := strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00")
	slices.Sort(names)
	var all strings.Builder
	for _, name := range names {
		value, err := sized(func(buf []byte) (int, error) { return unix.Fgetxattr(fd, name, buf) })
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		fmt.Fprintf(&all, "%q=%q ", name, value)
	}
	return all.String(), nil
}

// sized calls a function that fills a buffer, with a larger one until it suffices.
func sized(fill func(buf []byte) (int, error)) ([]byte, error) {
	for buf := make([]byte, 256); ; buf = make([]byte, 4*len(buf)) {
		var n int
		err := retry(func() (err error) { n, err = fill(buf); return err })
		switch {
		case errors.Is(err, unix.ENOTSUP):
			return nil, nil
		case errors.Is(err, unix.ERANGE) && len(buf) < maxAttribute:
			continue
		case err != nil:
			return nil, err
		}
		return buf[:n], nil
	}
}

// maxAttribute is a size in bytes that no attribute goes beyond.
const maxAttribute = 1 << 20
