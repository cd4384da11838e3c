package objects

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/release"
)

// Signature is who did something and when, as commits and tags have it. When is zero where the object's line cannot be read.
type Signature struct {
	Name  string
	Email string
	When  time.Time // in the zone that the line names
}

// Commit is a parsed commit.
type Commit struct {
	Tree      ID
	Parents   []ID // as the commit has them, also where the repository is shallow
	Author    Signature
	Committer Signature
	Encoding  string // of the message; "" for UTF-8
	Message   string
	Raw       []byte // the object as it is; not to be changed
}

// TagObject is a parsed annotated tag.
type TagObject struct {
	Object  ID
	Kind    Kind // of Object, as the tag says
	Name    string
	Tagger  Signature // zero in very old tags
	Message string    // with a signature at its end, if there is one
	Raw     []byte    // the object as it is; not to be changed
}

// TreeEntry is an entry of a tree, as it is there: nothing is known about the name but that it is not empty and has no NUL.
type TreeEntry struct {
	Name string
	Mode uint32 // as the tree has it; trees of old programs have modes like 0100664
	ID   ID
}

// Commit reads a commit.
func (s *Store) Commit(id ID) (Commit, error) {
	data, err := s.readKind(id, KindCommit)
	if err != nil {
		return Commit{}, err
	}
	c, err := parseCommit(data, s.hashLen)
	if err != nil {
		return Commit{}, s.malformed(id, KindCommit, err)
	}
	return c, nil
}

// Tag reads an annotated tag's object.
func (s *Store) Tag(id ID) (TagObject, error) {
	data, err := s.readKind(id, KindTag)
	if err != nil {
		return TagObject{}, err
	}
	t, err := parseTag(data, s.hashLen)
	if err != nil {
		return TagObject{}, s.malformed(id, KindTag, err)
	}
	return t, nil
}

// Tree reads a tree, in its own order.
func (s *Store) Tree(id ID) ([]TreeEntry, error) {
	data, err := s.readKind(id, KindTree)
	if err != nil {
		return nil, err
	}
	entries, err := parseTree(data, s.hashLen)
	if err != nil {
		return nil, s.malformed(id, KindTree, err)
	}
	return entries, nil
}

// maxPeel bounds tags of tags.
const maxPeel = 100

// Peel follows annotated tags to what they name in the end; any other object is itself. The object at the end of a tag need not
// be there.
func (s *Store) Peel(id ID) (ID, error) {
	kind, _, err := s.Header(id)
	for range maxPeel {
		if err != nil || kind != KindTag {
			return id, err
		}
		var t TagObject
		if t, err = s.Tag(id); err == nil {
			id, kind = t.Object, t.Kind
		}
	}
	return ID{}, release.Errorf(release.ExitError, "object %s: more than %d tags of tags", id, maxPeel)
}

func (s *Store) readKind(id ID, want Kind) ([]byte, error) {
	o, err := s.Read(id)
	if err != nil {
		return nil, err
	}
	if o.Kind != want {
		return nil, release.Errorf(release.ExitError, "object %s: it is a %s, not a %s", id, o.Kind, want)
	}
	return o.Data, nil
}

// malformed is for an object that is what its id says and yet not what its kind says.
func (s *Store) malformed(id ID, kind Kind, cause error) error {
	return release.Errorf(release.ExitError, "%s %s: %w", kind, id, cause).
		Hint("git -C %s fsck --full shows what is wrong with it", s.gitDir)
}

var errHead = errors.New("its header is not as it should be")

// eachHeader calls f for every header line before the message, with continuation lines left out, and returns the message.
func eachHeader(data []byte, f func(key, value string) error) (message string, err error) {
	for len(data) > 0 {
		line, rest, _ := bytes.Cut(data, []byte{'\n'})
		data = rest
		if len(line) == 0 {
			return string(data), nil
		}
		if line[0] == ' ' {
			continue
		}
		key, value, _ := strings.Cut(string(line), " ")
		if err := f(key, value); err != nil {
			return "", err
		}
	}
	return "", nil
}

