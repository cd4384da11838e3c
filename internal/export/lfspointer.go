package export

import (
	"bytes"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// maxPointer is the size, in bytes, under which Git LFS keeps its pointers.
const maxPointer = 1024

// minPointer is a size, in bytes, that every pointer has at least.
const minPointer = int64(len("version \noid sha256:\nsize 0") + 64)

// maxContent is the size, in bytes, of the largest content that is exported: sums of as many as a release can have fit an int64.
const maxContent = 1 << 39

// lfsPointer is what a pointer says.
type lfsPointer struct {
	oid      string // SHA-256 of the content, in hexadecimal
	size     int64  // of the content, in bytes
	extended bool   // the content is what programs make of what is kept
}

// place is where content is kept, in lfs/objects.
func (p *lfsPointer) place() string { return path.Join(p.oid[:2], p.oid[2:4], p.oid) }

var (
	lfsVersion = regexp.MustCompile(`^http://git-media\.io/v/2$|^https://(hawser|git-lfs)\.github\.com/spec/v1$`)
	lfsOID     = regexp.MustCompile(`^sha256:([0-9a-f]{64})$`)
	lfsExt     = regexp.MustCompile(`^ext-[0-9]-\w`)
)

// parsePointer reads a pointer: the keys version, oid and size in this order, with ext-<n>-<name> anywhere between. It takes what
// git lfs takes, so that nothing is content here that is a pointer there: also the versions of old, CR and empty lines.
func parsePointer(data []byte) (p lfsPointer, ok bool) {
	if len(data) >= maxPointer {
		return p, false
	}
	keys, values := []string{"version", "oid", "size"}, []string{}
	for line := range strings.SplitSeq(string(bytes.TrimSpace(data)), "\n") {
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			continue
		}
		key, value, _ := strings.Cut(line, " ")
		switch {
		case len(values) < len(keys) && key == keys[len(values)]:
			values = append(values, value)
		case len(values) < len(keys) && lfsExt.MatchString(key) && lfsOID.MatchString(value):
			p.extended = true
		default:
			return p, false
		}
	}
	if len(values) < len(keys) || !lfsVersion.MatchString(values[0]) || !lfsOID.MatchString(values[1]) {
		return p, false
	}
	size, err := strconv.ParseInt(values[2], 10, 64)
	p.oid, p.size = lfsOID.FindStringSubmatch(values[1])[1], size
	return p, err == nil && size >= 0
}

// looksLikePointer tells whether a file that has no filter=lfs is a pointer all the same.
func looksLikePointer(data []byte) bool {
	if !bytes.HasPrefix(data, []byte("version ")) {
		return false
	}
	_, ok := parsePointer(data)
	return ok
}
