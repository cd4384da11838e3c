package export

import (
	"bytes"

	"github.com/git-rel/rel/internal/objects"
)

// eol is what becomes of line ends on the way out. Git turns LF into CRLF or leaves things be; nothing is ever turned into LF here.
type eol uint8

const (
	eolKeep     eol = iota
	eolCRLF         // text: every lone LF becomes CRLF
	eolAutoCRLF     // the same, where the content looks like text and has no CR yet
)

// conversion is what a file goes through between the repository and the disk.
type conversion struct {
	eol      eol
	ident    bool
	subst    bool
	encoding string // "" for UTF-8, as it is
}

func (c conversion) none() bool { return c == conversion{} }

// conversionOf reads a file's attributes as git does under an empty configuration on a system whose lines end in LF. ok is false
// where the encoding is given as true or false, which git dies of.
func conversionOf(v []value) (c conversion, ok bool) {
	c.ident = v[attrIdent].state == stateTrue
	c.subst = v[attrExportSubst].state == stateTrue
	switch enc := v[attrEncoding]; enc.state {
	case stateTrue, stateFalse:
		return c, false
	case stateText:
		if !isUTF8(enc.text) {
			c.encoding = enc.text
		}
	}
	text := v[attrText]
	if !saysCRLF(text) {
		text = v[attrCRLF] // what text was called once
	}
	switch {
	case text.state == stateFalse:
	case !v[attrEOL].is("crlf"):
	case text.is("auto"):
		c.eol = eolAutoCRLF
	default:
		c.eol = eolCRLF
	}
	return c, true
}

// saysCRLF tells whether a value of text or crlf means anything to git.
func saysCRLF(v value) bool {
	return v.state == stateTrue || v.state == stateFalse || v.is("input") || v.is("auto")
}

// expandIdent replaces $Id$ and $Id: …$ by the blob's id, as git does: an Id that another version control system has filled in,
// which has blanks inside, is left alone.
func expandIdent(data []byte, id objects.ID) []byte {
	if !bytes.Contains(data, []byte("$Id")) {
		return data
	}
	var out []byte
	for {
		dollar := bytes.IndexByte(data, '$')
		if dollar < 0 {
			break
		}
		out, data = append(out, data[:dollar+1]...), data[dollar+1:]
		if len(data) < 3 || data[0] != 'I' || data[1] != 'd' {
			continue
		}
		switch data[2] {
		case '$':
			data = data[3:]
		case ':':
			end := bytes.IndexByte(data[3:], '$')
			if end < 0 {
				return append(out, data...)
			}
			if foreignIdent(data[3 : 3+end]) {
				continue
			}
			data = data[3+end+1:]
		default:
			continue
		}
		out = append(out, "Id: "...)
		out = append(out, id.String()...)
		out = append(out, " $"...)
	}
	return append(out, data...)
}

// foreignIdent judges what stands between "$Id:" and "$".
func foreignIdent(inner []byte) bool {
	if bytes.IndexByte(inner, '\n') >= 0 {
		return true
	}
	if len(inner) < 2 {
		return false
	}
	space := bytes.IndexByte(inner[1:], ' ')
	return space >= 0 && space+1 < len(inner)-1
}

// expandEOL turns lone LF into CRLF where how says so.
func expandEOL(data []byte, how eol) []byte {
	lf := bytes.Count(data, []byte("\n"))
	crlf := bytes.Count(data, []byte("\r\n"))
	switch {
	case how == eolKeep, lf == crlf:
		return data
	case how == eolAutoCRLF && (bytes.IndexByte(data, '\r') >= 0 || looksBinary(data)):
		return data
	}
	out := make([]byte, 0, len(data)+lf-crlf)
	for i, b := range data {
		if b == '\n' && (i == 0 || data[i-1] != '\r') {
			out = append(out, '\r')
		}
		out = append(out, b)
	}
	return out
}

// looksBinary is git's guess for content without CR: a NUL, or more than one unprintable byte in 128.
func looksBinary(data []byte) bool {
	printable, strange := 0, 0
	for _, b := range data {
		switch {
		case b == 0:
			return true
		case b == '\n':
		case b == '\b', b == '\t', b == 0x1b, b == '\f', b >= ' ' && b != 0x7f:
			printable++
		default:
			strange++
		}
	}
	if len(data) > 0 && data[len(data)-1] == 0x1a { // ^Z, the end of a text file of old
		strange--
	}
	return printable>>7 < strange
}
