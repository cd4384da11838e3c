package objects

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// pack is a mapped pack with its mapped index.
type pack struct {
	path    string // of the .pack
	num     int    // its place in Store.packs
	idx     index
	mapping []byte // of the index
	data    []byte // of the pack
	body    []byte // the pack without its closing checksum
	broken  error  // why nothing can be read from it; it is kept so that it is opened and reported once
}

func (p *pack) unmap() {
	unmapFile(p.mapping)
	unmapFile(p.data)
}

// openPack maps pack and index and checks that they belong together. A file that is not there is os.ErrNotExist: packs go.
func openPack(path string, hashLen int) (*pack, error) {
	p := &pack{path: path}
	err := p.open(hashLen)
	if err != nil {
		p.unmap()
		p.mapping, p.data, p.idx = nil, nil, index{}
	}
	return p, err
}

func (p *pack) open(hashLen int) (err error) {
	idxPath := strings.TrimSuffix(p.path, ".pack") + ".idx"
	if p.mapping, err = mapFile(idxPath); err != nil {
		return err
	}
	if p.data, err = mapFile(p.path); err != nil {
		return err
	}
	return guarded(func() error {
		if p.idx, err = parseIndex(p.mapping, hashLen); err != nil {
			return fmt.Errorf("%s: %w", idxPath, err)
		}
		return p.checkHead(hashLen)
	})
}

const packHead = 12 // "PACK", version, number of objects

func (p *pack) checkHead(hashLen int) error {
	if len(p.data) < packHead+hashLen {
		return fmt.Errorf("%s: it ends early", p.path)
	}
	p.body = p.data[:len(p.data)-hashLen]
	version := binary.BigEndian.Uint32(p.data[4:])
	switch {
	case string(p.data[:4]) != "PACK" || version < 2 || version > 3:
		return fmt.Errorf("%s: not a pack of version 2 or 3", p.path)
	case int(binary.BigEndian.Uint32(p.data[8:])) != p.idx.count:
		return fmt.Errorf("%s: its index has another number of objects", p.path)
	case !bytes.Equal(p.data[len(p.body):], p.idx.sum):
		return fmt.Errorf("%s: it does not end with the checksum that its index names: cut short, or of another pack", p.path)
	}
	return nil
}

// offset is where id begins in p.
func (p *pack) offset(id ID) (offset int64, ok bool, err error) {
	if p.broken != nil {
		return 0, false, nil
	}
	i, ok := p.idx.find(id.sum[:id.len])
	if !ok {
		return 0, false, nil
	}
	offset, err = p.idx.offset(i)
	return offset, true, err
}

// snapshot is the packs as they are known, scanned for the first time if need be.
func (s *Store) snapshot() ([]*pack, error) {
	if packs := s.packs.Load(); packs != nil {
		return *packs, nil
	}
	if _, err := s.rescan(); err != nil {
		return nil, err
	}
	return *s.packs.Load(), nil
}

// maxScans bounds how often rescan starts again because packs came or went while it looked.
const maxScans = 10

// rescan maps packs that have appeared and tells whether there were any. Packs that have gone stay mapped: what was in them is
// still what their ids say.
func (s *Store) rescan() (grew bool, err error) {
	s.scanning.Lock()
	defer s.scanning.Unlock()
	known := map[string]bool{}
	var packs []*pack
	if old := s.packs.Load(); old != nil {
		packs = append(packs, *old...)
	}
	for _, p := range packs {
		known[p.path] = true
	}
	before := len(packs)
	for range maxScans {
		found, gone, err := s.scan(known)
		if err != nil {
			return false, err
		}
		for _, p := range found {
			p.num = len(packs)
			packs = append(packs, p)
		}
		if !gone {
			break
		}
	}
	s.packs.Store(&packs)
	return len(packs) > before, nil
}

// scan opens the packs that are not known yet. Gone tells that one went, or its directory changed, while it looked.
func (s *Store) scan(known map[string]bool) (found []*pack, gone bool, err error) {
	for _, dir := range s.dirs {
		dir = filepath.Join(dir, "pack")
		before, _ := os.Stat(dir) // absent in a repository that never had a pack
		names, err := packNames(dir)
		if err != nil {
			return found, false, err
		}
		for _, name := range names {
			path := filepath.Join(dir, name)
			if known[path] {
				continue
			}
			p, err := openPack(path, s.hashLen)
			if errors.Is(err, os.ErrNotExist) {
				gone = true
				continue
			}
			p.broken = err
			known[path] = true
			found = append(found, p)
		}
		after, _ := os.Stat(dir)
		if before != nil && after != nil && !before.ModTime().Equal(after.ModTime()) {
			gone = true
		}
	}
	return found, gone, nil
}

// packNames lists the packs of dir that have an index: git removes a pack's index first and makes it last.
func packNames(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := f.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range all {
		if base, ok := strings.CutSuffix(name, ".idx"); ok && strings.HasPrefix(name, "pack-") {
			names = append(names, base+".pack")
		}
	}
	return names, nil
}
