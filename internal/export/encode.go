package export

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
	"golang.org/x/text/transform"
)

// isUTF8 tells whether an encoding's name is one of UTF-8's: "utf-8", "UTF8"; an empty name too.
func isUTF8(name string) bool {
	name = strings.ToLower(name)
	return name == "" || name == "utf8" || name == "utf-8"
}

var errNoEncoding = errors.New("no such encoding")

// encode turns UTF-8 content into the named encoding. Where the content does not fit into it, or the system does not know it,
// git exports the content as it is and complains; so ok is false then.
//
// The Unicode encodings are done here; for any other the system's iconv is asked, since that is what git uses and tables differ.
func encode(ctx context.Context, data []byte, name string) (out []byte, ok bool, err error) {
	if len(data) == 0 {
		return data, true, nil
	}
	if t := unicodeEncoder(name); t != nil {
		if !utf8.Valid(data) {
			return data, false, nil
		}
		out, _, err = transform.Bytes(t, data)
		return out, err == nil, err
	}
	out, err = iconv(ctx, data, name)
	if errors.Is(err, exec.ErrNotFound) {
		out, err = charmapped(data, name)
	}
	if ctx.Err() != nil {
		return nil, false, ctx.Err()
	}
	if err != nil {
		return data, false, nil
	}
	return out, true, nil
}

// unicodeEncoder is nil for what is not UTF-16 or UTF-32. Without a byte order in its name glibc writes a mark and the machine's
// own order, which is little-endian wherever rel is built for.
func unicodeEncoder(name string) transform.Transformer {
	name = strings.ToUpper(name)
	name, isUTF := strings.CutPrefix(name, "UTF")
	if !isUTF {
		return nil
	}
	switch strings.TrimPrefix(name, "-") {
	case "16", "16LE-BOM":
		return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder()
	case "16BE-BOM":
		return unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewEncoder()
	case "16LE":
		return unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewEncoder()
	case "16BE":
		return unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewEncoder()
	case "32":
		return utf32.UTF32(utf32.LittleEndian, utf32.UseBOM).NewEncoder()
	case "32LE":
		return utf32.UTF32(utf32.LittleEndian, utf32.IgnoreBOM).NewEncoder()
	case "32BE":
		return utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM).NewEncoder()
	}
	return nil
}

func iconv(ctx context.Context, data []byte, name string) ([]byte, error) {
	if strings.EqualFold(name, "latin-1") {
		name = "ISO-8859-1" // as git has it where iconv does not know the former
	}
	cmd := exec.CommandContext(ctx, "iconv", "-f", "UTF-8", "-t", name)
	cmd.Env = gitEnvironment()
	cmd.Stdin = bytes.NewReader(data)
	return cmd.Output()
}

func charmapped(data []byte, name string) ([]byte, error) {
	enc, err := ianaindex.IANA.Encoding(name)
	if err != nil {
		return nil, err
	}
	if enc == nil {
		return nil, errNoEncoding
	}
	return enc.NewEncoder().Bytes(data)
}