// parseSized reads an id of the repository's own hash.
func parseSized(s string, hashLen int) (ID, error) {
	id, err := ParseID(s)
	if err == nil && int(id.len) != hashLen {
		err = fmt.Errorf("%s: an id of another hash", id)
	}
	return id, err
}

func parseCommit(data []byte, hashLen int) (Commit, error) {
	c := Commit{Raw: data}
	message, err := eachHeader(data, func(key, value string) (err error) {
		switch key {
		case "tree":
			if !c.Tree.IsZero() {
				return errHead
			}
			c.Tree, err = parseSized(value, hashLen)
		case "parent":
			var id ID
			id, err = parseSized(value, hashLen)
			c.Parents = append(c.Parents, id)
		case "author":
			c.Author = ParseSignature(value)
		case "committer":
			c.Committer = ParseSignature(value)
		case "encoding":
			c.Encoding = value
		}
		return err
	})
	if err == nil && c.Tree.IsZero() {
		err = errHead
	}
	c.Message = message
	return c, err
}

func parseTag(data []byte, hashLen int) (TagObject, error) {
	t := TagObject{Raw: data}
	message, err := eachHeader(data, func(key, value string) (err error) {
		switch key {
		case "object":
			if !t.Object.IsZero() {
				return errHead
			}
			t.Object, err = parseSized(value, hashLen)
		case "type":
			kind, ok := parseKind(value)
			if !ok {
				return errHead
			}
			t.Kind = kind
		case "tag":
			t.Name = value
		case "tagger":
			t.Tagger = ParseSignature(value)
		}
		return err
	})
	if err == nil && (t.Object.IsZero() || t.Kind == 0) {
		err = errHead
	}
	t.Message = message
	return t, err
}

// ParseSignature reads "Name <email> seconds zone". History has lines that lack parts of it; those stay empty.
func ParseSignature(line string) Signature {
	var sig Signature
	name, rest, ok := strings.Cut(line, "<")
	sig.Name = strings.TrimSpace(name)
	if !ok {
		return sig
	}
	end := strings.LastIndexByte(rest, '>')
	if end < 0 {
		return sig
	}
	sig.Email = rest[:end]
	seconds, zone, _ := strings.Cut(strings.TrimSpace(rest[end+1:]), " ")
	if at, err := strconv.ParseInt(seconds, 10, 64); err == nil && at >= 0 && at < 1<<40 {
		sig.When = time.Unix(at, 0).In(parseZone(strings.TrimSpace(zone)))
	}
	return sig
}

// parseZone reads "+0130"; what it cannot read is UTC.
func parseZone(zone string) *time.Location {
	n, err := strconv.Atoi(zone)
	if err != nil || n == 0 || n < -9999 || n > 9999 {
		return time.UTC
	}
	return time.FixedZone("", (n/100*60+n%100)*60)
}

var errTree = errors.New("an entry is not as it should be")

// parseTree reads entries of "mode name\x00id".
func parseTree(data []byte, hashLen int) ([]TreeEntry, error) {
	entries := make([]TreeEntry, 0, len(data)/(hashLen+16))
	for len(data) > 0 {
		space := bytes.IndexByte(data, ' ')
		if space < 1 || space > 8 {
			return nil, errTree
		}
		mode := uint32(0)
		for _, c := range data[:space] {
			if c < '0' || c > '7' {
				return nil, errTree
			}
			mode = mode<<3 | uint32(c-'0')
		}
		data = data[space+1:]
		end := bytes.IndexByte(data, 0)
		if end < 1 || len(data) < end+1+hashLen {
			return nil, errTree
		}
		entries = append(entries, TreeEntry{string(data[:end]), mode, idFrom(data[end+1 : end+1+hashLen])})
		data = data[end+1+hashLen:]
	}
	return entries, nil
}
