package objects

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
)

// loose is a mapped loose object: a zlib stream of "blob 12\x00" and the content.
type loose struct {
	path string
	data []byte
}

var errLooseHead = errors.New("it does not begin with the kind and size of an object")

// openLoose maps the first of id's files that object directories from the given one on have. Next is the directory after it,
// for the next call; found is false where there is none.
func (s *Store) openLoose(id ID, from int) (l loose, next int, found bool, err error) {
	name := id.String()
	for i := from; i < len(s.dirs); i++ {
		l.path = filepath.Join(s.dirs[i], name[:2], name[2:])
		l.data, err = mapFile(l.path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		return l, i + 1, true, err
	}
	return l, len(s.dirs), false, nil
}

// maxLooseHead is the longest head: "commit ", 19 digits and NUL, with some room.
const maxLooseHead = 32

// begin inflates the head and what comes with it, and tells kind, size and where the content begins in head.
func (l loose) begin(z *inflater, head *[maxLooseHead]byte) (kind Kind, size int64, start, n int, err error) {
	if err := z.reset(l.data); err != nil {
		return 0, 0, 0, 0, err
	}
	if n, err = z.fill(head[:], 0); err != nil {
		return 0, 0, 0, 0, err
	}
	end := bytes.IndexByte(head[:n], 0)
	name, digits, ok := bytes.Cut(head[:max(end, 0)], []byte{' '})
	kind, known := parseKind(string(name))
	if !ok || !known {
		return 0, 0, 0, 0, errLooseHead
	}
	size, err = strconv.ParseInt(string(digits), 10, 63)
	if err != nil || size < 0 {
		return 0, 0, 0, 0, errLooseHead
	}
	if size > int64(len(l.data))*maxRatio {
		return 0, 0, 0, 0, errors.New("its size is more than the file can hold")
	}
	return kind, size, end + 1, n, nil
}

// header reads kind and size.
func (s *Store) looseHead(l loose) (Kind, int64, error) {
	z := s.inflaters.Get().(*inflater)
	defer s.inflaters.Put(z)
	var head [maxLooseHead]byte
	kind, size, _, _, err := l.begin(z, &head)
	return kind, size, err
}

// readLoose inflates the whole object.
func (s *Store) readLoose(l loose) (Kind, []byte, error) {
	z := s.inflaters.Get().(*inflater)
	defer s.inflaters.Put(z)
	var head [maxLooseHead]byte
	kind, size, start, n, err := l.begin(z, &head)
	if err != nil {
		return 0, nil, err
	}
	if int64(n-start) > size {
		return 0, nil, errLong
	}
	// The head stays in front, since matches may refer to it.
	b, err := s.alloc(int64(start)+size, room{keep: true})
	if err != nil {
		return 0, nil, err
	}
	copy(b.data, head[:n])
	if err := z.finish(b.data, n); err != nil {
		return 0, nil, err
	}
	return kind, b.data[start:], nil
}
