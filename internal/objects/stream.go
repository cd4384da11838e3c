package objects

import (
	"fmt"
	"io"
)

// Stream reads an object piece by piece with little memory, whatever its size; content differing from id is an error in place of
// io.EOF. Size is in bytes. The reader must be closed; it is not for concurrent use.
func (s *Store) Stream(id ID) (r io.ReadCloser, size int64, err error) {
	if err := s.acquire(); err != nil { // for the stream, until it is closed
		return nil, 0, err
	}
	st := &stream{s: s, id: id}
	err = s.from(id, source{
		pack:  func(p *pack, at int64) error { return st.openPacked(p, at) },
		loose: st.openLoose,
	})
	if err != nil {
		s.release()
		return nil, 0, err
	}
	st.hash = NewHasher(s.config.format, st.kind, st.size)
	return st, st.size, nil
}

// stream is an object being read: from memory, where it is small or made by deltas, else inflated as it goes.
type stream struct {
	s      *Store
	id     ID
	path   string
	offset int64 // in the pack, or -1
	kind   Kind
	size   int64
	left   int64 // bytes not yet read
	hash   *Hasher
	err    error // what the next Read returns
	closed bool

	whole   buffer    // of which unread is not yet read
	unread  []byte    //
	z       *inflater // or: writes into window, which is filled up to n
	window  []byte
	n       int
	mapping []byte // of a loose object
}

// streamWindow holds what matches refer to and a piece of new data.
const streamWindow = window + 128<<10

func (st *stream) openPacked(p *pack, at int64) error {
	st.path, st.offset = p.path, at
	e, err := p.entry(at)
	if err != nil {
		return err
	}
	if e.kind >= offsetDelta || e.size < st.s.spill {
		if st.kind, st.whole, err = st.s.unpack(p, at, room{}); err != nil {
			return err
		}
		st.unread, st.size, st.left = st.whole.data, int64(len(st.whole.data)), int64(len(st.whole.data))
		return nil
	}
	st.kind, st.size, st.left = e.kind, e.size, e.size
	z := new(inflater)
	if err := z.reset(p.body[e.data:]); err != nil {
		return err
	}
	st.z, st.window = z, make([]byte, streamWindow)
	return nil
}

func (st *stream) openLoose(l loose) error {
	st.path, st.offset = l.path, -1
	kept := false
	defer func() {
		if !kept {
			unmapFile(l.data)
		}
	}()
	z := new(inflater)
	var head [maxLooseHead]byte
	kind, size, start, n, err := l.begin(z, &head)
	if err != nil {
		return err
	}
	if int64(n-start) > size {
		return errLong
	}
	kept = true
	st.kind, st.size, st.left = kind, size, size
	st.z, st.mapping = z, l.data
	st.window = make([]byte, min(streamWindow, int64(start)+size))
	st.n = copy(st.window, head[:n])
	st.unread = st.window[start:n]
	return nil
}

// Read is io.Reader.
func (st *stream) Read(p []byte) (n int, err error) {
	if st.closed {
		return 0, fmt.Errorf("object %s: %w", st.id, ErrClosed)
	}
	if st.err != nil {
		return 0, st.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	err = guarded(func() (err error) {
		n, err = st.read(p)
		return err
	})
	switch {
	case err != nil:
		st.err = st.s.damaged(st.id, st.path, st.offset, err)
	case st.left == 0:
		st.err = io.EOF
	}
	if n > 0 || err == nil && st.left > 0 {
		return n, nil
	}
	return 0, st.err
}

func (st *stream) read(p []byte) (int, error) {
	if len(st.unread) == 0 && st.left > 0 {
		if err := st.more(); err != nil {
			return 0, err
		}
	}
	n := copy(p, st.unread)
	st.hash.h.Write(p[:n])
	st.unread = st.unread[n:]
	st.left -= int64(n)
	if st.left > 0 {
		return n, nil
	}
	if st.z != nil {
		if err := st.z.finish(st.window[:st.n], st.n); err != nil {
			return n, err
		}
	}
	if st.hash.ID() != st.id {
		return n, errID
	}
	return n, nil
}

// more inflates the next piece behind the last window of what went before.
func (st *stream) more() error {
	if st.z == nil {
		return errShort
	}
	if st.n == len(st.window) {
		st.n = copy(st.window, st.window[st.n-window:])
	}
	end := min(int64(len(st.window)), int64(st.n)+st.left)
	n, err := st.z.fill(st.window[:end], st.n)
	if err != nil {
		return err
	}
	if n == st.n {
		return errShort
	}
	st.unread, st.n = st.window[st.n:n], n
	return nil
}

// Close gives back what the stream holds.
func (st *stream) Close() error {
	if st.closed {
		return nil
	}
	st.closed = true
	st.whole.free()
	unmapFile(st.mapping)
	st.unread, st.window, st.mapping = nil, nil, nil
	st.s.release()
	return nil
}
