package store

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

// manifestFormat is the number of the format: a line of JSON, then a line for each entry with the fields kind, mode, size, id,
// inode, mtime, ctime and path between tabs. There is exactly one way to write a manifest, and any other is refused.
const manifestFormat = 1

// maxHeader bounds a manifest's first line, in bytes.
const maxHeader = 64 << 10

type manifestHeader struct {
	Format  int `json:"format"`
	Entries int `json:"entries"`
	release.Release
}

// encodeManifest is the one way to write m, whose entries must be sorted.
func encodeManifest(m release.Manifest) ([]byte, error) {
	if !utf8.ValidString(m.Tag) {
		return nil, release.Errorf(release.ExitError, "%q: a tag's name must be UTF-8", m.Tag)
	}
	head, err := encodeHeader(m)
	if err != nil {
		return nil, err
	}
	const each = 128 // bytes, about
	out := slices.Grow(head, len(m.Entries)*each)
	for i, e := range m.Entries {
		if err := checkEntry(e); err != nil {
			return nil, err
		}
		if i > 0 && m.Entries[i-1].Path >= e.Path {
			return nil, fmt.Errorf("%q: out of order in the manifest", e.Path)
		}
		out = appendEntry(out, e)
	}
	return out, nil
}

func encodeHeader(m release.Manifest) ([]byte, error) {
	m.Created = m.Created.UTC()
	head, err := json.Marshal(manifestHeader{manifestFormat, len(m.Entries), m.Release})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.ID, err)
	}
	if len(head) >= maxHeader {
		return nil, fmt.Errorf("%s: its manifest's first line would be %d bytes long", m.ID, len(head))
	}
	return append(head, '\n'), nil
}

// decodeManifest reads a whole manifest and accepts nothing that encodeManifest would have written otherwise. The entries' strings
// are parts of text.
func decodeManifest(text string) (release.Manifest, error) {
	line, rest, found := strings.Cut(text, "\n")
	if !found {
		return release.Manifest{}, errors.New("line 1: it ends before its end")
	}
	m, count, err := decodeHeader([]byte(line))
	if err != nil {
		return release.Manifest{}, fmt.Errorf("line 1: %w", err)
	}
	if count > len(rest) { // an entry takes more than a byte: don't trust a number with memory
		return release.Manifest{}, fmt.Errorf("line 1: %d entries, of which some are missing", count)
	}
	m.Entries = make([]release.Entry, 0, count)
	var again []byte
	for n := range count {
		line, rest, found = strings.Cut(rest, "\n")
		if !found {
			return release.Manifest{}, fmt.Errorf("line %d: it ends before its end", n+2)
		}
		e, err := decodeEntry(line)
		if err != nil {
			return release.Manifest{}, fmt.Errorf("line %d: %w", n+2, err)
		}
		again = appendEntry(again[:0], e)
		if string(again[:len(again)-1]) != line {
			return release.Manifest{}, fmt.Errorf("line %d: not as rel writes it", n+2)
		}
		if n > 0 && m.Entries[n-1].Path >= e.Path {
			return release.Manifest{}, fmt.Errorf("line %d: out of order", n+2)
		}
		m.Entries = append(m.Entries, e)
	}
	if len(rest) > 0 {
		return release.Manifest{}, fmt.Errorf("line %d: more entries than the first line says", count+2)
	}
	return m, nil
}

func decodeHeader(line []byte) (m release.Manifest, entries int, err error) {
	var h manifestHeader
	if err := json.Unmarshal(line, &h); err != nil {
		return m, 0, err
	}
	if h.Format != manifestFormat {
		return m, 0, fmt.Errorf("format %d, where this rel knows %d", h.Format, manifestFormat)
	}
	if h.Entries < 0 {
		return m, 0, fmt.Errorf("%d entries", h.Entries)
	}
	m.Release = h.Release
	h.Created = h.Created.UTC()
	if again, err := json.Marshal(h); err != nil || !bytes.Equal(again, line) {
		return m, 0, errors.Join(errors.New("not as rel writes it"), err)
	}
	return m, h.Entries, nil
}

func appendEntry(b []byte, e release.Entry) []byte {
	id := e.ID
	if id == "" {
		id = "-"
	}
	b = append(b, byte(e.Kind), '\t')
	for most := uint32(0o100000); most > max(e.Mode, 1); most >>= 3 {
		b = append(b, '0') // six digits, as git has it
	}
	b = append(strconv.AppendUint(b, uint64(e.Mode), 8), '\t')
	b = append(strconv.AppendInt(b, e.Size, 10), '\t')
	b = append(append(b, id...), '\t')
	b = append(strconv.AppendUint(b, e.Inode, 10), '\t')
	b = append(strconv.AppendInt(b, e.MTime, 10), '\t')
	b = append(strconv.AppendInt(b, e.CTime, 10), '\t')
	if needsQuotes(e.Path) {
		b = strconv.AppendQuote(b, e.Path)
	} else {
		b = append(b, e.Path...)
	}
	return append(b, '\n')
}

