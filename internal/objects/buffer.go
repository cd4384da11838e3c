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

// alloc makes a buffer. Keep asks for ordinary memory, which is refused above maxRead.
func (s *Store) alloc(size int64, keep bool) (buffer, error) {
	switch {
	case keep && size > maxRead:
		return buffer{}, &roomError{fmt.Errorf("its %d bytes are more than are read into memory", size)}
	case keep || size < s.spill:
		return buffer{data: make([]byte, size)}, nil
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
