package objects

import "encoding/binary"

// slack is how far decodeFast writes behind the end of a match, where dst has the capacity: matches are copied 8 bytes at a time.
const slack = 16

// Room that decodeFast leaves: it refills twice between checks, each time from 8 bytes, and writes up to three literals.
const (
	fastIn  = 16
	fastOut = 3
)

// decodeFast is decode for as long as neither end is near, without checks on them. It ends before what does not fit.
func (z *inflater) decodeFast(dst []byte, n int) (int, error) {
	room := min(len(dst), cap(dst)-slack)
	in, pos, hold, held := z.in, z.pos, z.hold, z.held
	lastIn, lastOut := len(in)-fastIn, room-fastOut
	if pos > lastIn || n > lastOut {
		return n, nil
	}
	dst = dst[:cap(dst)]
	lit, far := z.lit, z.far
	var err error
	// Wherever the loop begins there are 56 bits, enough for a match: 15 and 5 for its length, 15 and 13 for its distance.
	hold |= binary.LittleEndian.Uint64(in[pos:]) << (held & 63)
	pos += int((63 - held) >> 3)
	held |= 56
	e := lit.first[hold&(1<<litBits-1)]
	for pos <= lastIn && n <= lastOut {
		if e.isLiteral() {
			dst[n] = e.literal()
			n++
			hold >>= e & 63
			held -= e.bits()
			e = lit.first[hold&(1<<litBits-1)]
			if e.isLiteral() {
				dst[n] = e.literal()
				n++
				hold >>= e & 63
				held -= e.bits()
				e = lit.first[hold&(1<<litBits-1)]
				if e.isLiteral() {
					dst[n] = e.literal()
					n++
					hold >>= e & 63
					held -= e.bits()
					hold |= binary.LittleEndian.Uint64(in[pos:]) << (held & 63)
					pos += int((63 - held) >> 3)
					held |= 56
					e = lit.first[hold&(1<<litBits-1)]
					continue
				}
			}
			hold |= binary.LittleEndian.Uint64(in[pos:]) << (held & 63)
			pos += int((63 - held) >> 3)
			held |= 56
		}
		if !e.isMatch() {
			if e.isLink() {
				e = lit.second(e, hold)
			}
			if e.isLiteral() {
				continue // with the bits of a long code; the second table is looked into once
			}
			if e.isEnd() {
				hold >>= e & 63
				held -= e.bits()
				z.state = blockHead
				break
			}
			if !e.isMatch() {
				err = errFlate
				break
			}
		}
		size := e.value() + int(hold&(1<<(e&63)-1)>>e.shift())
		rest := hold >> (e & 63)
		d := far.at(rest)
		dist := d.value() + int(rest&(1<<(d&63)-1)>>d.shift())
		if !d.isMatch() || dist > n {
			err = errFlate
			break
		}
		if size > room-n {
			break
		}
		hold = rest >> (d & 63)
		held -= e.bits() + d.bits()
		hold |= binary.LittleEndian.Uint64(in[pos:]) << (held & 63)
		pos += int((63 - held) >> 3)
		held |= 56
		e = lit.first[hold&(1<<litBits-1)]
		if dist < 8 {
			copyWithin(dst, n, dist, size)
			n += size
			continue
		}
		from, end := n-dist, n+size
		binary.LittleEndian.PutUint64(dst[n:], binary.LittleEndian.Uint64(dst[from:]))
		binary.LittleEndian.PutUint64(dst[n+8:], binary.LittleEndian.Uint64(dst[from+8:]))
		for n, from = n+16, from+16; n < end; n, from = n+8, from+8 {
			binary.LittleEndian.PutUint64(dst[n:], binary.LittleEndian.Uint64(dst[from:]))
		}
		n = end
	}
	z.pos, z.hold, z.held = pos, hold&(1<<held-1), held
	return n, err
}
