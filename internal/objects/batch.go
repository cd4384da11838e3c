package objects

import "errors"

// Wanted is an object to be read in a batch, and where Position found it.
type Wanted struct {
	ID     ID
	Pack   int // below 0: not in a pack
	Offset int64
}

// Batch is many objects to be read, in families: what deltas make of one whole object. A family is read from that object on, so
// that each entry of a pack is inflated once and nothing has to be kept for another family. Different families may be read at
// the same time, each with a Scratch of its own.
type Batch struct {
	store    *Store
	wanted   []Wanted
	nodes    []node
	families []int32 // of nodes: those that are no deltas
	alone    []int32 // of wanted: what is in no family
}

// node is an entry of a pack that is wanted, or that one is made of.
type node struct {
	entry
	pack    *pack
	wanted  int32 // index, or none
	child   int32 // the first delta on this one, or none
	sibling int32 // the next delta on the same base, or none
}

const none = -1

// Batch prepares to read these objects, none of which comes twice.
func (s *Store) Batch(wanted []Wanted) (*Batch, error) {
	if err := s.acquire(); err != nil {
		return nil, err
	}
	defer s.release()
	packs, err := s.snapshot()
	if err != nil {
		return nil, err
	}
	b := &Batch{store: s, wanted: wanted}
	known := make(map[place]int32, len(wanted))
	for i, w := range wanted {
		err := errOffset
		if w.Pack >= 0 {
			err = guarded(func() error { return b.add(known, packs[w.Pack], w.Offset, int32(i)) })
		}
		if err != nil { // reading it by its id tells why, or finds another copy
			b.alone = append(b.alone, int32(i))
		}
	}
	return b, nil
}

// add adds the entry at an offset with all that it is a delta of.
func (b *Batch) add(known map[place]int32, p *pack, at int64, wanted int32) error {
	var chain []entry // what is not known yet
	base, found := known[place{p.num, at}]
	for !found {
		e, err := p.entry(at)
		switch {
		case err != nil:
			return err
		case len(chain) > p.idx.count:
			return errCycle
		}
		chain = append(chain, e)
		if e.kind < offsetDelta {
			break
		}
		at = e.base
		base, found = known[place{p.num, at}]
	}
	for i := len(chain) - 1; i >= 0; i-- {
		n := int32(len(b.nodes))
		b.nodes = append(b.nodes, node{entry: chain[i], pack: p, wanted: none, child: none, sibling: none})
		known[place{p.num, chain[i].at}] = n
		if chain[i].kind < offsetDelta {
			b.families = append(b.families, n)
		} else {
			b.nodes[n].sibling, b.nodes[base].child = b.nodes[base].child, n
		}
		base = n
	}
	if b.nodes[base].wanted != none {
		return errIndex // which has two ids for one object
	}
	b.nodes[base].wanted = wanted
	return nil
}

// Families is how many parts there are to read.
func (b *Batch) Families() int { return len(b.families) + len(b.alone) }

// Read reads a family and hands over each object of it that is wanted, by its index: checked, its data good until each returns; or
// the error that Store.Read gives of it. What each returns ends it.
func (b *Batch) Read(family int, m *Scratch, each func(wanted int, o Object, err error) error) error {
	if err := b.store.acquire(); err != nil {
		return err
	}
	defer b.store.release()
	r := familyReader{Batch: b, Scratch: m, each: each}
	if family >= len(b.families) {
		return r.readAlone(b.alone[family-len(b.families)])
	}
	n := b.families[family]
	data, err := m.inflate(&b.nodes[n])
	if err != nil {
		return r.oneByOne(n)
	}
	return r.descend(n, b.nodes[n].kind, data)
}

// familyReader is one Read under way.
type familyReader struct {
	*Batch
	*Scratch
	each func(wanted int, o Object, err error) error
}

