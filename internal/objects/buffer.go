package objects

import "fmt"

const (
	// defaultSpill is the size from which a delta's base, or an object to be streamed, is held in an unlinked file.
	defaultSpill = 32 << 20
	// maxRead is the size up to which Read holds an object in ordinary memory; larger ones are for Stream.
	maxRead = 1 << 30
)

// buffer is an object's content, in ordinary memory or spilled to a mapped file.
type buffer struct {
	data    []byte
	spilled bool
}

// room is where an object is to be: with keep, in ordinary memory however large it is; in buf where that is large enough.
type room struct {
	keep bool
	buf  []byte
}

// alloc makes a buffer. Ordinary memory is refused above maxRead. What is in it is to be overwritten.
func (s *Store) alloc(size int64, to room) (buffer, error) {
	switch {
	case size > 0 && size <= int64(cap(to.buf)):
		return buffer{data: to.buf[:size]}, nil
	case to.keep && size > maxRead:
		return buffer{}, &roomError{fmt.Errorf("its %d bytes are more than are read into memory", size)}
	case to.keep || size < s.spill:
		return buffer{data: make([]byte, size, size+slack)}, nil
	}
	data, err := newSpill(s.tempDir, size)
	if err != nil {
		return buffer{}, &roomError{err}
	}
	return buffer{data, true}, nil
}

// roomError is an object that there is no room for, which says nothing against the object.
type roomError struct{ err error }

func (e *roomError) Error() string { return e.err.Error() }
func (e *roomError) Unwrap() error { return e.err }

func (b buffer) free() {
	if b.spilled {
		unmapFile(b.data)
	}
}
