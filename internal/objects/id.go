package objects

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
)

// The hashes that a repository can name its objects by, as extensions.objectFormat spells them.
const (
	SHA1   = "sha1"
	SHA256 = "sha256"
)

// ID names an object: a SHA-1 or a SHA-256. It is comparable; the zero ID names nothing.
type ID struct {
	sum [sha256.Size]byte
	len uint8 // sha1.Size, sha256.Size, or 0
}

// ParseID reads 40 or 64 hexadecimal digits.
func ParseID(s string) (ID, error) {
	id := ID{len: uint8(len(s) / 2)}
	if len(s) != 2*sha1.Size && len(s) != 2*sha256.Size {
		return ID{}, fmt.Errorf("%q: not an object id, which has 40 or 64 hexadecimal digits", s)
	}
	if _, err := hex.Decode(id.sum[:], []byte(s)); err != nil {
		return ID{}, fmt.Errorf("%q: not an object id: %w", s, err)
	}
	return id, nil
}

// idFrom takes the bytes of a hash of a valid size.
func idFrom(sum []byte) ID {
	id := ID{len: uint8(len(sum))}
	copy(id.sum[:], sum)
	return id
}

// String is the id in hexadecimal, "" for the zero ID.
func (id ID) String() string { return hex.EncodeToString(id.sum[:id.len]) }

// IsZero tells whether id names nothing. Git's all-zero hash, which hooks get for "no object", is zero too.
func (id ID) IsZero() bool { return id.sum == [sha256.Size]byte{} }

// Bytes is a copy of the hash: 20 or 32 bytes.
func (id ID) Bytes() []byte { return append([]byte(nil), id.sum[:id.len]...) }

// Kind is the kind of an object, with the number that packs use.
type Kind uint8

// The kinds of object.
const (
	KindCommit Kind = 1
	KindTree   Kind = 2
	KindBlob   Kind = 3
	KindTag    Kind = 4
)

// String is the kind as object headers spell it.
func (k Kind) String() string {
	switch k {
	case KindCommit:
		return "commit"
	case KindTree:
		return "tree"
	case KindBlob:
		return "blob"
	case KindTag:
		return "tag"
	}
	return "kind " + strconv.Itoa(int(k))
}

// parseKind is the inverse of String.
func parseKind(s string) (Kind, bool) {
	for k := KindCommit; k <= KindTag; k++ {
		if k.String() == s {
			return k, true
		}
	}
	return 0, false
}

// Hasher computes the id of an object whose size is known before its content.
type Hasher struct{ h hash.Hash }

// NewHasher begins an object of size bytes. Format is SHA1 or SHA256.
func NewHasher(format string, kind Kind, size int64) *Hasher {
	h := sha1.New()
	if format == SHA256 {
		h = sha256.New()
	}
	head := append(make([]byte, 0, 32), kind.String()...)
	head = strconv.AppendInt(append(head, ' '), size, 10)
	h.Write(append(head, 0))
	return &Hasher{h}
}

// Write adds content. It returns no error.
func (h *Hasher) Write(p []byte) (int, error) { return h.h.Write(p) }

// ID is the id of what was written.
func (h *Hasher) ID() ID {
	id := ID{len: uint8(h.h.Size())}
	h.h.Sum(id.sum[:0])
	return id
}

// Hash is the id of an object. Format is SHA1 or SHA256.
func Hash(format string, kind Kind, data []byte) ID {
	h := NewHasher(format, kind, int64(len(data)))
	h.h.Write(data)
	return h.ID()
}
