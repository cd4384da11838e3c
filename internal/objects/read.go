package objects

import (
	"errors"
	"fmt"
	"os"
	"slices"
)

// Object is an object that has been checked against its id. Data may be shared with other readers: it must not be changed.
type Object struct {
	Kind Kind
	Data []byte
}

var errID = errors.New("its content does not have this id")

// Read reads an object into memory. Objects of more than 1 GiB are for Stream. The error wraps ErrMissing or a *DamageError.
func (s *Store) Read(id ID) (Object, error) { return s.read(id, room{keep: true}, true) }

// ReadInto is Read into the memory of buf where the object fits and is not at hand; Data is then good until buf is used again. It
// is for objects that no delta to be read is likely to be based on.
func (s *Store) ReadInto(id ID, buf []byte) (Object, error) {
	return s.read(id, room{keep: true, buf: buf}, false)
}

func (s *Store) read(id ID, to room, remember bool) (Object, error) {
	var o Object
	err := s.from(id, source{
		pack: func(p *pack, at int64) error {
			kind, b, err := s.unpack(p, at, to)
			if err != nil {
				return err
			}
			if Hash(s.config.format, kind, b.data) != id {
				return errID
			}
			if remember {
				s.remember(p, at, kind, b)
			}
			o = Object{kind, slices.Clip(b.data)}
			return nil
		},
		loose: func(l loose) error {
			defer unmapFile(l.data)
			kind, data, err := s.readLoose(l)
			if err != nil {
				return err
			}
			if Hash(s.config.format, kind, data) != id {
				return errID
			}
			o = Object{kind, data}
			return nil
		},
	})
	return o, err
}

// Header reads an object's kind and its size in bytes without its content. It checks nothing against id.
func (s *Store) Header(id ID) (Kind, int64, error) {
	var kind Kind
	var size int64
	err := s.from(id, source{
		pack: func(p *pack, at int64) (err error) {
			kind, size, err = s.head(p, at)
			return err
		},
		loose: func(l loose) (err error) {
			defer unmapFile(l.data)
			kind, size, err = s.looseHead(l)
			return err
		},
	})
	return kind, size, err
}

// Has tells whether an object is there; it may still be damaged.
func (s *Store) Has(id ID) (bool, error) {
	_, _, err := s.Header(id)
	if errors.Is(err, ErrMissing) {
		return false, nil
	}
	return err == nil, err
}

// Position tells where a packed object is, so that objects can be read in the order of their packs: sort by pack, then offset.
// Ok is false for what is loose or missing.
func (s *Store) Position(id ID) (pack int, offset int64, ok bool) {
	if s.checkID(id) != nil || s.acquire() != nil {
		return 0, 0, false
	}
	defer s.release()
	packs, err := s.snapshot()
	if err != nil {
		return 0, 0, false
	}
	err = guarded(func() error {
		for _, p := range packs {
			if at, found, err := p.offset(id); found && err == nil {
				pack, offset, ok = p.num, at, true
				return nil
			}
		}
		return nil
	})
	return pack, offset, ok && err == nil
}

// source is what to do with an object where it is found. The error of either means that this copy is damaged.
type source struct {
	pack  func(p *pack, at int64) error
	loose func(l loose) error
}

// from finds an object and hands it to a function of src, trying all copies until one can be read. After a miss it looks for new
// packs and once more for a loose file: gc may have moved the object either way meanwhile.
func (s *Store) from(id ID, src source) error {
	if err := s.checkID(id); err != nil {
		return err
	}
	if err := s.acquire(); err != nil {
		return err
	}
	defer s.release()
	packs, err := s.snapshot()
	if err != nil {
		return err
	}
	var damage error
	grew := true
	for round, seen := 0, 0; ; round++ {
		found, err := s.fromPacks(id, packs, seen, src)
		if !found {
			err = s.fromLoose(id, src, err)
		}
		if err == nil {
			return nil
		}
		if damage == nil && !errors.Is(err, ErrMissing) {
			damage = err
		}
		if round > 0 && !grew {
			break
		}
		seen = len(packs)
		if grew, err = s.rescan(); err != nil {
			return err
		}
		if packs, err = s.snapshot(); err != nil {
			return err
		}
	}
	if damage != nil {
		return damage
	}
	return s.missing(id)
}

// fromPacks tries the packs from the given number on. Found is true when one gave the object; else err is the first damage.
func (s *Store) fromPacks(id ID, packs []*pack, seen int, src source) (found bool, damage error) {
	packs = packs[seen:]
	last := max(int(s.lastHit.Load())-seen, 0)
	if last >= len(packs) {
		last = 0
	}
	for i := range packs {
		p := nth(packs, i, last)
		var at int64
		err := guarded(func() error {
			var err error
			if at, found, err = p.offset(id); !found || err != nil {
				return err
			}
			return src.pack(p, at)
		})
		switch {
		case err != nil:
			if damage == nil {
				damage = s.damaged(id, p.path, at, err)
			}
		case found:
			s.lastHit.Store(int32(p.num))
			return true, nil
		}
	}
	return false, damage
}

// fromLoose tries the loose copies. Its error is damage, else the first damage to them, else ErrMissing.
func (s *Store) fromLoose(id ID, src source, damage error) error {
	for next, found := 0, true; ; {
		var l loose
		var err error
		l, next, found, err = s.openLoose(id, next)
		if !found {
			break
		}
		if err == nil {
			err = guarded(func() error { return src.loose(l) })
		}
		if err == nil {
			return nil
		}
		if damage == nil {
			damage = s.looseDamage(id, l.path, err)
		}
	}
	if damage == nil {
		return ErrMissing
	}
	return damage
}

// looseDamage tells damage from a file that may not be read.
func (s *Store) looseDamage(id ID, path string, err error) error {
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("object %s: %w", id, err)
	}
	return s.damaged(id, path, -1, err)
}

// nth is the i-th pack to look into: the one that had the last object, then the others in order.
func nth(packs []*pack, i, last int) *pack {
	switch {
	case i == 0:
		return packs[last]
	case i <= last:
		return packs[i-1]
	}
	return packs[i]
}
