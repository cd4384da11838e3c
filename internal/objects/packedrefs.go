package objects

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// packed is the text of packed-refs and what its first line promises about peeled tags.
type packed struct {
	path  string
	text  []byte
	tags  bool // every annotated tag under refs/tags/ is followed by what it peels to
	fully bool // every ref that names a tag object is
}

func (s *Store) readPacked() (packed, error) {
	p := packed{path: filepath.Join(s.commonDir, "packed-refs")}
	data, err := os.ReadFile(p.path)
	if errors.Is(err, os.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	if len(data) > 0 && data[len(data)-1] != '\n' {
		return p, fmt.Errorf("%s: its last line is cut short", p.path)
	}
	p.text = data
	if traits, ok := bytes.CutPrefix(data, []byte("# pack-refs with:")); ok {
		line, _, _ := bytes.Cut(traits, []byte{'\n'})
		for _, t := range strings.Fields(string(line)) {
			p.tags = p.tags || t == "peeled" || t == "fully-peeled"
			p.fully = p.fully || t == "fully-peeled"
		}
	}
	return p, nil
}

// packedRef finds one ref.
func (s *Store) packedRef(name string) (Ref, error) {
	p, err := s.readPacked()
	if err != nil {
		return Ref{}, err
	}
	at := bytes.Index(p.text, []byte(" "+name+"\n"))
	if at < 0 {
		return Ref{}, fmt.Errorf("%s: %w", name, ErrNoRef)
	}
	begin := bytes.LastIndexByte(p.text[:at], '\n') + 1
	r, _, err := p.next(p.text[begin:], s.hashLen)
	return r, err
}

// packedRefs lists those that begin with prefix.
func (s *Store) packedRefs(prefix string) ([]Ref, error) {
	p, err := s.readPacked()
	if err != nil {
		return nil, err
	}
	list := make([]Ref, 0, bytes.Count(p.text, []byte(" "+prefix)))
	for text := p.text; len(text) > 0; {
		if text[0] == '#' || text[0] == '^' || !mayBegin(text, prefix, s.hashLen) {
			text = text[bytes.IndexByte(text, '\n')+1:]
			continue
		}
		var r Ref
		if r, text, err = p.next(text, s.hashLen); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

// mayBegin tells whether the line at the start of text could be of a ref with prefix, or is one that next has to complain about.
func mayBegin(text []byte, prefix string, hashLen int) bool {
	name := 2*hashLen + 1
	return len(text) < name+len(prefix) || text[name-1] != ' ' || string(text[name:name+len(prefix)]) == prefix
}

// next reads the ref at the start of text with the line of its peeled id, if there is one.
func (p packed) next(text []byte, hashLen int) (r Ref, rest []byte, err error) {
	line, rest, _ := bytes.Cut(text, []byte{'\n'})
	hex, name, _ := strings.Cut(string(line), " ")
	if r.ID, err = parseSized(hex, hashLen); err != nil || !validRef(name) {
		return Ref{}, nil, fmt.Errorf("%s: %q: not a ref", p.path, line)
	}
	r.Name = name
	if after, ok := bytes.CutPrefix(rest, []byte{'^'}); ok {
		line, rest, _ = bytes.Cut(after, []byte{'\n'})
		if r.Peeled, err = parseSized(string(line), hashLen); err != nil {
			return Ref{}, nil, fmt.Errorf("%s: %q: not an id that %s peels to", p.path, line, name)
		}
		return r, rest, nil
	}
	if p.fully || p.tags && strings.HasPrefix(name, "refs/tags/") {
		r.Peeled = r.ID
	}
	return r, rest, nil
}

// Shallow lists the commits whose parents a shallow repository does not have.
func (s *Store) Shallow() ([]ID, error) {
	data, err := os.ReadFile(filepath.Join(s.commonDir, "shallow"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []ID
	for _, line := range strings.Fields(string(data)) {
		id, err := parseSized(line, s.hashLen)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(s.commonDir, "shallow"), err)
		}
		list = append(list, id)
	}
	return list, nil
}
