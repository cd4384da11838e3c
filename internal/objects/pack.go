package objects

import (
	"errors"
	"fmt"
)

// Packs hold two kinds of entry besides whole objects.
const (
	offsetDelta Kind = 6 // its base is so many bytes before it
	refDelta    Kind = 7 // its base has this id, in the same pack
)

// entry is the head of an object in a pack.
type entry struct {
	at   int64 // where the entry begins
	kind Kind  // of the object, or offsetDelta or refDelta
	size int64 // inflated: of the object, or of the delta
	base int64 // of a delta: where its base begins
	data int64 // where the zlib stream begins
}

var (
	errOffset    = errors.New("the offset is not within the pack")
	errEntry     = errors.New("the head of the packed object is damaged")
	errEntrySize = errors.New("its size is more than the pack can hold")
	errCycle     = errors.New("its deltas go round in a circle")
	errBase      = errors.New("the base of its delta is not in the pack")
)

// maxRatio is the most that deflate can shrink: a match of 258 bytes takes at least 2 bits.
const maxRatio = 1032

// entry reads the head of the entry at an offset.
func (p *pack) entry(at int64) (entry, error) {
	e := entry{at: at}
	if at < packHead || at >= int64(len(p.body)) {
		return e, errOffset
	}
	in := p.body[at:]
	c := in[0]
	e.kind, e.size = Kind(c>>4&7), int64(c&15)
	n := 1
	for shift := 4; c&0x80 != 0; shift += 7 {
		if n >= len(in) || shift > 56 {
			return e, errEntry
		}
		c = in[n]
		e.size |= int64(c&0x7f) << shift
		n++
	}
	used, err := p.setBase(&e, in[n:])
	if err != nil {
		return e, err
	}
	e.data = at + int64(n+used)
	if e.size > (int64(len(p.body))-e.data)*maxRatio {
		return e, errEntrySize
	}
	return e, nil
}

// setBase reads what names a delta's base and tells how many bytes that took.
func (p *pack) setBase(e *entry, in []byte) (int, error) {
	switch e.kind {
	case KindCommit, KindTree, KindBlob, KindTag:
		return 0, nil
	case offsetDelta:
		back := int64(-1)
		for n := 0; n < len(in) && n < 9; n++ {
			back = (back+1)<<7 | int64(in[n]&0x7f)
			if in[n]&0x80 == 0 {
				e.base = e.at - back
				if back <= 0 || e.base < packHead {
					return 0, errBase
				}
				return n + 1, nil
			}
		}
		return 0, errEntry
	case refDelta:
		size := p.idx.hashLen
		if len(in) < size {
			return 0, errEntry
		}
		i, ok := p.idx.find(in[:size])
		if !ok {
			return 0, errBase
		}
		var err error
		e.base, err = p.idx.offset(i)
		return size, err
	}
	return 0, errEntry
}

// head follows the deltas of the entry at an offset as far as its kind, and reads its size.
func (s *Store) head(p *pack, at int64) (Kind, int64, error) {
	e, err := p.entry(at)
	if err != nil {
		return 0, 0, err
	}
	size := e.size
	if e.kind >= offsetDelta {
		if size, err = s.deltaResult(p, e); err != nil {
			return 0, 0, err
		}
	}
	for links := 0; e.kind >= offsetDelta; links++ {
		if links > p.idx.count {
			return 0, 0, errCycle
		}
		if e, err = p.entry(e.base); err != nil {
			return 0, 0, err
		}
	}
	return e.kind, size, nil
}

// deltaResult inflates the first bytes of a delta, which tell the size of the object that it makes.
func (s *Store) deltaResult(p *pack, e entry) (int64, error) {
	var head [20]byte
	z := s.inflaters.Get().(*inflater)
	defer s.inflaters.Put(z)
	if err := z.reset(p.body[e.data:]); err != nil {
		return 0, err
	}
	n, err := z.fill(head[:], 0)
	if err != nil {
		return 0, err
	}
	_, size, _, err := deltaSizes(head[:n])
	return size, err
}

