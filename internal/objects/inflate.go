package objects

import (
	"encoding/binary"
	"errors"
)

var (
	errZlib  = errors.New("it is not a zlib stream")
	errFlate = errors.New("its zlib data are damaged")
	errShort = errors.New("its zlib data end before its size is reached")
	errLong  = errors.New("its zlib data go on after its size is reached")
)

// window is how far back a match can reach, in bytes.
const window = 32 << 10

// inflater decompresses a zlib stream from one slice into another. It stops when the destination is full and can go on from
// there. The stream's Adler-32 is not looked at: the object's id says more.
type inflater struct {
	in   []byte
	pos  int    // of the next byte of in that is not in hold
	hold uint64 // bits read ahead, the lowest first; above held they are zero, or those that come at pos
	held uint   // number of valid bits in hold

	state  blockState
	final  bool // the block is the last one
	stored int  // bytes left of a stored block
	length int  // of a match that did not fit, what is left
	dist   int

	lit     *litTable // of the block
	far     *distTable
	ownLit  litTable
	ownFar  distTable
	lengths [maxLit + maxDist]uint8
}

type blockState uint8

const (
	blockHead blockState = iota
	blockStored
	blockCodes
	streamEnd
)

// reset begins a stream.
func (z *inflater) reset(in []byte) error {
	if len(in) < 2 {
		return errShort
	}
	if in[0]&15 != 8 || in[0]>>4 > 7 || in[1]&0x20 != 0 || (int(in[0])<<8|int(in[1]))%31 != 0 {
		return errZlib
	}
	z.begin(in[2:])
	return nil
}

// begin starts with raw deflate data.
func (z *inflater) begin(in []byte) {
	z.in, z.pos, z.hold, z.held = in, 0, 0, 0
	z.state, z.final, z.length = blockHead, false, 0
}

// exactly fills dst from a stream that has as many bytes.
func (z *inflater) exactly(dst, src []byte) error {
	if err := z.reset(src); err != nil {
		return err
	}
	return z.finish(dst, 0)
}

// finish fills dst from n on and checks that the stream ends there.
func (z *inflater) finish(dst []byte, n int) error {
	n, err := z.fill(dst, n)
	switch {
	case err != nil:
		return err
	case n < len(dst):
		return errShort
	case z.state != streamEnd:
		return errLong
	}
	return nil
}

// fill writes to dst from n on until it is full or the stream ends, and tells how much of dst is filled then. What precedes n is
// what matches refer to. With dst full it still takes in an end of the stream that follows at once. It may write up to slack bytes
// between length and capacity of dst, and is faster where it can.
func (z *inflater) fill(dst []byte, n int) (int, error) {
	for {
		var err error
		began := z.state
		switch z.state {
		case streamEnd:
			return n, nil
		case blockHead:
			err = z.readHead()
		case blockStored:
			n, err = z.copyStored(dst, n)
		case blockCodes:
			n, err = z.decode(dst, n)
		}
		if err != nil || began != blockHead && z.state == began { // a block that has not ended wants more room
			return n, err
		}
	}
}

// refill makes at least 48 bits available where the input has them.
func (z *inflater) refill() {
	if len(z.in)-z.pos >= 8 {
		z.hold |= binary.LittleEndian.Uint64(z.in[z.pos:]) << z.held
		z.pos += int((63 - z.held) >> 3)
		z.held |= 56
		return
	}
	z.hold &= 1<<z.held - 1
	for z.held < 56 && z.pos < len(z.in) {
		z.hold |= uint64(z.in[z.pos]) << z.held
		z.pos++
		z.held += 8
	}
}

// take removes n bits, at most 16.
func (z *inflater) take(n uint) (int, error) {
	if z.held < n {
		z.refill()
		if z.held < n {
			return 0, errShort
		}
	}
	v := int(z.hold & (1<<n - 1))
	z.hold >>= n
	z.held -= n
	return v, nil
}

// readHead reads the head of the next block, or finds the end of the stream.
func (z *inflater) readHead() error {
	if z.final {
		z.state = streamEnd
		return nil
	}
	head, err := z.take(3)
	if err != nil {
		return err
	}
	z.final = head&1 != 0
	switch head >> 1 {
	case 0:
		return z.readStored()
	case 1:
		fixed := fixedTables()
		z.lit, z.far = &fixed.lit, &fixed.far
	case 2:
		if err := z.readTables(); err != nil {
			return err
		}
	default:
		return errFlate
	}
	z.state = blockCodes
	return nil
}

// readStored reads the length of a stored block, which begins at a byte.
func (z *inflater) readStored() error {
	z.pos -= int(z.held / 8) // give back whole bytes
	z.hold, z.held = 0, 0
	if len(z.in)-z.pos < 4 {
		return errShort
	}
	n := binary.LittleEndian.Uint16(z.in[z.pos:])
	if n != ^binary.LittleEndian.Uint16(z.in[z.pos+2:]) {
		return errFlate
	}
	z.pos += 4
	z.stored, z.state = int(n), blockStored
	return nil
}

func (z *inflater) copyStored(dst []byte, n int) (int, error) {
	c := copy(dst[n:], z.in[z.pos:min(z.pos+z.stored, len(z.in))])
	z.pos += c
	z.stored -= c
	n += c
	switch {
	case z.stored == 0:
		z.state = blockHead
	case n < len(dst):
		return n, errShort
	}
	return n, nil
}

// decode decodes a block's codes until its end or until dst is full.
func (z *inflater) decode(dst []byte, n int) (int, error) {
	if z.length > 0 {
		if n = z.copyMatch(dst, n); z.length > 0 {
			return n, nil
		}
	}
	n, err := z.decodeFast(dst, n)
	for err == nil && z.state == blockCodes && z.length == 0 {
		z.refill()
		e := z.lit.at(z.hold)
		if e.bits() > z.held {
			return n, errShort
		}
		switch {
		case e.isLiteral():
			if n == len(dst) {
				return n, nil
			}
			dst[n] = e.literal()
			n++
			z.drop(e.bits())
		case e.isMatch():
			if err = z.readMatch(e, n); err == nil {
				n = z.copyMatch(dst, n)
			}
		case e.isEnd():
			z.drop(e.bits())
			z.state = blockHead
		default:
			err = errFlate
		}
	}
	return n, err
}

func (z *inflater) drop(n uint) {
	z.hold >>= n
	z.held -= n
}

// readMatch reads the rest of a match whose length code is e, with n bytes before it.
func (z *inflater) readMatch(e code, n int) error {
	rest, need := z.hold>>e.bits(), e.bits()
	d := z.far.at(rest)
	need += d.bits()
	if need > z.held {
		return errShort
	}
	if !d.isMatch() {
		return errFlate
	}
	length := e.value() + int(z.hold&(1<<e.bits()-1)>>e.shift())
	z.dist = d.value() + int(rest&(1<<d.bits()-1)>>d.shift())
	if z.dist > n {
		return errFlate
	}
	z.length = length
	z.drop(need)
	return nil
}

// copyMatch copies as much of the match as dst has room for.
func (z *inflater) copyMatch(dst []byte, n int) int {
	c := min(z.length, len(dst)-n)
	copyWithin(dst, n, z.dist, c)
	z.length -= c
	return n + c
}

// copyWithin repeats size bytes from dist before n at n; the two may overlap.
func copyWithin(dst []byte, n, dist, size int) {
	from := n - dist
	for size > dist {
		n += copy(dst[n:n+dist], dst[from:from+dist])
		size -= dist
		dist *= 2 // what has been copied is as good a source
	}
	copy(dst[n:n+size], dst[from:from+size])
}
