package journal

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/git-rel/rel/internal/release"
)

// A slot is, in this order: magic, format (uint16), flags (uint16), payload length (uint32), sequence number (uint64), the
// payload, zeros, and in its last 32 bytes the SHA-256 of everything before. Numbers are little-endian. The payload is a
// Record as JSON, deflated where it would not fit otherwise. Magic, format and checksum stay where they are in every
// format, so that a slot of a later rel is told apart from a damaged one.
const (
	slotSize   = 4096
	slotCount  = 64
	headSize   = 24
	sumOffset  = slotSize - sha256.Size
	payloadMax = sumOffset - headSize

	slotMagic    = "rel-slot"
	slotFormat   = 1
	flagDeflated = 1

	// inflateMax bounds what a slot may inflate to.
	inflateMax = 128 << 10
)

// errSlot is a slot that is torn or rotten; errEmpty one that was never written; errFormat one of a later rel.
var (
	errSlot   = errors.New("damaged slot")
	errEmpty  = errors.New("empty slot")
	errFormat = errors.New("a later format")
)

// encodeSlot makes a slot of rec. Where rec is too large, its long texts are cut, then its oldest process groups go.
func encodeSlot(seq uint64, rec Record) ([]byte, error) {
	payload, flags, err := encodePayload(rec)
	if err != nil {
		return nil, err
	}
	slot := make([]byte, slotSize)
	copy(slot, slotMagic)
	binary.LittleEndian.PutUint16(slot[8:], slotFormat)
	binary.LittleEndian.PutUint16(slot[10:], flags)
	binary.LittleEndian.PutUint32(slot[12:], uint32(len(payload)))
	binary.LittleEndian.PutUint64(slot[16:], seq)
	copy(slot[headSize:], payload)
	sum := sha256.Sum256(slot[:sumOffset])
	copy(slot[sumOffset:], sum[:])
	return slot, nil
}

func encodePayload(rec Record) (payload []byte, flags uint16, err error) {
	for _, text := range cuttable(&rec.Run) {
		*text = cut(*text, textMax)
	}
	for {
		plain, err := json.Marshal(rec)
		if err != nil {
			return nil, 0, err
		}
		if len(plain) <= payloadMax {
			return plain, 0, nil
		}
		if len(plain) <= inflateMax {
			packed, err := deflate(plain)
			if err != nil {
				return nil, 0, err
			}
			if len(packed) <= payloadMax {
				return packed, flagDeflated, nil
			}
		}
		if !shorten(&rec) {
			return nil, 0, fmt.Errorf("a record of %d services and %d bytes does not fit into %d", len(rec.Services), len(plain), payloadMax)
		}
	}
}

// decodeSlot is the reverse of encodeSlot. Its errors are errSlot, errEmpty and errFormat.
func decodeSlot(slot []byte) (seq uint64, rec Record, err error) {
	if len(slot) != slotSize {
		return 0, Record{}, errSlot
	}
	if string(slot[:len(slotMagic)]) != slotMagic {
		if bytes.Equal(slot, make([]byte, slotSize)) {
			return 0, Record{}, errEmpty
		}
		return 0, Record{}, errSlot
	}
	if sum := sha256.Sum256(slot[:sumOffset]); !bytes.Equal(sum[:], slot[sumOffset:]) {
		return 0, Record{}, errSlot
	}
	if binary.LittleEndian.Uint16(slot[8:]) > slotFormat {
		return 0, Record{}, errFormat
	}
	flags, size := binary.LittleEndian.Uint16(slot[10:]), binary.LittleEndian.Uint32(slot[12:])
	if size > payloadMax {
		return 0, Record{}, errSlot
	}
	payload := slot[headSize : headSize+size]
	if flags&flagDeflated != 0 {
		payload, err = io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(payload)), inflateMax))
		if err != nil {
			return 0, Record{}, errSlot
		}
	}
	if json.Unmarshal(payload, &rec) != nil {
		return 0, Record{}, errSlot
	}
	return binary.LittleEndian.Uint64(slot[16:]), rec, nil
}

func deflate(data []byte) ([]byte, error) {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	err = w.Close()
	return packed.Bytes(), err
}

// shortText is what a text is never cut below.
const shortText = 32

// cuttable are the texts of run that a record may do without.
func cuttable(run *release.Run) []*string { return []*string{&run.Error, &run.Note, &run.By} }

// shorten drops a line of what an error log had. Without one it halves the longest text that may be cut, or the list of process
// groups when all are short: the oldest have ended long ago. It is false when nothing is left to cut.
func shorten(rec *Record) bool {
	longest := &rec.Run.Error
	for _, text := range cuttable(&rec.Run) {
		if len(*text) > len(*longest) {
			longest = text
		}
	}
	switch {
	case len(rec.Run.Log) > 0: // rel err has it too
		rec.Run.Log = rec.Run.Log[:len(rec.Run.Log)-1]
	case len(*longest) > shortText:
		*longest = cut(*longest, len(*longest)/2)
	case len(rec.Groups) > 1:
		rec.Groups = rec.Groups[len(rec.Groups)/2:]
	default:
		return false
	}
	return true
}

const cutMark = "…"

// cut shortens text to at most limit bytes, on a rune's boundary, and marks the place.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	end := max(limit-len(cutMark), 0)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + cutMark
}