func needsQuotes(p string) bool {
	return !utf8.ValidString(p) || strings.ContainsFunc(p, func(c rune) bool { return c < ' ' || c == 0x7f || c == '"' || c == '\\' })
}

func decodeEntry(line string) (e release.Entry, err error) {
	var f [8]string
	found := true
	for i := range len(f) - 1 {
		if f[i], line, found = strings.Cut(line, "\t"); !found {
			break
		}
	}
	f[7] = line
	if !found || len(f[0]) != 1 {
		return e, errors.New("not the eight fields of an entry")
	}
	e.Kind = release.Kind(f[0][0])
	mode, err1 := strconv.ParseUint(f[1], 8, 32)
	e.Mode = uint32(mode)
	size, err2 := strconv.ParseInt(f[2], 10, 64)
	e.Size = size
	if f[3] != "-" {
		e.ID = f[3]
	}
	var err3, err4, err5, err6 error
	e.Inode, err3 = strconv.ParseUint(f[4], 10, 64)
	e.MTime, err4 = strconv.ParseInt(f[5], 10, 64)
	e.CTime, err5 = strconv.ParseInt(f[6], 10, 64)
	e.Path = f[7]
	if strings.HasPrefix(e.Path, `"`) {
		e.Path, err6 = strconv.Unquote(e.Path)
	}
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		return e, err
	}
	return e, checkEntry(e)
}

func checkEntry(e release.Entry) error {
	if e.Kind != release.Tagged && e.Kind != release.Built && e.Kind != release.Shared {
		return fmt.Errorf("%q: kind %q", e.Path, e.Kind)
	}
	if e.Size < 0 {
		return fmt.Errorf("%q: size %d", e.Path, e.Size)
	}
	p := e.Path
	if p == "" || p == "." || p == ".." || path.IsAbs(p) || path.Clean(p) != p || strings.HasPrefix(p, "../") || strings.Contains(p, "\x00") {
		return fmt.Errorf("%q: not a plain relative path", p)
	}
	if n := len(e.ID); (n != 0 && n != 40 && n != 64) || strings.Trim(e.ID, "0123456789abcdef") != "" {
		return fmt.Errorf("%q: id %q", p, e.ID)
	}
	return nil
}

// Manifest reads the manifest of a release.
func (r *Root) Manifest(id release.ID) (release.Manifest, error) {
	f, err := openManifest(r.top.File(), path.Join(stateName, manifestsName), id)
	if err != nil {
		return release.Manifest{}, err
	}
	m, err := readManifest(f)
	err = errors.Join(err, f.Close())
	if err == nil && m.ID != id {
		err = fmt.Errorf("line 1: it is of %s", m.ID)
	}
	if err != nil {
		return release.Manifest{}, fmt.Errorf("%s: %w", r.State(manifestsName, string(id)), err)
	}
	return m, nil
}

func readManifest(f *os.File) (release.Manifest, error) {
	st, err := f.Stat()
	if err != nil {
		return release.Manifest{}, err
	}
	var text strings.Builder
	text.Grow(int(st.Size()))
	if _, err := io.Copy(&text, f); err != nil {
		return release.Manifest{}, err
	}
	m, err := decodeManifest(text.String())
	m.Written = st.ModTime().UnixNano()
	return m, err
}

// header reads the first line of a manifest only.
func (r *Root) header(id release.ID) (release.Release, error) {
	return r.headerIn(r.top.File(), path.Join(stateName, manifestsName), id)
}

// headerIn is header by way of an open directory, of which the manifests are in the directory rel.
func (r *Root) headerIn(dir *os.File, rel string, id release.ID) (release.Release, error) {
	f, err := openManifest(dir, rel, id)
	if err != nil {
		return release.Release{}, err
	}
	m, err := readHeader(f)
	err = errors.Join(err, f.Close())
	if err == nil && m.ID != id {
		err = fmt.Errorf("it is of %s", m.ID)
	}
	if err != nil {
		return release.Release{}, fmt.Errorf("%s: line 1: %w", r.State(manifestsName, string(id)), err)
	}
	return m.Release, nil
}

func readHeader(f *os.File) (release.Manifest, error) {
	line, err := bufio.NewReaderSize(io.LimitReader(f, maxHeader), 1024).ReadBytes('\n')
	if err != nil {
		return release.Manifest{}, err
	}
	m, _, err := decodeHeader(bytes.TrimSuffix(line, []byte("\n")))
	return m, err
}

func openManifest(dir *os.File, rel string, id release.ID) (*os.File, error) {
	if _, ok := id.Time(); !ok {
		return nil, release.Errorf(release.ExitNotFound, "%q: not the id of a release", string(id)).Hint("rel list shows the releases")
	}
	f, err := disk.Beneath(dir, path.Join(rel, string(id)), unix.O_RDONLY, 0)
	if missing(err) {
		return nil, release.Errorf(release.ExitNotFound, "%s: no such release", id).Hint("rel list shows the releases")
	}
	return f, err
}
