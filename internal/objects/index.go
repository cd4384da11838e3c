package objects

import (
	"bytes"
	"encoding/binary"
	"errors"
	"sort"
)

// index is a pack index, version 1 or 2, in mapped memory: the ids of a pack's objects, sorted, and where each begins.
type index struct {
	fanout  []byte // 256 numbers: how many ids have a first byte up to this one
	names   []byte // ids, stride bytes apart
	offsets []byte // 4-byte offsets, stride (v1) or 4 bytes (v2) apart
	large   []byte // v2: the 8-byte offsets that 4-byte ones with their high bit set are indices of
	sum     []byte // the checksum that the pack ends with
	count   int
	hashLen int
	stride  int // from name to name
	step    int // from offset to offset
}

const fanoutLen = 256 * 4

var errIndex = errors.New("not a pack index of version 1 or 2")

// parseIndex checks sizes and fan-out; names and offsets are checked when they are used.
func parseIndex(data []byte, hashLen int) (index, error) {
	if len(data) >= 8 && string(data[:4]) == "\xfftOc" {
		if binary.BigEndian.Uint32(data[4:]) != 2 {
			return index{}, errIndex
		}
		return parseIndex2(data, hashLen)
	}
	x := index{hashLen: hashLen, stride: 4 + hashLen, step: 4 + hashLen}
	if err := x.setFanout(data); err != nil {
		return index{}, err
	}
	end := fanoutLen + x.count*x.stride
	if len(data) != end+2*hashLen {
		return index{}, errors.New("its size does not fit the number of objects in it")
	}
	x.offsets, x.names, x.sum = data[fanoutLen:end], data[fanoutLen+4:end+4], data[end:end+hashLen]
	return x, nil
}

func parseIndex2(data []byte, hashLen int) (index, error) {
	x := index{hashLen: hashLen, stride: hashLen, step: 4}
	if err := x.setFanout(data[8:]); err != nil {
		return index{}, err
	}
	names := 8 + fanoutLen
	crcs := names + x.count*hashLen
	offsets := crcs + x.count*4
	large := offsets + x.count*4
	end := len(data) - 2*hashLen
	if end < large || (end-large)%8 != 0 || (end-large)/8 > x.count {
		return index{}, errors.New("its size does not fit the number of objects in it")
	}
	x.names, x.offsets, x.large, x.sum = data[names:crcs], data[offsets:large], data[large:end], data[end:end+hashLen]
	return x, nil
}

// setFanout also finds the count. An id takes at least 24 bytes of index, which bounds the count by the file's size.
func (x *index) setFanout(data []byte) error {
	if len(data) < fanoutLen {
		return errors.New("it ends early")
	}
	x.fanout = data[:fanoutLen]
	last := uint32(0)
	for i := 0; i < fanoutLen; i += 4 {
		n := binary.BigEndian.Uint32(x.fanout[i:])
		if n < last {
			return errors.New("its fan-out table is not in order")
		}
		last = n
	}
	if int64(last) > int64(len(data))/24 {
		return errors.New("it ends early")
	}
	x.count = int(last)
	return nil
}

func (x *index) name(i int) []byte { return x.names[i*x.stride : i*x.stride+x.hashLen] }

// offset is where object i begins in the pack.
func (x *index) offset(i int) (int64, error) {
	n := binary.BigEndian.Uint32(x.offsets[i*x.step:])
	if x.stride != x.hashLen || n&(1<<31) == 0 { // in version 1 all 32 bits count
		return int64(n), nil
	}
	at := int(n&^(1<<31)) * 8
	if at+8 > len(x.large) {
		return 0, errors.New("the index has no such 64-bit offset")
	}
	v := binary.BigEndian.Uint64(x.large[at:])
	if v > 1<<62 {
		return 0, errors.New("the index has an impossible 64-bit offset")
	}
	return int64(v), nil
}

// find is the position of id in the index. Ids are spread evenly, so that a few guesses by their value come close; the rest is
// a binary search, as for an index that somebody made otherwise.
func (x *index) find(id []byte) (int, bool) {
	lo, hi := 0, int(binary.BigEndian.Uint32(x.fanout[int(id[0])*4:]))
	if id[0] > 0 {
		lo = int(binary.BigEndian.Uint32(x.fanout[int(id[0])*4-4:]))
	}
	lo, hi = x.narrow(lo, hi, binary.BigEndian.Uint64(id))
	i := lo + sort.Search(hi-lo, func(i int) bool { return bytes.Compare(x.name(lo+i), id) >= 0 })
	return i, i < hi && bytes.Equal(x.name(i), id)
}

// guesses are few: each leaves about the square root of what was there, of 100,000 ids with the same first byte 2 after four.
const guesses = 4

// narrow limits the positions lo to hi, exclusively, of ids with the same first byte to those that can begin with key.
func (x *index) narrow(lo, hi int, key uint64) (int, int) {
	least, most := key&^(1<<56-1), key|(1<<56-1) // what the ids from lo to hi begin with, at least and at most
	for range guesses {
		if hi-lo < 4 || least >= most {
			break
		}
		mid := lo + int(float64(key-least)/float64(most-least)*float64(hi-lo-1))
		switch v := binary.BigEndian.Uint64(x.name(mid)); {
		case v < least || v > most:
			return lo, hi // not in order: damaged
		case v < key:
			lo, least = mid+1, v
		case v > key:
			hi, most = mid, v
		default:
			return lo, hi
		}
	}
	return lo, hi
}