// descend hands over a node whose content is data, and goes on to the deltas on it. data is given back as soon as it can be.
func (r *familyReader) descend(n int32, kind Kind, data []byte) error {
	for {
		if err := r.handOver(n, kind, data); err != nil {
			return err
		}
		var last []byte
		c := r.nodes[n].child
		for ; c != none; c = r.nodes[c].sibling {
			made, err := r.patch(&r.nodes[c], data)
			switch {
			case err != nil:
				err = r.oneByOne(c)
			case r.nodes[c].sibling == none:
				last = made
			default:
				err = r.descend(c, kind, made)
			}
			if err != nil {
				return err
			}
			if last != nil {
				break
			}
		}
		r.put(data)
		if last == nil {
			return nil
		}
		n, data = c, last
	}
}

func (r *familyReader) handOver(n int32, kind Kind, data []byte) error {
	wanted := r.nodes[n].wanted
	if wanted == none {
		return nil
	}
	if Hash(r.store.config.format, kind, data) != r.wanted[wanted].ID {
		return r.readAlone(wanted)
	}
	return r.each(int(wanted), Object{kind, data}, nil)
}

// oneByOne reads a node and all below it by themselves: what is damaged there, or too large to be made with others.
func (r *familyReader) oneByOne(n int32) error {
	for left := []int32{n}; len(left) > 0; {
		n, left = left[len(left)-1], left[:len(left)-1]
		if wanted := r.nodes[n].wanted; wanted != none {
			if err := r.readAlone(wanted); err != nil {
				return err
			}
		}
		for c := r.nodes[n].child; c != none; c = r.nodes[c].sibling {
			left = append(left, c)
		}
	}
	return nil
}

// readAlone looks for the object anew, with all its copies: to read it, or to say what is wrong with it.
func (r *familyReader) readAlone(wanted int32) error {
	o, err := r.store.Read(r.wanted[wanted].ID)
	return r.each(int(wanted), o, err)
}

// Scratch is memory to read families with, one after the other.
type Scratch struct {
	limit int64 // of bytes in use
	used  int64
	spare [][]byte
	z     inflater
	delta []byte
}

// NewScratch is memory for so many bytes at a time, about. Objects that do not fit are read by themselves, more slowly.
func NewScratch(limit int64) *Scratch { return &Scratch{limit: limit} }

var errScratch = errors.New("it does not fit into the memory there is")

// leastScratch is the size of the smallest buffers.
const leastScratch = 64 << 10

// get is a buffer of so many bytes, never nil, in which something is left from its last use.
func (m *Scratch) get(size int64) ([]byte, error) {
	var buf []byte
	if last := len(m.spare) - 1; last >= 0 {
		buf, m.spare = m.spare[last], m.spare[:last]
		m.used -= int64(cap(buf))
	}
	if int64(cap(buf)) < size+slack {
		room := max(size+size/2, leastScratch)
		if m.used+room > m.limit {
			return nil, errScratch
		}
		buf = make([]byte, room)
	}
	m.used += int64(cap(buf))
	return buf[:size], nil
}

func (m *Scratch) put(buf []byte) { m.spare = append(m.spare, buf) }

// inflate makes an object that is no delta.
func (m *Scratch) inflate(n *node) ([]byte, error) {
	buf, err := m.get(n.size)
	if err != nil {
		return nil, err
	}
	if err := m.inflateTo(buf, n); err != nil {
		m.put(buf)
		return nil, err
	}
	return buf, nil
}

func (m *Scratch) inflateTo(dst []byte, n *node) error {
	return guarded(func() error { return m.z.exactly(dst, n.pack.body[n.data:]) })
}

// patch makes an object from its base.
func (m *Scratch) patch(n *node, base []byte) ([]byte, error) {
	if int64(cap(m.delta)) < n.size+slack {
		if n.size > maxScratch {
			return nil, errScratch
		}
		m.delta = make([]byte, max(2*n.size, leastScratch))
	}
	delta := m.delta[:n.size]
	if err := m.inflateTo(delta, n); err != nil {
		return nil, err
	}
	size, ops, err := deltaFor(base, delta)
	if err != nil {
		return nil, err
	}
	buf, err := m.get(size)
	if err != nil {
		return nil, err
	}
	if err := applyDelta(buf, base, ops); err != nil {
		m.put(buf)
		return nil, err
	}
	return buf, nil
}