// unpack makes the object of the entry at an offset.
func (s *Store) unpack(p *pack, at int64, to room) (Kind, buffer, error) {
	if kind, data, ok := s.cache.get(place{p.num, at}); ok {
		return kind, buffer{data: data}, nil
	}
	e, err := p.entry(at)
	if err != nil {
		return 0, buffer{}, err
	}
	if e.kind < offsetDelta {
		b, err := s.inflateEntry(p, e, to)
		return e.kind, b, err
	}
	return s.unpackDelta(p, e, to)
}

// unpackDelta collects the deltas down to a base that is whole or in the cache, then applies them upwards. A pack has as many
// entries as its index says, so a longer chain has gone round.
func (s *Store) unpackDelta(p *pack, e entry, to room) (Kind, buffer, error) {
	var chain []entry
	var base buffer
	var kind Kind
	for {
		if len(chain) > p.idx.count {
			return 0, buffer{}, errCycle
		}
		chain = append(chain, e)
		if k, data, ok := s.cache.get(place{p.num, e.base}); ok {
			kind, base = k, buffer{data: data}
			break
		}
		var err error
		if e, err = p.entry(e.base); err != nil {
			return 0, buffer{}, err
		}
		if e.kind >= offsetDelta {
			continue
		}
		if base, err = s.inflateEntry(p, e, room{}); err != nil {
			return 0, buffer{}, fmt.Errorf("its delta's base at offset %d: %w", e.at, err)
		}
		kind = e.kind
		s.remember(p, e.at, kind, base)
		break
	}
	for i := len(chain) - 1; i >= 0; i-- {
		var at room // of what is only on the way
		if i == 0 {
			at = to
		}
		next, err := s.patch(p, chain[i], base, at)
		base.free()
		if err != nil {
			return 0, buffer{}, fmt.Errorf("the delta at offset %d: %w", chain[i].at, err)
		}
		base = next
		if i > 0 {
			s.remember(p, chain[i].at, kind, base)
		}
	}
	return kind, base, nil
}

// remember keeps what is in ordinary memory as a base for other deltas.
func (s *Store) remember(p *pack, at int64, kind Kind, b buffer) {
	if !b.spilled {
		s.cache.put(place{p.num, at}, kind, b.data)
	}
}

// inflateEntry inflates an entry's data, object or delta.
func (s *Store) inflateEntry(p *pack, e entry, to room) (buffer, error) {
	b, err := s.alloc(e.size, to)
	if err != nil {
		return buffer{}, err
	}
	if err := s.inflateTo(b.data, p.body[e.data:]); err != nil {
		b.free()
		return buffer{}, err
	}
	return b, nil
}

// inflateTo fills dst from a zlib stream that must have exactly so many bytes.
func (s *Store) inflateTo(dst, src []byte) error {
	z := s.inflaters.Get().(*inflater)
	defer s.inflaters.Put(z)
	return z.exactly(dst, src)
}

// patch applies the delta of entry e to base.
func (s *Store) patch(p *pack, e entry, base buffer, to room) (buffer, error) {
	delta, free, err := s.readDelta(p, e)
	if err != nil {
		return buffer{}, err
	}
	defer free()
	size, ops, err := deltaFor(base.data, delta)
	if err != nil {
		return buffer{}, err
	}
	b, err := s.alloc(size, to)
	if err != nil {
		return buffer{}, err
	}
	if err := applyDelta(b.data, base.data, ops); err != nil {
		b.free()
		return buffer{}, err
	}
	return b, nil
}

// maxScratch is the size up to which the memory of deltas is used again.
const maxScratch = 1 << 20

// readDelta inflates a delta, which is needed only until free.
func (s *Store) readDelta(p *pack, e entry) (delta []byte, free func(), err error) {
	if e.size > maxScratch {
		b, err := s.inflateEntry(p, e, room{})
		return b.data, b.free, err
	}
	scratch := s.scratch.Get().(*[]byte)
	if int64(cap(*scratch)) < e.size+slack {
		*scratch = make([]byte, e.size, 2*e.size+slack)
	}
	delta = (*scratch)[:e.size]
	if err := s.inflateTo(delta, p.body[e.data:]); err != nil {
		s.scratch.Put(scratch)
		return nil, nil, err
	}
	return delta, func() { s.scratch.Put(scratch) }, nil
}
